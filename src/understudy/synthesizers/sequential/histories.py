"""Histories of entities: fitted from `Events`, drawn for new contexts.

Structure first (`heads`), then when things happen (`skeleton`), to whom they go (`payees`), what
they carry (`marks`) and last the labels somebody will want to predict (`labels`). Trees throughout
(`tabular.conditional`), all entities side by side, in shards that do not depend on the number of
workers.

    model = fit_histories(events, seed=0)
    table, entity = model.draw(context, seed=1)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from understudy.encoding.columns import to_numbers
from understudy.runtime.progress import Progress, ProgressEvent, silent
from understudy.runtime.random import stream as random_stream
from understudy.synthesizers.sequential.amounts import Sharing, balances_before, sharing_of
from understudy.synthesizers.sequential.balances import Balance
from understudy.synthesizers.sequential.clock import Clock, Numbers
from understudy.synthesizers.sequential.drawing import (
    Histories,
    Shard,
    before_labels,
    draw_all,
    predictors_of,
    start_of,
    totals_of,
    with_length,
)
from understudy.synthesizers.sequential.events import Arranged, Events, Index, codes, joint
from understudy.synthesizers.sequential.heads import Window, fit_heads
from understudy.synthesizers.sequential.labels import fit_labels
from understudy.synthesizers.sequential.marks import fit_marks, signed
from understudy.synthesizers.sequential.memory import Places, Timeline
from understudy.synthesizers.sequential.payees import (
    Degrees,
    fit_urn,
)
from understudy.synthesizers.sequential.rhythms import chains
from understudy.synthesizers.sequential.roles import Kinds, Roles, hits_in, roles_of
from understudy.synthesizers.sequential.selection import (
    Selection,
    fit_selection,
)
from understudy.synthesizers.sequential.skeleton import fit_skeleton
from understudy.synthesizers.sequential.streams import Streams
from understudy.synthesizers.tabular.conditional import Growth, Predictors

DEFAULT = Growth()
MOST_JUDGED = 20_000
"""Entities from whom it is learnt which histories to keep."""
RECURRENT = 0.6
"""Share of a kind's gaps that are motifs, from which on its streams keep a calendar."""


def fit_histories(
    events: Events,
    *,
    seed: int,
    growth: Growth = DEFAULT,
    progress: Progress = silent,
    workers: int = 1,
) -> Histories:
    """Learns how the histories of `events` unfold.

    Raises `EngineError` for a clock that is missing in some rows or orders nothing, `ColumnError`
    for a running balance whose columns are not there.
    """
    whole: dict[str, Any] = {"seed": seed, "growth": growth, "workers": workers}
    clock = Clock.fit(events.clock, events.table[events.clock])
    rows = Arranged.of(events, clock)
    roles = roles_of(events, rows, clock)
    kinds, kind = Kinds.fit(rows.table, roles.kinds)
    window = Window(float(rows.day.min()), float(rows.day.max()))
    origin = window.origin(start_of(events.context, events.start, clock), events.context.num_rows)
    origin = _not_after_the_first(origin, rows)
    context = Predictors.fit(events.context)
    x = predictors_of(context, events.context, origin, window)
    balances = tuple(Balance.fit(rule, rows.table) for rule in events.running)
    places = {n: Places.fit(_floats(rows.table[n])) for n in roles.numbers}
    kind, base, apart = _with_rhythms(rows, roles, kind, clock)
    sharing = _sharing(rows, kind, len(base), roles, balances)
    streams, stream = _streams(rows, roles, kind, apart, places, sharing, clock)

    progress(ProgressEvent("fit", 0, 5, "which streams there are"))
    irregular = _irregular(stream, kind, len(base), rows, clock)
    lengthless = np.where(np.array(irregular)[streams.kind], streams.length, np.nan)
    heads = fit_heads(
        x, origin, streams, irregular, _income_first(rows, kind, balances), window, clock, **whole
    )
    progress(ProgressEvent("fit", 1, 5, "when things happen"))
    order = np.lexsort((rows.second, rows.day, stream))
    skeleton = fit_skeleton(
        x,
        replace(streams, length=lengthless),
        stream[order],
        rows.day[order],
        rows.second[order],
        window,
        clock,
        **whole,
    )
    progress(ProgressEvent("fit", 2, 5, "what they carry"))
    urns, beside = {}, np.zeros((len(stream), 0), np.float32)
    for name in roles.free:
        urns[name], seen = fit_urn(
            with_length(x, rows.entity),
            rows.entity,
            rows.table[name],
            name=name,
            seed=seed,
            growth=growth,
        )
        beside = np.hstack([beside, seen])
    line = Timeline(rows.entity, stream, rows.day, rows.second, beside)
    marks = fit_marks(
        x,
        streams,
        line,
        rows.table,
        clock=clock,
        places=places,
        words=roles.categories,
        balances=balances,
        sharing=sharing,
        **whole,
    )
    words = Predictors.fit(rows.table.select([*roles.steady, *roles.categories]))
    labels = None
    if roles.labels:
        progress(ProgressEvent("fit", 3, 5, "labels"))
        columns = {n: rows.table[n] for n in rows.table.column_names}
        labels = fit_labels(
            before_labels(x, streams, line, columns, marks, words),
            rows.entity,
            [codes(rows.table[n]) for n in (*roles.tied, *roles.free)],
            rows.day,
            rows.second,
            rows.table.select(list(roles.labels)),
            **whole,
        )
    model = Histories(
        types=events.table.schema.remove_metadata(),
        roles=roles,
        clock=clock,
        start=events.start,
        context=context,
        kinds=kinds,
        base=base,
        precedence=_precedence(rows, kind, len(base)),
        paid=_paid(streams, stream, rows, roles, len(base)),
        heads=heads,
        skeleton=skeleton,
        urns=urns,
        degrees={n: Degrees.fit(rows.table[n], rows.entity) for n in (*roles.tied, *roles.free)},
        marks=marks,
        words=words,
        labels=labels,
    )
    progress(ProgressEvent("fit", 4, 5, "which histories to keep"))
    selection = _select(model, events, rows, kind, seed)
    progress(ProgressEvent("fit", 5, 5, "done"))
    return replace(model, selection=selection)


