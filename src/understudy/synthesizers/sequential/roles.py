"""What each column of the events is to a history, and whether histories fall apart into streams.

A bank log is a superposition: salary, rent, interest, a fee at each month's end, and what happens
in between. Split by what kind of event it is, and by who is paid, the gaps become regular; a card's
log does not, and stays one stream. The data decide: a column splits the streams if that turns
markedly more gaps into motifs (see `motifs`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from understudy.synthesizers.sequential.clock import Clock
from understudy.synthesizers.sequential.events import (
    Arranged,
    Events,
    Index,
    before_in,
    codes,
    joint,
)
from understudy.synthesizers.sequential.motifs import SHORTEST, regular_share

MOST_KINDS = 48
FEWEST = 30
"""Rows of a kind of its own; what is rarer shares the last kind."""
GAIN = 0.03
"""Share of all events that a split must turn into motifs."""
CONSTANT = 0.995


@dataclass(frozen=True)
class Roles:
    """Columns by their part. `kinds` together make an event's kind; `splitter` is the payee that
    parts the streams of a kind; `steady` categories are drawn once a stream.
    """

    kinds: tuple[str, ...]
    splitter: str | None
    steady: tuple[str, ...]
    tied: tuple[str, ...]
    """Payees that a stream keeps."""
    free: tuple[str, ...]
    """Payees that change within a stream."""
    numbers: tuple[str, ...]
    categories: tuple[str, ...]
    labels: tuple[str, ...]
    """Columns of two values: what somebody will want to predict."""


@dataclass(frozen=True)
class Kinds:
    """The kinds of events: `levels` one row each, by falling count; rows from `own` on share one
    kind, the last.
    """

    levels: pa.Table
    counts: Index
    own: int

    @property
    def size(self) -> int:
        return self.own + (len(self.counts) > self.own)

    @classmethod
    def fit(cls, table: pa.Table, names: tuple[str, ...]) -> tuple[Kinds, Index]:
        """The kinds of `table` and the kind of each row [rows]."""
        if not names:
            whole = np.array([table.num_rows])
            return cls(pa.table({}), whole, 1), np.zeros(table.num_rows, np.int64)
        group = joint([codes(table[name]) for name in names], table.num_rows)
        _, first, inverse, counts = np.unique(
            group, return_index=True, return_inverse=True, return_counts=True
        )
        order = np.lexsort((first, -counts))
        place = np.argsort(order)
        kept = int(np.sum(counts >= FEWEST))
        own = max(1, min(kept, MOST_KINDS - 1))
        levels = table.select(list(names)).take(pa.array(first[order]))
        kind = np.minimum(place[inverse.reshape(-1)], own).astype(np.int64)
        return cls(levels, counts[order], own), kind

    def rows(self, kind: Index, rng: np.random.Generator) -> pa.Table:
        """The kind's columns for each event [rows]."""
        place = kind.copy()
        shared = np.flatnonzero(kind >= self.own)
        if len(shared):
            rare = self.counts[self.own :]
            place[shared] = self.own + rng.choice(len(rare), len(shared), p=rare / rare.sum())
        return self.levels.take(pa.array(place))


def roles_of(events: Events, rows: Arranged, clock: Clock) -> Roles:
    """See the module's docstring."""
    table = rows.table
    worked_out = {rule.column for rule in events.running}
    open_names = [
        name
        for name in table.column_names
        if name != clock.name and name not in worked_out and name not in events.payees
    ]
    words = [n for n in open_names if _is_word(table.schema.field(n).type)]
    signs = {rule.sign for rule in events.running}
    labels = [n for n in open_names if _is_label(table[n]) and n not in signs]
    coded = {n: codes(table[n]) for n in (*words, *events.payees)}
    owned = [
        n
        for n in words
        if any(
            _follows(joint([rows.entity, coded[p]], len(rows.entity)), coded[n])
            for p in events.payees
        )
    ]
    candidates = [
        n
        for n in words
        if n not in owned
        and coded[n].max(initial=-1) < MOST_KINDS
        and (n not in labels or pa.types.is_string(table.schema.field(n).type))
    ]
    kinds = _splitting(candidates, coded, rows, clock)
    kinds = _with_followers(kinds, candidates, coded, len(rows.entity))
    group = joint([rows.entity, *(coded[n] for n in kinds)], len(rows.entity))
    splitter = _splitter(events.payees, coded, group, rows, clock)
    if splitter is not None:
        group = joint([group, coded[splitter]], len(rows.entity))
    rest = [n for n in open_names if n not in kinds]
    steady = [
        n
        for n in rest
        if n in words and n not in labels and _follows(group, coded[n]) and np.ptp(coded[n]) > 0
    ]
    tied = tuple(p for p in events.payees if p == splitter or _follows(group, coded[p]))
    rest = [n for n in rest if n not in steady]
    return Roles(
        kinds=tuple(kinds),
        splitter=splitter,
        steady=tuple(steady),
        tied=tied,
        free=tuple(p for p in events.payees if p not in tied),
        numbers=tuple(n for n in rest if n not in words and n not in labels),
        categories=tuple(n for n in rest if n in words and n not in labels),
        labels=tuple(n for n in rest if n in labels),
    )


