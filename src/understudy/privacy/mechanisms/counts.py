"""Noisy counts: a continuous Gaussian rounded onto the whole numbers.

Exact counts are whole, so adding a rounded Gaussian equals rounding the noisy sum, which costs
nothing beyond the Gaussian mechanism itself (post-processing). The answer holds whole numbers only:
no low bit of a float can give away what it was added to (Mironov 2012).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from understudy.privacy.events import Gaussian
from understudy.privacy.mechanisms.values import (
    Integers,
    add_noise,
    addable,
    changes,
    positive,
    whole,
)
from understudy.privacy.noise import NoiseStream
from understudy.privacy.session import Array


@dataclass(frozen=True)
class NoisyCounts:
    """Counts of any shape that one unit changes by at most `sensitivity` in the L2 norm.

    One row in one cell of each of k tables released together moves them by sqrt(k); k rows of one
    unit in the same cell move it by k.
    """

    multiplier: float
    sensitivity: float = 1.0

    def __post_init__(self) -> None:
        positive("multiplier", self.multiplier)
        positive("sensitivity", self.sensitivity)
        addable(self.sigma)

    @property
    def sigma(self) -> float:
        """Standard deviation of the noise, before rounding adds 1/12 to its square."""
        return self.multiplier * self.sensitivity

    @property
    def event(self) -> Gaussian:
        return Gaussian(self.multiplier)

    def distance(self, one: Array, other: Array) -> float:
        moved = changes(one, other)
        return np.inf if moved is None else float(np.linalg.norm(moved))

    def release(self, exact: Array, noise: NoiseStream) -> Integers:
        counts = whole(exact)
        return add_noise(counts, self.sigma * noise.normals(counts.size))

    def noiseless(self, exact: Array) -> Integers:
        return whole(exact)
