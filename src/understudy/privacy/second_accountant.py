"""A second opinion on what events cost: two bounds by other ways than the first accountant's.

From above, Renyi divergences. From below, privacy loss distributions whose losses
are rounded down instead of up, on a grid of their own; events for which there is none are left out,
which can only lower it. A right epsilon lies between the two. One below both was computed from
other events than were asked: a sampling rate that was mistaken, a step that was forgotten.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from understudy.privacy.accountant import renyi_epsilon
from understudy.privacy.events import Event, Laplace, PoissonGaussian
from understudy.privacy.loss import Together

ROUNDING = 1e-3
"""Share of epsilon that grids and Fourier transforms may have moved it by."""
COARSEST, FINEST, LOST = 1e-3, 1e-5, 0.2
"""Grid steps, and how much of epsilon all roundings together should take from the lower bound."""
LARGEST_MU = 20.0
"""With less noise than this leaves, no distribution is put on a grid: the lower bound is 0."""


@dataclass(frozen=True)
class SecondOpinion:
    """Epsilon lies in [`low`, `high`]."""

    low: float
    high: float

    def contradicts(self, epsilon: float) -> bool:
        """Whether the events cost more than `epsilon`, whoever computed it."""
        return epsilon < self.low * (1 - ROUNDING)

    def as_dict(self) -> dict[str, float | None]:
        """`high` is None where there is no upper bound: JSON has no infinity."""
        return {"low": self.low, "high": self.high if math.isfinite(self.high) else None}


def second_opinion(events: Iterable[Event], delta: float) -> SecondOpinion:
    """Bounds on the epsilon of `events` together at `delta`, adding or removing one unit."""
    together = Together.of(events)
    upper = min(renyi_epsilon(together, delta), together.pure) if delta > 0 else together.pure
    return SecondOpinion(min(_from_below(together, delta), upper), upper)


def _from_below(together: Together, delta: float) -> float:
    from dp_accounting.pld import privacy_loss_distribution as pld

    looks = sum(n * (e.steps if isinstance(e, PoissonGaussian) else 1) for e, n in together.others)
    down: dict[str, Any] = {
        "value_discretization_interval": min(COARSEST, max(FINEST, LOST / max(looks, 1))),
        "pessimistic_estimate": False,
        "use_connect_dots": False,
    }
    parts = []
    if 0 < together.mu < LARGEST_MU:
        parts.append(pld.from_gaussian_mechanism(1 / together.mu, **down))
    for event, count in together.others:
        if isinstance(event, PoissonGaussian) and event.sigma > 1 / LARGEST_MU:
            once = pld.from_gaussian_mechanism(event.sigma, sampling_prob=event.rate, **down)
            parts.append(once.self_compose(count * event.steps))
        elif isinstance(event, Laplace) and event.scale > 1 / LARGEST_MU:
            parts.append(pld.from_laplace_mechanism(event.scale, **down).self_compose(count))
    if not parts:
        return 0.0
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.compose(part)
    return max(0.0, float(whole.get_epsilon_for_delta(delta)))
