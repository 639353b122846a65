"""One table under the budget: what it is drawn given, its distribution, and how rows come out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from understudy.encoding.discrete import Axis, Codes
from understudy.encoding.private_bins import Binned
from understudy.privacy.session import Private
from understudy.runtime.random import stream
from understudy.schema import Schema
from understudy.synthesizers.relational.context import described
from understudy.synthesizers.relational.graph import Graph
from understudy.synthesizers.relational.private.flat import GIVEN, Flat, around_of, flat_of
from understudy.synthesizers.relational.private.given import Given, candidates, choose
from understudy.synthesizers.relational.private.parts import Part
from understudy.synthesizers.relational.private.thinning import fewer, thinned
from understudy.synthesizers.relational.rows import NOBODY, Places, Rows, ranks
from understudy.synthesizers.relational.structure import settle
from understudy.synthesizers.tabular.marginals.engine import MarginalSynthesizer
from understudy.synthesizers.tabular.marginals.network import Network
from understudy.synthesizers.tabular.shape import Shape


@dataclass(frozen=True)
class PrivateTable:
    """How rows of a table are drawn; all of it follows from answers that were paid for."""

    flat: Flat
    given: Given
    types: pa.Schema
    axes: Mapping[str, Axis]
    network: Network
    rows: float

    def draw(self, rows: Rows, graph: Graph, size: int, seed: int) -> None:
        """Adds the table to `rows`: as many rows as its parent's rows ask for, or `size`."""
        name = self.flat.name
        rng = stream(seed, "table", name)
        primary = graph.primary(name)
        if primary is None:
            codes = self.network.draw(size, rng)
            around = pa.table({"": pa.nulls(size, pa.float32())})
        else:
            counts = rows.counts[primary.name]
            parents = np.repeat(np.arange(len(counts)), counts)
            rows.parents[primary.name] = parents
            classes = self.given.codes(ways(rows, graph, name), ranks(parents), rows.coded)
            if self.network.target is None:
                codes = self.network.draw(len(parents), rng)
            else:
                codes = self.network.draw_given(classes, rng)
            around = around_of(described(rows, graph, primary.parent), parents)
        rows.coded[name] = {n: np.asarray(c, np.intp) for n, c in codes.items() if n != GIVEN}
        drawn = pa.table(
            {
                n: axis.decode(codes[n], rng).cast(self.types.field(n).type)
                for n, axis in self.axes.items()
                if n != GIVEN
            }
        )
        likeness = {n: drawn[n].to_numpy() for n in drawn.column_names if n[0] == "~"}
        rows.likeness.update(likeness)
        settle(name, self.flat.cells, self.flat.agreeing, rows, graph, drawn, around)


def ways(rows: Rows, graph: Graph, table: str) -> dict[str, Places]:
    """For every row of `table` its row in each table above that it hangs on."""
    found: dict[str, Places] = {}
    primary = graph.primary(table)
    places: Places | None = None
    while primary is not None:
        above = rows.parents[primary.name]
        places = above if places is None else np.append(above, NOBODY)[places]
        found[primary.parent] = places
        primary = graph.primary(primary.parent)
    return found


