"""What events cost together, as one privacy loss distribution.

Every mechanism is replaced by a pair of distributions that dominates it, in the worst direction of
adding or removing one unit; dominating pairs compose adaptively (Zhu, Dong & Wang 2022). Losses are
put on a grid by connecting the dots of the privacy profile, an upper bound (Doroshenko et al.
2022), and composed by `dp_accounting`.

Gaussians act together as one: their losses are Gaussian and the variances add up, so
`mu^2 = sum 1 / sigma_j^2`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.privacy.events import (
    Approximate,
    Composed,
    Event,
    Exponential,
    Gaussian,
    Laplace,
    PoissonGaussian,
)

Floats = NDArray[np.float64]

COARSEST = 2.0**-10
"""Never a wider grid than this where it can be helped."""
POINTS = 1 << 17
STEPS_OF_TOTAL, STEPS_OF_SINGLE = 256, 16
"""Grid steps in a standard deviation of the whole loss, and of the smallest event's."""
LARGEST_LOSS = 600.0
"""e to this still fits into a float with room for sums."""
SMALLEST_DELTA = 1e-12
"""Below it the rounding of Fourier transforms (1e-16 a grid point) could show."""


@dataclass(frozen=True)
class Together:
    """Events in the form they are composed in: one Gaussian, and how many of each other event.

    Equal collections of events are equal here whatever their order, to the last bit.
    """

    mu: float
    others: tuple[tuple[Event, int], ...]

    @classmethod
    def of(cls, events: Iterable[Event]) -> Together:
        flat = _flat(events)
        squares = [e.sigma**-2 for e in flat if isinstance(e, Gaussian)]
        counts = Counter(e for e in flat if not isinstance(e, Gaussian))
        return cls(math.sqrt(math.fsum(squares)), tuple(sorted(counts.items(), key=repr)))

    @property
    def pure(self) -> float:
        """The epsilon at delta 0: what the pure events add up to, infinite with any other."""
        if self.mu > 0:
            return math.inf
        return math.fsum(count * _pure(event) for event, count in self.others)


def gaussian_delta(mu: float, epsilon: float) -> float:
    """The exact delta of a Gaussian mechanism with sensitivity / sigma = `mu` (Balle & Wang 2018).

    `Phi(mu/2 - epsilon/mu) - e^epsilon Phi(-mu/2 - epsilon/mu)`, in logarithms.
    """
    from scipy.special import log_ndtr

    first = float(log_ndtr(mu / 2 - epsilon / mu))
    second = epsilon + float(log_ndtr(-mu / 2 - epsilon / mu))
    return math.exp(first) * -math.expm1(min(second - first, 0.0))


def gaussian_epsilon(mu: float, delta: float) -> float:
    """The smallest epsilon at which `gaussian_delta` is at most `delta`, from above."""
    if delta <= 0:
        return math.inf
    if gaussian_delta(mu, 0.0) <= delta:
        return 0.0
    low, high = 0.0, 1.0
    while gaussian_delta(mu, high) > delta:
        low, high = high, 2 * high
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if gaussian_delta(mu, middle) <= delta else (middle, high)
    return high


def bounded_range_delta(eta: float, epsilon: Floats) -> Floats:
    """The privacy profile of all mechanisms whose log odds move by at most `eta`.

    With losses within [t - eta, t] the worst pair takes two losses only, the ends, and has
    `(e^eta - e^t)(1 - e^(epsilon - t)) / (e^eta - 1)` for delta; the worst t is
    (eta + epsilon) / 2. A supremum of profiles is the profile of a dominating pair.
    """
    inside = np.square(np.exp(eta / 2) - np.exp(np.minimum(epsilon, eta) / 2)) / np.expm1(eta)
    return np.asarray(np.where(epsilon < -eta, -np.expm1(epsilon), inside), np.float64)


def approximate_delta(claim: Approximate, epsilon: Floats) -> Floats:
    """The profile of randomised response with `claim.epsilon`, told outright with `claim.delta`."""
    top = math.exp(claim.epsilon)
    inside = (top - np.exp(np.minimum(epsilon, claim.epsilon))) / (1 + top)
    response = np.where(epsilon < -claim.epsilon, -np.expm1(epsilon), inside)
    return np.asarray(claim.delta + (1 - claim.delta) * response, np.float64)


