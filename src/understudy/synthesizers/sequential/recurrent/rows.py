"""Histories as rows to learn from: every event, and after an entity's last one the end.

A row knows what stands before it (`before`, the day), the tokens that happen, which of these are
learnt, between which codes they must lie, and what like events in the past said. It is filled by
living through the histories once, step by step, with the memory that drawing uses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.encoding.columns import to_numbers
from understudy.synthesizers.sequential.clock import Numbers
from understudy.synthesizers.sequential.events import Arranged, Index
from understudy.synthesizers.sequential.marks import steps
from understudy.synthesizers.sequential.recurrent.gaps import Gaps
from understudy.synthesizers.sequential.recurrent.layout import (
    KNOWN,
    LAGS,
    Layout,
    lag_part,
    payee_part,
)
from understudy.synthesizers.sequential.recurrent.memory import Memory, repeats
from understudy.synthesizers.tabular.cart import Floats

Numbered = Mapping[str, tuple[NDArray[Any], NDArray[np.bool_]]]
"""Numbers in their own type, and where they are missing."""


@dataclass(frozen=True)
class Rows:
    """[rows] by entity and time; the rows of entity i are `first[i]` to `first[i + 1]`.

    `tokens`, `learnt`, `low` and `high` are [rows, tokens]; `day` is the day before the gap, `then`
    the one after it (meaningless where the history ends, as all tokens but the first).
    """

    first: Index
    before: Floats
    day: Numbers
    then: Numbers
    tokens: Index
    learnt: NDArray[np.bool_]
    low: Index
    high: Index
    coming: Floats
    """[rows, days] what is due on the days to come."""
    due: Index
    """Payees and categories of what is due on the day, from 1 on; 0 where nothing is."""
    payee_said: Index
    """Categories of the last event with the same payee, from 1 on; 0 where there is none."""
    like_said: Index
    """Numbers of the last event with the same payee and categories, likewise."""

    @classmethod
    def blank(cls, first: Index, layout: Layout, before: int, days: int) -> Rows:
        rows, sizes = int(first[-1]), np.array(layout.sizes)
        return cls(
            first,
            np.zeros((rows, before), np.float32),
            np.zeros(rows),
            np.zeros(rows),
            np.zeros((rows, len(sizes)), np.int64),
            np.zeros((rows, len(sizes)), bool),
            np.zeros((rows, len(sizes)), np.int64),
            np.tile(sizes, (rows, 1)),
            np.zeros((rows, days), np.float32),
            np.zeros((rows, len(layout.payees) + len(layout.said)), np.int64),
            np.zeros((rows, len(layout.said)), np.int64),
            np.zeros((rows, len(layout.counted)), np.int64),
        )


def rows_of(
    layout: Layout,
    gaps: Gaps,
    memory: Memory,
    events: Arranged,
    payees: Mapping[str, Index],
    cents: Mapping[str, NDArray[np.int64]],
) -> Rows:
    """Lives through `events` with a fresh `memory`. `payees` are numbers [events] by entity in
    order of appearance, `cents` what each event adds to the balances."""
    entities = len(memory.count)
    counts = np.bincount(events.entity, minlength=entities)
    first = np.r_[0, np.cumsum(counts + 1)]
    rows = Rows.blank(first, layout, Memory.width(layout, len(cents)), gaps.single)
    coded = _coded(layout, events.table)
    numbers = {name: to_numbers(events.table[name]) for name in layout.numbers}
    paid = np.column_stack([np.zeros((len(events.entity), 0), np.int64), *payees.values()])
    # One end after each history before it.
    place = np.arange(len(events.entity)) + events.entity
    for event in steps(events.entity):
        at, row = events.entity[event], place[event]
        exact = {n: (values[event], gone[event]) for n, (values, gone) in numbers.items()}
        tokens = coded[event]
        gap = events.day[event] - memory.day[at]
        _before(rows, row, memory, at)
        rows.then[row] = events.day[event]
        rows.due[row] = memory.due_on(at, events.day[event])
        rows.learnt[row] = True
        tokens[:, 0] = gaps.encode(gap)
        if layout.quarter:
            token = layout.places["time"][0]
            tokens[:, token] = events.second[event] // layout.quarter
            rows.low[row, token] = memory.earliest(at, gap)
        _payees(rows, row, memory, at, tokens, paid[event])
        _like(rows, row, memory, at, tokens, paid[event], exact)
        rows.tokens[row] = tokens
        added = {name: one[event] for name, one in cents.items()}
        memory.absorb(
            at, events.day[event], events.second[event], paid[event], tokens, exact, added
        )
    everyone, last = np.arange(entities), first[1:] - 1
    _before(rows, last, memory, everyone)
    rows.then[last] = rows.day[last]
    rows.tokens[last, 0] = gaps.end
    rows.learnt[last, 0] = True
    return rows


def appearance(entity: Index, payee: Index) -> Index:
    """Each payee's place [events] among those of its entity, in order of appearance; -1: nobody."""
    found = np.full(len(entity), -1, np.int64)
    paid = np.flatnonzero(payee >= 0)
    if len(paid) == 0:
        return found
    pairs = np.column_stack([entity[paid], payee[paid]])
    owner, first, inverse = np.unique(pairs, axis=0, return_index=True, return_inverse=True)
    # Events are sorted by entity, so what appeared first in one comes before all of the next.
    rank = np.argsort(np.argsort(first))
    begin = np.searchsorted(owner[:, 0], owner[:, 0])
    found[paid] = (rank - begin)[inverse.reshape(-1)]
    return found