def fit_table(
    schema: Schema,
    graph: Graph,
    name: str,
    types: Mapping[str, pa.Schema],
    reference: Mapping[str, int],
    bounds: Mapping[str, int],
    seen: Private[Rows],
    axes: dict[str, dict[str, Binned]],
    part: Part,
    seed: int,
) -> tuple[PrivateTable, Private[Rows]]:
    """Learns one table through `part`; its axes join `axes`, and its codes what is seen."""
    primary = graph.primary(name)
    dates = {} if primary is None else _dates(graph, primary.parent, schema, types)
    options = [Given(())] if primary is None else candidates(graph, name, axes, bounds[name])

    def flat_at(classes: int) -> Flat:
        return flat_of(schema, graph, name, types[name], reference, bounds, dates, classes)

    bare = flat_at(1)
    table = seen.map(lambda rows: bare.of(rows, graph, _around(rows, graph, name)))
    given = options[0]
    if len(options) > 1:
        codes = seen.map(lambda rows: [_classes(option, rows, graph, name) for option in options])
        expected = _expected(axes, primary.parent, f"#{primary.name}") if primary else 0.0
        epsilon = part.choices(CHOOSING)
        index = choose(table, codes, [o.size for o in options], part, epsilon, expected)
        given = options[index]
    flat = flat_at(given.size)
    shape = Shape.public(flat.spec, _with_class(flat.types, given.size))
    few = fewer(bounds[name])
    inside = Private((table._rows, seen._rows), part, few).map(
        lambda both: _thinned(_classified(both[0], both[1], given, graph, name), both[1], name, few)
    )
    engine = MarginalSynthesizer(target=GIVEN if given.size > 1 else None, seed=seed)
    network, binned, total = engine.learn(inside, shape, part, label_delta=part.label_delta)
    axes[name] = {n: b for n, b in binned.items() if n != GIVEN}
    model = PrivateTable(
        flat, given, shape.types, {n: b.axis for n, b in binned.items()}, network, total
    )
    return model, seen.map(lambda rows: _coded(rows, model, graph))


CHOOSING = 0.15
"""Share of a part for choosing what rows are drawn given."""


def _around(rows: Rows, graph: Graph, name: str) -> pa.Table:
    primary = graph.primary(name)
    if primary is None:
        return pa.table({"": pa.nulls(rows.size(name), pa.float32())})
    return around_of(described(rows, graph, primary.parent), rows.parents[primary.name])


def _classes(given: Given, rows: Rows, graph: Graph, name: str) -> Codes:
    primary = graph.primary(name)
    assert primary is not None
    rank = ranks(rows.parents[primary.name])
    return given.codes(ways(rows, graph, name), rank, rows.coded)


def _classified(table: pa.Table, rows: Rows, given: Given, graph: Graph, name: str) -> pa.Table:
    if given.size == 1:
        return table
    codes = _classes(given, rows, graph, name)
    return table.append_column(GIVEN, pa.array(codes).cast(pa.string()))


def _thinned(table: pa.Table, rows: Rows, name: str, most: int) -> pa.Table:
    units = rows.units[name]
    _, first = np.unique(units, return_index=True)
    salt = np.zeros(int(units.max(initial=0)) + 1)
    salt[units[first]] = rows.salts[name][first]
    return thinned(table, units, salt, most)


def _with_class(types: pa.Schema, classes: int) -> pa.Schema:
    return types if classes == 1 else types.append(pa.field(GIVEN, pa.string()))


def _coded(rows: Rows, model: PrivateTable, graph: Graph) -> Rows:
    name = model.flat.name
    table = model.flat.of(rows, graph, _around(rows, graph, name))
    codes = {n: axis.encode(table[n]) for n, axis in model.axes.items() if n != GIVEN}
    return replace(rows, coded={**rows.coded, name: codes})


def _dates(
    graph: Graph, parent: str, schema: Schema, types: Mapping[str, pa.Schema]
) -> dict[str, pa.DataType]:
    """Date columns that a row's way up has, by their names in its context."""
    found = {}
    table: str | None = parent
    while table is not None:
        for column in schema.table(table).of_kind("datetime"):
            found[f"{table}.{column.name}"] = types[table].field(column.name).type
        above = graph.primary(table)
        table = None if above is None else above.parent
    return found


def _expected(axes: Mapping[str, Mapping[str, Binned]], parent: str, column: str) -> float:
    """About how many rows the parent's noisy counts ask for."""
    binned = axes[parent].get(column)
    if binned is None:
        return 0.0
    middle = np.arange(len(binned.counts), dtype=np.float64)
    return float(np.maximum(binned.counts, 0.0) @ middle)
