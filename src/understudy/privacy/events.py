"""What a look at private data costs, as data: events that the ledger stores and the accountant
composes.

An event says which randomised mechanism ran, in units of its own sensitivity, and nothing of what
it saw. Sensitivity always means add or remove one unit; replacing one unit is two such changes.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any

from understudy.errors import BudgetError, FormatError


@dataclass(frozen=True)
class Gaussian:
    """Gaussian noise with standard deviation `sigma` times the L2 sensitivity."""

    sigma: float

    def __post_init__(self) -> None:
        _positive(self, sigma=self.sigma)


@dataclass(frozen=True)
class Laplace:
    """Laplace noise with scale `scale` times the L1 sensitivity; pure 1/scale."""

    scale: float

    def __post_init__(self) -> None:
        _positive(self, scale=self.scale)


@dataclass(frozen=True)
class Exponential:
    """A choice whose log odds between any two outcomes move by at most `epsilon`.

    The exponential mechanism at `exp(epsilon * score / (2 * sensitivity))`: bounded range (Durfee &
    Rogers 2019), which composes better than just any `epsilon`-DP mechanism.
    """

    epsilon: float

    def __post_init__(self) -> None:
        _positive(self, epsilon=self.epsilon)


@dataclass(frozen=True)
class Approximate:
    """Anything that is (epsilon, delta)-DP and no more is known of it."""

    epsilon: float
    delta: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.epsilon) and self.epsilon >= 0 and 0 <= self.delta < 1):
            raise BudgetError(f"{self}: epsilon must be at least 0 and delta lie in [0, 1).")


@dataclass(frozen=True)
class PoissonGaussian:
    """`steps` Gaussian releases, each on units that joined independently with chance `rate`."""

    rate: float
    sigma: float
    steps: int

    def __post_init__(self) -> None:
        _positive(self, rate=self.rate, sigma=self.sigma, steps=self.steps)
        if self.rate > 1 or self.steps != int(self.steps):
            raise BudgetError(f"{self}: the rate is a probability and steps are counted.")


@dataclass(frozen=True)
class Composed:
    """One look that costs several events together, such as noise and what a threshold may show."""

    events: tuple[Event, ...]


Event = Gaussian | Laplace | Exponential | Approximate | PoissonGaussian | Composed

KINDS: dict[str, type[Event]] = {
    "gaussian": Gaussian,
    "laplace": Laplace,
    "exponential": Exponential,
    "approximate": Approximate,
    "poisson_gaussian": PoissonGaussian,
    "composed": Composed,
}
_NAMES = {kind: name for name, kind in KINDS.items()}


def dump_event(event: Event) -> str:
    """Canonical JSON, the bytes that the ledger's chain of hashes covers."""
    return json.dumps(_as_fields(event), sort_keys=True)


def load_event(text: str) -> Event:
    """The event in `text`; an unknown one is refused with `FormatError`, never guessed."""
    return _from_fields(json.loads(text), text)


def _as_fields(event: Event) -> dict[str, Any]:
    if isinstance(event, Composed):
        return {"event": "composed", "events": [_as_fields(part) for part in event.events]}
    return {"event": _NAMES[type(event)], **asdict(event)}


def _from_fields(fields: dict[str, Any], text: str) -> Event:
    kind = KINDS.get(str(fields.pop("event", None)))
    if kind is None:
        raise FormatError(f"a privacy event that this version does not know: {text}")
    if kind is Composed:
        return Composed(tuple(_from_fields(part, text) for part in fields["events"]))
    try:
        return kind(**fields)
    except TypeError:
        raise FormatError(f"a privacy event with fields of another version: {text}") from None


def _positive(event: object, **values: float) -> None:
    """Refuses what no mechanism can have; not-a-number would compare as affordable."""
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise BudgetError(f"{event}: {name} must be a positive number, found {value}.")
