"""Recurrent histories learnt from events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.encoding.columns import to_numbers
from understudy.runtime.progress import Progress, ProgressEvent, silent
from understudy.synthesizers.sequential.balances import Balance
from understudy.synthesizers.sequential.clock import Clock, Numbers
from understudy.synthesizers.sequential.events import Arranged, Events, Index, codes
from understudy.synthesizers.sequential.heads import Window
from understudy.synthesizers.sequential.labels import fit_labels
from understudy.synthesizers.sequential.memory import Places
from understudy.synthesizers.sequential.payees import Degrees
from understudy.synthesizers.sequential.recurrent.drawing import Drawing, dtypes_of
from understudy.synthesizers.sequential.recurrent.forward import Forward
from understudy.synthesizers.sequential.recurrent.gaps import Gaps
from understudy.synthesizers.sequential.recurrent.layout import (
    Layout,
    codings_of,
    lagged_in,
    owned_by,
    quarter_of,
)
from understudy.synthesizers.sequential.recurrent.lengths import fit_lengths, with_length
from understudy.synthesizers.sequential.recurrent.memory import Memory
from understudy.synthesizers.sequential.recurrent.model import (
    RecurrentHistories,
    before_labels,
    origins,
)
from understudy.synthesizers.sequential.recurrent.rows import Rows, appearance, rows_of
from understudy.synthesizers.sequential.roles import roles_of
from understudy.synthesizers.tabular.conditional import Growth, Predictors
from understudy.synthesizers.tabular.neural.coding import Coding
from understudy.synthesizers.tabular.neural.device import on_threads, require_torch
from understudy.synthesizers.tabular.neural.tokens import encoded, sizes_of

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
    dropout: float = 0.1
    threads: int = 1


DEFAULT, TREES = Training(), Growth()


def fit_recurrent(
    events: Events,
    *,
    seed: int,
    training: Training = DEFAULT,
    growth: Growth = TREES,
    progress: Progress = silent,
    workers: int = 1,
) -> RecurrentHistories:
    """Learns how the histories of `events` unfold; `growth` is for lengths and labels, which
    trees draw.

    Raises `EngineError` for a clock that is missing in some rows or orders nothing, and where the
    first epoch fails, `ColumnError` for a running balance whose columns are not there,
    `MissingExtraError` without torch.
    """
    require_torch("recurrent")
    clock = Clock.fit(events.clock, events.table[events.clock])
    arranged = Arranged.of(events, clock)
    window = Window(float(arranged.day.min()), float(arranged.day.max()))
    origin = origins(events.context, events.start, clock, window)
    np.minimum.at(origin, arranged.entity, arranged.day)
    balances = tuple(Balance.fit(rule, arranged.table) for rule in events.running)
    labels = roles_of(events, arranged, clock).labels
    layout, gaps = _layout(events, arranged, clock, origin, window, labels)
    cents = {b.rule.column: _cents(b, arranged.table) for b in balances}
    usual = {name: max(float(np.median(np.abs(c))), 1.0) for name, c in cents.items()}
    payees = {n: appearance(arranged.entity, codes(arranged.table[n])) for n in layout.payees}
    length = np.bincount(arranged.entity, minlength=events.context.num_rows)
    lengths = fit_lengths(events.context, origin, length, window, seed=seed, growth=growth)
    memory = Memory.empty(
        layout, origin, window.end, usual, dtypes_of(layout), clock.calendar, length
    )
    rows = rows_of(layout, gaps, memory, arranged, payees, cents)
    around = with_length(events.context, length)
    context = codings_of(around, CONTEXT_BINS)
    said = encoded(around, context)
    forward = _fitted(rows, said, context, layout, gaps, len(cents), training, seed, progress)
    longest = int(LONGER * length.max()) + 1
    drawing = Drawing(layout, gaps, forward, clock, balances, usual, longest)
    degrees = {n: Degrees.fit(arranged.table[n], arranged.entity) for n in layout.payees}
    places = {n: Places.fit(_floats(arranged.table[n])) for n in _plain(layout)}
    model = RecurrentHistories(
        types=events.table.schema.remove_metadata(),
        start=events.start,
        context=context,
        lengths=lengths,
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
        due=layout.recurring,
        payee_said=tuple(layout.sizes[token] for token in layout.said),
        like_said=tuple(layout.sizes[token] for token in layout.counted),
        after_payees=after_payees,
        after_words=after_payees + len(layout.said),
        width=training.width,
        hidden=training.hidden,
        dropout=training.dropout,
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
        before_labels(model.around, events.context, columns, model, arranged),
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
