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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from understudy.encoding.columns import to_numbers
from understudy.runtime.parallel import run_all
from understudy.runtime.progress import Progress, ProgressEvent, silent
from understudy.runtime.random import stream as random_stream
from understudy.synthesizers.sequential.amounts import Sharing, balances_before, sharing_of
from understudy.synthesizers.sequential.balances import Balance
from understudy.synthesizers.sequential.clock import Clock, Numbers
from understudy.synthesizers.sequential.events import Arranged, Events, Index, codes, joint
from understudy.synthesizers.sequential.heads import Heads, Window, fit_heads
from understudy.synthesizers.sequential.labels import Labels, fit_labels, looks
from understudy.synthesizers.sequential.marks import Marks, fit_marks, signed
from understudy.synthesizers.sequential.memory import Places, Timeline
from understudy.synthesizers.sequential.payees import (
    Degrees,
    Urn,
    fit_urn,
    identified,
    numbered,
)
from understudy.synthesizers.sequential.rhythms import chains
from understudy.synthesizers.sequential.roles import Kinds, Roles, hits_in, roles_of
from understudy.synthesizers.sequential.selection import (
    CANDIDATES,
    Selection,
    fit_selection,
    totals,
)
from understudy.synthesizers.sequential.skeleton import Skeleton, fit_skeleton
from understudy.synthesizers.sequential.streams import Streams, matrix
from understudy.synthesizers.tabular.cart import Floats
from understudy.synthesizers.tabular.conditional import Growth, Predictors

DEFAULT = Growth()
SHARD = 4096
"""Entities drawn at a time."""
MOST_JUDGED = 20_000
"""Entities from whom it is learnt which histories to keep."""
RECURRENT = 0.6
"""Share of a kind's gaps that are motifs, from which on its streams keep a calendar."""


@dataclass(frozen=True)
class Histories:
    """See the module's docstring. `types` is the event table's Arrow schema. Streams are of
    kinds [kinds], which look like kind `base` of `kinds`; `precedence` orders those of one moment;
    `paid` [kinds] is the share of streams with a payee.
    """

    types: pa.Schema
    roles: Roles
    clock: Clock
    start: str | None
    context: Predictors
    kinds: Kinds
    base: Index
    precedence: Numbers
    paid: Numbers
    heads: Heads
    skeleton: Skeleton
    urns: Mapping[str, Urn]
    degrees: Mapping[str, Degrees]
    marks: Marks
    words: Predictors
    labels: Labels | None
    selection: Selection | None = None

    def draw(self, context: pa.Table, *, seed: int, workers: int = 1) -> tuple[pa.Table, Index]:
        """Events in clock order within each entity, and each one's row of `context` [events]."""
        shard = SHARD if self.selection is None else SHARD // CANDIDATES
        calls = [
            (self, context.slice(first, shard), first, seed)
            for first in range(0, context.num_rows, shard)
        ]
        shards = [s for s in run_all(_draw_shard, calls, workers=workers) if s is not None]
        if not shards:
            return self.types.empty_table(), np.zeros(0, np.int64)
        entity = np.concatenate([s.entity for s in shards])
        columns = {
            name: pa.chunked_array([s.columns[name] for s in shards]) for name in shards[0].columns
        }
        owners: dict[str, Index] = {}
        for name, degrees in self.degrees.items():
            met = numbered(entity, np.concatenate([s.met[name] for s in shards]))
            owner, made = degrees.share_out(int(met.max(initial=-1)) + 1, seed, name)
            owners[name] = np.where(met >= 0, owner[met], -1) if len(owner) else met
            columns[name] = identified(owners[name], made)
        if self.labels is not None:
            given = np.vstack([s.given for s in shards])
            day = np.concatenate([s.day for s in shards])
            second = np.concatenate([s.second for s in shards])
            columns |= self.labels.draw(
                given, entity, list(owners.values()), day, second, random_stream(seed, "labels")
            )
        arrays = [columns[field.name] for field in self.types]
        return pa.table(arrays, schema=self.types), entity

    def save(self, folder: Path) -> None:
        """Writes `folder` as a whole or not at all: JSON, safetensors and Parquet."""
        from understudy.synthesizers.sequential.files import save

        save(self, folder)

    @staticmethod
    def load(folder: Path) -> Histories:
        """What `save` wrote."""
        from understudy.synthesizers.sequential.files import load

        return load(folder)


@dataclass(frozen=True)
class _Shard:
    """Events of some entities: finished `columns`, and what the rest is made from."""

    entity: Index
    day: Numbers
    second: Numbers
    columns: dict[str, pa.Array]
    met: dict[str, Index]
    given: Floats
    kind: Index

    def only(self, rows: Index, entity: Index) -> _Shard:
        """These events, of entities `entity`."""
        at = pa.array(rows)
        return _Shard(
            entity,
            self.day[rows],
            self.second[rows],
            {name: column.take(at) for name, column in self.columns.items()},
            {name: place[rows] for name, place in self.met.items()},
            self.given[rows],
            self.kind[rows],
        )


