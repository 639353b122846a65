"""Labels come last: columns of two values, such as fraud, given everything else and their past.

Frauds come in bursts, at a stolen card and at a terminal that was tampered with. So a label is
drawn from what the event itself looks like and from how the labels fell before, in its entity's
history and in its payees', whoever else paid there. Events whose predecessors in all these
histories are drawn are drawn together: rank by rank of the graph that they span.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from understudy.encoding.columns import to_numbers
from understudy.synthesizers.sequential.clock import Calendar, Clock, Numbers
from understudy.synthesizers.sequential.events import Index, before_in
from understudy.synthesizers.sequential.memory import Places
from understudy.synthesizers.sequential.streams import matrix
from understudy.synthesizers.tabular.cart import Floats
from understudy.synthesizers.tabular.conditional import (
    Codes,
    Conditional,
    Growth,
    Rows,
    fit_conditional,
)

FADING = 0.7
"""Of what an event says about a holder's labels, how much is left at the next."""


@dataclass(frozen=True)
class Labels:
    """`columns` draws all labels of an event; the first, and rarer, value of each is followed."""

    columns: Conditional
    rare: Mapping[str, int]

    def draw(
        self,
        given: Floats,
        entity: Index,
        payees: Sequence[Index],
        day: Numbers,
        second: Numbers,
        rng: np.random.Generator,
    ) -> dict[str, pa.Array]:
        """Label columns of events sorted by entity and time, all [events]."""
        found = {n: np.full(len(entity), -1, np.int32) for n in self.columns.names}
        past = _Past.of(self.rare, entity, payees, day)
        for row in ranks(entity, payees, day, second):
            drawn = self.columns.draw(np.hstack([given[row], past.predictors(row)]), rng)
            for name in found:
                found[name][row] = drawn.codes[name]
            past.absorb(row, {n: drawn.codes[n] for n in found})
        rows = Rows(found, {})
        return {n: self.columns.column(rows, n) for n in found}


def fit_labels(
    given: Floats,
    entity: Index,
    payees: Sequence[Index],
    day: Numbers,
    second: Numbers,
    table: pa.Table,
    *,
    seed: int,
    growth: Growth,
    workers: int,
) -> Labels:
    """Learns the label columns `table` [events] of events sorted by entity and time."""
    known = {n: _label_codes(table[n]) for n in table.column_names}
    rare = {n: int(np.argmin(np.bincount(c[c >= 0], minlength=2))) for n, c in known.items()}
    past = _Past.of(rare, entity, payees, day)
    beside: Floats | None = None
    for row in ranks(entity, payees, day, second):
        seen = past.predictors(row)
        if beside is None:
            beside = np.empty((len(entity), seen.shape[1]), np.float32)
        beside[row] = seen
        past.absorb(row, {n: c[row] for n, c in known.items()})
    assert beside is not None
    columns = fit_conditional(
        np.hstack([given, beside]), table, name="labels", seed=seed, growth=growth, workers=workers
    )
    return Labels(columns, rare)


def ranks(entity: Index, payees: Sequence[Index], day: Numbers, second: Numbers) -> Iterator[Index]:
    """Events whose predecessors, in their entity's history and in each payee's, came before."""
    rows = len(entity)
    time = np.lexsort((np.arange(rows), second, day))
    waiting = np.zeros(rows, np.int64)
    following = []
    for holder in (entity, *payees):
        before = np.full(rows, -1, np.int64)
        found = before_in(holder[time])
        before[time] = np.where((found >= 0) & (holder[time] >= 0), time[found], -1)
        after = np.full(rows, -1, np.int64)
        after[before[before >= 0]] = np.flatnonzero(before >= 0)
        waiting += before >= 0
        following.append(after)
    ready = np.flatnonzero(waiting == 0)
    while len(ready):
        yield ready
        freed = []
        for after in following:
            then = after[ready]
            then = then[then >= 0]
            waiting[then] -= 1  # an event has one successor a holder, so none is named twice
            freed.append(then)
        reached = np.unique(np.concatenate(freed))
        ready = reached[waiting[reached] == 0]


