"""Train, holdout and reference, parted by the protected unit before anything is fitted.

Rows that hang on one unit stay together; over several tables whatever foreign keys connect stays
together (connected components).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.data.dataset import Dataset
from understudy.errors import SourceError
from understudy.runtime.random import stream

SHARES = (0.7, 0.2, 0.1)
FEWEST = 10


@dataclass(frozen=True)
class Split:
    """Three datasets of one schema without a unit in common."""

    train: Dataset
    holdout: Dataset
    reference: Dataset


def split(
    dataset: Dataset,
    *,
    seed: int,
    shares: tuple[float, float, float] = SHARES,
    alone: bool = False,
) -> Split:
    """Parts `dataset` by unit; raises `SourceError` with fewer than ten units.

    With `alone` every unit's side is a coin of its own, so that the sizes vary and one unit more or
    less moves no other: what a guarantee about the training rows needs to be one about all rows.
    """
    groups = _groups(dataset)
    units = _count(groups)
    if units < FEWEST:
        raise SourceError(
            f"fewer than {FEWEST} units are too few to hold some back. "
            "To learn from all of them without an audit: understudy fit."
        )
    rng = stream(seed, "split")
    side = _coins(units, shares, rng) if alone else _dealt(units, shares, rng)
    parts = [
        Dataset(
            dataset.schema,
            {
                name: table.filter(pa.array(side[groups[name]] == i))
                for name, table in dataset.tables.items()
            },
        )
        for i in range(3)
    ]
    return Split(*parts)


def units_of(dataset: Dataset) -> int:
    """How many protected units the rows belong to."""
    return _count(_groups(dataset))


def _count(groups: dict[str, NDArray[np.int64]]) -> int:
    return 1 + max(int(group.max(initial=-1)) for group in groups.values())


def _dealt(
    units: int, shares: tuple[float, float, float], rng: np.random.Generator
) -> NDArray[np.int8]:
    """The side of each unit, in parts of the exact sizes."""
    cuts = np.maximum(np.rint(np.cumsum(shares)[:2] * units).astype(int), [1, 2])
    cuts = np.minimum(cuts, [units - 2, units - 1])
    side = np.empty(units, dtype=np.int8)
    for i, part in enumerate(np.split(rng.permutation(units), cuts)):
        side[part] = i
    return side


def _coins(
    units: int, shares: tuple[float, float, float], rng: np.random.Generator
) -> NDArray[np.int8]:
    """The side of each unit, drawn for itself."""
    return np.searchsorted(np.cumsum(shares)[:2], rng.random(units), side="right").astype(np.int8)


def _groups(dataset: Dataset) -> dict[str, NDArray[np.int64]]:
    """The unit of each row of each table, numbered from 0."""
    unit = dataset.schema.unit
    if len(dataset.tables) == 1:
        name, table = next(iter(dataset.tables.items()))
        if unit.column is None:
            return {name: np.arange(table.num_rows)}
        values = table[unit.column]
        if values.null_count:
            raise SourceError(f"unit column {unit.column!r} has {values.null_count:,} empty cells.")
        codes = values.combine_chunks().dictionary_encode().indices
        return {name: codes.to_numpy().astype(np.int64)}
    return _components(dataset)


def _components(dataset: Dataset) -> dict[str, NDArray[np.int64]]:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first, total = {}, 0
    for name, table in dataset.tables.items():
        first[name], total = total, total + table.num_rows
    a: list[NDArray[np.int64]] = []
    b: list[NDArray[np.int64]] = []
    for spec in dataset.schema.tables:
        for key in spec.foreign_keys:
            child = _key(dataset.tables[spec.name], key.columns)
            parent = _key(dataset.tables[key.table], key.references)
            found = pc.index_in(child, value_set=parent.combine_chunks())
            rows = np.flatnonzero(found.is_valid().to_numpy())
            a.append(rows + first[spec.name])
            b.append(found.drop_null().to_numpy().astype(np.int64) + first[key.table])
    left = np.concatenate([*a, np.zeros(0, np.int64)])
    right = np.concatenate([*b, np.zeros(0, np.int64)])
    graph = coo_array((np.ones(len(left), np.int8), (left, right)), shape=(total, total))
    _, label = connected_components(graph, directed=False)
    return {
        name: label[start : start + dataset.tables[name].num_rows].astype(np.int64)
        for name, start in first.items()
    }


def _key(table: pa.Table, columns: tuple[str, ...]) -> pa.ChunkedArray:
    if len(columns) == 1:
        return table[columns[0]]
    parts = [table[name].cast(pa.string()) for name in columns]
    return pc.binary_join_element_wise(*parts, "\x1f")
