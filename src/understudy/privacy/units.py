"""At most so many rows of a unit: which ones depends on that unit's own rows and nothing else.

Rows beyond the bound are left out by the order of a hash of their cells, or the latest first where
the table has an order in time. Any choice that looked at positions, or drew from a stream shared
with other units, would let one unit more or less change which rows of the others are kept, and so
break the sensitivity that every mechanism relies on.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.data import Dataset
from understudy.data.owners import unit_numbers
from understudy.data.sharing import Ties, ties, unshared
from understudy.privacy.session import Private, RowsPerUnit, Session
from understudy.schema import Table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Ints = NDArray[np.int64]


def bounded(dataset: Dataset, rows_per_unit: RowsPerUnit) -> Dataset:
    """`dataset` with at most so many rows of each entity in every table; order and schema are kept.

    `rows_per_unit` holds for each table, or says for each by name (1 for those it does not name).
    A dataset whose unit is the row comes back as it is. Rows without a unit cell have no unit to
    protect them and are left out. A database comes back whole: without what two units share, rows
    that need a row left out go with it and are not counted, and reference tables stay.
    """
    if dataset.schema.unit.column is None:
        return dataset
    if len(dataset.tables) > 1:
        return _bounded_database(unshared(dataset), rows_per_unit)
    spec, table = dataset.schema.table(), dataset.table
    numbers, _ = unit_numbers(dataset)
    rows = np.flatnonzero(numbers >= 0)
    first = _first(table, spec, rows, numbers[rows], rows_of(rows_per_unit, spec.name))
    return dataset.with_table(table.take(pa.array(first)))


def rows_of(rows_per_unit: RowsPerUnit, table: str) -> int:
    """How many rows of one unit `table` may hold."""
    return rows_per_unit if isinstance(rows_per_unit, int) else rows_per_unit.get(table, 1)


def admitted(dataset: Dataset, session: Session) -> Private[Dataset]:
    """`dataset` behind the session's door, its units bounded as the session says.

    Over several tables the door states the largest of their bounds.
    """
    rows = bounded(dataset, session.rows_per_unit)
    most = max(rows_of(session.rows_per_unit, spec.name) for spec in dataset.schema.tables)
    return Private(rows, session, most)


def _bounded_database(dataset: Dataset, rows_per_unit: RowsPerUnit) -> Dataset:
    """Table by table, parents first: the children of a row that goes are gone before they count."""
    found = ties(dataset)
    keep = {name: np.ones(len(units), np.bool_) for name, units in found.units.items()}
    for name in _parents_first(found):
        rows = np.flatnonzero(keep[name])
        most = rows_of(rows_per_unit, name)
        units = found.units[name][rows]
        kept = _first(dataset.tables[name], dataset.schema.table(name), rows, units, most)
        keep[name][:] = False
        keep[name][kept] = True
        found.settle(keep)
    return found.kept(dataset, keep)


def _parents_first(found: Ties) -> list[str]:
    """The owned tables, each after those it needs; where keys run in a circle, by their paths."""
    waiting = sorted(found.plan.paths, key=lambda name: len(found.plan.paths[name]))
    needed = {
        name: {tie.key.table for tie in found.keys if tie.child == name and not tie.loose}
        for name in waiting
    }
    order: list[str] = []
    while waiting:
        free = (name for name in waiting if not (needed[name] - {name}) & set(waiting))
        name = next(free, waiting[0])
        order.append(name)
        waiting.remove(name)
    return order


def _first(table: pa.Table, spec: Table, rows: Ints, units: Ints, most: int) -> Ints:
    """The first `most` of `rows` of each unit, in the table's order; equal rows are exchangeable.

    First in time where the table says what orders it, rows without a time last; else, and between
    equal times, by hash.
    """
    sizes = np.bincount(units, minlength=1)
    crowded = np.flatnonzero(sizes[units] > most)
    if not len(crowded):
        return rows
    some, whose = table.take(pa.array(rows[crowded])), units[crowded]
    time = np.zeros(len(crowded), np.int64)
    if spec.order_by is not None:
        time = _ranks(some[spec.order_by])
    order = np.lexsort((_hashes(some), time, whose))
    placed = whose[order]
    place = np.arange(len(order)) - np.searchsorted(placed, placed, side="left")
    keep = sizes[units] <= most
    keep[crowded[order[place < most]]] = True
    return rows[keep]


def _ranks(times: pa.ChunkedArray) -> Ints:
    """Equal for equal times, larger for later ones, largest for missing ones."""
    ranks = pc.rank(times, "ascending", tiebreaker="dense")  # missing ones last
    found: Ints = ranks.to_numpy().astype(np.int64)
    return found


def _hashes(table: pa.Table) -> NDArray[np.uint64]:
    """A number for each row that depends on its cells only; uint64 [rows]."""
    numbered = table.rename_columns([f"c{i}" for i in range(table.num_columns)])
    cells = ", ".join(numbered.column_names)
    with _duckdb().cursor() as connection:
        connection.register("cells", numbered)
        found = connection.execute(f"SELECT hash({cells}) AS h FROM cells").fetchnumpy()
    hashes: NDArray[np.uint64] = np.asarray(found["h"], np.uint64)
    return hashes


@cache
def _duckdb() -> DuckDBPyConnection:
    import duckdb

    return duckdb.connect(config={"threads": 1})
