"""Event rows as the tables that a budget can learn: who has which streams, how they start, go on.

A stream is what one entity has of one kind of event, and the kind is what its `words` say together.
Gaps are calendar motifs (`sequential.motifs`), numbers are told as steps from the stream's event
before, and words that are no kind as the same again or anew: tables of few columns then hold what
makes a history.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.encoding.columns import to_numbers
from understudy.schema import Boolean, Category, Column, Number
from understudy.synthesizers.relational.rows import Places, ranks
from understudy.synthesizers.sequential.clock import DAY, Clock, Numbers
from understudy.synthesizers.sequential.motifs import (
    AGAIN,
    MONTHS,
    NONE,
    SLACK,
    anchor_of,
    encode,
    regular_share,
)

KIND, FIRST, LASTS, GAP, DAYS, HOUR = "kind", "first", "lasts", "gap", "days", "hour"
STEP, AGAIN_MARK = "step ", "again "
AT_END = "month end"
"""Whether a stream starts on a month's last day, which it then keeps: interest, fees."""
OFF = 2 * SLACK + 1
GAPS = tuple(
    str(code * OFF + off + SLACK)
    for code in (NONE, *MONTHS, AGAIN)
    for off in (range(-SLACK, SLACK + 1) if code in MONTHS else (0,))
)
"""A motif and the days by which it is missed, in one label: what is one in truth is not left to be
found as a pair of columns. Days of a gap that is no motif are a column of their own."""
SAME, FINEST, MOST_STEPS = "same", 2, 8
"""Steps of a number are halves of a doubling, up to four doublings either way."""
STEPS = (SAME, *(str(step) for step in range(-MOST_STEPS, MOST_STEPS + 1)), "none")
GONE = 45
"""Days before the window's end from which on a stream that stays silent counts as ended."""
JOINT = "\x1f"
MOST_WORDS = 5


@dataclass(frozen=True)
class Log:
    """Events sorted by entity and time; all arrays [events] but `start`, [entities]: the day on
    which each begins. `words` and `numbers` are columns of the source.
    """

    entity: Places
    day: Numbers
    second: Numbers
    words: Mapping[str, pa.Array]
    numbers: Mapping[str, Numbers]
    start: Numbers

    @classmethod
    def of(
        cls,
        table: pa.Table,
        entity: Places,
        start: Numbers,
        clock: Clock,
        words: Sequence[str],
        numbers: Sequence[str],
    ) -> Log:
        """Rows without an entity or a time have no place in a history and are left out."""
        day, second = clock.read(table[clock.name])
        known = np.flatnonzero((entity >= 0) & np.isfinite(day))
        order = known[np.lexsort((known, second[known], day[known], entity[known]))]
        picked = pa.array(order)
        return cls(
            entity[order],
            day[order],
            second[order],
            {n: _texts(table[n]).take(picked) for n in words},
            {n: _numbers(table[n])[order] for n in numbers},
            start,
        )

    def kinds(self, names: Sequence[str]) -> pa.Array:
        """What the words `names` say together, one text an event."""
        if not names:
            return pa.array([""] * len(self.entity), pa.string())
        return pc.binary_join_element_wise(*(self.words[n] for n in names), JOINT)


def regular(log: Log, names: Sequence[str], entities: int) -> float:
    """How regular histories are once they are split by `names`: the sum over entities of the share
    of their gaps that are calendar motifs. One entity moves it by at most one."""
    if len(log.entity) == 0:
        return 0.0
    codes = log.kinds(names).dictionary_encode().indices.to_numpy()
    order = np.lexsort((np.arange(len(codes)), codes, log.entity))
    entity, code, day = log.entity[order], codes[order], log.day[order]
    before = np.flatnonzero((entity[1:] == entity[:-1]) & (code[1:] == code[:-1]))
    gap = np.full(len(day), np.nan)
    gap[before + 1] = day[before + 1] - day[before]
    hit = np.zeros(len(day))
    hit[before + 1] = regular_share(day[before], day[before + 1], gap[before])
    total = np.bincount(entity, minlength=entities)
    return float(np.sum(np.bincount(entity, hit, entities) / np.maximum(total, 1)))


