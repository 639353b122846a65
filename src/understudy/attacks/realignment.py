"""Quantile re-alignment: undoes whatever was done to each column of a table as a whole.

A training table that is shifted, scaled, rounded or given in other units is far from every real
row and still gives everybody away. Mapping the quantiles of each synthetic column onto those of
the reference brings the rows back to where they came from. The map knows nothing of members.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.encoding.columns import to_numbers
from understudy.encoding.metric import is_numeric
from understudy.schema import LEARNT_KINDS, Table

LEVELS = np.linspace(0.01, 0.99, 50)
NOTICEABLE = 0.05
"""Share of a column's usual range by which its median quantile must be off to be worth undoing."""
FEWEST = 50

Floats = NDArray[np.float64]


def realigned(synthetic: pa.Table, reference: pa.Table, spec: Table) -> pa.Table | None:
    """`synthetic` with its numbers (now float64) mapped onto the reference's quantiles.

    None where every column lies where it should, so that there is nothing to undo.
    """
    if min(synthetic.num_rows, reference.num_rows) < FEWEST:
        return None
    moved = False
    table = synthetic
    for i, column in enumerate(spec.columns):
        name = column.name
        if column.kind not in LEARNT_KINDS or not is_numeric(column.kind, synthetic[name].type):
            continue
        mapped = _mapped(synthetic[name], reference[name])
        if mapped is not None:
            moved = True
            table = table.set_column(i, name, pa.chunked_array([mapped]))
    return table if moved else None


def _mapped(ours: pa.ChunkedArray, theirs: pa.ChunkedArray) -> pa.Array | None:
    """None where the column needs no mapping."""
    (values, missing), (real, absent) = to_numbers(ours), to_numbers(theirs)
    present, known = values[~missing].astype(np.float64), real[~absent].astype(np.float64)
    if min(len(present), len(known)) < FEWEST:
        return None
    source, goal = np.quantile(present, LEVELS), np.quantile(known, LEVELS)
    spread = goal[-1] - goal[0]
    if spread == 0 or np.median(np.abs(source - goal)) <= NOTICEABLE * spread:
        return None
    return pa.array(interpolate(values.astype(np.float64), source, goal), mask=missing)


def interpolate(values: Floats, source: Floats, goal: Floats) -> Floats:
    """The line through the knots (source, goal), continued beyond the outer two.

    Where several knots share a source (a value that many rows hold) their middle goal counts.
    """
    knots, first, count = np.unique(source, return_index=True, return_counts=True)
    aims = np.array([np.median(goal[i : i + k]) for i, k in zip(first, count, strict=True)])
    if len(knots) == 1:
        return values - knots[0] + aims[0]
    piece = np.clip(np.searchsorted(knots, values, side="right") - 1, 0, len(knots) - 2)
    share = (values - knots[piece]) / (knots[piece + 1] - knots[piece])
    return aims[piece] + share * (aims[piece + 1] - aims[piece])