def _select(
    model: Histories, events: Events, rows: Arranged, kind: Index, seed: int
) -> Selection | None:
    """Taught on as many drawn histories as there are real ones; None where no balance runs."""
    if not model.marks.balances:
        return None
    entities = min(events.context.num_rows, MOST_JUDGED)
    rng = random_stream(seed, "selection")
    drawn = draw_all(model, events.context.slice(0, entities), rng)
    if drawn is None:
        return None
    columns = {n: rows.table[n] for n in rows.table.column_names}
    given = np.zeros((len(kind), 0), np.float32)
    whole = Shard(rows.entity, rows.day, rows.second, columns, {}, given, kind)
    first = np.flatnonzero(rows.entity < entities)
    real = whole.only(first, rows.entity[first])
    return fit_selection(totals_of(model, real, entities), totals_of(model, drawn, entities), rng)


def _with_rhythms(
    rows: Arranged, roles: Roles, kind: Index, clock: Clock
) -> tuple[Index, Index, Index]:
    """Kinds parted by rhythm [events], the kind each came from [kinds], and what else parts the
    streams of a kind [events].
    """
    payee = np.full(len(kind), -1, np.int64)
    if roles.splitter is not None:
        payee = codes(rows.table[roles.splitter])
        share = np.bincount(kind, payee >= 0) / np.maximum(np.bincount(kind), 1)
        # A payee here and there in a kind that mostly has none parts nothing.
        payee = np.where(share[kind] >= 0.5, payee, -1)
    group = joint([rows.entity, kind, payee], len(kind))
    mixed = np.array(_irregular(group, kind, int(kind.max()) + 1, rows, clock))
    chain = np.full(len(kind), -1, np.int64)
    for each in np.flatnonzero(mixed):
        mine = kind == each
        chain[mine] = chains(group[mine], kind[mine], rows.day[mine], clock)
    parted = 2 * kind + (chain >= 0)
    found, now = np.unique(parted, return_inverse=True)
    return now.reshape(-1).astype(np.int64), found // 2, joint([payee, chain], len(kind))


