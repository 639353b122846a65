"""Keys at last: made anew where a table's own, taken from the parent's row where they point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from understudy.encoding import identifiers
from understudy.encoding.invented import invent
from understudy.runtime.random import stream
from understudy.schema import Identifier, Schema, Table
from understudy.synthesizers.relational.cells import numbered, pointed_at
from understudy.synthesizers.relational.context import taken
from understudy.synthesizers.relational.graph import Graph, Link
from understudy.synthesizers.relational.rows import NOBODY, Rows, ranks


@dataclass
class Keys:
    """Finishes tables. `real` holds per table the identifiers that must not be made again, and
    reference tables whole; where a table is not in it, nothing of it may be known."""

    schema: Schema
    graph: Graph
    rows: Rows
    types: Mapping[str, pa.Schema]
    real: Mapping[str, pa.Table]
    seed: int
    _made: dict[tuple[str, str], pa.ChunkedArray] = field(default_factory=dict)

    def table(self, name: str) -> pa.Table:
        """All columns of a table, in the order and types of the source; references as they are."""
        spec = self.schema.table(name)
        return pa.table({c: self.column(name, c) for c in spec.column_names})

    def column(self, table: str, name: str) -> pa.ChunkedArray:
        """One column; keys that point elsewhere follow the rows they point at."""
        if table in self.graph.reference:
            return self.real[table][name]
        if (table, name) not in self._made:
            found = self._column(table, name)
            self._made[table, name] = found.cast(self.types[table].field(name).type)
        return self._made[table, name]

    def _column(self, table: str, name: str) -> pa.ChunkedArray:
        spec = self.schema.table(table)
        cells = self.rows.cells[table]
        if name in cells.column_names:
            return cells[name]
        size = self.rows.size(table)
        links = self._pointing(table, name)
        if links:
            # Keys that share the column agree on it; any of them may be empty.
            return pc.coalesce(*(self._pointed(link, name) for link in links))
        if name in numbered(spec):
            return pa.chunked_array([pa.array(self._numbers(spec, name) + 1)])
        if (
            isinstance(spec.column(name), Identifier)
            or name in spec.primary_key
            or name in pointed_at(self.schema, table)
        ):
            return pa.chunked_array([self._identifiers(spec, name, size)])
        return pa.chunked_array([pa.nulls(size, self.types[table].field(name).type)])

    def _pointing(self, table: str, name: str) -> list[Link]:
        """The links whose key `name` is part of; those that are always there first."""
        found = [
            link
            for link in self.graph.links[table]
            if name in link.key.columns
            and not (link.parent == table and _target(link, name) == name)
        ]
        return sorted(found, key=lambda link: link.nullable)

    def _pointed(self, link: Link, name: str) -> pa.ChunkedArray:
        """The cells of the rows that `link` points at, in the type of its own column."""
        above = self.column(link.parent, _target(link, name))
        kind = self.types[link.child].field(name).type
        return taken(above, self.rows.parents[link.name]).cast(kind)

    def _numbers(self, spec: Table, name: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """0, 1, 2, ... among the rows that agree on the rest of the primary key."""
        rest = [c for c in spec.primary_key if c not in numbered(spec)]
        if not rest or name != numbered(spec)[-1]:
            return np.zeros(self.rows.size(spec.name), np.int64)
        joint = np.zeros(self.rows.size(spec.name), np.int64)
        for other in rest:
            codes = self.column(spec.name, other).combine_chunks().dictionary_encode().indices
            _, joint = np.unique(
                joint * (len(codes) + 1) + pc.fill_null(codes, NOBODY).to_numpy(),
                return_inverse=True,
            )
        return ranks(joint)

    def _identifiers(self, spec: Table, name: str, size: int) -> pa.Array:
        column = spec.column(name)
        if not isinstance(column, Identifier):
            column = Identifier(name=name)
        rng = stream(self.seed, "identifier", spec.name, name)
        kind = self.types[spec.name].field(name).type
        if spec.name not in self.real:
            made = invent(column, kind, size, rng)
        elif size == 0 or self.real[spec.name].num_rows == 0:
            return pa.nulls(size, kind)
        else:
            made = identifiers.make(column, self.real[spec.name][name], size, rng)
        in_time = spec.order_by is not None and name in spec.primary_key
        if in_time and pa.types.is_integer(made.type):
            return made.take(pc.array_sort_indices(made))
        return made


def _target(link: Link, name: str) -> str:
    return link.key.references[link.key.columns.index(name)]