def _draw_shard(model: Histories, context: pa.Table, first: int, seed: int) -> _Shard | None:
    """One history for each row of `context`, of several candidates where there is a choice."""
    rng = random_stream(seed, "histories", first)
    if model.selection is None:
        shard = _draw_all(model, context, rng)
        return shard and replace(shard, entity=shard.entity + first)
    rows = np.arange(context.num_rows)
    shard = _draw_all(model, context.take(pa.array(np.repeat(rows, CANDIDATES))), rng)
    if shard is None:
        return None
    chosen = model.selection.choose(_totals(model, shard, len(rows) * CANDIDATES), rng)
    owner, candidate = np.divmod(shard.entity, CANDIDATES)
    kept = np.flatnonzero(candidate == chosen[owner])
    return shard.only(kept, owner[kept] + first)


def _totals(model: Histories, shard: _Shard, entities: int) -> Floats:
    numbers = (*model.roles.numbers, *(b.rule.column for b in model.marks.balances))
    return totals(
        entities, shard.entity, shard.kind, len(model.base), shard.day, shard.columns, numbers
    )


def _draw_all(model: Histories, context: pa.Table, rng: np.random.Generator) -> _Shard | None:
    origin = model.heads.window.origin(_start(context, model.start, model.clock), context.num_rows)
    x = _predictors(model.context, context, origin, model.heads.window)
    streams = model.heads.draw(x, origin, model.clock, rng)
    stream, day, second = model.skeleton.draw(x, streams, rng)
    if len(stream) == 0:
        return None
    rank = model.precedence[streams.kind[stream]]
    order = np.lexsort((rng.random(len(stream)), rank, second, day, streams.entity[stream]))
    stream, day, second = stream[order], day[order], second[order]
    entity, kind = streams.entity[stream], streams.kind[stream]
    known = model.kinds.rows(model.base[kind], rng)
    columns = {name: known[name] for name in known.column_names}
    columns |= {name: steady.take(pa.array(stream)) for name, steady in streams.steady.items()}
    clock_type = model.types.field(model.clock.name).type
    columns[model.clock.name] = model.clock.write(day, second, clock_type)
    has_payee = rng.random(len(streams)) < model.paid[streams.kind]
    met = {n: np.where(has_payee[stream], stream, -1) for n in model.roles.tied}
    beside = np.zeros((len(stream), 0), np.float32)
    for name, urn in model.urns.items():
        met[name], seen = urn.draw(_with_length(x, entity), entity, rng)
        beside = np.hstack([beside, seen])
    line = Timeline(entity, stream, day, second, beside)
    columns |= model.marks.draw(x, streams, line, columns, rng)
    columns = {
        n: c.combine_chunks() if isinstance(c, pa.ChunkedArray) else c for n, c in columns.items()
    }
    given = np.zeros((len(entity), 0), np.float32)
    if model.labels is not None:
        given = _before_labels(x, streams, line, columns, model.marks, model.words)
    return _Shard(entity, day, second, columns, met, given, kind)


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
    origin = window.origin(_start(events.context, events.start, clock), events.context.num_rows)
    origin = _not_after_the_first(origin, rows)
    context = Predictors.fit(events.context)
    x = _predictors(context, events.context, origin, window)
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
            _with_length(x, rows.entity),
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
            _before_labels(x, streams, line, columns, marks, words),
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
    """Taught on as many drawn histories as there are real ones."""
    entities = min(events.context.num_rows, MOST_JUDGED)
    rng = random_stream(seed, "selection")
    drawn = _draw_all(model, events.context.slice(0, entities), rng)
    if drawn is None:
        return None
    columns = {n: rows.table[n] for n in rows.table.column_names}
    given = np.zeros((len(kind), 0), np.float32)
    whole = _Shard(rows.entity, rows.day, rows.second, columns, {}, given, kind)
    first = np.flatnonzero(rows.entity < entities)
    real = whole.only(first, rows.entity[first])
    return fit_selection(_totals(model, real, entities), _totals(model, drawn, entities), rng)


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


def _start(context: pa.Table, start: str | None, clock: Clock) -> Numbers | None:
    if start is None:
        return None
    return clock.read(context[start])[0]


def _predictors(context: Predictors, table: pa.Table, origin: Numbers, window: Window) -> Floats:
    return np.hstack([context.matrix(table), matrix(window.end - origin)])


def _with_length(x: Floats, entity: Index) -> Floats:
    return np.hstack([x, matrix(np.bincount(entity, minlength=len(x)))])


def _before_labels(
    x: Floats,
    streams: Streams,
    line: Timeline,
    columns: Mapping[str, Any],
    marks: Marks,
    words: Predictors,
) -> Floats:
    """Predictors of the labels that do not depend on labels."""
    seen = looks(columns, marks.places, line.entity, line.day, line.second, marks.clock)
    named = pa.table({n: columns[n] for n in words.names})
    said = words.matrix(named) if words.names else np.zeros((len(line), 0), np.float32)
    return np.hstack([x[line.entity], matrix(streams.kind[line.stream]), line.beside, seen, said])


def _floats(column: pa.ChunkedArray) -> Numbers:
    values, missing = to_numbers(column)
    return np.where(missing, np.nan, values.astype(np.float64))
