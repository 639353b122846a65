"""Refinement in both directions: cells drawn anew given their row, those above and those below it.

Rows are made from the top, so a parent never saw its children. A sweep draws every column that may
move once more, given all else (Gibbs sampling with trees as conditionals: Heckerman et al. 2000).
Keys, counts, times, and columns that a rule, a product or a key of several columns ties stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from understudy.runtime.random import stream
from understudy.schema import Table
from understudy.schema.constraints import columns_of
from understudy.synthesizers.relational.context import described, summary
from understudy.synthesizers.relational.graph import Graph
from understudy.synthesizers.relational.rows import Rows
from understudy.synthesizers.relational.tables import TableModel
from understudy.synthesizers.tabular.conditional import (
    Conditional,
    Growth,
    Predictors,
    fit_conditional,
)


@dataclass(frozen=True)
class Sweep:
    """How column `column` of `table` is drawn given all that surrounds it."""

    table: str
    column: str
    given: Predictors
    conditional: Conditional

    def redraw(self, rows: Rows, graph: Graph, nth: int, seed: int) -> None:
        """Draws the column anew in `rows`, for the `nth` time."""
        if rows.size(self.table) == 0:
            return
        rng = stream(seed, "sweep", str(nth), self.table, self.column)
        around = _surroundings(rows, graph, self.table, self.column)
        drawn = self.conditional.table(self.conditional.draw(self.given.matrix(around), rng))
        cells = rows.cells[self.table]
        place = cells.column_names.index(self.column)
        new = drawn[self.column].cast(cells.schema.field(place).type)
        rows.cells[self.table] = cells.set_column(place, self.column, new)


def fit_sweeps(
    specs: Mapping[str, Table],
    rows: Rows,
    graph: Graph,
    models: Mapping[str, TableModel],
    *,
    seed: int,
    growth: Growth,
    workers: int,
) -> tuple[Sweep, ...]:
    """One for each column that may move, from the bottom of the database to its top."""
    found = []
    for name in reversed(graph.order):
        if name not in models or rows.size(name) < 2 * growth.leaf:
            continue
        if graph.into(name, "matched", "deferred"):
            # Who stands beside it through those links decided over its cells: couples stay couples.
            continue
        for column in _movable(specs[name], rows.cells[name], models[name]):
            around = _surroundings(rows, graph, name, column)
            if around.num_columns == 0:
                continue
            given = Predictors.fit(around)
            conditional = fit_conditional(
                given.matrix(around),
                rows.cells[name].select([column]),
                name=f"sweep {name} {column}",
                seed=seed,
                growth=growth,
                workers=workers,
            )
            found.append(Sweep(name, column, given, conditional))
    return tuple(found)


def _surroundings(rows: Rows, graph: Graph, table: str, column: str) -> pa.Table:
    """All that is known of each row but the column itself."""
    found = described(rows, graph, table)
    for link in graph.into(table, "primary"):
        for name, values in summary(rows, link).items():
            found = found.append_column(name, values)
    gone = [n for n in (f"{table}.{column}", "") if n in found.column_names]
    return found.drop_columns(gone)


def _movable(spec: Table, cells: pa.Table, model: TableModel) -> list[str]:
    tied = {name for rule in spec.constraints for name in columns_of(rule)}
    tied |= {*spec.primary_key, *model.copies, *(anchor.column for anchor in model.cells.anchors)}
    for product in model.cells.products:
        tied |= {product.of, product.a, product.b}
    return [
        name
        for name in cells.column_names
        if name not in tied
        and spec.column(name).kind != "geo"
        and not pa.types.is_temporal(cells.schema.field(name).type)
        and cells[name].null_count < len(cells)
    ]
