"""How many rows of a unit are learnt from, table by table: chosen under the budget.

A bound too low loses rows of units that have many, one too high makes all noise larger, since
every count may then be moved by so many rows of one unit. Bounds are powers of two; the choice is
the exponential mechanism on how many units a bound falls short of.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from understudy.data import Dataset
from understudy.data.ownership import owners
from understudy.privacy.mechanisms import Choice
from understudy.privacy.session import Private
from understudy.synthesizers.relational.private.parts import Part

GRID = tuple(1 << k for k in range(11))
COVERED = 0.9
"""Share of the units with any rows that should keep them all."""
STEP = 4.0
"""A larger bound must save so many units, in units of 1 / epsilon, to be worth its noise."""


def chosen(
    rows: Private[Dataset], tables: tuple[str, ...], part: Part, epsilon: float
) -> dict[str, int]:
    """The bound of each of `tables`, at a cost of `epsilon` each."""
    mechanism = Choice(epsilon)
    part.reserve_plan([mechanism.event] * len(tables))
    sizes = rows.map(rows_of_units)
    found = {}
    for name in tables:

        def scores(counts: Mapping[str, np.ndarray], name: str = name) -> np.ndarray:
            return shortfall(counts[name], STEP / epsilon)

        index = Private.ask(
            Private(sizes._rows, part), f"rows of a unit in {name}", mechanism, scores
        )
        found[name] = GRID[int(index[0])]
    return found


def rows_of_units(dataset: Dataset) -> dict[str, np.ndarray]:
    """int64[units] for each table that is no reference: how many rows of it each unit has."""
    owned, units = owners(dataset)
    return {name: np.bincount(found.units, minlength=units) for name, found in owned.items()}


def shortfall(counts: np.ndarray, step: float) -> np.ndarray:
    """float64[bounds]: the higher, the better; one unit more or less moves each by at most one."""
    counts = counts[counts > 0]
    reached = np.array([np.count_nonzero(counts <= bound) for bound in GRID], np.float64)
    return np.minimum(reached - COVERED * len(counts), 0.0) - step * np.arange(len(GRID))
