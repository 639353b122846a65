"""What a row is told of its siblings before: which it is, the one before it, and all of them.

Of columns with few levels how often each was there already, so that a table which rarely says the
same twice does not; of numbers the mean so far.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.synthesizers.relational.rows import NOBODY, Places, ranks
from understudy.synthesizers.tabular.cart import Floats
from understudy.synthesizers.tabular.conditional import ABSENT, Predictors

LEVELS = 8
Sums = NDArray[np.float64]


def sibling_rank(parents: Places) -> Places:
    """Which child of its parent each row is; rows that hang on nobody have no siblings."""
    return np.where(parents == NOBODY, 0, ranks(parents))


@dataclass(frozen=True)
class Siblings:
    """`predictors` are the columns that siblings tell."""

    predictors: Predictors

    @classmethod
    def fit(cls, table: pa.Table) -> Siblings:
        return cls(Predictors.fit(table))

    @classmethod
    def none(cls) -> Siblings:
        return cls(Predictors({}))

    @property
    def width(self) -> int:
        """Columns that a row is told."""
        return 1 + len(self.predictors.names) + sum(self._spans())

    def before(self, table: pa.Table, parents: Places) -> Floats:
        """float32 [rows, width] for rows that are all there, siblings in the order of rows."""
        own = self.predictors.matrix(table)
        rank = sibling_rank(parents)
        order = np.lexsort((rank, parents))
        previous = np.full(len(parents), NOBODY, np.int64)
        previous[order[1:]] = order[:-1]
        last = np.where((rank == 0)[:, None], ABSENT, own[previous])
        sums = self._tally(own)[order]
        running = np.cumsum(sums, axis=0) - sums
        first = np.flatnonzero(rank[order] == 0)
        running -= np.repeat(running[first], np.diff(np.r_[first, len(order)]), axis=0)
        found = np.empty_like(running)
        found[order] = running
        return self._told(rank, last, found)

    def nobody(self, parents: int) -> Earlier:
        """No siblings yet for each of `parents` rows of the parent."""
        last = np.full((parents, len(self.predictors.names)), ABSENT, np.float32)
        return Earlier(self, last, np.zeros((parents, sum(self._spans()))))

    def _told(self, rank: Places, last: Floats, sums: Sums) -> Floats:
        share = np.repeat(self._numeric(), self._spans())
        means = np.where(share, sums / np.maximum(rank, 1)[:, None], sums)
        return np.concatenate((rank[:, None], last, means), axis=1).astype(np.float32)

    def _tally(self, own: Floats) -> Sums:
        """float64 [rows, ...]: a one for the level of each row, and numbers as they are."""
        parts: list[NDArray[np.float64]] = [np.empty((len(own), 0))]
        for j, span in enumerate(self._spans()):
            column = own[:, j]
            if span == 1 and self._numeric()[j]:
                parts.append(np.where(column == ABSENT, 0, column)[:, None].astype(np.float64))
            elif span:
                parts.append((column[:, None] == np.arange(span)).astype(np.float64))
        return np.concatenate(parts, axis=1)

    def _spans(self) -> list[int]:
        """Columns of the tally by predictor: none for those with many levels."""
        return [
            1 if levels is None else len(levels) if len(levels) <= LEVELS else 0
            for levels in self.predictors.levels.values()
        ]

    def _numeric(self) -> list[bool]:
        return [levels is None for levels in self.predictors.levels.values()]


@dataclass
class Earlier:
    """The siblings made so far of each row of the parent."""

    siblings: Siblings
    last: Floats
    sums: Sums

    def told(self, parents: Places, nth: int) -> Floats:
        """float32 [rows, width] for the `nth` children of `parents`."""
        rank = np.full(len(parents), nth, np.int64)
        return self.siblings._told(rank, self.last[parents], self.sums[parents])

    def add(self, parents: Places, own: Floats) -> None:
        """One more child of each of `parents`."""
        self.last[parents] = own
        self.sums[parents] += self.siblings._tally(own)
