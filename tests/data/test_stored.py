"""Under a budget cells are read one by one: no cell changes how another is read."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.data import read
from understudy.data.stored import fitted
from understudy.errors import SourceError
from understudy.schema import (
    Boolean,
    Category,
    Datetime,
    Duration,
    Geo,
    Identifier,
    Number,
    Schema,
    one_table,
)
from understudy.schema.storage import arrow_type, stored_type

NASTY = (
    "",
    "x",
    "1.5",
    "-7",
    "1e400",
    "nan",
    "007",
    "99999999999999999999",
    "2020-02-30",
    "é",
    "0",
)
CELL = st.sampled_from(NASTY) | st.text("0123456789.-:xe ", max_size=8)
SCHEMA = one_table(
    "t",
    [
        Number(name="whole", integer=True),
        Number(name="real"),
        Number(name="money", stored="decimal128(10, 2)"),
        Category(name="word"),
        Category(name="code", stored="int64"),
        Boolean(name="flag"),
        Datetime(name="day", format="%d.%m.%Y"),
        Datetime(name="moment"),
        Datetime(name="date", stored="date32[day]"),
        Identifier(name="key", stored="int64"),
        Geo(name="north", axis="latitude"),
    ],
)


def table_of(path: Path, rows: list[list[str]], schema: Schema = SCHEMA, **how: Any) -> pa.Table:
    cells = [",".join(f'"{cell}"' for cell in row) for row in rows]
    path.write_text("\n".join([",".join(schema.table().column_names), *cells]) + "\n")
    return read(str(path), schema=schema, cell_by_cell=True, **how).table


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cells") / "t.csv"


@given(rows=st.lists(st.lists(CELL, min_size=11, max_size=11), min_size=2, max_size=4))
@settings(max_examples=60, deadline=None)
def test_a_row_reads_the_same_whatever_stands_beside_it(place: Path, rows: list[list[str]]) -> None:
    alone = [table_of(place, [row]) for row in rows]
    assert table_of(place, rows).equals(pa.concat_tables(alone))
    types = [stored_type(column) for column in SCHEMA.table().columns]
    assert alone[0].schema.types == types


def test_what_does_not_fit_is_missing_and_nothing_is_said(place: Path) -> None:
    good = [
        "3",
        "2.5",
        "1.25",
        "a",
        "7",
        "true",
        "31.12.1999",
        "2020-01-02",
        "2020-01-02",
        "9",
        "4.5",
    ]
    bad = ["3.5", "two", "1.255", "", "x", "maybe", "32.12.1999", "soon", "soon", "k", "north"]
    rows = table_of(place, [good, bad]).to_pylist()
    assert rows[0] == {
        "whole": 3,
        "real": 2.5,
        "money": Decimal("1.25"),
        "word": "a",
        "code": 7,
        "flag": True,
        "day": dt.date(1999, 12, 31),
        "moment": dt.datetime(2020, 1, 2),
        "date": dt.date(2020, 1, 2),
        "key": 9,
        "north": 4.5,
    }
    assert set(rows[1].values()) == {None}


def test_bytes_that_are_no_text_stay_in_their_cell(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    schema = one_table("t", [Category(name="a"), Number(name="b", integer=True)])
    path.write_bytes(b"a,b\nx,1\n\xff\xfe,2\ny,3\n")
    found = read(str(path), schema=schema, cell_by_cell=True).table
    assert found["a"].to_pylist() == ["x", "\ufffd\ufffd", "y"]
    assert found["b"].to_pylist() == [1, 2, 3]


def test_the_header_alone_says_by_what_cells_are_parted(tmp_path: Path) -> None:
    schema = one_table("t", [Category(name="a"), Number(name="b")])
    path = tmp_path / "t.csv"
    path.write_text("a;b\nx,y,z;1,5\nu,v,w;2.5\n")
    found = read(str(path), schema=schema, cell_by_cell=True).table
    assert found.to_pylist() == [{"a": "x,y,z", "b": 1.5}, {"a": "u,v,w", "b": 2.5}]


def test_parquet_and_frames_take_the_types_of_the_plan(tmp_path: Path) -> None:
    schema = one_table("t", [Number(name="n", integer=True), Category(name="c", stored="int64")])
    frame = pandas.DataFrame({"n": ["1", None, "2.5"], "c": ["1", "x", "3"]})
    pq.write_table(pa.Table.from_pandas(frame), tmp_path / "t.parquet")
    for source in (frame, str(tmp_path / "t.parquet")):
        found = read(source, schema=schema, cell_by_cell=True).table
        assert found.schema.types == [pa.int64(), pa.int64()]
        assert found.to_pydict() == {"n": [1, None, None], "c": [1, None, 3]}


@pytest.mark.parametrize(
    "kind",
    [
        pa.int8(),
        pa.uint64(),
        pa.float64(),
        pa.string(),
        pa.bool_(),
        pa.null(),
        pa.date32(),
        pa.time64("us"),
        pa.timestamp("ms"),
        pa.timestamp("us", "Europe/Zurich"),
        pa.duration("ns"),
        pa.decimal128(10, 2),
    ],
    ids=str,
)
def test_types_go_by_the_names_that_arrow_prints(kind: pa.DataType) -> None:
    assert arrow_type(str(kind)) == kind
    assert fitted(pa.chunked_array([["x", None]]), kind).type == kind


def test_the_kind_wins_where_it_and_the_stored_type_disagree() -> None:
    assert stored_type(Number(name="n", stored="string")) == pa.float64()
    assert stored_type(Category(name="c", stored="bool")) == pa.string()
    assert stored_type(Duration(name="d")) == pa.duration("us")


def test_an_unknown_type_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"no type 'intt64'.*int64"):
        Number(name="n", stored="intt64")


def test_many_misfits_among_many_cells_cost_little() -> None:
    cells = pa.chunked_array([[str(i) if i % 1000 else "x" for i in range(50_000)]])
    found = fitted(cells, pa.int64())
    assert found.null_count == 50
    assert found[1].as_py() == 1


def test_no_row_hides_others_behind_a_quote(tmp_path: Path) -> None:
    """A cell's quote that somebody else's cell closes would make one row of a thousand."""
    schema = one_table("t", [Number(name="n", integer=True), Category(name="c")])
    rows = [f"{i},word" for i in range(1000)]
    for evil, closing in (('7,"evil', '8,"Al"'), ('7,"Bob', '8,Al"'), ('7,x","y', "8,z")):
        path = tmp_path / "t.csv"
        path.write_text("\n".join(["n,c", evil, *rows, closing]) + "\n")
        for how in ({"schema": schema}, {}):
            with pytest.raises(SourceError, match=r"line 2|never closed|1002"):
                read(str(path), cell_by_cell=True, **how)
    path.write_text('n,c\n1,"a ""quoted"", word"\n2,"b"\n3,\n')
    assert read(str(path), schema=schema, cell_by_cell=True).table["c"].to_pylist() == [
        'a "quoted", word',
        "b",
        None,
    ]


def test_a_type_that_may_have_followed_from_one_cell_is_refused(tmp_path: Path) -> None:
    schema = one_table("t", [Category(name="product", stored="string")])
    whole = pandas.DataFrame({"product": [4000000000000001, 4000000000000002]})
    assert read(whole, schema=schema, cell_by_cell=True).table["product"][0].as_py() == (
        "4000000000000001"
    )
    more = pandas.concat([whole, pandas.DataFrame({"product": [None]})])
    more.astype(float).to_parquet(tmp_path / "t.parquet")
    for source in (more.astype(float), str(tmp_path / "t.parquet")):
        with pytest.raises(SourceError, match=r"'product' comes as double, and the plan has it as"):
            read(source, schema=schema, cell_by_cell=True)
