"""A choice that is never worse than the exponential mechanism, at plain epsilon.

McKenna & Sheldon 2020: candidates are visited in random order, each taken with probability
exp(epsilon * (score - best) / (2 * sensitivity)). That is the same as taking the largest scaled
score plus exponential noise (Ding et al. 2021), which is how it is drawn here. It misses the best
score by less on average, up to half, but is not bounded range: over many adaptive choices
`choice.Choice` composes better.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from understudy.privacy.events import Approximate
from understudy.privacy.mechanisms.choice import candidates, largest_change
from understudy.privacy.mechanisms.values import Integers, positive
from understudy.privacy.noise import NoiseStream
from understudy.privacy.session import Array


@dataclass(frozen=True)
class PermuteAndFlip:
    """The index of a good candidate; any score moves by at most `sensitivity`."""

    epsilon: float
    sensitivity: float = 1.0

    def __post_init__(self) -> None:
        positive("epsilon", self.epsilon)
        positive("sensitivity", self.sensitivity)

    @property
    def event(self) -> Approximate:
        return Approximate(self.epsilon)

    def distance(self, one: Array, other: Array) -> float:
        return largest_change(one, other)

    def release(self, exact: Array, noise: NoiseStream) -> Integers:
        scores = candidates(exact)
        slope = self.epsilon / (2 * self.sensitivity)
        return np.array([np.argmax(slope * scores + noise.exponentials(scores.size))], np.int64)

    def noiseless(self, exact: Array) -> Integers:
        return np.array([np.argmax(candidates(exact))], np.int64)
