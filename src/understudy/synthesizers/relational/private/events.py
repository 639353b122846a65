"""Histories under the budget: who has which streams, how they start, how they go on.

Three tables of noisy counts: which kinds of events an entity has, given what is known of it; how
the stream of a kind starts and how long it lasts; and what comes after an event of that kind. The
window of time, the columns that split histories and the kinds themselves are bought first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from understudy.encoding.discrete import Axis, Codes
from understudy.encoding.private_bins import Binned
from understudy.errors import EngineError
from understudy.privacy.session import Private
from understudy.runtime.random import stream as random_stream
from understudy.schema import Boolean, Category, Column, Number, Running, Schema, Table
from understudy.schema.storage import stored_type
from understudy.synthesizers.relational.context import described
from understudy.synthesizers.relational.graph import Graph
from understudy.synthesizers.relational.private.flat import GIVEN
from understudy.synthesizers.relational.private.given import Given, candidates, choose
from understudy.synthesizers.relational.private.histories import (
    KIND,
    Log,
    Streams,
    first_columns,
    next_columns,
)
from understudy.synthesizers.relational.private.looks import Looks, ends
from understudy.synthesizers.relational.private.parts import Part, Parts
from understudy.synthesizers.relational.private.tables import CHOOSING, PrivateTable, ways
from understudy.synthesizers.relational.private.thinning import fewer, thinned
from understudy.synthesizers.relational.rows import Rows
from understudy.synthesizers.sequential.balances import Balance
from understudy.synthesizers.sequential.clock import Clock, Numbers
from understudy.synthesizers.tabular.marginals.engine import MarginalSynthesizer
from understudy.synthesizers.tabular.marginals.network import Network
from understudy.synthesizers.tabular.shape import Shape

WHO, STARTS, NEXTS, LOOKS = 1.0, 1.0, 2.0, 0.8
"""What the tables of a history weigh, and the looks before them."""
EVENTS = WHO + STARTS + NEXTS + LOOKS


@dataclass(frozen=True)
class Dist:
    """A distribution of rows by class: the network and its axes."""

    axes: Mapping[str, Axis]
    network: Network
    rows: float

    def draw(self, classes: Codes, rng: np.random.Generator) -> pa.Table:
        """A row for each class, int [rows]."""
        if self.network.target is None:
            codes = self.network.draw(len(classes), rng)
        else:
            codes = self.network.draw_given(classes, rng)
        names = [name for name in self.axes if name not in (GIVEN, KIND)]
        return pa.table({name: self.axes[name].decode(codes[name], rng) for name in names})


@dataclass(frozen=True)
class PrivateEvents:
    """How the histories of `name` are drawn: `splits` are the words that make a kind, `labels` what
    they say together; `window` holds its first and last day."""

    name: str
    clock: Clock
    start: str | None
    window: tuple[float, float]
    splits: tuple[str, ...]
    labels: pa.Array
    words: tuple[str, ...]
    numbers: tuple[str, ...]
    types: pa.Schema
    balances: tuple[Balance, ...]
    most: int
    given: Given
    who: Dist
    starts: Dist
    nexts: Dist

    @property
    def rows(self) -> float:
        return self.starts.rows + self.nexts.rows

    def draw(self, rows: Rows, graph: Graph, seed: int, workers: int) -> None:
        """Adds the table to `rows`, in the order of its clock."""
        from understudy.synthesizers.relational.private.unfolding import unfold

        unfold(self, rows, graph, random_stream(seed, "histories", self.name))


def fit_events(
    schema: Schema,
    graph: Graph,
    name: str,
    types: Mapping[str, pa.Schema],
    bounds: Mapping[str, int],
    seen: Private[Rows],
    tables: Private[Mapping[str, pa.Table]],
    axes: dict[str, dict[str, Binned]],
    models: Mapping[str, PrivateTable],
    parts: Parts,
    seed: int,
) -> PrivateEvents:
    """Learns the histories of table `name` through `parts`, after `models` of tables before it.

    Raises `EngineError` for columns and keys that no table of counts holds.
    """
    spec = schema.table(name)
    primary = graph.primary(name)
    assert primary is not None
    assert spec.order_by is not None
    words, numbers = _learnt(spec, graph)
    clock = _clock(spec, types[name])
    start = _start(schema, graph, primary.parent, types, types[name].field(spec.order_by).type)
    events, each = bounds[name], bounds[primary.parent]

    def read(rows: Rows, table: pa.Table, since: float) -> Log:
        begins = _begins(rows, graph, primary.parent, start, clock, since)
        entity = rows.parents[primary.name]
        names = [c.name for c in words], [c.name for c in numbers]
        return Log.of(table, entity, begins, clock, *names)

    entities = models[primary.parent].rows
    part = parts.part(f"{name}, looks", LOOKS, events)
    looks = Looks.of(part, each, words)
    both = Private((seen._rows, tables._rows), part, events)
    window = looks.window(both.map(lambda b: ends(b[1][name], b[0].parents[primary.name], clock)))
    log = both.map(lambda b: read(b[0], b[1][name], window[0]))
    splits = looks.splits(log, [c.name for c in words], primary.parent, seen, entities)
    most = looks.most(log, splits, seen, primary.parent)
    labels = looks.kinds(log, splits, most, seen, primary.parent, each)
    if len(labels) == 0:  # no kind stands out: all events are one stream
        splits, labels = (), pa.array([""])
    streams = log.map(lambda found: Streams.of(found, splits, labels, most))
    hours = clock.hours

    who_part = parts.part(f"{name}, who", WHO, each)
    given, who = _who(who_part, graph, name, primary.parent, seen, streams, axes, labels, seed)
    days = window[1] - window[0]
    first = first_columns(words, numbers, hours, days)
    few, some = fewer(most), fewer(events)
    salts = seen.map(lambda rows: rows.salts[primary.parent])
    inside = Private((streams._rows, salts._rows), part, events)
    starts = _dist(
        parts.part(f"{name}, starts", STARTS, each * few),
        inside.map(lambda b: thinned(b[0].firsts(window[1], hours), b[0].owner, b[1], few)),
        first,
        len(labels),
        seed,
    )
    nexts = _dist(
        parts.part(f"{name}, nexts", NEXTS, each * some),
        inside.map(lambda b: thinned(b[0].nexts(hours), b[0].followers, b[1], some)),
        next_columns(words, numbers, hours, days),
        len(labels),
        seed,
    )
    return PrivateEvents(
        name=name,
        clock=clock,
        start=start,
        window=window,
        splits=splits,
        labels=labels,
        words=tuple(c.name for c in words),
        numbers=tuple(c.name for c in numbers),
        types=types[name],
        balances=tuple(_balance(r, spec, types[name]) for r in _running(spec)),
        most=events,
        given=given,
        who=who,
        starts=starts,
        nexts=nexts,
    )


def _who(
    part: Part,
    graph: Graph,
    name: str,
    parent: str,
    seen: Private[Rows],
    streams: Private[Streams],
    axes: Mapping[str, Mapping[str, Binned]],
    labels: pa.Array,
    seed: int,
) -> tuple[Given, Dist]:
    """Which kinds an entity has, given the thing known of it that tells most."""
    both = Private((seen._rows, streams._rows), part, part.rows_per_unit)
    flags = both.map(lambda b: _flags(b[1], b[0].size(parent), len(labels)))
    options = candidates(graph, name, axes, 1)
    given = options[0]
    if len(options) > 1:
        codes = seen.map(lambda rows: [_given(o, rows, graph, parent) for o in options])
        epsilon = part.choices(CHOOSING)
        sizes = [o.size for o in options]
        given = options[choose(flags, codes, sizes, part, epsilon, 0.0)]
    columns: list[Column] = [Boolean(name=str(i), nullable=False) for i in range(len(labels))]
    table = Private((flags._rows, seen._rows), part, part.rows_per_unit).map(
        lambda b: b[0].append_column(
            KIND, pa.array(_given(given, b[1], graph, parent)).cast(pa.string())
        )
    )
    return given, _dist(part, table, columns, given.size, seed)


def _given(given: Given, rows: Rows, graph: Graph, parent: str) -> Codes:
    size = rows.size(parent)
    above = {parent: np.arange(size), **ways(rows, graph, parent)}
    return given.codes(above, np.zeros(size, np.int64), rows.coded)


def _flags(streams: Streams, entities: int, kinds: int) -> pa.Table:
    """bool columns, a row an entity: which kinds of events it has."""
    found = np.zeros((entities, kinds), bool)
    found[streams.owner, streams.kind_of] = True
    return pa.table({str(i): found[:, i] for i in range(kinds)})


def _dist(
    part: Part, table: Private[pa.Table], columns: Sequence[Column], classes: int, seed: int
) -> Dist:
    """The distribution of a table's `columns` by its class, in column `kind`."""
    levels = tuple(str(i) for i in range(classes))
    kind = Category(name=KIND, levels=levels, nullable=False)
    targeted = classes > 1
    spec = Table(name="events", columns=(*columns, kind) if targeted else tuple(columns))
    types = pa.schema([(c.name, _type(c)) for c in spec.columns])
    shape = Shape.public(spec, types)
    inside = Private(table._rows, part, part.rows_per_unit).map(
        lambda found: found.select(list(spec.column_names)).cast(types)
    )
    engine = MarginalSynthesizer(target=KIND if targeted else None, seed=seed)
    network, binned, total = engine.learn(inside, shape, part, label_delta=part.label_delta)
    return Dist({n: b.axis for n, b in binned.items()}, network, total)


