"""Whose each row is: the protected unit over a database of several tables.

`ownership` (from the schema alone) says by which keys each table hangs on the unit, `owners` walks
them over the rows, `entity_of` joins the units that share rows, and `unshared` leaves out what they
share. This is the door to all four.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from understudy.data.dataset import Dataset
from understudy.data.matching import links
from understudy.data.owners import NOBODY, Owned, owners, unit_numbers
from understudy.data.sharing import unshared
from understudy.schema.ownership import Ownership, Step, ownership

__all__ = [
    "NOBODY",
    "Owned",
    "Ownership",
    "Step",
    "components",
    "entity_of",
    "owners",
    "ownership",
    "unshared",
]

Ints = NDArray[np.int64]


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


def _by_appearance(label: NDArray[np.int32]) -> Ints:
    """Labels renumbered in the order in which they appear."""
    _, first, inverse = np.unique(label, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    return rank[inverse]
