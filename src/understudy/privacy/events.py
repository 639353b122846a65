"""What a look at private data costs, as data: events that the ledger stores and the accountant
composes.

An event says which randomised mechanism ran, in units of its own sensitivity, and nothing of what
it saw. Sensitivity always means add or remove one unit; replacing one unit is two such changes.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from understudy.errors import FormatError


@dataclass(frozen=True)
class Gaussian:
    """Gaussian noise with standard deviation `sigma` times the L2 sensitivity."""

    sigma: float


@dataclass(frozen=True)
class Laplace:
    """Laplace noise with scale `scale` times the L1 sensitivity; pure 1/scale."""

    scale: float


@dataclass(frozen=True)
class Exponential:
    """A choice whose log odds between any two outcomes move by at most `epsilon`.

    The exponential mechanism at `exp(epsilon * score / (2 * sensitivity))`: bounded range (Durfee &
    Rogers 2019), which composes better than just any `epsilon`-DP mechanism.
    """

    epsilon: float


@dataclass(frozen=True)
class Approximate:
    """Anything that is (epsilon, delta)-DP and no more is known of it."""

    epsilon: float
    delta: float = 0.0


@dataclass(frozen=True)
class PoissonGaussian:
    """`steps` Gaussian releases, each on units that joined independently with probability `rate`."""

    rate: float
    sigma: float
    steps: int


Event = Gaussian | Laplace | Exponential | Approximate | PoissonGaussian

KINDS: dict[str, type[Event]] = {
    "gaussian": Gaussian,
    "laplace": Laplace,
    "exponential": Exponential,
    "approximate": Approximate,
    "poisson_gaussian": PoissonGaussian,
}
_NAMES = {kind: name for name, kind in KINDS.items()}


def dump_event(event: Event) -> str:
    """Canonical JSON, the bytes that the ledger's chain of hashes covers."""
    return json.dumps({"event": _NAMES[type(event)], **asdict(event)}, sort_keys=True)


def load_event(text: str) -> Event:
    """The event in `text`; an unknown one is refused with `FormatError`, never guessed."""
    fields: dict[str, Any] = json.loads(text)
    kind = KINDS.get(str(fields.pop("event", None)))
    if kind is None:
        raise FormatError(f"a privacy event that this version does not know: {text}")
    return kind(**fields)
