"""The private door: rows that can be looked at through ledgered mechanisms only.

`Private` wraps rows so that the one thing that leaves is what a mechanism released. `map` carries
work inside (encode, bin, hash), `ask` is the exit. A `Session` answers: it reserves the cost in the
ledger, adds noise, stores the answer, commits. Names and kinds of columns, and whatever a plan
declares `Public`, are known outside; everything else about the rows, their number included, is not.

    rows = session.admit(dataset)
    counts = rows.ask("age, 1-way", NoisyCounts(sigma=40.0), lambda d: tally(d.table["age"]))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from understudy.data import Dataset
from understudy.privacy.budget import Budget
from understudy.privacy.events import Event
from understudy.privacy.noise import NoiseStream

T = TypeVar("T")
U = TypeVar("U")
Array = NDArray[Any]
RowsPerUnit = int | Mapping[str, int]
"""A bound for every table, or for each by its name."""


class Mechanism(Protocol):
    """One randomised query: a frozen configuration made of public numbers.

    `sensitivity` bounds `distance` between the exact values on any two neighbouring datasets; both
    are in the norm that `event` assumes. Replay measures it.
    """

    @property
    def event(self) -> Event: ...

    @property
    def sensitivity(self) -> float: ...

    def distance(self, one: Array, other: Array) -> float:
        """How far apart two exact values are, in the mechanism's norm."""

    def release(self, exact: Array, noise: NoiseStream) -> Array:
        """The noisy answer. Not-a-number and infinity in `exact` are taken as zero first."""

    def noiseless(self, exact: Array) -> Array:
        """What `release` would answer without noise, in the same form."""


class Session(Protocol):
    """Who answers, and what this run may spend."""

    budget: Budget
    private: bool
    """False when the answers carry no noise, or noise from a known seed: NOT PRIVATE."""

    @property
    def rows_per_unit(self) -> RowsPerUnit:
        """Of any unit at most so many rows are admitted; every sensitivity grows with it."""

    @property
    def spent(self) -> tuple[Event, ...]:
        """Everything asked so far, in order."""

    @property
    def before(self) -> tuple[Event, ...]:
        """What the run had spent when its plan was reserved; the plan must fit beside it."""

    def admit(self, dataset: Dataset) -> Private[Dataset]:
        """The dataset behind the door, its units bounded."""

    def reserve_plan(self, events: Sequence[Event]) -> object:
        """Pays at once for everything that will be asked; asking it later costs nothing more."""

    def release(self, query: str, mechanism: Mechanism, exact: Array) -> Array:
        """The mechanism's answer to `exact`, charged; raises `BudgetError` beyond the budget.

        A query is known by its name, which must be unique within the run. Asked again after a
        restart it returns the stored answer and costs nothing.
        """


@dataclass(frozen=True)
class Private(Generic[T]):
    """Rows behind the door. Of any unit at most `rows_per_unit` rows are inside."""

    _rows: T
    session: Session
    rows_per_unit: int = 1

    def map(self, work: Callable[[T], U]) -> Private[U]:
        """The rows after `work`, still behind the door."""
        return Private(work(self._rows), self.session, self.rows_per_unit)

    def ask(self, query: str, mechanism: Mechanism, exact: Callable[[T], Array]) -> Array:
        """What `mechanism` releases of `exact(rows)`, charged to the session."""
        return self.session.release(query, mechanism, np.asarray(exact(self._rows)))

    def __repr__(self) -> str:
        return "Private(...)"