def _type(column: Column) -> pa.DataType:
    """Words are texts here, and numbers floats unless they are whole."""
    if isinstance(column, Category):
        return pa.string()
    if isinstance(column, Number):
        return pa.int64() if column.integer and not column.nullable else pa.float64()
    return stored_type(column)


def _learnt(spec: Table, graph: Graph) -> tuple[list[Column], list[Column]]:
    """Words and numbers of the events, as columns of tables of counts."""
    if graph.of(spec.name, "lookup", "matched", "deferred") or graph.into(
        spec.name, "primary", "matched", "deferred"
    ):
        raise EngineError(
            f"table {spec.name!r} has a clock, and keys beside the one it hangs on. Under a budget "
            "its histories are learnt without: take `order_by` out of the plan, so that it is "
            "learnt as rows, or drop those keys."
        )
    worked_out = {rule.column for rule in _running(spec)}
    words: list[Column] = []
    numbers: list[Column] = []
    for column in spec.learnt:
        if column.name == spec.order_by or column.name in worked_out:
            continue
        if isinstance(column, Category | Boolean):
            levels = column.levels if isinstance(column, Category) else (False, True)
            shown = None if levels is None else tuple(_word(level) for level in levels)
            if shown is not None and column.nullable:
                shown = (*shown, "")
            words.append(Category(name=column.name, levels=shown, nullable=False))
        elif isinstance(column, Number):
            numbers.append(column.model_copy(update={"integer": False}))
        else:
            raise EngineError(
                f"column {column.name!r} of the event table {spec.name!r} is a {column.kind} "
                "beside the clock, which histories under a budget do not hold. Make it text in the "
                "plan (it is left empty then), or drop it."
            )
    return words, numbers