def regularity(group: Index, rows: Arranged, clock: Clock) -> float:
    """The share of all events that follow the one before in their `group` by a motif."""
    hits, _ = hits_in(group, rows, clock)
    return float(hits.sum() / len(group))


def hits_in(group: Index, rows: Arranged, clock: Clock) -> tuple[Index, Index]:
    """1 where an event follows the one before by a motif [rows], and that event (-1: none)."""
    before = before_in(group)
    twice = np.where(before >= 0, before[before], -1)
    following = before >= 0
    day, previous = rows.day[following], rows.day[before[following]]
    last = np.where(
        twice[following] >= 0, previous - rows.day[np.maximum(twice[following], 0)], np.nan
    )
    hits = np.zeros(len(group), np.int64)
    if clock.calendar:
        hits[following] = regular_share(previous, day, last)
    else:
        hits[following] = ((day - previous) == last) & (last > SHORTEST)
    return hits, before


def _splitting(
    candidates: list[str], coded: dict[str, Index], rows: Arranged, clock: Clock
) -> list[str]:
    """Forward selection of the columns whose kinds part the streams."""
    chosen: list[str] = []
    best = regularity(rows.entity, rows, clock)
    while len(chosen) < len(candidates):
        scores = {}
        for name in candidates:
            if name in chosen:
                continue
            by = [coded[n] for n in (*chosen, name)]
            if joint(by, len(rows.entity)).max() >= 2 * MOST_KINDS:
                continue
            scores[name] = regularity(joint([rows.entity, *by], len(rows.entity)), rows, clock)
        if not scores:
            return chosen
        name = max(scores, key=lambda n: scores[n])
        if scores[name] < best + GAIN:
            return chosen
        chosen.append(name)
        best = scores[name]
    return chosen


def _with_followers(
    kinds: list[str], candidates: list[str], coded: dict[str, Index], rows: int
) -> list[str]:
    """With the columns that say little beyond the kinds: half as many combinations again."""
    found = list(kinds)
    for name in candidates:
        if not kinds or name in kinds:
            continue
        now = joint([coded[n] for n in found], rows).max() + 1
        then = joint([coded[n] for n in (*found, name)], rows).max() + 1
        if then <= min(1.5 * now + 2, MOST_KINDS):
            found.append(name)
    return found


def _splitter(
    payees: tuple[str, ...],
    coded: dict[str, Index],
    group: Index,
    rows: Arranged,
    clock: Clock,
) -> str | None:
    """The payee that parts the streams best, judged by the events that have one."""
    best, found = GAIN, None
    for name in payees:
        paid = coded[name] >= 0
        if paid.sum() < FEWEST:
            continue
        before, _ = hits_in(group, rows, clock)
        after, _ = hits_in(joint([group, coded[name]], len(group)), rows, clock)
        gain = float(np.mean(after[paid]) - np.mean(before[paid]))
        if gain >= best:
            best, found = gain, name
    return found


def _follows(group: Index, codes: Index) -> bool:
    """Whether rows that share a group nearly always share the value, where it varies at all."""
    before = before_in(group)
    following = before >= 0
    if following.sum() < FEWEST:
        return False
    same = float(np.mean(codes[following] == codes[before[following]]))
    shares = np.bincount(codes + 1) / len(codes)
    by_chance = float(np.sum(shares**2))
    return same >= CONSTANT and 1 - same < 0.1 * (1 - by_chance)


def _is_word(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_null(kind)
    )


def _is_label(column: pa.ChunkedArray) -> bool:
    if pa.types.is_floating(column.type) or pa.types.is_temporal(column.type):
        return False
    return (
        bool(pc.count_distinct(column.drop_null()).as_py() == 2)
        if not pa.types.is_null(column.type)
        else False
    )
