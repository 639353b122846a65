"""Train, holdout and reference, parted by the protected unit before anything is fitted.

Rows that hang on one unit stay together; over several tables whatever foreign keys connect stays
together (connected components), so that every key is whole in every part. Reference tables belong
to nobody and go into each part whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.data.dataset import Dataset
from understudy.data.owners import unit_numbers
from understudy.data.ownership import components, unshared
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
    Over several tables, rows that hang on two units are then left out (see `unshared`).
    """
    if alone and len(dataset.tables) > 1:
        dataset = unshared(dataset)
    groups = _groups(dataset)
    units = _count(groups)
    if units < FEWEST:
        raise SourceError(
            f"fewer than {FEWEST} units are too few to hold some back. "
            "To learn from all of them without an audit: understudy fit."
        )
    rng = stream(seed, "split")
    side = _coins(units, shares, rng) if alone else _dealt(units, shares, rng)
    return Split(*(_part(dataset, groups, side == i) for i in range(3)))


def units_of(dataset: Dataset) -> int:
    """How many protected units the rows belong to.

    Over several tables without an entity as the unit, what keys connect counts as one.
    """
    if len(dataset.tables) > 1 and dataset.schema.unit.column is not None:
        return unit_numbers(dataset)[1]
    return _count(_groups(dataset))


def _part(
    dataset: Dataset, groups: dict[str, NDArray[np.int64]], sides: NDArray[np.bool_]
) -> Dataset:
    """The rows whose group is on this side, and all rows of tables without groups."""
    tables = {
        name: table.filter(pa.array(sides[groups[name]])) if name in groups else table
        for name, table in dataset.tables.items()
    }
    return Dataset(dataset.schema, tables)


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
    """What stays together with each row of each table that belongs to anybody, from 0."""
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
    return components(dataset)[0]
