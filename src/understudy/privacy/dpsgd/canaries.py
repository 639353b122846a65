"""Canaries: made-up units in a real training, to see whether the guarantee holds.

Each canary is in or out by a coin, joins steps by the sampler's coins, and has a gradient ten times
as long as the clip, which the clipper must shorten. Its direction is a coordinate of its own behind
those of the network: canaries are orthogonal to each other and to what people's rows add, so that
nothing hides them, and the network never sees them. The same sampler, clipping factor, draw of
noise and order of steps serve both kinds of coordinate. What is looked at are noisy sums only, so
the result is as private as the network.

Two scores a canary: the log likelihood ratio of "in" against "out" that the plan implies, which is
the most powerful, and the spread over steps, which finds noise that was used more than once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from understudy.privacy.dpsgd.plan import PrivacyPlan
from understudy.privacy.noise import Floats, NoiseStream

LENGTH = 10.0
"""Of a canary's gradient before clipping, in clips."""


class Canaries:
    """`count` canaries, who is in, and what was seen of them."""

    def __init__(self, count: int, plan: PrivacyPlan, noise: NoiseStream) -> None:
        self.member = noise.coins(count, 0.5)
        self.steps = 0
        self.evidence = np.zeros(count)
        self.total = np.zeros(count)
        self.squares = np.zeros(count)
        self._plan = plan

    @property
    def count(self) -> int:
        return len(self.member)

    def gradients(self, joined: NDArray[np.int64]) -> tuple[NDArray[np.int64], float]:
        """The coordinates of those that are in and joined, and the length of each gradient."""
        return joined[self.member[joined]], LENGTH * self._plan.clip

    def observe(self, noisy: Floats) -> None:
        """Takes in the canaries' coordinates of a noisy sum."""
        x = noisy / self._plan.clip
        rate, sigma = self._plan.rate, self._plan.sigma
        exponent = np.minimum((x - 0.5) / sigma**2, 700.0)
        self.evidence += np.log1p(rate * np.expm1(exponent))
        self.total += x
        self.squares += x**2
        self.steps += 1

    def scores(self) -> dict[str, Floats]:
        """Higher means rather in."""
        mean = self.total / max(self.steps, 1)
        spread = self.squares / max(self.steps, 1) - mean**2
        return {"likelihood ratio": self.evidence, "spread over steps": spread}
