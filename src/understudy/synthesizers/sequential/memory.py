"""What has happened so far in each history: the state that the next event is drawn from.

Numbers enter means as places among their column's order statistics, so that one large payment does
not drown a history. A stream's trait says where its places lie on average; each step knows what
mean the events still to come must have to get there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.synthesizers.sequential.clock import Calendar, Clock, Numbers
from understudy.synthesizers.sequential.events import Index
from understudy.synthesizers.sequential.streams import matrix
from understudy.synthesizers.tabular.cart import Floats

LAGS = 3
"""How far back in its stream a number may be repeated."""
KNOTS = 2001
LATELY = 30.0
"""Days over which what came in and went out fades to a third."""


@dataclass(frozen=True)
class Timeline:
    """Events by entity and time, and what is known of them before their marks; all [events]."""

    entity: Index
    stream: Index
    day: Numbers
    second: Numbers
    beside: Floats
    """[events, further predictors]"""

    def __len__(self) -> int:
        return len(self.entity)


@dataclass(frozen=True)
class Places:
    """Quantiles of a number's values, for their places among each other in [0, 1]."""

    values: Numbers

    @classmethod
    def fit(cls, numbers: Numbers) -> Places:
        """Of numbers that are not-a-number where missing."""
        present = np.sort(numbers[np.isfinite(numbers)])
        if len(present) > KNOTS:
            present = np.quantile(present, np.linspace(0, 1, KNOTS))
        return cls(present)

    def of(self, numbers: Numbers) -> Numbers:
        """Mid-ranks; not-a-number where missing."""
        low = np.searchsorted(self.values, numbers, side="left")
        high = np.searchsorted(self.values, numbers, side="right")
        place = (low + high) / (2 * max(len(self.values), 1))
        return np.where(np.isfinite(numbers), place, np.nan)


@dataclass
class Memory:
    """What one number leaves behind. `past` [streams, LAGS], latest first, in its own type; counts
    and sums of places by stream and by entity; the entity's last value and its fading peak.
    """

    places: Places
    past: NDArray[Any]
    count: Numbers
    total: Numbers
    entity_count: Numbers
    entity_total: Numbers
    last: Numbers
    peak: Numbers

    @classmethod
    def empty(cls, places: Places, dtype: Any, streams: int, entities: int) -> Memory:
        return cls(
            places,
            np.zeros((streams, LAGS), dtype),
            *(np.zeros(streams) for _ in range(2)),
            *(np.zeros(entities) for _ in range(2)),
            np.full(entities, np.nan),
            np.zeros(entities),
        )

    def predictors(
        self, stream: Index, entity: Index, level: Numbers, length: Numbers
    ) -> list[Numbers]:
        count, total = self.count[stream], self.total[stream]
        past = np.where(self.known(stream), self.past[stream], np.nan)
        owed = (level * length - total) / np.maximum(length - count, 1)
        return [
            *past.T.astype(np.float64),
            np.where(count > 0, total / np.maximum(count, 1), np.nan),
            level,
            owed,
            self.last[entity],
            self.entity_total[entity] / np.maximum(self.entity_count[entity], 1),
            self.peak[entity],
        ]

    def known(self, stream: Index) -> NDArray[np.bool_]:
        """[rows, LAGS] whether there is a value so far back."""
        return np.arange(LAGS) < self.count[stream][:, None]

    def repeats(self, stream: Index, values: NDArray[Any], missing: NDArray[np.bool_]) -> Index:
        """How far back each value stands in its stream, 0 if it does not."""
        same = (self.past[stream] == values[:, None]) & self.known(stream) & ~missing[:, None]
        return np.where(same.any(axis=1), same.argmax(axis=1) + 1, 0)

    def absorb(
        self, stream: Index, entity: Index, values: NDArray[Any], missing: NDArray[np.bool_]
    ) -> None:
        """These values have come, one an entity; a missing one leaves nothing behind."""
        stream, entity, values = stream[~missing], entity[~missing], values[~missing]
        numbers = values.astype(np.float64)
        place = np.nan_to_num(self.places.of(numbers), nan=0.5)
        self.past[stream, 1:] = self.past[stream, :-1]
        self.past[stream, 0] = values
        self.count[stream] += 1
        self.total[stream] += place
        self.entity_count[entity] += 1
        self.entity_total[entity] += place
        self.last[entity] = numbers
        self.peak[entity] = np.maximum(place, 0.9 * self.peak[entity])


