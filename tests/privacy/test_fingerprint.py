"""One dataset, one account, however it is named, stored or spelled; other rows, another."""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from understudy.data import Dataset, read
from understudy.privacy.fingerprint import Fingerprint, fingerprint
from understudy.schema import Category, Schema, Table

KEY = bytes(range(32))

COLUMNS: dict[str, Any] = {
    "whole": pa.array([1, None, 2**50], pa.int64()),
    "real": pa.array([0.5, None, -2.25]),
    "word": pa.array(["é", None, ""]),
    "flag": pa.array([True, None, False]),
    "day": pa.array([dt.date(2020, 1, 2), None, dt.date(1950, 5, 6)]),
    "moment": pa.array([dt.datetime(2020, 1, 2, 3), None, dt.datetime(2021, 1, 2)]),
    "parts": pa.array([[1, 2], None, []]),
}


def of(table: pa.Table, key: bytes = KEY) -> Fingerprint:
    columns = tuple(Category(name=name) for name in table.column_names)
    return fingerprint(
        Dataset.single(Schema(tables=(Table(name="t", columns=columns),)), table), key
    )


@pytest.fixture
def people(tmp_path: Path) -> Path:
    rng = np.random.default_rng(5)
    lines = ["id,age,city,score,when,flag"]
    lines += [
        f"{i},{rng.integers(20, 70)},{'Bern' if i % 3 else '?'},{rng.random():.3f},"
        f"2020-01-{1 + i % 28:02d},{'true' if i % 5 else 'false'}"
        for i in range(200)
    ]
    path = tmp_path / "people.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_name_format_frame_order_and_spelling_do_not_matter(people: Path, tmp_path: Path) -> None:
    first = read(str(people))
    mine = fingerprint(first, KEY)
    without = fingerprint(read(pandas.read_csv(people).drop(columns="id")), KEY)
    assert without == mine, "a running number tells nothing"
    pq.write_table(first.table, tmp_path / "other.parquet", row_group_size=37)
    frame = pandas.read_csv(people)
    shuffled = frame.sample(frac=1.0, random_state=1).rename(columns={"age": "years"})
    text = frame.astype(str)
    for other in (str(tmp_path / "other.parquet"), frame, shuffled, text):
        assert fingerprint(read(other), KEY) == mine
    for nulls in (["?"], ["?", "2020-01-05", "30", "true"], ["Bern", "40", "false"]):
        declared = fingerprint(read(str(people), nulls=nulls), KEY)
        assert declared != mine
        assert mine.same_as(declared.columns)
    some = fingerprint(read(frame[["age", "score"]]), KEY)
    assert some.same_as(mine.columns)


def test_other_rows_are_another_dataset(people: Path, tmp_path: Path) -> None:
    mine = fingerprint(read(str(people)), KEY)
    lines = people.read_text().splitlines()
    for count, same in ((1, True), (60, False)):
        (tmp_path / "fewer.csv").write_text("\n".join(lines[:-count]) + "\n")
        fewer = fingerprint(read(str(tmp_path / "fewer.csv")), KEY)
        assert mine.same_as(fewer.columns) == same
    constant = fingerprint(read(pandas.DataFrame({"a": [1] * 200, "b": range(200)})), KEY)
    assert not mine.same_as(constant.columns)


def test_the_form_in_memory_does_not_matter() -> None:
    table = pa.table(COLUMNS)
    chunked = pa.concat_tables([table.slice(0, 1), table.slice(1)])
    doubled = pa.concat_tables([table, table]).combine_chunks().slice(3)
    assert of(table) == of(chunked) == of(doubled)
    words = table.column("word").combine_chunks()
    for form in (words.dictionary_encode(), words.cast(pa.large_string())):
        place = table.column_names.index("word")
        assert of(table.set_column(place, "word", form)) == of(table)


@pytest.mark.parametrize("name", COLUMNS)
def test_one_changed_cell_changes_its_column(name: str) -> None:
    table = pa.table(COLUMNS)
    cells = table.column(name).to_pylist()
    changed = pa.array([cells[0], cells[0], cells[2]], table.schema.field(name).type)
    place = table.column_names.index(name)
    now, before = of(table.set_column(place, name, changed)), of(table)
    assert now != before
    assert now.same_as(before.columns)


def test_the_bounds_of_cells_count() -> None:
    words = [["x", "yz"], ["xy", "z"], ["x", None], ["x", ""], ["x", "yz", "yz"]]
    assert len({of(pa.table({"b": cells})) for cells in words}) == 5


def test_without_the_key_it_says_nothing() -> None:
    table = pa.table({"a": [1, 2]})
    assert not of(table, KEY).columns & of(table, bytes(32)).columns
    one = np.array([1.0]).tobytes() + np.array([1]).tobytes()
    assert hashlib.sha256(b"numbers\n" + one).hexdigest() not in of(table).columns
