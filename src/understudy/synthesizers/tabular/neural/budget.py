"""What a private fit asks for, in two purchases: what the columns hold, then a training.

The first is fixed by public things alone. The second also by how many rows there are, as bought
with the first: batches are a share of the rows, and so few rows take few steps. Its noise is solved
for all that the first left of the budget.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from understudy.encoding.known import Known
from understudy.encoding.private_bins import queries_of
from understudy.errors import BudgetError
from understudy.privacy.accountant import calibrate
from understudy.privacy.budget import Budget
from understudy.privacy.dpsgd import PrivacyPlan
from understudy.privacy.events import Event
from understudy.schema import Column
from understudy.synthesizers.tabular.marginals.planning import LABEL_DELTA, PlannedQuery

COLUMNS = 0.25
"""Share of epsilon that the columns alone may cost."""
EPOCHS = 30
"""How often a unit is expected to join a batch."""
BATCH = 1_024
MOST_RATE = 0.5
PER_UNIT = 10_000
"""Units that a sampling rate is written out for; any number would do."""


@dataclass(frozen=True)
class ColumnPlan:
    """The queries about the columns, in the order they are asked."""

    queries: tuple[PlannedQuery, ...]

    rest: ClassVar[str] = (
        "training: what is left of the budget, by DP-SGD in steps that follow from how many rows "
        "there are; buys the network"
    )

    @property
    def events(self) -> tuple[Event, ...]:
        return tuple(query.event for query in self.queries)


def plan_columns(
    columns: Sequence[Column],
    known: Mapping[str, Known],
    budget: Budget,
    rows_per_unit: int,
) -> ColumnPlan:
    """The column queries, with their share of the budget.

    Raises `BudgetError` for a delta of zero.
    """
    if budget.delta <= 0:
        raise BudgetError(
            "this engine adds Gaussian noise, which needs a delta above 0. Take 1 over ten times "
            "the number of people, or less."
        )
    asked = [query for column in columns for query in queries_of(column, known[column.name])]
    delta = LABEL_DELTA * budget.delta / max(sum(query.thresholded for query in asked), 1)

    def queries(scale: float) -> tuple[PlannedQuery, ...]:
        each = scale * math.sqrt(len(columns))
        return tuple(
            PlannedQuery(q.name, q.mechanism(each, float(rows_per_unit), delta), q.buys)
            for q in asked
        )

    part = Budget(COLUMNS * budget.epsilon, budget.delta)
    scale = calibrate(lambda x: [query.event for query in queries(x)], part)
    return ColumnPlan(queries(scale))


def plan_training(
    rows: float, budget: Budget, rows_per_unit: int, already: Sequence[Event], unit: str
) -> PrivacyPlan:
    """The training that the rest of `budget` pays for, on about `rows` rows (bought).

    Raises `BudgetError` where nothing is left.
    """
    units = max(rows / rows_per_unit, 1.0)
    share = round(min(BATCH / units, MOST_RATE) * PER_UNIT)
    plan = PrivacyPlan.solve(
        budget,
        units=PER_UNIT,
        expected_batch=max(share, 1),
        steps=max(1, round(EPOCHS * PER_UNIT / max(share, 1))),
        already=already,
        unit=unit,
    )
    return replace(plan, expected_batch=max(plan.rate * rows, 1.0))
