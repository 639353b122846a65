"""One budget over several tables: each part may spend what is left beside the parts before it.

Privacy losses compose, so parts are not given sums of epsilon. The first part may spend so much
that its own loss is its share of the whole, the second so much that both together are, and the last
whatever fits. A share is of 1/sigma^2, which is what adds up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from understudy.data import Dataset
from understudy.privacy.budget import Budget
from understudy.privacy.events import Event
from understudy.privacy.session import Array, Mechanism, Private, Session
from understudy.synthesizers.tabular.marginals.planning import LABEL_DELTA


@dataclass
class Parts:
    """The session of a run, and what its parts have planned so far."""

    session: Session
    shares: float
    used: float = 0.0
    already: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.already.extend(self.session.before)

    def part(self, name: str, share: float, rows_per_unit: int) -> Part:
        """The next part, called `name`, with `share` of all `shares`."""
        self.used += share
        whole = self.session.budget
        epsilon = whole.epsilon * math.sqrt(min(self.used / self.shares, 1.0))
        labels = LABEL_DELTA * whole.delta * share / self.shares
        return Part(self, name, Budget(epsilon, whole.delta), rows_per_unit, labels)


@dataclass(frozen=True)
class Part:
    """A session whose queries bear the name of a part; see `privacy.session.Session`.

    Chances of showing a label that one unit alone holds add up over the parts, so each has its own
    `label_delta`.
    """

    parts: Parts
    name: str
    budget: Budget
    rows_per_unit: int
    label_delta: float

    @property
    def private(self) -> bool:
        return self.parts.session.private

    @property
    def spent(self) -> tuple[Event, ...]:
        return self.parts.session.spent

    @property
    def before(self) -> tuple[Event, ...]:
        return tuple(self.parts.already)

    def admit(self, dataset: Dataset) -> Private[Dataset]:
        return self.parts.session.admit(dataset)

    def reserve_plan(self, events: Sequence[Event]) -> None:
        """Pays for the part's queries; parts after it must fit beside them."""
        self.parts.session.reserve_plan(events)
        self.parts.already.extend(events)

    def release(self, query: str, mechanism: Mechanism, exact: Array) -> Array:
        return self.parts.session.release(f"{self.name}, {query}", mechanism, exact)
