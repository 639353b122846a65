"""Whatever frame comes in goes out: library, dtypes, column order and values."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from understudy.data import like, read
from understudy.errors import SourceError

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
ROWS = 60
STEPS = np.arange(ROWS)


def _pandas() -> Any:
    return pd.DataFrame(
        {
            "z": STEPS % 7,
            "i8": (STEPS % 5).astype("int8"),
            "u64": (STEPS % 9).astype("uint64"),
            "big": 2**60 + STEPS % 3,
            "f32": (STEPS / 2).astype("float32"),
            "Int": pd.array([None if k % 6 == 0 else k % 4 for k in STEPS], dtype="Int64"),
            "text": [f"s{k % 3}" for k in STEPS],
            "digits": [str(10 + k % 3) for k in STEPS],
            "object": [None if k % 5 == 0 else f"o{k % 4}" for k in STEPS],
            "ranked": pd.Categorical(
                [f"c{k % 3}" for k in STEPS], categories=["c2", "c1", "c0", "unused"], ordered=True
            ),
            "bool": STEPS % 2 == 0,
            "maybe": pd.array([None if k % 6 == 0 else k % 2 == 0 for k in STEPS], dtype="boolean"),
            "when": pd.date_range("2020", periods=ROWS),
            "zoned": pd.date_range("2020", periods=ROWS, tz="Europe/Berlin"),
            "span": pd.to_timedelta(STEPS % 11, unit="h"),
            "day": [dt.date(2020, 1, 1 + int(k) % 28) for k in STEPS],
            "exact": [Decimal(int(k)) / 4 for k in STEPS],
            "spelled": [f"{1 + k % 28:02d}/03/2021" for k in STEPS],
            "a": STEPS / 3,
        }
    )


@pytest.mark.parametrize("column", [*_pandas().columns])
def test_pandas_comes_back_as_it_went_in(column: str) -> None:
    frame = _pandas()[[column]]
    pd.testing.assert_frame_equal(like(read(frame), frame), frame)


def test_pandas_keeps_its_column_order_and_drops_its_index() -> None:
    frame = _pandas().set_index(pd.Index(range(100, 100 + ROWS), name="row"))
    back = like(read(frame), frame)
    assert list(back.columns) == list(frame.columns)
    assert dict(back.dtypes) == dict(frame.dtypes)


def test_polars_comes_back_as_it_went_in() -> None:
    frame = pl.from_pandas(_pandas()).with_columns(
        pl.Series("enum", [f"e{k % 2}" for k in STEPS], dtype=pl.Enum(["e0", "e1", "e2"])),
        pl.Series("cat", [f"e{k % 2}" for k in STEPS], dtype=pl.Categorical),
        pl.Series("none", [None] * ROWS),
        pl.Series("time", [dt.time(int(k) % 24) for k in STEPS]),
    )
    back = like(read(frame), frame)
    assert back.schema == frame.schema
    assert back.equals(frame)
    assert like(read(frame.lazy()), frame.lazy()).schema == frame.schema


def test_arrow_comes_back_as_it_went_in() -> None:
    table = pa.table(
        {
            "f": pa.array([0.5, 1.5] * 9, pa.float32()),
            "s": pa.array(["a", "b"] * 9, pa.large_string()),
            "d": pa.array([1, 2] * 9, pa.date32()),
            "u": pa.array([1, 2] * 9, pa.uint8()),
        }
    )
    assert like(read(table), table).equals(table)


def test_duckdb_comes_back_as_it_went_in() -> None:
    duckdb = pytest.importorskip("duckdb")
    relation = duckdb.sql(
        "select i % 3 as a, cast(i * 0.5 as decimal(10, 2)) as b, date '2020-01-01' as c "
        "from range(60) t(i)"
    )
    back = like(read(relation), relation)
    assert back.columns == relation.columns
    assert back.fetchall() == relation.fetchall()


def test_a_dict_of_frames_is_a_dataset_of_several_tables() -> None:
    data = read({"left": _pandas()[["z"]], "right": pl.DataFrame({"x": [1, 2]})})
    assert [spec.name for spec in data.schema.tables] == ["left", "right"]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (lambda: pd.DataFrame({"a": [1, "x", None]}), "the frame cannot be read: .*'x'"),
        (lambda: pd.DataFrame(np.zeros((9, 2)), columns=["a", "a"]), "cannot be read.*'a'"),
        (lambda: pa.table([[1], [2]], names=["a", "a"]), "same name: 'a'"),
        (lambda: pd.DataFrame({"a": pd.Series([], dtype="int64")}), "no rows"),
        (lambda: pd.DataFrame(), "no columns"),
        (lambda: pa.table({"a": [[1], [2]]}), r"'a' is of Arrow type list<.*no kind we know"),
        (lambda: 5, "cannot read a int. Give a path, or a pandas"),
        (lambda: pd.Series([1]), "cannot read a Series"),
        (lambda: None, "cannot read a NoneType"),
        (dict, "no table in the data"),
    ],
)
def test_what_is_no_table_is_refused(frame: Any, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read(frame())