def subsets(words: Sequence[str]) -> list[tuple[str, ...]]:
    """The ways to split that are tried: any of the first words, none included."""
    first = words[:MOST_WORDS]
    return [
        chosen for size in range(len(first) + 1) for chosen in itertools.combinations(first, size)
    ]


@dataclass(frozen=True)
class Streams:
    """Events of known kinds by stream; all arrays [events] but `owner` and `kind_of` [streams]."""

    log: Log
    stream: Places
    rank: Places
    owner: Places
    kind_of: Places

    @classmethod
    def of(cls, log: Log, names: Sequence[str], labels: pa.Array, most: int) -> Streams:
        """At most `most` kinds of an entity, those that come first; other events are left out."""
        kind = pc.fill_null(pc.index_in(log.kinds(names), value_set=labels), -1).to_numpy()
        joint = log.entity * (len(labels) + 1) + kind
        _, first, stream = np.unique(joint, return_index=True, return_inverse=True)
        nth = np.empty(len(first), np.int64)
        by_time = np.lexsort((first, log.entity[first]))
        nth[by_time] = ranks(log.entity[first[by_time]])
        kept = np.flatnonzero((kind >= 0) & (nth[stream] < most))
        log = _taken(log, kept)
        _, first, stream = np.unique(joint[kept], return_index=True, return_inverse=True)
        order = np.lexsort((np.arange(len(stream)), stream))
        log, stream = _taken(log, order), stream[order]
        owner = np.zeros(len(first), np.int64)
        kind_of = np.zeros(len(first), np.int64)
        owner[stream], kind_of[stream] = log.entity, kind[kept][order]
        return cls(log, stream, ranks(stream), owner, kind_of)

    @property
    def followers(self) -> Places:
        """The entity of every event after its stream's first."""
        return self.log.entity[self.rank > 0]

    def firsts(self, until: float, hours: bool) -> pa.Table:
        """One row a stream: when it starts, what its first event holds, and how many days it lasts
        if it ends before the window does."""
        at = np.flatnonzero(self.rank == 0)
        since = self.log.day[at] - self.log.start[self.log.entity[at]]
        found: dict[str, pa.Array] = {KIND: _codes(self.kind_of)}
        found[AT_END] = pa.array(anchor_of(self.log.day[at]) == 0)
        last = np.zeros(len(at))
        last[self.stream] = self.log.day
        found[FIRST] = pa.array(since.astype(np.int64))
        found[LASTS] = pa.array(
            (last - self.log.day[at]).astype(np.int64), mask=last > until - GONE
        )
        if hours:
            found[HOUR] = pa.array((self.log.second[at] // 3600).astype(np.int64))
        found |= {n: values.take(pa.array(at)) for n, values in self.log.words.items()}
        found |= {n: _nullable(values[at]) for n, values in self.log.numbers.items()}
        return pa.table(found)

    def nexts(self, hours: bool) -> pa.Table:
        """One row an event after its stream's first: how long after, and what changed."""
        at = np.flatnonzero(self.rank > 0)
        day = self.log.day
        begun = np.flatnonzero(self.rank == 0)[self.stream]
        anchor = anchor_of(day[begun[at]])
        last = np.where(self.rank[at] > 1, day[at - 1] - day[np.maximum(at - 2, 0)], np.nan)
        code, days = encode(day[at - 1], day[at], anchor, last, calendar=True)
        found: dict[str, pa.Array] = {KIND: _codes(self.kind_of[self.stream[at]])}
        none = code == NONE
        off = np.where(np.isin(code, MONTHS), days, 0).astype(np.int64)
        found[GAP] = pa.array(code * OFF + off + SLACK).cast(pa.string())
        found[DAYS] = pa.array(days.astype(np.int64), mask=~none)
        if hours:
            found[HOUR] = pa.array((self.log.second[at] // 3600).astype(np.int64))
        for name, values in self.log.numbers.items():
            found[STEP + name] = steps(values[begun[at]], values[at - 1], values[at])
        for name, texts in self.log.words.items():
            now, then = texts.take(pa.array(at)), texts.take(pa.array(at - 1))
            same = pc.equal(now, then)
            found[AGAIN_MARK + name] = same
            found[name] = pc.if_else(same, pa.scalar(None, pa.string()), now)
        return pa.table(found)


def gaps_of(label: NDArray[np.int64], days: Numbers, kind: Places) -> tuple[Places, Numbers]:
    """Code and days (`sequential.motifs`) of labels and days drawn, each [streams].

    A gap that is no motif and came without days takes those of another stream of its kind.
    """
    code, off = np.divmod(label, OFF)
    lent = _lent(days, kind)
    return code, np.where(code == NONE, lent, off - SLACK)


def _lent(days: Numbers, kind: Places) -> Numbers:
    """Days without gaps: every missing one from the next stream of the same kind that has some."""
    order = np.lexsort((~np.isfinite(days), kind))
    known = np.isfinite(days[order])
    first = np.searchsorted(kind[order], kind[order], side="left")
    there = np.bincount(kind[order], known, int(kind.max(initial=0)) + 1).astype(np.int64)[
        kind[order]
    ]
    rank = np.arange(len(order)) - first
    found = np.empty(len(days))
    taken = days[order][np.minimum(first + rank % np.maximum(there, 1), len(order) - 1)]
    found[order] = np.where(there > 0, taken, 1.0)
    return found


def steps(first: Numbers, before: Numbers, now: Numbers) -> pa.Array:
    """How a number stands: the `same` as before, so many halves of a doubling from the stream's
    `first`, or `none`. Counted from the first, so that a stream keeps its level."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.rint(FINEST * np.log2(np.abs(now) / np.abs(first)))
    usable = np.isfinite(ratio)
    step = np.clip(np.where(usable, ratio, 0), -MOST_STEPS, MOST_STEPS).astype(np.int64)
    texts = np.where(usable, step.astype(str), "none").astype(object)
    return pa.array(np.where(now == before, SAME, texts).tolist(), pa.string())


def stepped(
    first: Numbers, before: Numbers, step: NDArray[np.object_], rng: np.random.Generator
) -> Numbers:
    """The number at a step."""
    moved = step != SAME
    halves = np.where(moved & (step != "none"), step, "0").astype(np.float64)
    within = rng.uniform(-0.5, 0.5, len(first))
    found = first * 2.0 ** ((halves + within) / FINEST)
    return np.where(moved & np.isfinite(first), found, before)


def first_columns(
    words: Sequence[Column], numbers: Sequence[Column], hours: bool, days: float
) -> list[Column]:
    """Of `Streams.firsts`, in a window of so many days."""
    found: list[Column] = [
        Boolean(name=AT_END, nullable=False),
        Number(name=FIRST, integer=True, nullable=False, minimum=0, maximum=days),
        Number(name=LASTS, integer=True, minimum=0, maximum=days),
    ]
    return [*found, *_hour(hours), *words, *numbers]


def next_columns(
    words: Sequence[Column], numbers: Sequence[Column], hours: bool, days: float
) -> list[Column]:
    """Of `Streams.nexts`."""
    found: list[Column] = [
        Category(name=GAP, levels=GAPS, nullable=False),
        Number(name=DAYS, integer=True, minimum=0, maximum=days),
        *_hour(hours),
    ]
    found += [Category(name=STEP + c.name, levels=STEPS, nullable=False) for c in numbers]
    for column in words:
        anew = column.model_copy(update={"nullable": True})
        found += [Boolean(name=AGAIN_MARK + column.name), anew]
    return found


def _hour(hours: bool) -> list[Column]:
    if not hours:
        return []
    return [Number(name=HOUR, integer=True, minimum=0, maximum=DAY // 3600 - 1, nullable=False)]


def _taken(log: Log, places: Places) -> Log:
    picked = pa.array(places)
    return Log(
        log.entity[places],
        log.day[places],
        log.second[places],
        {n: v.take(picked) for n, v in log.words.items()},
        {n: v[places] for n, v in log.numbers.items()},
        log.start,
    )


def _texts(column: pa.ChunkedArray) -> pa.Array:
    return pc.fill_null(column.cast(pa.string()), "").combine_chunks()


def _numbers(column: pa.ChunkedArray) -> Numbers:
    numbers, gone = to_numbers(column)
    return np.where(gone, np.nan, numbers.astype(np.float64))


def _nullable(values: Numbers) -> pa.Array:
    return pa.array(values, mask=~np.isfinite(values))


def _codes(kind: Places) -> pa.Array:
    return pa.array(kind).cast(pa.string())
