"""What will be asked of the private rows, fixed before anything is spent.

The number of queries and their noise follow from public things alone: how many columns there are
and of what kind, what the schema declares, the budget. One calibration sets all noise, so the
composed privacy loss of the plan, and not a sum of worst cases, meets the budget.

Shares of the budget are of 1/sigma^2 (for choices, epsilon^2/4), which is what composes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from understudy.encoding.known import Known
from understudy.encoding.private_bins import Query, queries_of
from understudy.errors import BudgetError
from understudy.privacy.accountant import calibrate
from understudy.privacy.budget import Budget
from understudy.privacy.events import Event
from understudy.privacy.mechanisms import Choice, NoisyCounts
from understudy.privacy.session import Mechanism
from understudy.schema import Column

LABEL_DELTA = 0.1
"""Share of delta for labels that one unit alone holds and that pass a threshold all the same."""
WIDTHS = ((0.5, 1), (5.0, 2), (math.inf, 3))
"""Up to which epsilon how many columns a column is drawn from, beside the target."""


@dataclass(frozen=True)
class PlannedQuery:
    """One query to be: its name, the mechanism that will answer, and what it is good for."""

    name: str
    mechanism: Mechanism
    buys: str

    @property
    def event(self) -> Event:
        return self.mechanism.event


@dataclass(frozen=True)
class Shares:
    """How the budget is divided; `alone` for columns, `target` for columns by target, `choices`
    for which to measure together, and what is left for these tables."""

    alone: float
    target: float
    choices: float

    @property
    def pairs(self) -> float:
        return 1.0 - self.alone - self.target - self.choices


@dataclass(frozen=True)
class MarginalPlan:
    """All queries in the order they are asked, and how many columns a column may be drawn from."""

    queries: tuple[PlannedQuery, ...]
    width: int

    @property
    def events(self) -> tuple[Event, ...]:
        return tuple(query.event for query in self.queries)

    @cached_property
    def mechanisms(self) -> Mapping[str, Mechanism]:
        return {query.name: query.mechanism for query in self.queries}

    def sigma(self, query: str) -> float:
        """The standard deviation of the noise on a planned table."""
        mechanism = self.mechanisms[query]
        assert isinstance(mechanism, NoisyCounts)
        return mechanism.sigma


def width_at(epsilon: float) -> int:
    return next(width for most, width in WIDTHS if epsilon <= most)


def pairs_at(columns: int, width: int) -> int:
    """Pairs of columns in the widest structure: each column and up to `width` earlier ones."""
    return sum(min(place, width) for place in range(columns))


def make_plan(
    columns: Sequence[Column],
    known: Mapping[str, Known],
    target: str | None,
    budget: Budget,
    shares: Shares,
    width: int,
    rows_per_unit: int = 1,
    already: Sequence[Event] = (),
    label_delta: float | None = None,
) -> MarginalPlan:
    """The plan for these columns beside what was spent `already`.

    `label_delta` is what all labels together may cost of delta, a tenth of it unless given.
    Raises `BudgetError` when no noise makes it fit.
    """
    if budget.delta <= 0:
        raise BudgetError(
            "the marginal engine adds Gaussian noise, which needs a delta above 0. Take 1 over ten "
            "times the number of people, or less."
        )
    features = [column.name for column in columns if column.name != target]
    parts = _parts(columns, known, target, features, shares, width)
    thresholded = sum(part.query.thresholded for part in parts if isinstance(part, _Count))
    if label_delta is None:
        label_delta = LABEL_DELTA * budget.delta
    delta = label_delta / max(thresholded, 1)

    def queries(scale: float) -> tuple[PlannedQuery, ...]:
        return tuple(part.planned(scale, float(rows_per_unit), delta) for part in parts)

    scale = calibrate(lambda x: [query.event for query in queries(x)], budget, already=already)
    return MarginalPlan(queries(scale), width)


@dataclass(frozen=True)
class _Count:
    query: Query
    share: float

    def planned(self, scale: float, rows: float, delta: float) -> PlannedQuery:
        mechanism = self.query.mechanism(scale / math.sqrt(self.share), rows, delta)
        return PlannedQuery(self.query.name, mechanism, self.query.buys)


@dataclass(frozen=True)
class _Choose:
    """`moves` is how far one row can move a score."""

    name: str
    buys: str
    share: float
    moves: int

    def planned(self, scale: float, rows: float, delta: float) -> PlannedQuery:
        del delta
        epsilon = 2.0 * math.sqrt(self.share) / scale
        return PlannedQuery(self.name, Choice(epsilon, rows * self.moves), self.buys)


@dataclass(frozen=True)
class _Table:
    name: str
    buys: str
    share: float

    def planned(self, scale: float, rows: float, delta: float) -> PlannedQuery:
        del delta
        mechanism = NoisyCounts(scale / math.sqrt(self.share), rows)
        return PlannedQuery(self.name, mechanism, self.buys)


def _parts(
    columns: Sequence[Column],
    known: Mapping[str, Known],
    target: str | None,
    features: Sequence[str],
    shares: Shares,
    width: int,
) -> list[_Count | _Choose | _Table]:
    parts: list[_Count | _Choose | _Table] = []
    for column in columns:
        each = shares.alone / len(columns)
        parts += [_Count(query, each) for query in queries_of(column, known[column.name])]
    if target is not None:
        for name in features:
            buys = f"{name} by {target}"
            parts.append(_Table(f"{name} by target", buys, shares.target / len(features)))
    pairs = pairs_at(len(features), width)
    if pairs == 0:
        return parts
    each = shares.choices / (len(features) - 1 + pairs)
    for i in range(1, len(features)):
        buys = "which column comes next, and from which it is drawn"
        parts.append(_Choose(f"choice {i}", buys, each, width if i > 1 else 1))
    for i in range(1, pairs + 1):
        buys = f"how coarse the table of pair {i} is to be"
        parts.append(_Choose(f"grain {i}", buys, each, 1))
    for i in range(1, pairs + 1):
        buys = f"the table of pair {i}" + (f" by {target}" if target else "")
        parts.append(_Table(f"pair {i}", buys, shares.pairs / pairs))
    return parts
