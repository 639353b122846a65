"""One budget over several tables: each part may spend what is left beside the parts before it.

Privacy losses compose, so parts are not given sums of epsilon. What adds up is rho: 1/(2 sigma^2)
of a Gaussian and epsilon^2/8 of a choice (zCDP; Bun & Steinke 2016, Cesar & Rogers 2021). The first
part may spend so much that its loss is its share of rho, the second so much that both together
are, and the last whatever fits. Rho only divides the budget; what is spent is accounted exactly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from understudy.data import Dataset
from understudy.errors import BudgetError
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
        log = math.log(1 / whole.delta) if whole.delta > 0 else math.inf
        if math.isinf(log):
            raise BudgetError(
                "a database under a budget is learnt from Gaussian noise, which needs a delta "
                "above 0. Take 1 over ten times the number of units, or less."
            )
        rho = (math.sqrt(log + whole.epsilon) - math.sqrt(log)) ** 2
        until = rho * min(self.used / self.shares, 1.0)
        budget = Budget(min(until + 2 * math.sqrt(until * log), whole.epsilon), whole.delta)
        own = share / self.shares
        labels = LABEL_DELTA * whole.delta * own
        return Part(self, name, budget, rows_per_unit, labels, rho * own)


@dataclass
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
    rho: float

    def choices(self, share: float, number: int = 1) -> float:
        """The epsilon of each of so many choices that cost `share` of the part together."""
        return math.sqrt(8 * share * self.rho / number)

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
