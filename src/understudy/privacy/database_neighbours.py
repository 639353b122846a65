"""Neighbouring databases: one unit fewer or one more, with all that hangs on it in every table.

Units taken away hold an extreme or a missing cell in some table, have most or fewest rows, or share
rows with others. Units put in are copies of one under new keys: as it is, with cells that nobody
has, with nothing but its own row, and with a thousand rows in one table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.data import Dataset
from understudy.data.matching import emptied, links
from understudy.data.owners import Owned, owners
from understudy.data.sharing import unshared
from understudy.schema import ForeignKey, Table

MANY = 1_000
Ints = NDArray[np.int64]
Cell = Callable[[pa.DataType], Any]


def without(dataset: Dataset, unit: int) -> Dataset:
    """`dataset` without unit number `unit` (see `owners`) and every row that hangs on it, shared or
    not; rows that need one of these by a key go with it, and other keys to them are emptied."""
    owned, _ = owners(dataset)
    keep = {
        name: _others(found, unit, dataset.tables[name].num_rows) for name, found in owned.items()
    }
    ties = [
        (spec, key, links(dataset.tables[spec.name], dataset.tables[key.table], key))
        for spec in dataset.schema.tables
        for key in spec.foreign_keys
        if key.table in owned
    ]
    falling = True
    while falling:
        falling = False
        for spec, key, met in ties:
            lost = _dangling(dataset, spec, key, met.child, met.parent, keep) & keep[spec.name]
            if lost.any() and _needed(spec, key):
                keep[spec.name] &= ~lost
                falling = True
    tables = dict(dataset.tables)
    for spec, key, met in ties:
        lost = _dangling(dataset, spec, key, met.child, met.parent, keep)
        if not _needed(spec, key):
            tables[spec.name] = emptied(tables[spec.name], spec.loose(key), lost)
    for name, rows in keep.items():
        tables[name] = tables[name].filter(pa.array(rows))
    return Dataset(dataset.schema, tables)


def telling_units(
    dataset: Dataset, telling: Callable[[pa.Table], Iterator[tuple[int, str]]]
) -> dict[int, str]:
    """Units worth taking away and why, by number; `telling` names rows of a table worth it."""
    owned, units = owners(dataset)
    found: dict[int, str] = {}
    for name, who in owned.items():
        sizes = np.bincount(who.units, minlength=units)
        found.setdefault(int(np.argmax(sizes)), f"the unit with most rows of {name!r}")
        found.setdefault(int(np.argmin(sizes)), f"a unit with fewest rows of {name!r}")
        shared = np.isin(who.rows, who.rows[1:][who.rows[1:] == who.rows[:-1]])
        sharing = next((int(unit) for unit in who.units[shared] if int(unit) not in found), None)
        if sharing is not None:
            found[sharing] = f"a unit that shares a row of {name!r}"
    for name, who in owned.items():
        for row, why in telling(dataset.tables[name]):
            place = int(np.searchsorted(who.rows, row))
            if place < len(who.rows) and who.rows[place] == row:
                found.setdefault(int(who.units[place]), f"the unit of {why} in {name!r}")
    return found


def more(dataset: Dataset, extreme: Cell) -> Iterator[tuple[str, Dataset]]:
    """`dataset` with one more unit, and what that one is like; `extreme` makes cells of a type.

    The copied unit is the one with rows in most tables that shares none of them.
    """
    alone = _alone(dataset)
    owned = list(owners(dataset)[0])
    yield "like another", _joined(dataset, alone, {})
    for word, cell in (("cells that nobody has", extreme), ("all cells missing", _missing)):
        yield word, _joined(dataset, alone, {name: _filled(dataset, name, cell) for name in owned})
    start = dataset.schema.table(dataset.schema.unit.table).name
    bare = {n: t if n == start else t.slice(0, 0) for n, t in alone.items()}
    yield "nothing but its own row", _joined(dataset, bare, {})
    for name in owned:
        if name != start and alone[name].num_rows and not _pointed_at(dataset, name):
            grown = {**alone, name: _repeated(dataset, name, alone[name])}
            yield f"{MANY:,} rows of {name!r}", _joined(dataset, grown, {})


def _others(found: Owned, unit: int, rows: int) -> NDArray[np.bool_]:
    keep = np.ones(rows, np.bool_)
    keep[found.rows[found.units == unit]] = False
    return keep


def _dangling(
    dataset: Dataset,
    spec: Table,
    key: ForeignKey,
    child: Ints,
    parent: Ints,
    keep: Mapping[str, NDArray[np.bool_]],
) -> NDArray[np.bool_]:
    """Rows of `spec` whose key named a row that is gone and names none that is left."""
    named = np.zeros(dataset.tables[spec.name].num_rows, np.bool_)
    held = named.copy()
    named[child] = True
    held[child[keep[key.table][parent]]] = True
    return named & ~held


def _needed(spec: Table, key: ForeignKey) -> bool:
    return not spec.loose(key)


def _alone(dataset: Dataset) -> dict[str, pa.Table]:
    """The rows of one unit in every owned table."""
    single = unshared(dataset)
    owned, units = owners(single)
    tables = sum((np.bincount(o.units, minlength=units) > 0).astype(int) for o in owned.values())
    unit = int(np.argmax(tables))
    return {n: single.tables[n].take(pa.array(o.rows[o.units == unit])) for n, o in owned.items()}


def _joined(
    dataset: Dataset, rows: Mapping[str, pa.Table], filled: Mapping[str, Mapping[str, Any]]
) -> Dataset:
    """`dataset` and these rows at its end, under keys that nobody has."""
    tables = dict(dataset.tables)
    for name, more_rows in rows.items():
        made = _renamed(dataset, name, more_rows)
        for column, cell in filled.get(name, {}).items():
            kind = made.schema.field(column).type
            cells = pa.array([cell] * made.num_rows, kind)
            made = made.set_column(made.column_names.index(column), column, cells)
        tables[name] = pa.concat_tables([tables[name], made.cast(tables[name].schema)])
    return Dataset(dataset.schema, tables)


def _renamed(dataset: Dataset, name: str, rows: pa.Table) -> pa.Table:
    """Own keys, and keys that point at owned tables, moved to where no key is."""
    for column in _keys(dataset, name):
        place = rows.column_names.index(column)
        rows = rows.set_column(place, column, _moved(rows[column]))
    return rows


def _keys(dataset: Dataset, name: str) -> tuple[str, ...]:
    """Columns of `name` that name units' rows; those that name a reference's are not moved."""
    owned = owners(dataset)[0]
    spec = dataset.schema.table(name)
    found = {n for key in spec.foreign_keys if key.table in owned for n in key.columns}
    away = {n for key in spec.foreign_keys if key.table not in owned for n in key.columns}
    unit = dataset.schema.unit
    own = {*spec.primary_key, *({unit.column} if unit.table == name and unit.column else set())}
    return tuple(c for c in spec.column_names if c in (found | own) - away)


def _moved(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """The same for equal cells, whatever their column; whole numbers stay within their type."""
    if pa.types.is_integer(cells.type):
        top = (1 << (int(cells.type.bit_width) - 2)) + 7
        return pc.add(cells, pa.scalar(top, cells.type))
    return pc.binary_join_element_wise(cells.cast(pa.string()), " anew", "").cast(cells.type)


def _filled(dataset: Dataset, name: str, cell: Cell) -> dict[str, Any]:
    """Cells for every column of `name` that is part of no key."""
    spec = dataset.schema.table(name)
    fixed = {n for key in spec.foreign_keys for n in key.columns} | set(spec.primary_key)
    fixed |= {str(dataset.schema.unit.column)} if dataset.schema.unit.table == name else set()
    types = dataset.tables[name].schema
    return {c: cell(types.field(c).type) for c in spec.column_names if c not in fixed}


def _missing(kind: pa.DataType) -> None:
    return None


def _pointed_at(dataset: Dataset, name: str) -> bool:
    return any(key.table == name for spec in dataset.schema.tables for key in spec.foreign_keys)


def _repeated(dataset: Dataset, name: str, rows: pa.Table) -> pa.Table:
    """The first row `MANY` times, with own keys that differ."""
    found = rows.take(pa.array(np.zeros(MANY, np.int64)))
    spec = dataset.schema.table(name)
    pointing_ones = {n for key in spec.foreign_keys for n in key.columns}
    for column in spec.primary_key:
        if column in pointing_ones or not pa.types.is_integer(found[column].type):
            continue
        cells = pc.add(found[column], pa.array(np.arange(MANY)).cast(found[column].type))
        found = found.set_column(found.column_names.index(column), column, cells)
    return found
