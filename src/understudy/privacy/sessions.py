"""The sessions there are: `LedgerSession` protects people, the two here do not.

`OpenSession` adds no noise and `SeededSession` noise that is known; both are NOT PRIVATE and say so
(`private` is False). The first serves runs that were told to keep no budget, the second tests,
whose engines then meet the same mechanisms and limits as in earnest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from understudy.data import Dataset
from understudy.errors import BudgetError, EngineError
from understudy.privacy.budget import Budget
from understudy.privacy.events import Event
from understudy.privacy.ledger_session import LedgerSession
from understudy.privacy.noise import SeededNoise
from understudy.privacy.session import Array, Mechanism, Private, RowsPerUnit
from understudy.privacy.units import admitted

__all__ = ["LedgerSession", "OpenSession", "SeededSession"]

NOMINAL = Budget(100.0, 1e-6)
"""What an engine that scales things by its noise is told when there is none: next to none."""


@dataclass
class Answers:
    """What was asked in a run, by name, and what was answered."""

    given: dict[str, tuple[Mechanism, Array]] = field(default_factory=dict)

    def recall(self, query: str, mechanism: Mechanism) -> Array | None:
        """The earlier answer; raises `EngineError` if the name then meant another mechanism."""
        if query not in self.given:
            return None
        before, answer = self.given[query]
        if before != mechanism:
            raise EngineError(
                f"query {query!r} was asked twice with different parameters: first {before}, then "
                f"{mechanism}. Give every query of a run a name of its own."
            )
        return answer.copy()

    def keep(self, query: str, mechanism: Mechanism, answer: Array) -> Array:
        self.given[query] = (mechanism, answer.copy())
        return answer


class OpenSession:
    """Exact answers in the form that the mechanism would give them; spends nothing."""

    private = False
    budget = NOMINAL
    rows_per_unit = 1

    def __init__(self) -> None:
        self._answers = Answers()

    @property
    def spent(self) -> tuple[Event, ...]:
        return ()

    @property
    def before(self) -> tuple[Event, ...]:
        return ()

    def admit(self, dataset: Dataset) -> Private[Dataset]:
        return Private(dataset, self)

    def reserve_plan(self, events: Sequence[Event]) -> None:
        """Costs nothing here."""

    def release(self, query: str, mechanism: Mechanism, exact: Array) -> Array:
        answer = self._answers.recall(query, mechanism)
        if answer is not None:
            return answer
        return self._answers.keep(query, mechanism, mechanism.noiseless(exact))


class SeededSession:
    """Real mechanisms within a real budget, with noise that anybody can repeat."""

    private = False

    def __init__(self, budget: Budget, seed: int, rows_per_unit: RowsPerUnit = 1) -> None:
        self.budget = budget
        self.rows_per_unit = rows_per_unit
        self._noise = SeededNoise(seed)
        self._answers = Answers()
        self._before: tuple[Event, ...] | None = None
        self._planned: Counter[Event] = Counter()

    @property
    def spent(self) -> tuple[Event, ...]:
        return tuple(mechanism.event for mechanism, _ in self._answers.given.values())

    @property
    def before(self) -> tuple[Event, ...]:
        return self.spent if self._before is None else self._before

    def admit(self, dataset: Dataset) -> Private[Dataset]:
        return admitted(dataset, self)

    def reserve_plan(self, events: Sequence[Event]) -> None:
        """Raises `BudgetError` for a plan beyond the budget, before anything is asked."""
        self._afford(f"a plan of {len(events)} queries", events)
        self._before = self.before
        self._planned.update(events)

    def release(self, query: str, mechanism: Mechanism, exact: Array) -> Array:
        answer = self._answers.recall(query, mechanism)
        if answer is not None:
            return answer
        if self._planned[mechanism.event] > 0:
            self._planned[mechanism.event] -= 1
        else:
            self._afford(f"query {query!r}", (mechanism.event,))
        return self._answers.keep(query, mechanism, mechanism.release(exact, self._noise))

    def _afford(self, what: str, events: Sequence[Event]) -> None:
        from understudy.privacy.accountant import epsilon_of

        needed = epsilon_of([*self.spent, *self._planned.elements(), *events], self.budget.delta)
        if needed > self.budget.epsilon:
            raise BudgetError(
                f"{what} does not fit: with it the run would spend epsilon {needed:.4g} of "
                f"{self.budget}. Ask with more noise, or for less."
            )
