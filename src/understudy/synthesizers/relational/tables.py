"""One table of a database: its rows given the rows they hang on, and its part of the structure.

Drawn together with a row's cells are how many rows of each child will point at it (`#link`), the
row of a small table it looks up (`@link`, or that it is the one of its context, `=link`), whether
a key that is matched later is there at all (`?link`), and how deep in its own hierarchy it stands
(`^link`). Siblings are drawn one after the other, each given those before (`siblings`). A number
that is often exactly one of the context's (an order that pays the loan) is copied from there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from understudy.runtime.random import stream
from understudy.schema import Table
from understudy.synthesizers.relational.cells import Cells, learnt_spec
from understudy.synthesizers.relational.context import context_of, taken
from understudy.synthesizers.relational.copies import copies_in, equal, flag, with_copies
from understudy.synthesizers.relational.graph import Graph
from understudy.synthesizers.relational.rows import NOBODY, Places, Rows
from understudy.synthesizers.relational.siblings import Siblings, sibling_rank
from understudy.synthesizers.relational.structure import ROW, nothing, settle, structure_of
from understudy.synthesizers.tabular.cart import Floats
from understudy.synthesizers.tabular.conditional import (
    ABSENT,
    Conditional,
    Growth,
    Predictors,
    far,
    fit_conditional,
)


@dataclass(frozen=True)
class TableModel:
    """How rows of `name` are drawn; `conditional` is None for a table that was empty.

    `agreeing` names for a lookup the column of the context that it may agree with; `nobody` is the
    share of rows whose key to the table they hang on is empty; `copies` names for a column the one
    of the context that it is copied from where its flag says so.
    """

    name: str
    cells: Cells
    context: Predictors
    siblings: Siblings
    conditional: Conditional | None
    agreeing: Mapping[str, str]
    rows: int
    nobody: float = 0.0
    copies: Mapping[str, str] = field(default_factory=dict)

    def draw(self, rows: Rows, graph: Graph, size: int, seed: int) -> None:
        """Adds the table to `rows`: as many rows as its parent's rows ask for and those that hang
        on nobody, or `size` where it hangs on no table."""
        if self.conditional is None:
            nothing(self.name, self.cells.types, rows, graph)
            return
        primary = graph.primary(self.name)
        if primary is None:
            context = pa.table({"": pa.nulls(size, pa.float32())})
            parents = np.arange(size)
        else:
            context = context_of(rows, graph, primary)
            counts = rows.counts[primary.name]
            alone = np.full(round(self.nobody * size), NOBODY, np.int64)
            parents = np.concatenate((np.repeat(np.arange(len(counts)), counts), alone))
            rows.parents[primary.name] = parents
        drawn = self._drawn(self.context.matrix(context), parents, primary is not None, seed)
        around = pa.table({n: taken(context[n], parents) for n in context.column_names})
        drawn = with_copies(drawn, self.copies, around)
        settle(self.name, self.cells, self.agreeing, rows, graph, drawn, around)

    def _drawn(self, x: Floats, parents: Places, hanging: bool, seed: int) -> pa.Table:
        assert self.conditional is not None
        rng = stream(seed, "table", self.name)
        if not hanging:
            return self.conditional.table(self.conditional.draw(x, rng))
        x = np.concatenate((x, np.full((1, x.shape[1]), ABSENT, np.float32)))
        rank = sibling_rank(parents)
        order = np.lexsort((parents, rank))
        bounds = np.searchsorted(rank[order], np.arange(rank.max(initial=-1) + 2))
        # The last row stands for nobody, whose rows are no siblings.
        earlier = self.siblings.nobody(len(x))
        parts = []
        for nth in range(len(bounds) - 1):
            picked = parents[order[bounds[nth] : bounds[nth + 1]]]
            given = np.concatenate((x[picked], earlier.told(picked, nth)), axis=1)
            part = self.conditional.table(self.conditional.draw(given, rng))
            earlier.add(picked[picked != NOBODY], self._hanging(part, picked))
            parts.append(part)
        if not parts:
            return self.conditional.table(self.conditional.draw(self._nobody(x), rng))
        back = np.empty(len(order), np.int64)
        back[order] = np.arange(len(order))
        return pa.concat_tables(parts).take(pa.array(back))

    def _hanging(self, part: pa.Table, parents: Places) -> Floats:
        """What is told of the rows of `part` that hang on somebody."""
        return self.siblings.predictors.matrix(part)[parents != NOBODY]

    def _nobody(self, x: Floats) -> Floats:
        return np.empty((0, x.shape[1] + self.siblings.width), np.float32)


def fit_table(
    spec: Table,
    rows: Rows,
    graph: Graph,
    *,
    seed: int,
    growth: Growth,
    workers: int,
    pointed_at: Collection[str] = (),
) -> TableModel:
    """Learns table `spec` from `rows`, in which every table before it stands too."""
    primary = graph.primary(spec.name)
    table = rows.cells[spec.name]
    size = table.num_rows
    if primary is None:
        context = pa.table({"": pa.nulls(1, pa.float32())})
        parents = np.zeros(size, np.int64)
    else:
        context = context_of(rows, graph, primary)
        parents = rows.parents[primary.name]
    predictors = Predictors.fit(context)
    if size == 0:
        cells = Cells(None, table.schema.remove_metadata(), ())
        return TableModel(spec.name, cells, predictors, Siblings.none(), None, {}, 0)
    around = pa.table({n: taken(context[n], parents) for n in context.column_names})
    cells = Cells.fit(table, learnt_spec(spec, pointed_at), around)
    modelled = cells.forward(table, around)
    structure, agreeing = structure_of(spec.name, rows, graph, around)
    for name, column in structure.items():
        modelled = modelled.append_column(name, column)
    if modelled.num_columns == 0:
        modelled = modelled.append_column(ROW, pa.array(np.zeros(size, np.int64)))
    copies = copies_in(modelled, cells, around)
    for name, source in copies.items():
        modelled = modelled.append_column(
            flag(name), pa.array(equal(modelled[name], around[source]))
        )
    siblings = Siblings.fit(modelled) if primary is not None else Siblings.none()
    x = predictors.matrix(around)
    if primary is not None:
        x = np.concatenate((x, siblings.before(modelled, parents)), axis=1)
    conditional = fit_conditional(
        x,
        modelled,
        name=f"table {spec.name}",
        seed=seed,
        growth=growth,
        order=tuple(structure),
        steady=tuple(name for name in structure if name[0] == "#"),
        workers=workers,
        reach=far(modelled.num_rows),
    )
    nobody = float(np.mean(parents == NOBODY))
    return TableModel(
        spec.name, cells, predictors, siblings, conditional, agreeing, size, nobody, copies
    )
