"""The first of many queries that exceeds a threshold, at the price of one.

AboveThreshold of Dwork & Roth 2014, section 3.6: noise on the threshold once, noise on every query,
stop at the first hit. The budget is shared between the two as 1 : 2^(2/3), which makes the variance
of their difference least (Lyu, Su & Li 2017, section 4.2, for one hit). How far a query was above
the threshold is not released; that would have to be asked and paid for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from understudy.errors import BudgetError
from understudy.privacy.events import Approximate
from understudy.privacy.mechanisms.choice import largest_change
from understudy.privacy.mechanisms.values import Integers, finite, positive
from understudy.privacy.noise import NoiseStream
from understudy.privacy.session import Array

THRESHOLD_SHARE = 1 / (1 + 2 ** (2 / 3))


@dataclass(frozen=True)
class AboveThreshold:
    """The index of the first query above `threshold`, or an empty array when none is.

    Any query moves by at most `sensitivity`.
    """

    epsilon: float
    threshold: float
    sensitivity: float = 1.0

    def __post_init__(self) -> None:
        positive("epsilon", self.epsilon)
        positive("sensitivity", self.sensitivity)
        if not np.isfinite(self.threshold):
            raise BudgetError(f"a threshold must be a finite number, found {self.threshold}.")

    @property
    def event(self) -> Approximate:
        return Approximate(self.epsilon)

    @property
    def scales(self) -> tuple[float, float]:
        """Laplace scales of the threshold's noise and of each query's."""
        on_threshold = THRESHOLD_SHARE * self.epsilon
        on_queries = self.epsilon - on_threshold
        return self.sensitivity / on_threshold, 2 * self.sensitivity / on_queries

    def distance(self, one: Array, other: Array) -> float:
        return largest_change(one, other)

    def release(self, exact: Array, noise: NoiseStream) -> Integers:
        queries = finite(exact).ravel()
        up, down = noise.exponentials(2 * (queries.size + 1)).reshape(2, -1)
        laplace = up - down
        of_threshold, of_queries = self.scales
        bar = self.threshold + of_threshold * laplace[0]
        return first_above(queries + of_queries * laplace[1:], bar)

    def noiseless(self, exact: Array) -> Integers:
        return first_above(finite(exact).ravel(), self.threshold)


def first_above(queries: Array, bar: float) -> Integers:
    return np.flatnonzero(queries >= bar)[:1].astype(np.int64)
