"""Drawing histories from a fitted model: shards of entities, and what spans all of them.

Streams, then their days, then what the events carry; last what no shard can know alone: who else
meets a payee, and labels that depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from understudy.runtime.parallel import run_all
from understudy.runtime.random import stream as random_stream
from understudy.synthesizers.sequential.clock import Clock, Numbers
from understudy.synthesizers.sequential.events import Index
from understudy.synthesizers.sequential.heads import Heads, Window
from understudy.synthesizers.sequential.labels import Labels, looks
from understudy.synthesizers.sequential.marks import Marks
from understudy.synthesizers.sequential.memory import Timeline
from understudy.synthesizers.sequential.payees import (
    Degrees,
    Urn,
    identified,
    numbered,
)
from understudy.synthesizers.sequential.roles import Kinds, Roles
from understudy.synthesizers.sequential.selection import (
    CANDIDATES,
    Selection,
    totals,
)
from understudy.synthesizers.sequential.skeleton import Skeleton
from understudy.synthesizers.sequential.streams import Streams, matrix
from understudy.synthesizers.tabular.cart import Floats
from understudy.synthesizers.tabular.conditional import Predictors

SHARD = 4096
"""Histories drawn at a time."""


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
class Shard:
    """Events of some entities: finished `columns`, and what the rest is made from."""

    entity: Index
    day: Numbers
    second: Numbers
    columns: dict[str, pa.Array]
    met: dict[str, Index]
    given: Floats
    kind: Index

    def only(self, rows: Index, entity: Index) -> Shard:
        """These events, of entities `entity`."""
        at = pa.array(rows)
        return Shard(
            entity,
            self.day[rows],
            self.second[rows],
            {name: column.take(at) for name, column in self.columns.items()},
            {name: place[rows] for name, place in self.met.items()},
            self.given[rows],
            self.kind[rows],
        )


def _draw_shard(model: Histories, context: pa.Table, first: int, seed: int) -> Shard | None:
    """One history for each row of `context`, of several candidates where there is a choice."""
    rng = random_stream(seed, "histories", first)
    if model.selection is None:
        shard = draw_all(model, context, rng)
        return shard and replace(shard, entity=shard.entity + first)
    rows = np.arange(context.num_rows)
    shard = draw_all(model, context.take(pa.array(np.repeat(rows, CANDIDATES))), rng)
    if shard is None:
        return None
    chosen = model.selection.choose(totals_of(model, shard, len(rows) * CANDIDATES), rng)
    owner, candidate = np.divmod(shard.entity, CANDIDATES)
    kept = np.flatnonzero(candidate == chosen[owner])
    return shard.only(kept, owner[kept] + first)


def totals_of(model: Histories, shard: Shard, entities: int) -> Floats:
    """The figures that histories are judged by [entities, figures]."""
    numbers = (*model.roles.numbers, *(b.rule.column for b in model.marks.balances))
    return totals(
        entities, shard.entity, shard.kind, len(model.base), shard.day, shard.columns, numbers
    )


def draw_all(model: Histories, context: pa.Table, rng: np.random.Generator) -> Shard | None:
    origin = model.heads.window.origin(
        start_of(context, model.start, model.clock), context.num_rows
    )
    x = predictors_of(model.context, context, origin, model.heads.window)
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
        met[name], seen = urn.draw(with_length(x, entity), entity, rng)
        beside = np.hstack([beside, seen])
    line = Timeline(entity, stream, day, second, beside)
    columns |= model.marks.draw(x, streams, line, columns, rng)
    columns = {
        n: c.combine_chunks() if isinstance(c, pa.ChunkedArray) else c for n, c in columns.items()
    }
    given = np.zeros((len(entity), 0), np.float32)
    if model.labels is not None:
        given = before_labels(x, streams, line, columns, model.marks, model.words)
    return Shard(entity, day, second, columns, met, given, kind)


def start_of(context: pa.Table, start: str | None, clock: Clock) -> Numbers | None:
    """The days before which no event lies [entities]."""
    if start is None:
        return None
    return clock.read(context[start])[0]


def predictors_of(context: Predictors, table: pa.Table, origin: Numbers, window: Window) -> Floats:
    """What is known of each entity: its context, and how long it can be seen."""
    return np.hstack([context.matrix(table), matrix(window.end - origin)])


def with_length(x: Floats, entity: Index) -> Floats:
    """With the number of its events [entities, predictors]."""
    return np.hstack([x, matrix(np.bincount(entity, minlength=len(x)))])


def before_labels(
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
