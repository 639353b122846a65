"""How a training goes through a session: paid for once, and noised step by step.

`Training` is the query that pays for all steps. What it answers is public: a number that names the
training, and whether the session's noise is secure, known, or absent. `GaussianSum` is the
mechanism of one step, a sum of clipped gradients with Gaussian noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from understudy.privacy.dpsgd.plan import PrivacyPlan
from understudy.privacy.events import PoissonGaussian
from understudy.privacy.mechanisms.values import Floats, Integers, changes, finite
from understudy.privacy.noise import NoiseStream
from understudy.privacy.session import Array

NOISELESS, KNOWN, SECURE = 0, 1, 2
"""Where a session's noise comes from: nowhere, a seed, the operating system."""


@dataclass(frozen=True)
class Training:
    """All steps of `plan`, paid for at once; answers [kind of noise, name].

    Where the noise is known the name is its seed. Nothing is ever derived from the name of a
    training with secure noise.
    """

    plan: PrivacyPlan
    sensitivity: float = 0.0
    """The answer depends on nothing."""

    @property
    def event(self) -> PoissonGaussian:
        return self.plan.event

    def distance(self, one: Array, other: Array) -> float:
        return 0.0

    def release(self, exact: Array, noise: NoiseStream) -> Integers:
        name = int(noise.uniforms(1)[0] * 2**53)
        return np.array([SECURE if noise.secure else KNOWN, name], np.int64)

    def noiseless(self, exact: Array) -> Integers:
        return np.array([NOISELESS, 0], np.int64)


@dataclass(frozen=True)
class GaussianSum:
    """The sum of one step: each sampled unit adds a vector of norm at most `clip`."""

    multiplier: float
    clip: float
    rate: float

    @property
    def event(self) -> PoissonGaussian:
        return PoissonGaussian(self.rate, self.multiplier, 1)

    @property
    def sensitivity(self) -> float:
        return self.clip

    def distance(self, one: Array, other: Array) -> float:
        moved = changes(one, other)
        return np.inf if moved is None else float(np.linalg.norm(moved))

    def release(self, exact: Array, noise: NoiseStream) -> Floats:
        sums = finite(exact)
        return sums + self.multiplier * self.clip * noise.normals(sums.size).reshape(sums.shape)

    def noiseless(self, exact: Array) -> Floats:
        return finite(exact)
