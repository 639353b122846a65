"""Structure first: how many streams of which kind an entity has, when each begins, what it is like.

A stream's traits (where its amounts lie, how far they spread, its usual hour) and the length of one
that keeps no calendar are drawn before its events and given to them: a customer's own pace and
purse last for the whole history. What keeps a calendar has no length: it goes on until it stops
or the window closes (see `skeleton`), and so do streams that began late.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from understudy.synthesizers.sequential.clock import Calendar, Clock, Numbers, day_of
from understudy.synthesizers.sequential.events import Index, position_in
from understudy.synthesizers.sequential.streams import Streams, matrix, side_by_side
from understudy.synthesizers.tabular.cart import Floats
from understudy.synthesizers.tabular.conditional import Conditional, Growth, Rows, fit_conditional

FEWEST_IN_LEAF = 10
"""Leaves of structure may be small: counts and days point at nobody, and traits are jittered."""
AT_ONCE = -1
"""The first event falls on the day of the origin."""


@dataclass(frozen=True)
class Window:
    """When anything was seen at all; days, both ends included."""

    begin: float
    end: float

    def origin(self, start: Numbers | None, entities: int) -> Numbers:
        """The day from which each entity may have events [entities]."""
        if start is None:
            return np.full(entities, self.begin)
        return np.maximum(np.where(np.isnan(start), self.begin, start), self.begin)


@dataclass(frozen=True)
class Heads:
    """`counts` draws each kind's number: of events where a kind is one `irregular` stream, else of
    streams. `kinds` draws the streams of each kind that ever occurs, in drawing order.
    """

    irregular: tuple[bool, ...]
    several: tuple[bool, ...]
    window: Window
    counts: Conditional
    kinds: Mapping[int, Conditional]
    traits: tuple[str, ...]
    steady: tuple[str, ...]

    def draw(self, x: Floats, origin: Numbers, clock: Clock, rng: np.random.Generator) -> Streams:
        """The streams of the entities whose contexts are `x` [entities, predictors]."""
        drawn = self.counts.draw(x, rng)
        counts = np.column_stack(
            [np.nan_to_num(self.counts.numbers(drawn, n)) for n in self.counts.names]
        )
        counts[origin > self.window.end] = 0
        known = [matrix(*counts.T)]
        parts = []
        for kind, conditional in self.kinds.items():
            found = self._draw_kind(
                kind, conditional, np.hstack([x, *known]), counts[:, kind], origin, clock, rng
            )
            parts.append(found)
            known.append(_summary(found, len(x), origin))
        return side_by_side(parts)

    def _draw_kind(
        self,
        kind: int,
        conditional: Conditional,
        x: Floats,
        counts: Numbers,
        origin: Numbers,
        clock: Clock,
        rng: np.random.Generator,
    ) -> Streams:
        one = self.irregular[kind] and not self.several[kind]
        streams = np.minimum(counts, 1) if one else counts
        last = np.full((len(x), 2 + len(self.traits)), np.nan)
        parts = []
        for place in range(int(streams.max(initial=0))):
            entity = np.flatnonzero(streams > place)
            given = np.hstack([x[entity], matrix(np.full(len(entity), place), *last[entity].T)])
            rows = conditional.draw(given, rng)
            found = self._read(kind, conditional, rows, entity, origin[entity], clock)
            if one:
                found = replace(found, length=counts[entity])
            last[entity] = np.column_stack([found.first, found.length, *found.traits.values()])
            parts.append(found.take(np.flatnonzero(found.first <= self.window.end)))
        return side_by_side(parts) if parts else self._none(conditional)

    def _read(
        self,
        kind: int,
        conditional: Conditional,
        rows: Rows,
        entity: Index,
        origin: Numbers,
        clock: Clock,
    ) -> Streams:
        lead = np.nan_to_num(conditional.numbers(rows, "lead"))
        if clock.calendar:
            day = np.nan_to_num(conditional.numbers(rows, "day"))
            month = Calendar.of(origin).month + np.maximum(lead, 0)
            first = np.where(lead == AT_ONCE, origin, np.maximum(day_of(month, day), origin))
        else:
            first = origin + np.maximum(lead, 0)
        length = np.full(len(entity), np.nan)
        if "length" in conditional.names:
            length = np.maximum(np.nan_to_num(conditional.numbers(rows, "length")), 1)
        return Streams(
            entity,
            np.full(len(entity), kind),
            first,
            length,
            {name: conditional.numbers(rows, name) for name in self.traits},
            {name: conditional.column(rows, name) for name in self.steady},
        )

    def _none(self, conditional: Conditional) -> Streams:
        empty = np.zeros(0)
        return Streams(
            empty.astype(np.int64),
            empty.astype(np.int64),
            empty,
            empty,
            dict.fromkeys(self.traits, empty),
            {name: pa.array([], conditional.types[name]) for name in self.steady},
        )


def fit_heads(
    x: Floats,
    origin: Numbers,
    streams: Streams,
    irregular: Sequence[bool],
    order: Sequence[int],
    window: Window,
    clock: Clock,
    *,
    seed: int,
    growth: Growth,
    workers: int,
) -> Heads:
    """Learns from real `streams` whose lengths are all known; `x` is [entities, predictors].

    `order` says in which order the kinds are drawn.
    """
    growth = replace(growth, leaf=max(FEWEST_IN_LEAF, min(growth.leaf, len(x) // 80)))
    kinds = len(irregular)
    place = position_in(streams.entity * kinds + streams.kind)
    several = tuple(bool((place[streams.kind == k] > 0).any()) for k in range(kinds))
    counts = np.zeros((len(x), kinds))
    for kind in range(kinds):
        mine = streams.kind == kind
        add = streams.length[mine] if irregular[kind] and not several[kind] else 1.0
        np.add.at(counts[:, kind], streams.entity[mine], add)
    table = pa.table({f"#{k}": counts[:, k].astype(np.int64) for k in range(kinds)})
    structure = fit_conditional(
        x,
        table,
        name="counts",
        seed=seed,
        growth=growth,
        steady=table.column_names,
        workers=workers,
    )
    known = [matrix(*counts.T)]
    found: dict[int, Conditional] = {}
    for kind in order:
        mine = np.flatnonzero(streams.kind == kind)
        mine = mine[np.argsort(place[mine], kind="stable")]
        part, at = streams.take(mine), place[mine]
        last = np.full((len(mine), 2 + len(streams.traits)), np.nan)
        values = np.column_stack([part.first, part.length, *part.traits.values()])
        last[at > 0] = values[_row_before(part.entity, at)[at > 0]]
        if not irregular[kind] or not several[kind]:
            last[:, 1] = np.nan
        given = np.hstack([x, *known])[part.entity]
        beside = matrix(at, *last.T)
        found[kind] = fit_conditional(
            np.hstack([given, beside]),
            _head_table(part, origin[part.entity], clock, irregular[kind] and several[kind]),
            name=f"heads {kind}",
            seed=seed,
            growth=growth,
            order=("lead",),
            steady=("lead", "day", "length"),
            workers=workers,
        )
        known.append(_summary(part.take(np.flatnonzero(at == 0)), len(x), origin))
    return Heads(
        tuple(irregular),
        several,
        window,
        structure,
        found,
        tuple(streams.traits),
        tuple(streams.steady),
    )


def _head_table(part: Streams, origin: Numbers, clock: Clock, with_length: bool) -> pa.Table:
    columns: dict[str, object] = {}
    if clock.calendar:
        now, then = Calendar.of(part.first), Calendar.of(origin)
        at_once = part.first == origin
        columns["lead"] = np.where(at_once, AT_ONCE, now.month - then.month).astype(np.int64)
        columns["day"] = np.where(now.day == now.length, 0, now.day).astype(np.int64)
    else:
        columns["lead"] = part.first - origin
    if with_length:
        columns["length"] = part.length.astype(np.int64)
    columns |= {name: pa.array(v, from_pandas=True) for name, v in part.traits.items()}
    return pa.table(columns | dict(part.steady))


def _row_before(entity: Index, place: Index) -> Index:
    """The row of the same entity at the place before, for rows sorted by place."""
    order = np.lexsort((place, entity))
    found = np.zeros(len(entity), np.int64)
    found[order[1:]] = order[:-1]
    return found


def _summary(found: Streams, entities: int, origin: Numbers) -> Floats:
    """What later kinds know of an entity's first stream of this kind: its delay, and its traits."""
    table = np.full((entities, 1 + len(found.traits)), np.nan)
    rows = position_in(found.entity) == 0
    values = np.column_stack([found.first - origin[found.entity], *found.traits.values()])
    table[found.entity[rows]] = values[rows]
    return matrix(*table.T)
