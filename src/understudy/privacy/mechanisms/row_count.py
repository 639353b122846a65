"""How many rows or units there are: one number with Laplace noise, pure epsilon.

The Laplace is rounded to a whole number before it is added (post-processing, as in `counts`). It is
the difference of two exponentials, which keeps both tails to 45 scales.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from understudy.privacy.events import Laplace
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
class NoisyTotal:
    """A total that one unit changes by at most `sensitivity`; epsilon is 1/`scale`."""

    scale: float
    sensitivity: float = 1.0

    def __post_init__(self) -> None:
        positive("scale", self.scale)
        positive("sensitivity", self.sensitivity)
        addable(self.scale * self.sensitivity)

    @property
    def event(self) -> Laplace:
        return Laplace(self.scale)

    def distance(self, one: Array, other: Array) -> float:
        moved = changes(one, other)
        return np.inf if moved is None else float(np.abs(moved).sum())

    def release(self, exact: Array, noise: NoiseStream) -> Integers:
        total = whole(exact)
        up, down = noise.exponentials(2 * total.size).reshape(2, -1)
        return add_noise(total, self.scale * self.sensitivity * (up - down))

    def noiseless(self, exact: Array) -> Integers:
        return whole(exact)