def obstacle(together: Together, delta: float) -> str | None:
    """Why the distribution cannot answer for `delta`, or None when it can."""
    if delta < SMALLEST_DELTA:
        return f"delta {delta:g} is below {SMALLEST_DELTA:g}, the resolution of the composition"
    if _reach(together) > LARGEST_LOSS:
        return f"privacy losses reach {_reach(together):.3g}, beyond {LARGEST_LOSS:g}"
    return None


@lru_cache(maxsize=64)
def compose(together: Together) -> Any:
    """The composed `dp_accounting` distribution, both directions; errs towards more loss."""
    from dp_accounting.pld import privacy_loss_distribution as pld

    step = _step(together)
    parts = [_repeated(_single(event, step), count) for event, count in together.others]
    if together.mu > 0:
        gaussian = pld.from_gaussian_mechanism(1 / together.mu, value_discretization_interval=step)
        parts.append(gaussian)
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.compose(part)
    return whole


def _single(event: Event, step: float) -> Any:
    from dp_accounting.pld import privacy_loss_distribution as pld

    if isinstance(event, Exponential):
        return _dots(lambda x: bounded_range_delta(event.epsilon, x), event.epsilon, step)
    if isinstance(event, Approximate):
        return _dots(lambda x: approximate_delta(event, x), event.epsilon, step)
    if isinstance(event, Laplace):
        return pld.from_laplace_mechanism(event.scale, value_discretization_interval=step)
    assert isinstance(event, PoissonGaussian)
    once = pld.from_gaussian_mechanism(
        event.sigma, sampling_prob=event.rate, value_discretization_interval=step
    )
    return _repeated(once, event.steps)


def _repeated(one: Any, count: int) -> Any:
    return one if count == 1 else one.self_compose(count)


def _dots(profile: Callable[[Floats], Floats], largest: float, step: float) -> Any:
    """The distribution on the grid that connects the dots of a symmetric `profile`."""
    from dp_accounting.pld import pld_pmf
    from dp_accounting.pld import privacy_loss_distribution as pld

    ends = max(1, math.ceil(largest / step))
    deltas = np.clip(profile(np.arange(-ends, ends + 1, dtype=np.float64) * step), 0.0, 1.0)
    return pld.PrivacyLossDistribution(
        pld_pmf.create_pmf_pessimistic_connect_dots_fixed_gap(step, -ends, ends, deltas)
    )


def _step(together: Together) -> float:
    """A power of two, fine enough for the whole loss and, within `POINTS`, for every event."""
    single = [math.sqrt(_variance(event)) for event, _ in together.others]
    single = [s for s in (*single, together.mu) if s > 0]
    spread = _spread(together)
    wanted = min([COARSEST, spread / STEPS_OF_TOTAL, *(s / STEPS_OF_SINGLE for s in single)])
    affordable = max(_reach(together) * 2 / POINTS, 1e-9)
    return float(2.0 ** math.floor(math.log2(max(wanted, affordable))))


def _spread(together: Together) -> float:
    """About the standard deviation of the whole loss."""
    others = (n * _repeats(e) * _variance(e) for e, n in together.others)
    return math.sqrt(math.fsum((together.mu**2, *others)))


def _reach(together: Together) -> float:
    """About the largest loss worth a place on the grid: twelve deviations above the mean.

    A sampled unit loses more in its one step than all steps do on average.
    """
    spread = _spread(together)
    sampled = [e.sigma**-1 for e, _ in together.others if isinstance(e, PoissonGaussian)]
    return max([spread**2 / 2 + 12 * spread, *(mu**2 / 2 + 12 * mu for mu in sampled)])


def _repeats(event: Event) -> int:
    return event.steps if isinstance(event, PoissonGaussian) else 1


def _variance(event: Event) -> float:
    """About the variance of the loss of one event, or of one step of it."""
    if isinstance(event, Laplace):
        return event.scale**-2
    if isinstance(event, Exponential):
        return event.epsilon**2 / 4
    if isinstance(event, PoissonGaussian):
        square = event.sigma**-2
        return min(event.rate**2 * math.expm1(min(square, 500.0)), square**2 / 4 + square)
    assert isinstance(event, Approximate)
    return event.epsilon**2


def _pure(event: Event) -> float:
    if isinstance(event, Exponential):
        return event.epsilon
    if isinstance(event, Laplace):
        return 1 / event.scale
    if isinstance(event, Approximate) and event.delta == 0:
        return event.epsilon
    return math.inf


def _flat(events: Iterable[Event]) -> list[Event]:
    """Events with composed ones taken apart."""
    flat: list[Event] = []
    for event in events:
        flat.extend(_flat(event.events) if isinstance(event, Composed) else [event])
    return flat
