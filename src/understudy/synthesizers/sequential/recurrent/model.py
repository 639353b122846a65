"""Histories from a recurrent network: fitted from `Events`, drawn for new contexts.

The same doors as the tree variant (`sequential.histories`). Here nothing splits a history into
streams: one state a history remembers what it needs. Payees, balances and identifiers are made as
there, and labels too, last and by trees, because they hang on what other entities met.

    model = fit_recurrent(events, seed=0)
    table, entity = model.draw(context, seed=1)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from understudy.runtime.parallel import run_all
from understudy.runtime.random import stream
from understudy.synthesizers.sequential.clock import Clock, Numbers
from understudy.synthesizers.sequential.events import Arranged, Index
from understudy.synthesizers.sequential.heads import Window
from understudy.synthesizers.sequential.labels import Labels, looks
from understudy.synthesizers.sequential.memory import Places
from understudy.synthesizers.sequential.payees import Degrees, identified, numbered
from understudy.synthesizers.sequential.recurrent.drawing import Drawing, Drawn
from understudy.synthesizers.sequential.recurrent.lengths import Lengths, with_length
from understudy.synthesizers.tabular.cart import Floats
from understudy.synthesizers.tabular.conditional import Predictors
from understudy.synthesizers.tabular.neural.coding import Coding
from understudy.synthesizers.tabular.neural.tokens import encoded

SHARD = 4096
"""Entities drawn at a time."""


@dataclass(frozen=True)
class RecurrentHistories:
    """See the module's docstring. `types` is the event table's Arrow schema; `around`, `places` and
    `words` are what labels look at."""

    types: pa.Schema
    start: str | None
    context: Mapping[str, Coding]
    lengths: Lengths
    drawing: Drawing
    degrees: Mapping[str, Degrees]
    around: Predictors
    places: Mapping[str, Places]
    words: Predictors
    labels: Labels | None

    @property
    def clock(self) -> Clock:
        """What orders the events."""
        return self.drawing.clock

    def draw(self, context: pa.Table, *, seed: int, workers: int = 1) -> tuple[pa.Table, Index]:
        """Events in clock order within each entity, and each one's row of `context` [events]."""
        calls = [
            (self, context.slice(first, SHARD), first, seed)
            for first in range(0, context.num_rows, SHARD)
        ]
        shards = [s for s in run_all(_draw_shard, calls, workers=workers) if len(s.entity)]
        if not shards:
            return self.types.empty_table(), np.zeros(0, np.int64)
        entity = np.concatenate([s.entity for s in shards])
        columns = {
            name: pa.chunked_array([s.columns[name] for s in shards]) for name in shards[0].columns
        }
        owners: list[Index] = []
        for i, (name, degrees) in enumerate(self.degrees.items()):
            met = numbered(entity, np.concatenate([s.paid[:, i] for s in shards]))
            owner, made = degrees.share_out(int(met.max(initial=-1)) + 1, seed, name)
            owners.append(np.where(met >= 0, owner[met], -1) if len(owner) else met)
            columns[name] = identified(owners[-1], made)
        if self.labels is not None:
            day, second = (np.concatenate([getattr(s, n) for s in shards]) for n in _TIMES)
            given = np.vstack([s.given for s in shards])
            rng = stream(seed, "labels")
            columns |= self.labels.draw(given, entity, owners, day, second, rng)
        return pa.table([columns[f.name] for f in self.types], schema=self.types), entity

    def save(self, folder: Path) -> None:
        """Writes `folder` as a whole or not at all: JSON, safetensors and Parquet."""
        from understudy.synthesizers.sequential.recurrent.files import save

        save(self, folder)

    @staticmethod
    def load(folder: Path) -> RecurrentHistories:
        """What `save` wrote."""
        from understudy.synthesizers.sequential.recurrent.files import load

        return load(folder)


_TIMES = ("day", "second")


@dataclass(frozen=True)
class _Shard:
    """Events of some entities, without payees' names and labels."""

    entity: Index
    day: Numbers
    second: Numbers
    columns: dict[str, pa.Array]
    paid: Index
    given: Floats


def _draw_shard(model: RecurrentHistories, context: pa.Table, first: int, seed: int) -> _Shard:
    rng = stream(seed, "recurrent", first)
    drawing = model.drawing
    origin = origins(context, model.start, drawing.clock, drawing.gaps.window)
    length = model.lengths.draw(context, origin, rng)
    said = encoded(with_length(context, length), model.context)
    drawn = drawing.draw(said, origin, length, rng)
    columns = drawing.columns(drawn, model.types, rng)
    given = np.zeros((len(drawn.entity), 0), np.float32)
    if model.labels is not None and len(drawn.entity):
        given = before_labels(model.around, context, columns, model, drawn)
    return _Shard(drawn.entity + first, drawn.day, drawn.second, columns, drawn.paid, given)


def before_labels(
    around: Predictors,
    context: pa.Table,
    columns: Mapping[str, pa.Array | pa.ChunkedArray],
    model: RecurrentHistories,
    line: Arranged | Drawn,
) -> Floats:
    """Predictors of the labels that do not depend on labels."""
    clock = model.drawing.clock
    seen = looks(columns, model.places, line.entity, line.day, line.second, clock)
    x = around.matrix(context)[line.entity]
    if not model.words.names:
        return np.hstack([x, seen])
    said = pa.table({n: columns[n] for n in model.words.names})
    return np.hstack([x, seen, model.words.matrix(said)])


def origins(context: pa.Table, start: str | None, clock: Clock, window: Window) -> Numbers:
    when = None if start is None else clock.read(context[start])[0]
    return np.minimum(window.origin(when, context.num_rows), window.end)
