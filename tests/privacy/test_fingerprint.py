"""One dataset, one fingerprint, however it was stored; any other, another."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from understudy.data import Dataset, read
from understudy.privacy.fingerprint import fingerprint
from understudy.schema import Category, Number, Schema, Table

KEY = bytes(range(32))

COLUMNS: dict[str, Any] = {
    "whole": pa.array([1, None, 2**60], pa.int64()),
    "real": pa.array([0.5, None, -2.25]),
    "word": pa.array(["é", None, ""]),
    "flag": pa.array([True, None, False]),
    "day": pa.array([dt.date(2020, 1, 2), None, dt.date(1950, 5, 6)]),
    "moment": pa.array([dt.datetime(2020, 1, 2, 3), None, None], pa.timestamp("us")),
    "blank": pa.nulls(3),
    "parts": pa.array([[1, 2], None, []]),
}


def of(table: pa.Table, key: bytes = KEY) -> str:
    columns = tuple(Category(name=name) for name in table.column_names)
    return fingerprint(
        Dataset.single(Schema(tables=(Table(name="t", columns=columns),)), table), key
    )


def test_a_csv_and_a_parquet_file_of_the_same_rows_agree(tmp_path: Path) -> None:
    lines = ["age,city,score,when"]
    lines += [
        f"{20 + i % 50},{'Bern' if i % 3 else ''},{i / 7:.3f},2020-01-{1 + i % 28:02d}"
        for i in range(200)
    ]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    first = read(str(tmp_path / "t.csv"))
    pq.write_table(first.table, tmp_path / "t.parquet", row_group_size=37)
    second = read(str(tmp_path / "t.parquet"))
    assert first.table.schema.types == second.table.schema.types
    assert fingerprint(first, KEY) == fingerprint(second, KEY)


def test_the_form_in_memory_does_not_matter() -> None:
    table = pa.table(COLUMNS)
    chunked = pa.concat_tables([table.slice(0, 1), table.slice(1)])
    doubled = pa.concat_tables([table, table]).combine_chunks().slice(3)
    assert of(table) == of(chunked) == of(doubled)
    words = table.column("word").combine_chunks()
    for form in (words.dictionary_encode(), words.cast(pa.large_string())):
        place = table.column_names.index("word")
        assert of(table.set_column(place, "word", form)) == of(table)
    hidden = pa.Array.from_buffers(
        pa.int64(), 2, [pa.py_buffer(b"\x01"), pa.py_buffer(np.array([5, 99]).tobytes())]
    )
    assert of(pa.table({"x": hidden})) == of(pa.table({"x": pa.array([5, None], pa.int64())}))


@pytest.mark.parametrize("name", [n for n in COLUMNS if n != "blank"])
def test_one_changed_cell_changes_it(name: str) -> None:
    table = pa.table(COLUMNS)
    cells = table.column(name).to_pylist()
    changed = pa.array([cells[0], cells[0], cells[2]], table.schema.field(name).type)
    place = table.column_names.index(name)
    assert of(table.set_column(place, name, changed)) != of(table)


def test_names_types_order_and_cell_bounds_count() -> None:
    table = pa.table({"a": [1, 2], "b": ["x", "yz"]})
    seen = {of(table)}
    for other in (
        table.rename_columns(["a", "c"]),
        table.select(["b", "a"]),
        table.set_column(0, "a", pa.array([1.0, 2.0])),
        table.take([1, 0]),
        table.slice(0, 1),
        table.set_column(1, "b", pa.array(["xy", "z"])),
        pa.table({"a": [1, 2], "b": ["x", None]}),
        pa.table({"a": [1, 2], "b": ["x", ""]}),
    ):
        seen.add(of(other))
    assert len(seen) == 9


def test_without_the_key_it_says_nothing() -> None:
    table = pa.table({"a": [1, 2]})
    assert of(table, KEY) != of(table, bytes(32))
    sink = io.BytesIO()
    pq.write_table(table, sink)
    assert of(table) != hashlib.sha256(sink.getvalue()).hexdigest()


def test_every_table_of_a_dataset_counts() -> None:
    spec = [Table(name=n, columns=(Number(name="x"),)) for n in ("one", "two")]
    schema = Schema(tables=tuple(spec))
    tables = {"one": pa.table({"x": [1]}), "two": pa.table({"x": [2]})}
    swapped = {"one": tables["two"], "two": tables["one"]}
    assert fingerprint(Dataset(schema, tables), KEY) != fingerprint(Dataset(schema, swapped), KEY)
