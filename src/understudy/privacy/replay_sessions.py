"""The two sessions of a replay: one records questions and answers, one answers from the record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from understudy.data import Dataset
from understudy.privacy.budget import Budget
from understudy.privacy.events import Event
from understudy.privacy.noise import Floats, NoiseStream, SeededNoise
from understudy.privacy.session import Array, Mechanism, Private, RowsPerUnit
from understudy.privacy.sessions import Answers
from understudy.privacy.units import admitted


@dataclass(frozen=True)
class Asked:
    """One query of a run. `drew` says whether the mechanism took noise from its session."""

    query: str
    mechanism: Mechanism
    exact: Array
    answer: Array
    drew: bool


@dataclass(frozen=True)
class Difference:
    """A query that a run on a neighbour did not ask as the recorded run did."""

    query: str
    detail: str


class Diverged(Exception):
    """A run on a neighbour asked what the recorded run never asked: there is no answer."""


class CountedNoise:
    """Passes draws on and remembers whether there were any."""

    def __init__(self, noise: NoiseStream) -> None:
        self._noise = noise
        self.secure = noise.secure
        self.used = False

    def uniforms(self, n: int) -> Floats:
        return self._counted().uniforms(n)

    def exponentials(self, n: int) -> Floats:
        return self._counted().exponentials(n)

    def normals(self, n: int) -> Floats:
        return self._counted().normals(n)

    def gumbels(self, n: int) -> Floats:
        return self._counted().gumbels(n)

    def coins(self, n: int, p: float) -> NDArray[np.bool_]:
        return self._counted().coins(n, p)

    def _counted(self) -> NoiseStream:
        self.used = True
        return self._noise


class RecordingSession:
    """Real mechanisms, repeatable noise, and a record; nothing is charged and nothing leaves."""

    private = True
    """As in earnest, or an engine might take the way it takes without privacy."""

    def __init__(self, budget: Budget, seed: int, rows_per_unit: RowsPerUnit = 1) -> None:
        self.budget = budget
        self.rows_per_unit = rows_per_unit
        self.asked: list[Asked] = []
        self._noise = SeededNoise(seed)
        self._answers = Answers()

    @property
    def spent(self) -> tuple[Event, ...]:
        return tuple(asked.mechanism.event for asked in self.asked)

    @property
    def before(self) -> tuple[Event, ...]:
        return ()

    def admit(self, dataset: Dataset) -> Private[Dataset]:
        return admitted(dataset, self)

    def reserve_plan(self, events: Sequence[Event]) -> None:
        """Costs nothing here."""

    def release(self, query: str, mechanism: Mechanism, exact: Array) -> Array:
        answer = self._answers.recall(query, mechanism)
        if answer is not None:
            return answer
        noise = CountedNoise(self._noise)
        answer = np.asarray(mechanism.release(exact, noise))
        self.asked.append(Asked(query, mechanism, exact.copy(), answer.copy(), noise.used))
        return self._answers.keep(query, mechanism, answer)


class FrozenSession:
    """Answers from the record whatever the rows are; notes every query asked differently."""

    private = True

    def __init__(self, budget: Budget, record: RecordingSession) -> None:
        self.budget = budget
        self.rows_per_unit = record.rows_per_unit
        self.asked: list[Asked] = []
        self.differences: list[Difference] = []
        self._record = record
        self._by_name = {asked.query: asked for asked in record.asked}
        self._mine: set[str] = set()

    @property
    def spent(self) -> tuple[Event, ...]:
        return tuple(asked.mechanism.event for asked in self.asked)

    @property
    def before(self) -> tuple[Event, ...]:
        return ()

    def admit(self, dataset: Dataset) -> Private[Dataset]:
        return admitted(dataset, self)

    def reserve_plan(self, events: Sequence[Event]) -> None:
        """Costs nothing here."""

    def release(self, query: str, mechanism: Mechanism, exact: Array) -> Array:
        then = self._expected(query)
        if mechanism != then.mechanism:
            self._note(query, f"its parameters were {then.mechanism}, now they are {mechanism}")
        if query not in self._mine:
            # The answer is thrown away; that it can be made on these rows too is the point.
            mechanism.release(exact, SeededNoise(0))
            self.asked.append(Asked(query, mechanism, exact.copy(), then.answer, then.drew))
            self._mine.add(query)
        return then.answer.copy()

    def finish(self) -> None:
        """Notes what was asked on the recorded rows only."""
        for then in self._record.asked[len(self.asked) :]:
            if then.query not in self._mine:
                self._note(then.query, "it was asked on one of the two datasets only")

    def _expected(self, query: str) -> Asked:
        then = self._by_name.get(query)
        if then is None:
            self._note(query, "it was asked on one of the two datasets only")
            raise Diverged(query)
        place = len(self.asked)
        if query not in self._mine and self._record.asked[place].query != query:
            self._note(query, "it was asked in another order")
        return then

    def _note(self, query: str, detail: str) -> None:
        self.differences.append(Difference(query, detail))
