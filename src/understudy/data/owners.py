"""The units of every row: the paths of the schema, walked over the rows.

A row may hang on several units (a joint account, where the unit is the client) or on none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from understudy.data.dataset import Dataset
from understudy.data.matching import links, spans
from understudy.schema.ownership import Step, ownership

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
    found = links(dataset.tables[step.child], dataset.tables[step.key.table], step.key)
    return found.down() if step.down else found.up()


def _through(owned: Owned, source: Ints, target: Ints, units: int) -> Owned:
    """Who owns the rows of `target`, given who owns those of `source` that they hang on."""
    first = np.searchsorted(owned.rows, source, side="left")
    last = np.searchsorted(owned.rows, source, side="right")
    which, at = spans(first, last)
    pairs = np.unique(target[which] * units + owned.units[at])
    rows, found = np.divmod(pairs, units)
    return Owned(rows, found)
