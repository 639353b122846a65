"""A session that remembers what each canary would add to every answer: the view of an auditor.

Answers carry real noise and are paid from a budget, as in earnest. Beside the rows, the door keeps
the crowd and every canary apart and takes them through the same steps, so that for a noisy table it
is known which cells a canary touches. That knows who the canaries are, not which of them are in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TypeVar

import numpy as np

from understudy.data import Dataset
from understudy.privacy.budget import Budget
from understudy.privacy.events import Event
from understudy.privacy.noise import Floats, NoiseStream
from understudy.privacy.session import Array, Mechanism, Private
from understudy.privacy.sessions import Answers
from understudy.privacy.units import bounded

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True)
class Seen:
    """A noisy answer, flat: float64[cells]; what the crowd adds to it, and each canary:
    float32[canaries, cells]."""

    answer: Floats
    crowd: Floats
    canaries: np.ndarray[tuple[int, int], np.dtype[np.float32]]


@dataclass(frozen=True)
class Watched(Private[T]):
    """Rows behind the door, and beside them the crowd and each canary alone; `seen` gets every
    table that noise is added to, by its query."""

    alone: Callable[[], Sequence[T]] = tuple
    seen: dict[str, Seen] = field(default_factory=dict)

    def map(self, work: Callable[[T], U]) -> Watched[U]:
        # Made when a table is asked for: scores of choices are never looked at one by one.
        later = cache(lambda: [work(one) for one in self.alone()])
        return Watched(work(self._rows), self.session, self.rows_per_unit, later, self.seen)

    def ask(self, query: str, mechanism: Mechanism, exact: Callable[[T], Array]) -> Array:
        value = np.asarray(exact(self._rows))
        answer = self.session.release(query, mechanism, value)
        if query not in self.seen and _adds_noise(mechanism, value, answer):
            parts = [np.asarray(exact(one), np.float64).ravel() for one in self.alone()]
            own = np.array(parts[1:], np.float32).reshape(-1, value.size)
            flat = np.asarray(answer, np.float64).ravel()
            self.seen[query] = Seen(flat, parts[0], own)
        return answer


class CanarySession:
    """Real mechanisms within a budget; nothing is charged, as the rows are nobody's."""

    private = True
    """As in earnest, or an engine might take the way it takes without privacy."""

    def __init__(
        self,
        budget: Budget,
        noise: NoiseStream,
        alone: Sequence[Dataset],
        rows_per_unit: int = 1,
    ) -> None:
        """`alone` are the crowd and then each canary, if there are any."""
        self.budget = budget
        self.rows_per_unit = rows_per_unit
        self.seen: dict[str, Seen] = {}
        self._alone = alone
        self._noise = noise
        self._answers = Answers()

    @property
    def spent(self) -> tuple[Event, ...]:
        return tuple(mechanism.event for mechanism, _ in self._answers.given.values())

    @property
    def before(self) -> tuple[Event, ...]:
        return ()

    def admit(self, dataset: Dataset) -> Private[Dataset]:
        return self.watched(dataset, lambda rows: bounded(rows, self.rows_per_unit))

    def watched(self, dataset: Dataset, bound: Callable[[Dataset], Dataset]) -> Private[Dataset]:
        """`dataset` with its units held to `bound`, the crowd's and the canaries' alike."""
        later = cache(lambda: [bound(one) for one in self._alone])
        return Watched(bound(dataset), self, self.rows_per_unit, later, self.seen)

    def reserve_plan(self, events: Sequence[Event]) -> None:
        """Costs nothing here."""

    def release(self, query: str, mechanism: Mechanism, exact: Array) -> Array:
        answer = self._answers.recall(query, mechanism)
        if answer is not None:
            return answer
        made = np.asarray(mechanism.release(exact, self._noise))
        return self._answers.keep(query, mechanism, made)


def _adds_noise(mechanism: Mechanism, exact: Array, answer: Array) -> bool:
    """Whether the answer is the exact value plus noise, cell by cell."""
    if exact.dtype.kind not in "iuf" or answer.shape != exact.shape:
        return False
    return np.array_equal(mechanism.noiseless(exact), exact)
