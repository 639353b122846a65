"""Histories from a recurrent network: fitted from `Events`, drawn for new contexts.

The same doors as the tree variant (`sequential.histories`). Here nothing splits a history into
streams: one state a history remembers what it needs. Payees, balances and identifiers are made as
there, and labels too, last and by trees, because they hang on what other entities met.

    model = fit_recurrent(events, seed=0)
    table, entity = model.draw(context, seed=1)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.encoding.columns import to_numbers
from understudy.runtime.parallel import run_all
from understudy.runtime.progress import Progress, ProgressEvent, silent
from understudy.runtime.random import stream
from understudy.synthesizers.sequential.balances import Balance
from understudy.synthesizers.sequential.clock import Clock, Numbers
from understudy.synthesizers.sequential.events import Arranged, Events, Index, codes
from understudy.synthesizers.sequential.heads import Window
from understudy.synthesizers.sequential.labels import Labels, fit_labels, looks
from understudy.synthesizers.sequential.memory import Places
from understudy.synthesizers.sequential.payees import Degrees, identified, numbered
from understudy.synthesizers.sequential.recurrent.drawing import Drawing, Drawn, dtypes_of
from understudy.synthesizers.sequential.recurrent.forward import Forward
from understudy.synthesizers.sequential.recurrent.gaps import Gaps
from understudy.synthesizers.sequential.recurrent.layout import (
    Layout,
    codings_of,
    lagged_in,
    owned_by,
    quarter_of,
)
from understudy.synthesizers.sequential.recurrent.memory import Memory
from understudy.synthesizers.sequential.recurrent.rows import Rows, appearance, rows_of
from understudy.synthesizers.sequential.roles import roles_of
from understudy.synthesizers.tabular.cart import Floats
from understudy.synthesizers.tabular.conditional import Growth, Predictors
from understudy.synthesizers.tabular.neural.coding import Coding
from understudy.synthesizers.tabular.neural.device import on_threads, require_torch
from understudy.synthesizers.tabular.neural.tokens import encoded, sizes_of

SHARD = 4096
"""Entities drawn at a time."""
CONTEXT_BINS = 32
LONGER = 1.5
"""How many times the events of the longest real history one may have."""


@dataclass(frozen=True)
class Training:
    """`hidden` is the state's size, `width` the input's; histories are learnt `batch` at a time by
    Adam at `rate`. A tenth of the entities is held out, and training ends after `patience` epochs
    in which they gain nothing."""

    width: int = 64
    hidden: int = 128
    batch: int = 32
    rate: float = 4e-3
    epochs: int = 40
    patience: int = 5
    threads: int = 1


DEFAULT, TREES = Training(), Growth()


@dataclass(frozen=True)
class RecurrentHistories:
    """See the module's docstring. `types` is the event table's Arrow schema; `around`, `places` and
    `words` are what labels look at."""

    types: pa.Schema
    start: str | None
    context: Mapping[str, Coding]
    drawing: Drawing
    degrees: Mapping[str, Degrees]
    around: Predictors
    places: Mapping[str, Places]
    words: Predictors
    labels: Labels | None

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


def _draw_shard(
    model: RecurrentHistories, context: pa.Table, first: int, seed: int
) -> _Shard:
    rng = stream(seed, "recurrent", first)
    drawing = model.drawing
    origin = _origins(context, model.start, drawing.clock, drawing.gaps.window)
    drawn = drawing.draw(encoded(context, model.context), origin, rng)
    columns = drawing.columns(drawn, model.types, rng)
    given = np.zeros((len(drawn.entity), 0), np.float32)
    if model.labels is not None and len(drawn.entity):
        given = _before_labels(model.around, context, columns, model, drawn)
    return _Shard(drawn.entity + first, drawn.day, drawn.second, columns, drawn.paid, given)


def fit_recurrent(
    events: Events,
    *,
    seed: int,
    training: Training = DEFAULT,
    growth: Growth = TREES,
    progress: Progress = silent,
    workers: int = 1,
) -> RecurrentHistories:
    """Learns how the histories of `events` unfold; `growth` is for labels, which trees draw.

    Raises `EngineError` for a clock that is missing in some rows or orders nothing, and where the
    first epoch fails, `ColumnError` for a running balance whose columns are not there,
    `MissingExtraError` without torch.
    """
    require_torch("recurrent")
    clock = Clock.fit(events.clock, events.table[events.clock])
    arranged = Arranged.of(events, clock)
    window = Window(float(arranged.day.min()), float(arranged.day.max()))
    origin = _origins(events.context, events.start, clock, window)
    np.minimum.at(origin, arranged.entity, arranged.day)
    balances = tuple(Balance.fit(rule, arranged.table) for rule in events.running)
    labels = roles_of(events, arranged, clock).labels
    layout, gaps = _layout(events, arranged, clock, origin, window, labels)
    cents = {b.rule.column: _cents(b, arranged.table) for b in balances}
    usual = {name: max(float(np.median(np.abs(c))), 1.0) for name, c in cents.items()}
    payees = {n: appearance(arranged.entity, codes(arranged.table[n])) for n in layout.payees}
    memory = Memory.empty(layout, origin, window.end, usual, dtypes_of(layout))
    rows = rows_of(layout, gaps, memory, arranged, payees, cents)
    context = codings_of(events.context, CONTEXT_BINS)
    said = encoded(events.context, context)
    forward = _fitted(rows, said, context, layout, gaps, len(cents), training, seed, progress)
    longest = int(LONGER * np.bincount(arranged.entity).max()) + 1
    drawing = Drawing(layout, gaps, forward, clock, balances, usual, longest)
    degrees = {n: Degrees.fit(arranged.table[n], arranged.entity) for n in layout.payees}
    places = {n: Places.fit(_floats(arranged.table[n])) for n in _plain(layout)}
    model = RecurrentHistories(
        types=events.table.schema.remove_metadata(),
        start=events.start,
        context=context,
        drawing=drawing,
        degrees=degrees,
        around=Predictors.fit(events.context),
        places=places,
        words=Predictors.fit(arranged.table.select(list(layout.words))),
        labels=None,
    )
    if not labels:
        return model
    progress(ProgressEvent("fit", training.epochs, training.epochs, "labels"))
    return _with_labels(model, events, arranged, labels, seed, growth, workers)


def _layout(
    events: Events,
    arranged: Arranged,
    clock: Clock,
    origin: Numbers,
    window: Window,
    labels: tuple[str, ...],
) -> tuple[Layout, Gaps]:
    table, entity = arranged.table, arranged.entity
    made = {clock.name, *events.payees, *labels, *(rule.column for rule in events.running)}
    names = [name for name in table.column_names if name not in made]
    words = tuple(n for n in names if not _is_number(table.schema.field(n).type))
    numbers = tuple(n for n in names if n not in words)
    first = np.r_[True, entity[1:] != entity[:-1]]
    before = np.where(first, origin[entity], np.r_[0.0, arranged.day[:-1]])
    gaps = Gaps.fit(arranged.day - before, clock, window)
    layout = Layout(
        gap=gaps.end + 1,
        quarter=quarter_of(clock),
        payees=events.payees,
        words=words,
        numbers=numbers,
        lagged=lagged_in(numbers, words, events.payees, table, entity),
        owned=owned_by(words, events.payees, table, entity),
        codings=codings_of(table.select(names)),
        types={name: table.schema.field(name).type for name in names},
    )
    return layout, gaps


def _fitted(
    rows: Rows,
    context: Index,
    codings: Mapping[str, Coding],
    layout: Layout,
    gaps: Gaps,
    balances: int,
    training: Training,
    seed: int,
    progress: Progress,
) -> Forward:
    from understudy.synthesizers.sequential.recurrent.network import Network, Shape
    from understudy.synthesizers.sequential.recurrent.training import Windows, train
    from understudy.synthesizers.tabular.neural.epochs import held_out

    after_payees = 1 + bool(layout.quarter) + len(layout.payees)
    shape = Shape(
        sizes=layout.sizes,
        gap_outputs=gaps.outputs,
        single=gaps.single,
        context=sizes_of(codings),
        before=Memory.width(layout, balances),
        payee_said=tuple(layout.sizes[token] for token in layout.said),
        like_said=tuple(layout.sizes[token] for token in layout.counted),
        after_payees=after_payees,
        after_words=after_payees + len(layout.said),
        width=training.width,
        hidden=training.hidden,
    )
    learnt, held = held_out(len(context), seed, "recurrent", training.patience)
    with on_threads(training.threads, seed):
        network = Network(shape)
        train(
            network,
            Windows(rows, context, gaps),
            learnt,
            held,
            epochs=training.epochs,
            patience=training.patience,
            batch=training.batch,
            rate=training.rate,
            seed=seed,
            progress=progress,
        )
        return Forward(network.arrays(), shape.context, shape.sizes, shape.heads)


def _with_labels(
    model: RecurrentHistories,
    events: Events,
    arranged: Arranged,
    labels: tuple[str, ...],
    seed: int,
    growth: Growth,
    workers: int,
) -> RecurrentHistories:
    columns = {n: arranged.table[n] for n in arranged.table.column_names}
    found = fit_labels(
        _before_labels(model.around, events.context, columns, model, arranged),
        arranged.entity,
        [codes(arranged.table[n]) for n in model.degrees],
        arranged.day,
        arranged.second,
        arranged.table.select(list(labels)),
        seed=seed,
        growth=growth,
        workers=workers,
    )
    return replace(model, labels=found)


def _before_labels(
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


def _origins(context: pa.Table, start: str | None, clock: Clock, window: Window) -> Numbers:
    when = None if start is None else clock.read(context[start])[0]
    return np.minimum(window.origin(when, context.num_rows), window.end)


def _cents(balance: Balance, table: pa.Table) -> NDArray[np.int64]:
    """What each event adds."""
    rule = balance.rule
    values, missing = to_numbers(table[rule.amount])
    plus = None if rule.sign is None else balance.adds(table[rule.sign])
    return balance.cents(np.where(missing, 0, values), plus)


def _plain(layout: Layout) -> list[str]:
    """Numbers that are no times."""
    return [n for n in layout.numbers if not pa.types.is_temporal(layout.types[n])]


def _floats(column: pa.ChunkedArray) -> Numbers:
    values, missing = to_numbers(column)
    return np.where(missing, np.nan, values.astype(np.float64))


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_temporal(kind)
    )
