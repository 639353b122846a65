"""One table of a database: its rows given the rows they hang on, and its part of the structure.

Drawn together with a row's cells are how many rows of each child will point at it (`#link`), the
row of a small table it looks up (`@link`, or that it is the one of its context, `=link`), whether
a key that is matched later is there at all (`?link`), and how deep in its own hierarchy it stands
(`^link`). Siblings are drawn one after the other, each given the one before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from understudy.runtime.random import stream
from understudy.schema import Table
from understudy.synthesizers.relational.cells import Cells, learnt_spec
from understudy.synthesizers.relational.context import context_of, taken
from understudy.synthesizers.relational.graph import Graph
from understudy.synthesizers.relational.rows import NOBODY, Places, Rows, ranks
from understudy.synthesizers.relational.structure import ROW, settle, structure_of
from understudy.synthesizers.tabular.cart import Floats
from understudy.synthesizers.tabular.conditional import (
    ABSENT,
    Conditional,
    Growth,
    Predictors,
    fit_conditional,
)


@dataclass(frozen=True)
class TableModel:
    """How rows of `name` are drawn; `conditional` is None for a table that was empty.

    `agreeing` names for a lookup the column of the context that it may agree with.
    """

    name: str
    cells: Cells | None
    context: Predictors
    siblings: Predictors
    conditional: Conditional | None
    agreeing: Mapping[str, str]
    rows: int

    def draw(self, rows: Rows, graph: Graph, size: int, seed: int) -> None:
        """Adds the table to `rows`: as many rows as its parent's rows ask for, or `size`."""
        primary = graph.primary(self.name)
        if primary is None:
            context = pa.table({"": pa.nulls(size, pa.float32())})
            parents = np.arange(size)
        else:
            context = context_of(rows, graph, primary)
            counts = rows.counts[primary.name]
            parents = np.repeat(np.arange(len(counts)), counts)
            rows.parents[primary.name] = parents
        if self.conditional is None or self.cells is None:
            raise ValueError(f"table {self.name!r} was empty")  # its parents ask for no rows
        drawn = self._drawn(self.context.matrix(context), parents, primary is not None, seed)
        around = pa.table({n: taken(context[n], parents) for n in context.column_names})
        settle(self.name, self.cells, self.agreeing, rows, graph, drawn, around)

    def _drawn(self, x: Floats, parents: Places, hanging: bool, seed: int) -> pa.Table:
        assert self.conditional is not None
        rng = stream(seed, "table", self.name)
        if not hanging:
            return self.conditional.table(self.conditional.draw(x, rng))
        rank = ranks(parents)
        order = np.lexsort((parents, rank))
        bounds = np.searchsorted(rank[order], np.arange(rank.max(initial=-1) + 2))
        before = np.full((len(x), len(self.siblings.names)), ABSENT, np.float32)
        parts = []
        for nth in range(len(bounds) - 1):
            picked = parents[order[bounds[nth] : bounds[nth + 1]]]
            place = np.full((len(picked), 1), nth, np.float32)
            given = np.concatenate((x[picked], place, before[picked]), axis=1)
            part = self.conditional.table(self.conditional.draw(given, rng))
            before[picked] = self.siblings.matrix(part)
            parts.append(part)
        if not parts:
            return self.conditional.table(self.conditional.draw(self._nobody(x), rng))
        back = np.empty(len(order), np.int64)
        back[order] = np.arange(len(order))
        return pa.concat_tables(parts).take(pa.array(back))

    def _nobody(self, x: Floats) -> Floats:
        return np.empty((0, x.shape[1] + 1 + len(self.siblings.names)), np.float32)


def fit_table(
    spec: Table, rows: Rows, graph: Graph, *, seed: int, growth: Growth, workers: int
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
        return TableModel(spec.name, None, predictors, Predictors({}), None, {}, 0)
    around = pa.table({n: taken(context[n], parents) for n in context.column_names})
    cells = Cells.fit(table, learnt_spec(spec), around)
    modelled = cells.forward(table, around)
    structure, agreeing = structure_of(spec.name, rows, graph, around)
    for name, column in structure.items():
        modelled = modelled.append_column(name, column)
    if modelled.num_columns == 0:
        modelled = modelled.append_column(ROW, pa.array(np.zeros(size, np.int64)))
    siblings = Predictors.fit(modelled) if primary is not None else Predictors({})
    x = predictors.matrix(around)
    if primary is not None:
        x = np.concatenate((x, _before(siblings.matrix(modelled), parents)), axis=1)
    kept = np.flatnonzero(parents != NOBODY)
    conditional = fit_conditional(
        x[kept],
        modelled.take(pa.array(kept)) if len(kept) < size else modelled,
        name=f"table {spec.name}",
        seed=seed,
        growth=growth,
        order=tuple(structure),
        steady=tuple(name for name in structure if name[0] == "#"),
        workers=workers,
    )
    return TableModel(spec.name, cells, predictors, siblings, conditional, agreeing, size)


def _before(own: Floats, parents: Places) -> Floats:
    """[rows, 1 + columns]: which sibling a row is, and the cells of the one before it."""
    rank = ranks(parents)
    order = np.lexsort((rank, parents))
    previous = np.full(len(parents), NOBODY, np.int64)
    previous[order[1:]] = order[:-1]
    found = own[previous]
    found[rank == 0] = ABSENT
    return np.concatenate((rank[:, None].astype(np.float32), found), axis=1)
