"""Several quantiles of a column with public bounds, each by the exponential mechanism.

One quantile: any point scores minus the distance of its rank from the wanted one, and all points
between two neighbouring values score the same, so a gap is drawn first, then a point inside it
(Smith 2011). Several: the middle one splits the rows in two, and the halves are solved apart
(Kaplan, Schnapp & Stemmer 2022). A row is in one part of each level only, so a level costs what one
choice costs: log2(m) + 1 choices for m quantiles instead of m.

Points are those of a public grid, so no low bit of a float leaves. Equal values, the rule in real
columns, would leave gaps of no width and halves of the wrong size: each row gets a random place
within its grid cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from understudy.errors import BudgetError
from understudy.privacy.events import Composed, Event, Exponential
from understudy.privacy.mechanisms.values import Floats, Integers, positive
from understudy.privacy.noise import NoiseStream
from understudy.privacy.session import Array

CELLS = 1 << 24
PLACES = 1 << 16
"""Places within a cell: one in so many of a cell's rows share theirs."""


@dataclass(frozen=True)
class Quantiles:
    """Quantiles at increasing `probabilities` of values clipped to [`low`, `high`].

    `epsilon` is the whole cost. `exact` is the column itself, in any order; NaN and infinity are
    missing. `sensitivity` is the number of rows of a unit.
    """

    epsilon: float
    probabilities: tuple[float, ...]
    low: float
    high: float
    sensitivity: float = 1.0

    def __post_init__(self) -> None:
        positive("epsilon", self.epsilon)
        positive("sensitivity", self.sensitivity)
        if not 0 < self.high - self.low < np.inf:
            raise BudgetError(
                f"quantiles need finite public bounds, the lower one first; found {self.low} and "
                f"{self.high}. Declare them in the plan or buy them with `Bounds`."
            )
        edges = (0.0, *self.probabilities, 1.0)
        if not self.probabilities or not all(a < b for a, b in pairwise(edges)):
            raise BudgetError(
                "quantiles are asked for by increasing probabilities between 0 and 1, found "
                f"{self.probabilities}."
            )

    @property
    def levels(self) -> int:
        """Depth of the tree of splits."""
        return len(self.probabilities).bit_length()

    @property
    def event(self) -> Event:
        choice = Exponential(self.epsilon / self.levels)
        return choice if self.levels == 1 else Composed((choice,) * self.levels)

    def distance(self, one: Array, other: Array) -> float:
        """Rows to add and remove to get from one column to the other."""
        cells, side = np.unique(self._cells(one), return_counts=True)
        others, other_side = np.unique(self._cells(other), return_counts=True)
        every, where = np.unique(np.concatenate((cells, others)), return_inverse=True)
        moved = np.bincount(where, np.concatenate((side, -other_side)), minlength=every.size)
        return float(np.abs(moved).sum())

    def release(self, exact: Array, noise: NoiseStream) -> Floats:
        cells = self._cells(exact)
        places = (noise.uniforms(cells.size) * PLACES).astype(np.int64)
        keys = np.sort(cells * PLACES + places)
        found = self._split(keys, 0, (CELLS + 1) * PLACES, np.array(self.probabilities), noise)
        return self._values(found // PLACES)

    def noiseless(self, exact: Array) -> Floats:
        cells = self._cells(exact)
        if cells.size == 0:
            return self.low + np.array(self.probabilities) * (self.high - self.low)
        found = np.quantile(cells, self.probabilities, method="inverted_cdf")
        return self._values(found)

    def _split(
        self, keys: Integers, left: int, right: int, wanted: Floats, noise: NoiseStream
    ) -> Integers:
        """Points in [left, right) at the `wanted` shares of the sorted `keys`."""
        if wanted.size == 0:
            return np.empty(0, np.int64)
        middle = wanted.size // 2
        share = wanted[middle]
        point = self._choose(keys, left, right, share, noise)
        cut = int(np.searchsorted(keys, point))
        below = self._split(keys[:cut], left, point + 1, wanted[:middle] / share, noise)
        above = (wanted[middle + 1 :] - share) / (1 - share)
        return np.concatenate(
            (below, [point], self._split(keys[cut:], point, right, above, noise))
        ).astype(np.int64)

    def _choose(
        self, keys: Integers, left: int, right: int, share: float, noise: NoiseStream
    ) -> int:
        edges = np.concatenate(([left], keys, [right]))
        widths = np.diff(edges)
        open_gaps = np.flatnonzero(widths)
        score = -np.abs(open_gaps - share * keys.size)
        # A row moves the rank by 1 and the wanted rank by `share`, or the latter alone.
        moves = self.sensitivity * max(share, 1 - share)
        slope = self.epsilon / self.levels / (2 * moves)
        weight = slope * score + np.log(widths[open_gaps])
        gap = open_gaps[np.argmax(weight + noise.gumbels(open_gaps.size))]
        return int(edges[gap] + int(noise.uniforms(1)[0] * widths[gap]))

    def _cells(self, column: Array) -> Integers:
        values = np.asarray(column, np.float64).ravel()
        clipped = np.clip(values[np.isfinite(values)], self.low, self.high)
        return np.rint((clipped - self.low) / (self.high - self.low) * CELLS).astype(np.int64)

    def _values(self, cells: Array) -> Floats:
        return self.low + cells / CELLS * (self.high - self.low)
