"""A choice among public candidates by their private scores: the exponential mechanism.

McSherry & Talwar 2007. The candidate with the largest scaled score plus Gumbel noise is drawn with
probability proportional to exp(epsilon * score / (2 * sensitivity)), without computing a sum that
could overflow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from understudy.errors import EngineError
from understudy.privacy.events import Exponential
from understudy.privacy.mechanisms.values import Floats, Integers, changes, finite, positive
from understudy.privacy.noise import NoiseStream
from understudy.privacy.session import Array


@dataclass(frozen=True)
class Choice:
    """The index of a good candidate; any score moves by at most `sensitivity`."""

    epsilon: float
    sensitivity: float = 1.0

    def __post_init__(self) -> None:
        positive("epsilon", self.epsilon)
        positive("sensitivity", self.sensitivity)

    @property
    def event(self) -> Exponential:
        return Exponential(self.epsilon)

    def distance(self, one: Array, other: Array) -> float:
        return largest_change(one, other)

    def release(self, exact: Array, noise: NoiseStream) -> Integers:
        scores = candidates(exact)
        slope = self.epsilon / (2 * self.sensitivity)
        return np.array([np.argmax(slope * scores + noise.gumbels(scores.size))], np.int64)

    def noiseless(self, exact: Array) -> Integers:
        return np.array([np.argmax(candidates(exact))], np.int64)


def candidates(exact: Array) -> Floats:
    """The scores as one row; raises `EngineError` when there is nothing to choose from."""
    scores = finite(exact).ravel()
    if scores.size == 0:
        raise EngineError("a choice was asked for among no candidates: give at least one score.")
    return scores


def largest_change(one: Array, other: Array) -> float:
    """The largest move of any score, infinite when the number of candidates differs."""
    moved = changes(one, other)
    if moved is None:
        return np.inf
    return float(np.abs(moved).max(initial=0.0))