@dataclass
class Account:
    """A running balance, in whole `cents` of which one is made of `unit`; what came in and went out
    so far and lately; all arrays [entities].
    """

    unit: float
    cents: NDArray[np.int64]
    came: Numbers
    went: Numbers
    came_lately: Numbers
    went_lately: Numbers

    @classmethod
    def empty(cls, unit: float, entities: int) -> Account:
        return cls(unit, np.zeros(entities, np.int64), *(np.zeros(entities) for _ in range(4)))

    def predictors(self, entity: Index, since: Numbers, age: Numbers) -> list[Numbers]:
        """`since` the last event and `age` of the history in days."""
        left = np.exp(-np.nan_to_num(since) / LATELY)
        balance = self.cents[entity] / self.unit
        came, went = self.came[entity], self.went[entity]
        lately = self.came_lately[entity] * left
        with np.errstate(divide="ignore", invalid="ignore"):
            return [
                balance,
                went / came,
                came / (age + LATELY / 2),
                went / (age + LATELY / 2),
                lately,
                self.went_lately[entity] * left,
                balance / lately,
                balance * (age + LATELY / 2) / came,
            ]

    def absorb(self, entity: Index, cents: NDArray[np.int64], since: Numbers) -> None:
        """These amounts have come (or gone, below nought)."""
        left = np.exp(-np.nan_to_num(since) / LATELY)
        amount = cents / self.unit
        self.cents[entity] += cents
        self.came[entity] += np.maximum(amount, 0)
        self.went[entity] += np.maximum(-amount, 0)
        self.came_lately[entity] = self.came_lately[entity] * left + np.maximum(amount, 0)
        self.went_lately[entity] = self.went_lately[entity] * left + np.maximum(-amount, 0)


@dataclass
class State:
    """All histories as far as they have come: `numbers` leave memories, `accounts` are the running
    balances, `words` the codes of the last categories.
    """

    clock: Clock
    static: Floats
    length: Numbers
    levels: Mapping[str, Numbers]
    numbers: Mapping[str, Memory]
    accounts: Mapping[str, Account]
    words: Mapping[str, Numbers]
    place: Numbers
    day: Numbers
    entity_day: Numbers
    begun: Numbers

    def predictors(self, line: Timeline, row: Index) -> Floats:
        """[rows, predictors] of the events `row`, one an entity at most."""
        stream, entity, day = line.stream[row], line.entity[row], line.day[row]
        length = self.length[stream]
        columns = [
            self.place[stream],
            length - self.place[stream],
            day - self.day[stream],
            day - self.entity_day[entity],
        ]
        if self.clock.calendar:
            now = Calendar.of(day)
            columns += [now.day, now.weekday, now.month % 12, now.length - now.day]
        if self.clock.hours:
            columns.append(line.second[row])
        for name, memory in self.numbers.items():
            columns += memory.predictors(stream, entity, self.levels[name][stream], length)
        for account in self.accounts.values():
            columns += account.predictors(entity, self.since(line, row), self.age(line, row))
        columns += [last[entity] for last in self.words.values()]
        return np.hstack([self.static[stream], line.beside[row], matrix(*columns)])

    def since(self, line: Timeline, row: Index) -> Numbers:
        """Days since the entity's last event; not-a-number at its first."""
        return line.day[row] - self.entity_day[line.entity[row]]

    def age(self, line: Timeline, row: Index) -> Numbers:
        """Days since the entity's first event."""
        return np.nan_to_num(line.day[row] - self.begun[line.entity[row]])

    def move(self, line: Timeline, row: Index) -> None:
        """These events are over."""
        stream, entity = line.stream[row], line.entity[row]
        self.place[stream] += 1
        self.day[stream] = line.day[row]
        self.entity_day[entity] = line.day[row]
        self.begun[entity] = np.fmin(self.begun[entity], line.day[row])
