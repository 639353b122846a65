"""Coarser and finer views of one column: nested runs of cells, each as full as the others.

A table of two columns at full resolution is mostly noise. Every column therefore has a ladder of
groupings, from two groups to `FINEST`; the coarser are unions of the finer, so that a table can be
summed from one to the other and tables measured at different steps stay comparable. Only noisy
counts are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from understudy.synthesizers.tabular.marginals.tables import TINY, Cells, Floats, total_by

STEPS = (2, 3, 4, 6, 8, 12, 16, 24, 32)
SHORT = (2, 4, 8, 16)
"""Steps of the ladder for tables of very many columns, where every pair costs time."""
MANY = 60


def runs(weight: Floats, most: int) -> Cells:
    """Where each of at most `most` runs of neighbouring cells starts.

    A cell with more than its share of the weight is a run of its own, as far as there is room; the
    others are cut into pieces of about equal weight.
    """
    size = len(weight)
    if size <= most:
        return np.arange(size)
    heavy = (weight >= weight.sum() / most) & (weight > 0)
    heavy_left = np.cumsum(heavy[::-1])[::-1]
    target = weight[~heavy].sum() / max(most - int(heavy.sum()), 1)
    starts: list[int] = []
    filled, after_heavy = 0.0, True
    for place in range(size):
        alone = bool(heavy[place])
        wanted = alone or after_heavy or filled + weight[place] / 2 >= target
        # Heavy cells part the others, which may leave more pieces than there is room for.
        room = len(starts) + heavy_left[place] + (not alone) <= most
        if place == 0 or (wanted and room):
            starts.append(place)
            filled = 0.0
        filled += weight[place]
        after_heavy = alone
    return np.array(starts)


def owner(starts: Cells, size: int) -> Cells:
    """int[size]: the run that each cell belongs to."""
    return np.repeat(np.arange(len(starts)), np.diff(np.append(starts, size)))


def summed(table: Floats, starts: Cells, axis: int) -> Floats:
    """The table with each run of cells on `axis` added up."""
    return np.add.reduceat(table, starts, axis=axis)


@dataclass(frozen=True)
class Ladder:
    """`cell_of` maps a column's codes to its finest cells; `starts` are the rungs, coarse to fine.

    Every rung lists the cells that its groups begin with; the last rung is the cells themselves.
    """

    cell_of: Cells
    starts: tuple[Cells, ...]

    @property
    def cells(self) -> int:
        return len(self.starts[-1])

    def size(self, rung: int) -> int:
        return len(self.starts[rung])

    def groups(self, rung: int) -> Cells:
        """int[codes]: the group of each code."""
        return owner(self.starts[rung], self.cells)[self.cell_of]

    def between(self, fine: int, coarse: int) -> Cells:
        """Where the groups of rung `coarse` start among those of rung `fine`."""
        return np.searchsorted(self.starts[fine], self.starts[coarse])


def ladder(table: Floats, ordered: bool, steps: Sequence[int] = STEPS) -> Ladder:
    """The ladder of a column from its noisy [classes, codes] table."""
    total = table.sum(0)
    order = np.arange(len(total)) if ordered else _likeness(table)
    first = runs(total[order], max(steps))
    cell_of = np.empty(len(total), np.intp)
    cell_of[order] = owner(first, len(total))
    weight = total_by(cell_of, total)
    rungs = [np.arange(len(first))]
    for most in sorted((s for s in steps if s < len(first)), reverse=True):
        finer = rungs[-1]
        coarser = finer[runs(summed(weight, finer, 0), most)]
        if len(coarser) < len(finer):
            rungs.append(coarser)
    return Ladder(cell_of, tuple(rungs[::-1]))


def _likeness(table: Floats) -> Cells:
    """An order of labels in which neighbours have like class shares.

    The first axis of a correspondence analysis; with two classes that is the share of one of them
    (Breiman et al. 1984, section 4.2.2). Without classes, by count.
    """
    total = table.sum(0)
    if len(table) == 1 or total.sum() <= 0:
        return np.argsort(-total, kind="stable")
    joint = table / total.sum()
    rows, columns = joint.sum(1), np.maximum(joint.sum(0), TINY)
    centred = joint - np.outer(rows, columns)
    scaled = centred / np.sqrt(np.outer(np.maximum(rows, TINY), columns))
    axis = np.linalg.svd(scaled, full_matrices=False)[2][0] / np.sqrt(columns)
    return np.argsort(axis, kind="stable")
