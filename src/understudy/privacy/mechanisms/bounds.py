"""Bounds of a numeric column of which no range is declared.

A noisy histogram over a fixed public grid, the powers of two with their sign; the outermost bins
whose noisy count stands clear of the noise give the bounds, which are therefore powers of two and
hold all values but a few at the ends. Bins stand out alone or, where none does, neighbours
together; either happens to empty bins with probability `failure` / 2 at most. A minimum or maximum
read off the data would be somebody's value.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from understudy.errors import BudgetError
from understudy.privacy.events import Gaussian
from understudy.privacy.mechanisms.counts import NoisyCounts
from understudy.privacy.mechanisms.values import Floats, Integers, whole
from understudy.privacy.noise import NoiseStream
from understudy.privacy.session import Array

SMALLEST, LARGEST = -30, 62
"""Powers of two of the grid; what is nearer to zero counts as zero, what is beyond is clipped."""
SIDE = LARGEST - SMALLEST + 1
BINS = 2 * SIDE + 1
ZERO = SIDE
DRIFT = 1.0
"""Standard deviations that a run of bins must rise by with every bin, to go on."""


@dataclass(frozen=True)
class Bounds:
    """(low, high) as float64[2], or an empty array when no bin stands out.

    `exact` is what `magnitudes` counts. `sensitivity` is the number of rows of a unit.
    """

    multiplier: float
    failure: float = 0.01
    sensitivity: float = 1.0

    def __post_init__(self) -> None:
        NoisyCounts(self.multiplier, self.sensitivity)
        if not 0 < self.failure < 1:
            raise BudgetError(
                f"the chance of bounds that are too wide must lie between 0 and 1, found "
                f"{self.failure}."
            )

    @property
    def event(self) -> Gaussian:
        return Gaussian(self.multiplier)

    @property
    def threshold(self) -> float:
        """What noise alone exceeds in any of the bins with probability `failure` / 2 at most."""
        sigma = self.multiplier * self.sensitivity
        return max(0.5 - sigma * NormalDist().inv_cdf(self.failure / 2 / BINS), 0.5)

    def distance(self, one: Array, other: Array) -> float:
        return self._counts.distance(one, other)

    def release(self, exact: Array, noise: NoiseStream) -> Floats:
        noisy = self._counts.release(exact, noise)
        # Rounding to whole counts adds the variance of an even spread over one.
        spread = math.hypot(self.multiplier * self.sensitivity, math.sqrt(1 / 12))
        alone = noisy > self.threshold
        return _outermost(alone if alone.any() else _together(noisy / spread, self.failure / 2))

    def noiseless(self, exact: Array) -> Floats:
        return _outermost(whole(exact) > 0)

    @property
    def _counts(self) -> NoisyCounts:
        return NoisyCounts(self.multiplier, self.sensitivity)


def magnitudes(values: Array) -> Integers:
    """int64[bins]: how many values lie in each bin, from the most negative to the largest.

    NaN, infinity and None are missing. Whole numbers beyond 2^53 stay in their bin.
    """
    numbers = _towards_zero(np.asarray(values)).ravel()
    numbers = numbers[np.isfinite(numbers)]
    power = np.frexp(numbers)[1] - 1
    step = np.where(numbers == 0, 0, np.clip(power - SMALLEST + 1, 0, SIDE))
    return np.bincount(ZERO + np.sign(numbers).astype(np.int64) * step, minlength=BINS)


def _towards_zero(values: Array) -> Floats:
    """float64; integers that do not fit are cut, as rounding could reach the next power of two."""
    if values.dtype.kind in "iu":
        wide = values.astype(np.int64 if values.dtype.kind == "i" else np.uint64)
        large = (wide > 1 << 53) | (wide < -(1 << 53))
        values = np.where(large, wide - np.fmod(wide, wide.dtype.type(1 << 11)), wide)
    return values.astype(np.float64)


def _together(counts: Floats, failure: float) -> NDArray[np.bool_]:
    """bool[bins]: the run of neighbours that stand out together though none does alone.

    The run with the largest sum of noisy counts, in standard deviations of the noise, less `DRIFT`
    for each bin (Kadane). Noise alone reaches c from a given bin on with probability exp(-2 DRIFT
    c) at most (Lundberg's bound on a random walk with a negative drift); c is such that this
    happens from any of the bins with probability `failure` at most.
    """
    clear = math.log(len(counts) / failure) / (2 * DRIFT)
    total = np.concatenate(([0.0], np.cumsum(counts - DRIFT)))
    lowest = np.minimum.accumulate(total)
    last = int(np.argmax(total - lowest))
    first = int(np.argmin(total[: last + 1]))
    found = np.zeros(len(counts), bool)
    if total[last] - total[first] >= clear:
        found[first:last] = True
    return found


def _outermost(standing: Array) -> Floats:
    places = np.flatnonzero(standing)
    if places.size == 0:
        return np.empty(0)
    return np.array([_lower(int(places[0])), -_lower(BINS - 1 - int(places[-1]))])


def _lower(place: int) -> float:
    """The lower edge of a bin; the grid is symmetric, so upper edges are lower ones mirrored."""
    step = place - ZERO
    if step == 0:
        return 0.0
    return 2.0 ** (SMALLEST + step - 1) if step > 0 else -(2.0 ** (SMALLEST - step))