def _before(rows: Rows, row: Index, memory: Memory, at: Index) -> None:
    rows.before[row] = memory.before(at)
    rows.day[row] = memory.day[at]
    rows.coming[row] = memory.coming(at, rows.coming.shape[1])


def _payees(rows: Rows, row: Index, memory: Memory, at: Index, tokens: Index, paid: Index) -> None:
    """Codes of payees, and what stays with one that is met again."""
    layout = memory.layout
    for i, name in enumerate(layout.payees):
        token = layout.places[payee_part(name)][0]
        tokens[:, token] = memory.code_of(at, name, paid[:, i])
        rows.high[row, token] = memory.reach(at, name)
    slot = memory.like(at, paid)[:, 0]
    slot[(paid < 0).all(axis=1)] = -1
    rows.payee_said[row] = memory.told(at, slot, layout.said)
    for name, payee in layout.owned.items():
        again = tokens[:, layout.places[payee_part(payee)][0]] >= KNOWN
        for token in layout.places[name]:
            rows.learnt[row, token] &= ~again


def _like(
    rows: Rows,
    row: Index,
    memory: Memory,
    at: Index,
    tokens: Index,
    paid: Index,
    exact: Numbered,
) -> None:
    """What like events had for numbers, and whether these are repeated."""
    layout = memory.layout
    slots = memory.like(at, paid, tokens, LAGS)
    rows.like_said[row] = memory.told(at, slots[:, 0], layout.counted)
    held = (slots >= 0).sum(axis=1)
    for name in layout.lagged:
        lag = repeats(memory, at, name, slots, *exact[name])
        token = layout.places[lag_part(name)][0]
        tokens[:, token] = lag
        rows.high[row, token] = held + 1
        for other in layout.places[name]:
            rows.learnt[row, other] = lag == 0


def _coded(layout: Layout, table: pa.Table) -> Index:
    """Tokens [events, tokens] of categories and numbers; the others are filled in later."""
    found = np.zeros((table.num_rows, len(layout.sizes)), np.int64)
    for name in (*layout.words, *layout.numbers):
        for token, codes in zip(
            layout.places[name], layout.codings[name].encode(table[name]), strict=True
        ):
            found[:, token] = codes
    return found
