"""From events to (epsilon, delta) and back: what was spent, and how much noise a budget needs.

Neighbouring datasets differ by one unit, added or removed; both directions are covered. Gaussians
alone have a closed form, and so have pure events at delta 0. Everything else is one composed
privacy loss distribution (see `loss`). Where that cannot be built the answer comes from Renyi
divergences, also an upper bound but up to 15 % looser, and says so with a warning. The Gaussian
(central limit) approximation is 4-12 % too low and is never used.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from typing import Any, Literal

import numpy as np

from understudy.errors import BudgetError
from understudy.privacy.budget import Budget
from understudy.privacy.events import (
    Approximate,
    Composed,
    Event,
    Exponential,
    Gaussian,
    Laplace,
    PoissonGaussian,
)
from understudy.privacy.loss import (
    Floats,
    Together,
    compose,
    gaussian_delta,
    gaussian_epsilon,
    obstacle,
)

DELTAS = (1e-5, 1e-6, 1e-7, 1e-8, 1e-9)
FALSE_ALARMS = (0.001, 0.01, 0.05, 0.10)
FLOAT_ERROR = 1e-14
"""What Fourier transforms may have lost of delta; every answer allows for it."""
CLOSE_ENOUGH = 1e-4
"""A calibrated plan may leave this share of its epsilon unspent."""
LONGEST_SEARCH = 200


@dataclass(frozen=True)
class Account:
    """What events guarantee together, which method says so, and why if not the usual one."""

    epsilon: float
    delta: float
    accountant: Literal["closed form", "pld", "rdp"]
    version: str
    """Of `dp-accounting`, whose distributions and Renyi divergences are used."""
    because: str = ""


def account(events: Iterable[Event], delta: float) -> Account:
    """The smallest epsilon at which `events` together are (epsilon, `delta`)-private."""
    if not 0 <= delta < 1:
        raise BudgetError(f"delta must lie in [0, 1), found {delta}.")
    found = _account(Together.of(events), delta)
    if found.because:
        _announce(found.because)
    return found


def epsilon_of(events: Iterable[Event], delta: float) -> float:
    """The smallest epsilon at which `events` together are (epsilon, `delta`)-private."""
    return account(events, delta).epsilon


def delta_of(events: Iterable[Event], epsilon: float) -> float:
    """The smallest delta at which `events` together are (`epsilon`, delta)-private."""
    return float(_deltas(Together.of(events), np.array([epsilon]))[0])


def curve(events: Iterable[Event], deltas: Sequence[float] = DELTAS) -> tuple[Account, ...]:
    """epsilon(delta), the whole of what is promised rather than one point of it."""
    fixed = tuple(events)
    return tuple(account(fixed, delta) for delta in deltas)


def tpr_at(
    events: Iterable[Event], false_alarms: Sequence[float] = FALSE_ALARMS
) -> dict[float, float]:
    """The most members that any attack may find at each rate of false alarms.

    (epsilon, delta) bounds the rate by `delta + e^epsilon * rate` and, with the roles exchanged, by
    `1 - e^-epsilon * (1 - delta - rate)` (Kairouz, Oh & Viswanath 2015); the least over all epsilon
    counts.
    """
    fixed = tuple(events)
    top = min(max(account(fixed, 1e-9).epsilon, 1.0), 50.0)
    epsilon = np.linspace(0.0, top, 301)
    delta = _deltas(Together.of(fixed), epsilon)
    bounds = {}
    for rate in false_alarms:
        direct = delta + np.exp(epsilon) * rate
        reverse = 1 - np.exp(-epsilon) * (1 - delta - rate)
        bounds[rate] = float(min(1.0, direct.min(), reverse.min()))
    return bounds


def calibrate(
    events_at: Callable[[float], Sequence[Event]], budget: Budget, *, already: Sequence[Event] = ()
) -> float:
    """The smallest noise scale x at which `already + events_at(x)` meets `budget`.

    `events_at(x)` must get cheaper as x grows. The search is for a root of log epsilon over log x,
    which is close to a line; what it returns was evaluated and lies on the safe side. Raises
    `BudgetError` when no noise is enough.
    """

    def excess(log_x: float) -> float:
        together = Together.of((*already, *events_at(math.exp(log_x))))
        spent = _account(together, budget.delta).epsilon
        return min(max(math.log(max(spent, 1e-300) / budget.epsilon), -50.0), 50.0)

    loud, quiet = _bracket(excess, budget, already)
    for _ in range(LONGEST_SEARCH):
        (x0, above), (x1, below) = loud, quiet
        if below > -CLOSE_ENOUGH or x1 - x0 < CLOSE_ENOUGH / 10:
            break
        share = (above + CLOSE_ENOUGH / 2) / (above - below)
        x = x0 + min(max(share, 0.05), 0.95) * (x1 - x0)
        found = (x, excess(x))
        loud, quiet = (loud, found) if found[1] <= 0 else (found, quiet)
    x = math.exp(quiet[0])
    assert epsilon_of((*already, *events_at(x)), budget.delta) <= budget.epsilon
    return x


def renyi_epsilon(together: Together, delta: float) -> float:
    """An upper bound on epsilon by Renyi divergences alone, up to 15 % above the usual answer."""
    return _renyi(together).epsilon(delta)


def replace_one(events: Iterable[Event]) -> tuple[Event, ...]:
    """What `events` cost when one unit is exchanged for another: twice the sensitivity.

    Raises `BudgetError` for Poisson sampling, whose amplification does not carry over.
    """
    return tuple(_replaced(event) for event in events)


def check_delta(delta: float, rows: int) -> None:
    """Raises `BudgetError` for a delta that would let somebody be published outright."""
    if rows > 0 and delta >= 1 / rows:
        raise BudgetError(
            f"delta {delta:g} is not below one in the {rows:,} people: a mechanism that publishes "
            f"one of them at random would meet it. Take 1 over ten times that number, "
            f"{1 / (10 * rows):.1g}, or less."
        )


@lru_cache(maxsize=1024)
def _account(together: Together, delta: float) -> Account:
    """A replay composes the same events again for every neighbour, and a plan its own once more."""
    if not together.others:
        return _answer(gaussian_epsilon(together.mu, delta) if together.mu else 0.0, delta)
    if delta == 0:
        return _answer(together.pure, delta)
    because = obstacle(together, delta)
    if because is None:
        composed = float(compose(together).get_epsilon_for_delta(delta - FLOAT_ERROR))
        found = _answer(composed, delta, "pld")
    else:
        found = _answer(_renyi(together).epsilon(delta), delta, "rdp", because)
    return found if found.epsilon <= together.pure else _answer(together.pure, delta)


def _answer(
    epsilon: float,
    delta: float,
    accountant: Literal["closed form", "pld", "rdp"] = "closed form",
    because: str = "",
) -> Account:
    return Account(epsilon, delta, accountant, _version(), because)


@lru_cache
def _version() -> str:
    return version("dp-accounting")


def _announce(because: str) -> None:
    warnings.warn(
        f"privacy is accounted by Renyi divergence, up to 15 % looser than usual: {because}.",
        RuntimeWarning,
        stacklevel=4,
    )


def _deltas(together: Together, epsilon: Floats) -> Floats:
    """delta at each `epsilon`, which ascend."""
    if not together.others:
        mu = together.mu
        return np.array([gaussian_delta(mu, e) if mu else 0.0 for e in epsilon])
    because = obstacle(together, 1.0)
    if because is None:
        found = compose(together).get_delta_for_epsilon(epsilon) + FLOAT_ERROR
    else:
        _announce(because)
        renyi = _renyi(together)
        found = np.array([renyi.delta(e) for e in epsilon])
    return np.where(epsilon >= together.pure, 0.0, np.clip(found, 0.0, 1.0))


@dataclass(frozen=True)
class _Renyi:
    """Renyi divergences of the events, and the delta of those that have none."""

    accountant: Any
    outright: float

    def epsilon(self, delta: float) -> float:
        left = delta - self.outright
        return float(self.accountant.get_epsilon(left)) if left > 0 else math.inf

    def delta(self, epsilon: float) -> float:
        return min(1.0, float(self.accountant.get_delta(epsilon)) + self.outright)


@lru_cache(maxsize=8)
def _renyi(together: Together) -> _Renyi:
    """Bounded range is epsilon^2/8-zCDP (Cesar & Rogers 2021), pure DP epsilon^2/2-zCDP."""
    import dp_accounting as dp
    from dp_accounting.rdp import RdpAccountant

    spent, outright = RdpAccountant(), 0.0
    if together.mu > 0:
        spent.compose(dp.GaussianDpEvent(1 / together.mu))
    for event, count in together.others:
        if isinstance(event, Laplace):
            spent.compose(dp.LaplaceDpEvent(event.scale), count)
        elif isinstance(event, Exponential):
            spent.compose(dp.ZCDpEvent(event.epsilon**2 / 8), count)
        elif isinstance(event, Approximate):
            spent.compose(dp.ZCDpEvent(event.epsilon**2 / 2), count)
            outright += count * event.delta
        elif isinstance(event, PoissonGaussian):
            once = dp.PoissonSampledDpEvent(event.rate, dp.GaussianDpEvent(event.sigma))
            spent.compose(once, count * event.steps)
    return _Renyi(spent, outright)


Point = tuple[float, float]


def _bracket(
    excess: Callable[[float], float], budget: Budget, already: Sequence[Event]
) -> tuple[Point, Point]:
    """The logarithms of two scales, one with too little noise and one with enough."""
    x, step = 0.0, 0.01
    loud, quiet = None, None
    for _ in range(LONGEST_SEARCH):
        found = (x, excess(x))
        if found[1] > 0:
            loud = found
        else:
            quiet = found
        if loud and quiet:
            return loud, quiet
        if not -60 < x < 60:
            break
        step = min(max(2 * step, abs(found[1]) * 1.02), 8.0)
        x += step if loud else -step
    if quiet:
        return (quiet[0], 1.0), quiet
    spent = epsilon_of(already, budget.delta)
    raise BudgetError(
        f"no amount of noise makes this plan meet {budget}: what was spent before costs epsilon "
        f"{spent:.4g} and the rest of the plan has parts that do not shrink with the noise. Ask "
        "for a larger epsilon or a smaller plan."
    )


def _replaced(event: Event) -> Event:
    if isinstance(event, Gaussian):
        return Gaussian(event.sigma / 2)
    if isinstance(event, Laplace):
        return Laplace(event.scale / 2)
    if isinstance(event, Exponential):
        return Exponential(2 * event.epsilon)
    if isinstance(event, Approximate):
        twice = event.delta * (1 + math.exp(event.epsilon))
        return Approximate(2 * event.epsilon, min(twice, 1 - 1e-16))
    if isinstance(event, Composed):
        return Composed(replace_one(event.events))
    raise BudgetError(
        f"{event} was sampled by independent coins, which amplifies privacy for adding or removing "
        "a unit only. State the guarantee for add-or-remove neighbours."
    )
