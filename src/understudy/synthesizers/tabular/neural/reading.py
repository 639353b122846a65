"""Axes read off the data, for runs that keep no privacy budget.

A number line is cut at order statistics: values that many rows share, and all values of columns
with few, stand alone; the others lie in fine runs of at least `FEWEST` rows each, over which they
are spread evenly. So a bin's inner shape is a piecewise linear quantile line whose knots are at
least `FEWEST` people apart.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.encoding.columns import FEW_VALUES, HEAVY
from understudy.encoding.discrete import FARTHEST, Axis, GridAxis, LabelAxis, Line, Steps
from understudy.encoding.known import Known
from understudy.encoding.private_bins import FINE
from understudy.schema import Category, Column
from understudy.synthesizers.tabular.neural.buying import Counted

FEWEST = 10
"""Rows in a fine run of a number line."""
RUNS = 4096
"""Fine runs of a number line, at most."""


def read_columns(
    table: pa.Table, columns: tuple[Column, ...], known: Mapping[str, Known]
) -> dict[str, Counted]:
    """An axis for every column and how full its codes are, in the table's order."""
    found = {}
    for column in columns:
        cells = table[column.name]
        axis = _axis(column, cells, known[column.name])
        counts = np.bincount(axis.encode(cells), minlength=axis.size).astype(np.float64)
        found[column.name] = Counted(axis, counts)
    return found


def _axis(column: Column, cells: pa.ChunkedArray, known: Known) -> Axis:
    nullable = cells.null_count > 0
    if known.labels is not None:
        ordered = isinstance(column, Category) and column.ordered
        return LabelAxis(column.name, known.labels, False, nullable, ordered)
    assert known.line is not None
    line = _settled(known.line, cells)
    steps, missing = line.steps(cells)
    starts, last = _cut(steps[~missing])
    return GridAxis(column.name, line, starts, last, bool(missing.any()))


def _settled(line: Line, cells: pa.ChunkedArray) -> Line:
    """A continuous column's line, its step a tiny share of the range."""
    if line.power is None:
        return line
    values = np.asarray(cells.drop_null().to_numpy(), np.float64)
    values = values[np.isfinite(values)]
    width = max(float(values.max() - values.min()), 2.0**-30)
    # The farthest value must still be a step that 62 bits can count.
    coarsest = max(width * FINE, float(np.abs(values).max()) / FARTHEST)
    return Line(line.type, power=int(np.ceil(np.log2(coarsest))))


def _cut(steps: Steps) -> tuple[Steps, int]:
    """Where runs start, and the last step.

    A value that stands alone is followed by a run that starts a step later, so that what lies
    between it and the next value is never drawn with it.
    """
    values, counts = np.unique(steps, return_counts=True)
    last = int(values[-1])
    alone = (counts >= HEAVY) | (len(values) <= FEW_VALUES)
    least = max(FEWEST, len(steps) // RUNS)
    starts = _light_starts(values, counts, alone, least)
    after = values[alone] + 1
    found = np.union1d(np.union1d(values[alone], starts), after[after <= last])
    return found.astype(np.int64), last


def _light_starts(
    values: Steps, counts: NDArray[np.int64], alone: NDArray[np.bool_], least: int
) -> Steps:
    """First values of runs of light values that hold at least `least` rows; a run does not reach
    over a heavy value, and what is left over at its end joins the run before."""
    segment = np.cumsum(alone)
    starts: list[int] = []
    for one in np.unique(segment[~alone]):
        inside = np.flatnonzero(~alone & (segment == one))
        held = np.cumsum(counts[inside])
        starts.append(int(values[inside[0]]))
        # Whole runs of `least` rows, cut at the first value at or beyond each multiple.
        cuts = np.searchsorted(held, np.arange(least, int(held[-1]) - least + 1, least)) + 1
        cuts = np.unique(cuts[cuts < len(inside)])
        starts += [int(v) for v in values[inside[cuts]]]
    return np.array(sorted(set(starts)), np.int64)
