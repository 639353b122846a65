"""Tables with a clock that hang on another: histories, drawn by the sequential engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from understudy.data import Dataset
from understudy.schema import Identifier, Running, Table
from understudy.synthesizers.relational.cells import Cells, learnt_spec
from understudy.synthesizers.relational.context import context_of, taken
from understudy.synthesizers.relational.graph import Graph
from understudy.synthesizers.relational.rows import NOBODY, Rows
from understudy.synthesizers.relational.structure import nothing, settle, structure_of
from understudy.synthesizers.sequential.histories import Events, Histories, fit_histories
from understudy.synthesizers.tabular.conditional import Growth

NOTHING = ""


@dataclass(frozen=True)
class EventModel:
    """How the histories of `name` are drawn; `histories` is None for a table that was empty."""

    name: str
    cells: Cells
    agreeing: Mapping[str, str]
    histories: Histories | None
    kept: tuple[str, ...]

    def draw(self, rows: Rows, graph: Graph, seed: int, workers: int) -> None:
        """Adds the table to `rows`, in the order of its clock."""
        primary = graph.primary(self.name)
        assert primary is not None
        if self.histories is None:
            nothing(self.name, self.cells.types, rows, graph)
            return
        context = context_of(rows, graph, primary)
        drawn, entity = self.histories.draw(context, seed=seed, workers=workers)
        order = np.argsort(_moments(drawn[self.histories.clock.name]), kind="stable")
        drawn, entity = drawn.take(pa.array(order)), entity[order]
        rows.parents[primary.name] = entity
        around = pa.table({n: taken(context[n], entity) for n in context.column_names})
        settle(self.name, self.cells, self.agreeing, rows, graph, drawn, around, self.kept)


def fit_events(
    dataset: Dataset,
    rows: Rows,
    graph: Graph,
    name: str,
    *,
    seed: int,
    growth: Growth,
    workers: int,
) -> EventModel:
    """Learns the histories of table `name` given what its parents' rows are."""
    spec = dataset.schema.table(name)
    table = dataset.tables[name]
    primary = graph.primary(name)
    assert primary is not None
    assert spec.order_by is not None
    kept = (*_payees(spec, table), *(r.column for r in _running(spec)))
    if table.num_rows == 0:
        types = dataset.tables[name].select([*rows.cells[name].column_names, *kept]).schema
        return EventModel(name, Cells(None, types.remove_metadata(), ()), {}, None, kept)
    context = context_of(rows, graph, primary)
    entity = rows.parents[primary.name]
    around = pa.table({n: taken(context[n], entity) for n in context.column_names})
    learnt = learnt_spec(spec)
    cells = Cells.fit(rows.cells[name], learnt, around)
    start = next((a.of for a in cells.anchors if a.column == spec.order_by), None)
    cells = Cells(cells.space, cells.types, ())
    modelled = cells.forward(rows.cells[name], around)
    structure, agreeing = structure_of(name, rows, graph, around)
    for label, column in structure.items():
        modelled = modelled.append_column(label, column)
    for column_name in kept:
        modelled = modelled.append_column(column_name, table[column_name])
    there = pa.array(np.flatnonzero(entity != NOBODY))
    events = Events(
        table=modelled.take(there),
        entity=entity[entity != NOBODY],
        context=context,
        clock=spec.order_by,
        start=start,
        running=_running(spec),
        payees=_payees(spec, table),
    )
    histories = fit_histories(events, seed=seed, growth=growth, workers=workers)
    return EventModel(name, cells, agreeing, histories, kept)


def _running(spec: Table) -> tuple[Running, ...]:
    return tuple(rule for rule in spec.constraints if isinstance(rule, Running))


def _payees(spec: Table, table: pa.Table) -> tuple[str, ...]:
    """Identifiers that come back: whom an entity pays again and again."""
    keys = {name for key in spec.foreign_keys for name in key.columns} | set(spec.primary_key)
    found = []
    for column in spec.columns:
        if not isinstance(column, Identifier) or column.name in keys:
            continue
        values = table[column.name].drop_null()
        if len(values) > 0 and pc.count_distinct(values).as_py() < 0.9 * len(values):
            found.append(column.name)
    return tuple(found)


def _moments(column: pa.ChunkedArray) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    kind = column.type
    plain = column.cast(pa.int32()) if pa.types.is_date32(kind) else column
    plain = plain.cast(pa.int64()) if pa.types.is_temporal(plain.type) else plain
    return np.asarray(plain.to_numpy(), np.float64)
