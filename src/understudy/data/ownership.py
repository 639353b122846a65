"""Whose each row is: the protected unit over a database of several tables.

`ownership` (from the schema alone) says by which keys each table hangs on the unit; `owners` walks
them over the rows. A row may hang on several units (a joint account, where the unit is the client)
or on none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from understudy.data.dataset import Dataset
from understudy.data.matching import Links, links, spans
from understudy.schema.ownership import Ownership, Step, ownership

__all__ = [
    "Owned",
    "Ownership",
    "Step",
    "components",
    "entity_of",
    "owned_through",
    "owners",
    "ownership",
    "unit_numbers",
]

Ints = NDArray[np.int64]
NOBODY = -1


@dataclass(frozen=True)
class Owned:
    """Pairs (row, unit), sorted by row and then unit, none twice; int64 [pairs] each."""

    rows: Ints
    units: Ints

    def single(self, rows: int) -> Ints:
        """The unit of each of so many rows, -1 for one that hangs on none or on several."""
        found = np.full(rows, NOBODY, np.int64)
        found[self.rows] = self.units
        found[self.rows[1:][self.rows[1:] == self.rows[:-1]]] = NOBODY
        return found


def owners(dataset: Dataset) -> tuple[dict[str, Owned], int]:
    """The units of each row of every table that is no reference, and how many units there are.

    A unit's number is its row in the unit's table where the unit column is unique there, else the
    place of its value among the distinct ones in order of appearance. Rows with an empty unit cell
    belong to nobody. Raises `PlanError` as `ownership` does.
    """
    return owned_through(dataset, ownership(dataset.schema).paths)


def owned_through(
    dataset: Dataset, paths: Mapping[str, tuple[Step, ...]]
) -> tuple[dict[str, Owned], int]:
    """`owners` of the tables in `paths`, which holds the beginning of every path with its path."""
    found: dict[str, Owned] = {}
    units = 0
    for name in sorted(paths, key=lambda n: len(paths[n])):
        if not paths[name]:
            numbers, units = unit_numbers(dataset)
            rows = np.flatnonzero(numbers != NOBODY)
            found[name] = Owned(rows, numbers[rows])
            continue
        step = paths[name][-1]
        walked = step_links(dataset, step)
        found[name] = _through(found[step.source], *walked, max(units, 1))
    return found, units


def entity_of(dataset: Dataset) -> dict[str, Ints]:
    """The entity of each row of every table that is no reference; -1 for a row without any.

    Entities are connected: rows that hang on two units, or point from one unit's rows at
    another's, make one entity of both. They are numbered from 0 in the order of their first unit.
    """
    label, entities = components(dataset)
    return {name: np.where(found < entities, found, NOBODY) for name, found in label.items()}


def components(dataset: Dataset) -> tuple[dict[str, Ints], int]:
    """The connected component of each row of every table that is no reference.

    The components that hold a unit come first, and their number comes second. Without a unit to
    protect all components are entities.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if dataset.schema.unit.column is None:
        numbers, units, unit_table = np.zeros(0, np.int64), 0, ""
        names = [spec.name for spec in dataset.schema.tables if spec.role != "reference"]
    else:
        plan = ownership(dataset.schema)
        numbers, units = unit_numbers(dataset)
        names, unit_table = list(plan.paths), plan.unit_table
    first, total = {}, units
    for name in names:
        first[name], total = total, total + dataset.tables[name].num_rows
    edges = [np.zeros((2, 0), np.int64)]
    if unit_table:
        rows = np.flatnonzero(numbers != NOBODY)
        edges.append(np.stack([rows + first[unit_table], numbers[rows]]))
    for child in names:
        for key in dataset.schema.table(child).foreign_keys:
            if key.table in first:
                found = links(dataset.tables[child], dataset.tables[key.table], key)
                edges.append(
                    np.stack([found.child + first[child], found.parent + first[key.table]])
                )
    left, right = np.concatenate(edges, axis=1)
    graph = coo_array((np.ones(len(left), np.int8), (left, right)), shape=(total, total))
    _, label = connected_components(graph, directed=False)
    label = _by_appearance(label)
    entities = int((label[:units] if unit_table else label).max(initial=-1)) + 1
    parts = {n: label[s : s + dataset.tables[n].num_rows] for n, s in first.items()}
    return parts, entities


def unit_numbers(dataset: Dataset) -> tuple[Ints, int]:
    """The unit of each row of the unit's table, -1 where its cell is empty, and how many."""
    unit = dataset.schema.unit
    table = dataset.tables[dataset.schema.table(unit.table).name]
    if unit.column is None:
        return np.arange(table.num_rows), table.num_rows
    encoded = table[unit.column].combine_chunks().dictionary_encode()
    numbers = encoded.indices.fill_null(NOBODY).to_numpy().astype(np.int64)
    return numbers, len(encoded.dictionary)


def step_links(dataset: Dataset, step: Step) -> tuple[Ints, Ints]:
    """Row numbers where a step starts and where it leads; int64 [links] each."""
    found: Links = links(dataset.tables[step.child], dataset.tables[step.key.table], step.key)
    return found.down() if step.down else found.up()


def _through(owned: Owned, source: Ints, target: Ints, units: int) -> Owned:
    """Who owns the rows of `target`, given who owns those of `source` that they hang on."""
    first = np.searchsorted(owned.rows, source, side="left")
    last = np.searchsorted(owned.rows, source, side="right")
    which, at = spans(first, last)
    pairs = np.unique(target[which] * units + owned.units[at])
    rows, found = np.divmod(pairs, units)
    return Owned(rows, found)


def _by_appearance(label: NDArray[np.int32]) -> Ints:
    """Labels renumbered in the order in which they appear."""
    _, first, inverse = np.unique(label, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    return rank[inverse]