@dataclass
class _Past:
    """How the labels fell, for each holder: arrays [holders] by holder column and label."""

    rare: Mapping[str, int]
    holders: tuple[Index, ...]
    day: Numbers
    count: list[Numbers]
    last_day: list[Numbers]
    fading: dict[str, list[Numbers]]
    total: dict[str, list[Numbers]]
    last_hit: dict[str, list[Numbers]]

    @classmethod
    def of(
        cls, rare: Mapping[str, int], entity: Index, payees: Sequence[Index], day: Numbers
    ) -> _Past:
        holders = (entity, *payees)

        def each(value: float) -> list[Numbers]:
            return [np.full(int(h.max(initial=0)) + 2, value) for h in holders]

        return cls(
            rare,
            holders,
            day,
            each(0),
            each(np.nan),
            {n: each(0) for n in rare},
            {n: each(0) for n in rare},
            {n: each(np.nan) for n in rare},
        )

    def predictors(self, row: Index) -> Floats:
        columns: list[Numbers] = []
        for i, holder in enumerate(self.holders):
            at = holder[row]
            columns += [self.count[i][at], self.day[row] - self.last_day[i][at]]
            for name in self.rare:
                columns += [
                    self.fading[name][i][at],
                    self.total[name][i][at],
                    self.day[row] - self.last_hit[name][i][at],
                ]
        return matrix(*columns)

    def absorb(self, row: Index, found: Mapping[str, Codes]) -> None:
        """The labels of these events are known; no two share a holder."""
        for i, holder in enumerate(self.holders):
            real = holder[row] >= 0
            at, day = holder[row][real], self.day[row][real]
            self.count[i][at] += 1
            self.last_day[i][at] = day
            for name, rare in self.rare.items():
                hit = found[name][real] == rare
                self.fading[name][i][at] = FADING * self.fading[name][i][at] + (1 - FADING) * hit
                self.total[name][i][at] += hit
                self.last_hit[name][i][at[hit]] = day[hit]


def looks(
    table: Mapping[str, pa.Array | pa.ChunkedArray],
    places: Mapping[str, Places],
    entity: Index,
    day: Numbers,
    second: Numbers,
    clock: Clock,
) -> Floats:
    """What an event looks like within its history: [events, predictors], sorted as they are."""
    before = before_in(entity)
    first = np.flatnonzero(before < 0)
    since = np.where(before >= 0, day - day[before], np.nan)
    columns = [since]
    if clock.calendar:
        now = Calendar.of(day)
        columns += [now.day, now.weekday, now.month % 12]
    if clock.hours:
        columns.append(second)
    nth = np.arange(len(entity)) - np.repeat(first, np.diff(np.r_[first, len(entity)]))
    columns.append(nth.astype(np.float64))
    for name, scale in places.items():
        values, missing = to_numbers(_chunked(table[name]))
        numbers = np.where(missing, np.nan, values.astype(np.float64))
        place = np.nan_to_num(scale.of(numbers), nan=0.5)
        mean, mean_place = (_mean_before(v, first, nth) for v in (np.nan_to_num(numbers), place))
        with np.errstate(divide="ignore", invalid="ignore"):
            columns += [numbers, place - mean_place, numbers / mean, mean_place]
    return matrix(*columns)


def _mean_before(values: Numbers, first: Index, nth: Index) -> Numbers:
    """The mean of the values before each in its history; not-a-number at the first."""
    total = np.cumsum(values) - values
    start = np.repeat(total[first], np.diff(np.r_[first, len(values)]))
    return np.where(nth > 0, (total - start) / np.maximum(nth, 1), np.nan)


def _chunked(column: pa.Array | pa.ChunkedArray) -> pa.ChunkedArray:
    return column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])


def _label_codes(column: pa.ChunkedArray) -> Codes:
    from understudy.encoding.columns import fit_codec

    return fit_codec("", column, numeric=False).encode(column)
