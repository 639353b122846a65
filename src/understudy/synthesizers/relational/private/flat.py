"""One table as the marginal engine learns it: its cells and its structure as public columns.

Everything about the columns follows from the schema, the bounds and the reference tables, which
are public; what of them is in the rows is bought.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from understudy.encoding.constraints import Reparametrisation
from understudy.encoding.points import split_points
from understudy.schema import Boolean, Category, Column, Number, Schema, Table
from understudy.schema.domains import PER_SECOND
from understudy.schema.storage import stored_type
from understudy.synthesizers.relational.cells import Anchor, Cells, learnt_spec
from understudy.synthesizers.relational.context import taken
from understudy.synthesizers.relational.graph import Graph, Link
from understudy.synthesizers.relational.rows import NOBODY, Places, Rows

GIVEN = "given"
FAR = 1 << 62
CENTURY = 36_525
"""Days by which a date may lie from the one that it is counted from."""


@dataclass(frozen=True)
class Flat:
    """`spec` and `types` of the columns that are learnt for table `name`; `cells` leads to them
    and back. `agreeing` names for a lookup the column of the context it may agree with."""

    name: str
    cells: Cells
    spec: Table
    types: pa.Schema
    agreeing: Mapping[str, str]

    def of(self, rows: Rows, graph: Graph, around: pa.Table) -> pa.Table:
        """Looks at rows: the table with the columns of `spec` but the class."""
        found = self.cells.forward(rows.cells[self.name], around)
        for link in graph.of(self.name, "lookup"):
            places = rows.parents[link.name]
            if link.name in self.agreeing:
                theirs = around[self.agreeing[link.name]].fill_null(NOBODY).to_numpy()
                same = (places == theirs) & (places != NOBODY)
                found = found.append_column(f"={link.name}", pa.array(same))
            found = found.append_column(f"@{link.name}", _texts(places))
        for link in graph.of(self.name, "matched", "deferred"):
            places = rows.parents[link.name]
            if link.nullable:
                found = found.append_column(f"?{link.name}", pa.array(places != NOBODY))
            for mine, theirs_name in likeness(graph, link):
                same = _same(rows, link, theirs_name, around[mine])
                found = found.append_column(f"~{link.name}~{theirs_name}", pa.array(same))
        for link in graph.into(self.name, "primary", "matched", "deferred"):
            found = found.append_column(f"#{link.name}", pa.array(rows.counts[link.name]))
        return found.cast(self.types)


def likeness(graph: Graph, link: Link) -> list[tuple[str, str]]:
    """Lookups that both the row's context and the parent to be matched have: (`@` column of the
    context, name of the parent's lookup)."""
    primary = graph.primary(link.child)
    if primary is None:
        return []
    return [
        (f"@{ours.name}", theirs.name)
        for theirs in graph.of(link.parent, "lookup")
        for ours in graph.of(primary.parent, "lookup")
        if ours.parent == theirs.parent
    ]


def _same(rows: Rows, link: Link, lookup: str, ours: pa.ChunkedArray) -> np.ndarray:
    """bool[rows]: whether the matched parent looks up what the row's context does."""
    places = rows.parents[link.name]
    theirs = np.append(rows.parents[lookup], NOBODY)[places]
    own = ours.fill_null(NOBODY).to_numpy()
    return (theirs == own) & (own != NOBODY)


def flat_of(
    schema: Schema,
    graph: Graph,
    name: str,
    types: pa.Schema,
    reference: Mapping[str, int],
    bounds: Mapping[str, int],
    dates: Mapping[str, pa.DataType],
    classes: int,
) -> Flat:
    """From public things alone: `reference` has the sizes of public tables, `bounds` how many rows
    of a unit each table may have, `dates` the types of the context's date columns."""
    cells, modelled, kinds = _cells(learnt_spec(schema.table(name)), types, dates)
    columns: list[Column] = list(modelled)
    agreeing: dict[str, str] = {}
    for link in graph.of(name, "lookup"):
        other = _agreeing(graph, link)
        if other is not None:
            agreeing[link.name] = other
            columns.append(Boolean(name=f"={link.name}", nullable=False))
        levels = tuple(str(place) for place in range(reference[link.parent]))
        columns.append(Category(name=f"@{link.name}", levels=levels, nullable=link.nullable))
    for link in graph.of(name, "matched", "deferred"):
        if link.nullable:
            columns.append(Boolean(name=f"?{link.name}", nullable=False))
        for _, theirs in likeness(graph, link):
            columns.append(Boolean(name=f"~{link.name}~{theirs}", nullable=False))
    for link in graph.into(name, "primary", "matched", "deferred"):
        most = float(bounds[link.child])
        columns.append(
            Number(name=f"#{link.name}", integer=True, minimum=0, maximum=most, nullable=False)
        )
    if classes > 1:
        levels = tuple(str(code) for code in range(classes))
        columns.append(Category(name=GIVEN, levels=levels, nullable=False))
    if not columns:
        columns.append(Number(name="row", integer=True, minimum=0, maximum=0, nullable=False))
    spec = Table(name=name, columns=tuple(columns))
    kinds |= {c.name: stored_type(c) for c in columns if c.name not in (*kinds, GIVEN)}
    return Flat(name, cells, spec, pa.schema(list(kinds.items())), agreeing)


def _cells(
    learnt: Table | None, types: pa.Schema, dates: Mapping[str, pa.DataType]
) -> tuple[Cells, list[Column], dict[str, pa.DataType]]:
    """Dates are counted from the first date of the row they hang on, whatever the rows say."""
    if learnt is None:
        return Cells(None, pa.schema([]), ()), [], {}
    kept = pa.schema([types.field(name) for name in learnt.column_names])
    space = Reparametrisation.fit(kept.empty_table(), learnt)
    empty, shaped = split_points(space.forward(kept.empty_table()), space.spec)
    found = {column.name: empty.schema.field(column.name).type for column in shaped.columns}
    anchors = []
    modelled: list[Column] = []
    for column in shaped.columns:
        of = next((n for n, kind in dates.items() if kind == found[column.name]), None)
        if column.kind != "datetime" or of is None:
            modelled.append(column)
            continue
        anchors.append(Anchor(column.name, of, FAR))
        most = float(CENTURY * _per_day(found[column.name]))
        gap = Number(
            name=column.name,
            integer=True,
            nullable=column.nullable,
            minimum=-most,
            maximum=most,
        )
        modelled.append(gap)
        found[column.name] = pa.int64()
    return Cells(space, kept, tuple(anchors)), modelled, found


def _per_day(type: pa.DataType) -> int:
    """Units of a date's or a timestamp's Arrow type in a day."""
    if pa.types.is_date32(type):
        return 1
    return 86_400 * (1_000 if pa.types.is_date64(type) else PER_SECOND[type.unit])


def _agreeing(graph: Graph, link: Link) -> str | None:
    """The column of the context that looks up the same table, if there is one."""
    above = graph.primary(link.child)
    while above is not None:
        for other in graph.of(above.parent, "lookup"):
            if other.parent == link.parent:
                return f"@{other.name}"
        above = graph.primary(above.parent)
    return None


def around_of(context: pa.Table, parents: Places) -> pa.Table:
    """The context's columns, one row per row."""
    return pa.table({n: taken(context[n], parents) for n in context.column_names})


def _texts(places: Places) -> pa.Array:
    return pa.array(places, mask=places == NOBODY).cast(pa.string())