def _word(level: object) -> str:
    return str(level).lower() if isinstance(level, bool) else str(level)


def _running(spec: Table) -> tuple[Running, ...]:
    return tuple(rule for rule in spec.constraints if isinstance(rule, Running))


def _balance(rule: Running, spec: Table, types: pa.Schema) -> Balance:
    """Decimals as the plan says, else those of money."""
    column = spec.column(rule.amount)
    decimals = column.decimals if isinstance(column, Number) else None
    whole = isinstance(column, Number) and column.integer
    digits = 0 if whole else 2 if decimals is None else decimals
    return Balance(rule, digits, types.field(rule.column).type)


def _clock(spec: Table, types: pa.Schema) -> Clock:
    """From the column's type alone."""
    assert spec.order_by is not None
    kind = types.field(spec.order_by).type
    if pa.types.is_date(kind):
        return Clock(spec.order_by, "date")
    if pa.types.is_timestamp(kind):
        return Clock(spec.order_by, "timestamp", unit=kind.unit)
    raise EngineError(
        f"table {spec.name!r} is ordered by {spec.order_by!r}, a {kind}: under a budget histories "
        "need a date or a timestamp as their clock. Take `order_by` out of the plan, or name one."
    )


def _start(
    schema: Schema,
    graph: Graph,
    parent: str,
    types: Mapping[str, pa.Schema],
    kind: pa.DataType,
) -> str | None:
    """The first date of the clock's type on the way up, by its name in the context."""
    table: str | None = parent
    while table is not None:
        for column in schema.table(table).of_kind("datetime"):
            if types[table].field(column.name).type == kind:
                return f"{table}.{column.name}"
        above = graph.primary(table)
        table = None if above is None else above.parent
    return None


def _begins(
    rows: Rows, graph: Graph, parent: str, start: str | None, clock: Clock, since: float
) -> Numbers:
    """The day on which each row of `parent` begins, never before the window."""
    if start is None:
        return np.full(rows.size(parent), since)
    day, _ = clock.read(described(rows, graph, parent)[start])
    return np.maximum(np.where(np.isfinite(day), day, since), since)
