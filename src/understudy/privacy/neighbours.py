"""Neighbouring datasets: one unit fewer or one more, chosen where leaks show.

A value that leaves unprotected shows only if the neighbour changes it, so the units taken out hold
an extreme number, a level nobody else has or a missing cell, and those put in bring a new level,
a huge number, nothing but missing cells, NaN and infinity.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from understudy.data import Dataset
from understudy.errors import EngineError
from understudy.privacy.database_neighbours import more, telling_units, without

MOST_REMOVED = 16
NEW_LEVEL = "a level nobody had"


@dataclass(frozen=True)
class Neighbour:
    """`dataset` differs from the original by one unit; `name` says which."""

    name: str
    dataset: Dataset


def neighbours(dataset: Dataset) -> list[Neighbour]:
    """Neighbours of a table, or of a database whose unit is an entity.

    Raises `EngineError` for no rows, and for several tables of which none names a unit.
    """
    if len(dataset.schema.tables) != 1:
        return _of_database(dataset)
    if dataset.num_rows == 0:
        raise EngineError("replay needs rows to take away, this dataset has none.")
    removed: dict[frozenset[int], str] = {}
    for row, why in _telling_rows(dataset.table):
        removed.setdefault(_unit_of(dataset, row), why)
    found = [
        Neighbour(f"without {why}", _without(dataset, rows))
        for rows, why in list(removed.items())[:MOST_REMOVED]
    ]
    return found + [
        Neighbour(f"with one more unit, {why}", _with(dataset, cells))
        for why, cells in _new_units(dataset)
    ]


def _of_database(dataset: Dataset) -> list[Neighbour]:
    if dataset.schema.unit.column is None:
        raise EngineError(
            f"replay of {len(dataset.schema.tables)} tables needs to know who is protected: name "
            "the unit, a column of one of them."
        )
    if dataset.tables[dataset.schema.table(dataset.schema.unit.table).name].num_rows == 0:
        raise EngineError("replay needs units to take away, this database has none.")
    found = list(telling_units(dataset, _telling_rows).items())[:MOST_REMOVED]
    removed = [Neighbour(f"without {why}", without(dataset, unit)) for unit, why in found]
    return removed + [
        Neighbour(f"with one more unit, {why}", made) for why, made in more(dataset, _extreme)
    ]


def _telling_rows(table: pa.Table) -> Iterator[tuple[int, str]]:
    """Rows worth taking away, the most telling of each column first."""
    yield 0, "the first row"
    every = [list(_telling_cells(name, table[name])) for name in table.column_names]
    for turn in range(max(map(len, every), default=0)):
        yield from (cells[turn] for cells in every if turn < len(cells))


def _telling_cells(name: str, cells: pa.ChunkedArray) -> Iterator[tuple[int, str]]:
    values = cells.to_pylist()
    present = [(value, row) for row, value in enumerate(values) if value is not None]
    missing = [row for row, value in enumerate(values) if value is None]
    if missing:
        yield missing[0], f"a row whose {name!r} is missing"
    if not present:
        return
    if _is_text(cells.type):
        counts = {entry["values"]: entry["counts"] for entry in pc.value_counts(cells).to_pylist()}
        rarest = min(present, key=lambda cell: (counts[cell[0]], cell[0]))
        yield rarest[1], f"the row of the rarest level of {name!r}"
        return
    ordered = [cell for cell in present if cell[0] == cell[0]]
    if len(ordered) < len(present):
        yield next(row for value, row in present if value != value), f"a row whose {name!r} is NaN"
    if ordered and not pa.types.is_boolean(cells.type):
        yield max(ordered)[1], f"the row of the largest {name!r}"
        yield min(ordered)[1], f"the row of the smallest {name!r}"


def _unit_of(dataset: Dataset, row: int) -> frozenset[int]:
    """All rows of the unit that `row` belongs to."""
    column = dataset.schema.unit.column
    if column is None:
        return frozenset([row])
    keys = dataset.table[column].to_pylist()
    return frozenset(i for i, key in enumerate(keys) if key == keys[row])


def _without(dataset: Dataset, rows: frozenset[int]) -> Dataset:
    kept = [row for row in range(dataset.num_rows) if row not in rows]
    return dataset.with_table(dataset.table.take(pa.array(kept, pa.int64())))


def _new_units(dataset: Dataset) -> list[tuple[str, dict[str, Any]]]:
    """Cells of rows to add, by column; columns not named are like the first row's."""
    schema = dataset.table.schema
    unit = dataset.schema.unit.column
    extreme = {field.name: _extreme(field.type) for field in schema}
    own = {unit: extreme[unit]} if unit is not None else {}
    missing: dict[str, Any] = dict.fromkeys(schema.names)
    made = [
        ("like the first", own),
        ("new levels and huge numbers", extreme),
        ("all cells missing", missing | own),
    ]
    floats = [f.name for f in schema if pa.types.is_floating(f.type) and f.name != unit]
    if floats:
        made += [
            (f"{value} for every number", own | dict.fromkeys(floats, value))
            for value in (float("nan"), float("inf"), float("-inf"))
        ]
    return made


def _with(dataset: Dataset, cells: dict[str, Any]) -> Dataset:
    table = dataset.table
    columns = []
    for field in table.schema:
        old = table[field.name]
        if field.name not in cells:
            new: pa.Array = old.slice(0, 1).combine_chunks()
        elif pa.types.is_dictionary(field.type):
            new = pa.array([cells[field.name]], field.type.value_type).cast(field.type)
        else:
            new = pa.array([cells[field.name]], field.type)
        columns.append(pa.chunked_array([*old.chunks, *_chunks(new)], field.type))
    return dataset.with_table(pa.table(columns, schema=table.schema).combine_chunks())


def _chunks(cells: pa.Array | pa.ChunkedArray) -> list[pa.Array]:
    return cells.chunks if isinstance(cells, pa.ChunkedArray) else [cells]


def _is_text(kind: pa.DataType) -> bool:
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(inner) or pa.types.is_large_string(inner))


def _extreme(kind: pa.DataType) -> Any:
    """A value of the type that hardly any column holds; None where we know none."""
    is_ = pa.types
    if _is_text(kind):
        return NEW_LEVEL
    if is_.is_boolean(kind):
        return True
    if is_.is_integer(kind):
        return (1 << (int(kind.bit_width) - 2)) - 1
    if is_.is_floating(kind):
        return 1e300 if kind.bit_width == 64 else 6e4
    if is_.is_decimal(kind):
        return Decimal(10 ** (kind.precision - kind.scale) - 1)
    if is_.is_date(kind):
        return dt.date(2199, 12, 31)
    if is_.is_timestamp(kind):
        return dt.datetime(2199, 12, 31)
    if is_.is_duration(kind):
        return dt.timedelta(days=36_500)
    return None