def _streams(
    rows: Arranged,
    roles: Roles,
    kind: Index,
    apart: Index,
    places: Mapping[str, Places],
    sharing: Mapping[str, Sharing],
    clock: Clock,
) -> tuple[Streams, Index]:
    """The real streams, by entity, kind and first event, and the stream of each event."""
    group = joint([rows.entity, kind, apart], len(kind))
    _, first = np.unique(group, return_index=True)
    order = np.lexsort((first, kind[first], rows.entity[first]))
    number = np.empty(len(first), np.int64)
    number[order] = np.arange(len(first))
    stream, first = number[group], first[order]
    count = np.bincount(stream).astype(np.float64)
    traits: dict[str, Numbers] = {}
    for name, scale in places.items():
        place = sharing[name].places(
            kind, np.nan_to_num(scale.of(_floats(rows.table[name])), nan=0.5)
        )
        mean = np.bincount(stream, place) / count
        square = np.bincount(stream, (place - mean[stream]) ** 2) / count
        traits[f"level {name}"] = mean
        traits[f"spread {name}"] = np.where(count > 1, np.sqrt(square), np.nan)
    if clock.hours:
        traits["hour"] = np.bincount(stream, rows.second) / count
    steady = {n: rows.table[n].take(pa.array(first)).combine_chunks() for n in roles.steady}
    found = Streams(rows.entity[first], kind[first], rows.day[first], count, traits, steady)
    return found, stream


def _sharing(
    rows: Arranged, kind: Index, kinds: int, roles: Roles, balances: tuple[Balance, ...]
) -> dict[str, Sharing]:
    """What each number has to do with a balance."""
    exact = {n: to_numbers(rows.table[n]) for n in roles.numbers}
    held = balances_before(balances, rows.entity, exact, signed(balances, rows.table))
    found = {}
    for name, (values, missing) in exact.items():
        numbers = np.where(missing, 0.0, values.astype(np.float64))
        found[name] = sharing_of(kind, kinds, numbers, held.get(name))
    return found


def _income_first(rows: Arranged, kind: Index, balances: tuple[Balance, ...]) -> Index:
    """Kinds in the order in which their streams are drawn: what is spent depends on what comes in.

    Else frequent kinds first.
    """
    counts = np.bincount(kind)
    comes = np.zeros(len(counts))
    for plus in signed(balances, rows.table).values():
        comes += np.bincount(kind, plus) / np.maximum(counts, 1) > 0.5
    return np.lexsort((-counts, -comes))


def _irregular(
    stream: Index, kind: Index, kinds: int, rows: Arranged, clock: Clock
) -> tuple[bool, ...]:
    """For each kind whether its streams keep no calendar."""
    hits, before = hits_in(stream, rows, clock)
    gaps = np.bincount(kind[before >= 0], minlength=kinds)
    hit = np.bincount(kind, hits, minlength=kinds)
    return tuple(bool(v) for v in hit < RECURRENT * np.maximum(gaps, 1))


def _precedence(rows: Arranged, kind: Index, kinds: int) -> Numbers:
    """A rank [kinds]: what comes first more often than not, among events of one moment."""
    same = (
        (rows.entity[1:] == rows.entity[:-1])
        & (rows.day[1:] == rows.day[:-1])
        & (rows.second[1:] == rows.second[:-1])
    )
    pairs = np.zeros((kinds, kinds))
    np.add.at(pairs, (kind[:-1][same], kind[1:][same]), 1)
    lead = (pairs - pairs.T) / np.maximum(pairs + pairs.T, 1)
    return -lead.sum(axis=1)


def _paid(streams: Streams, stream: Index, rows: Arranged, roles: Roles, kinds: int) -> Numbers:
    """The share of each kind's streams that have a payee."""
    if not roles.tied:
        return np.zeros(kinds)
    has = np.zeros(len(streams))
    has[stream] = codes(rows.table[roles.tied[0]]) >= 0
    return np.bincount(streams.kind, has, kinds) / np.maximum(
        np.bincount(streams.kind, minlength=kinds), 1
    )


def _not_after_the_first(origin: Numbers, rows: Arranged) -> Numbers:
    """Origins that no event precedes, whatever the context says."""
    first = np.full(len(origin), np.inf)
    np.minimum.at(first, rows.entity, rows.day)
    return np.minimum(origin, first)


def _floats(column: pa.ChunkedArray) -> Numbers:
    values, missing = to_numbers(column)
    return np.where(missing, np.nan, values.astype(np.float64))
