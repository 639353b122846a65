"""From what an engine draws to rows of the source: constraints, unique keys, identifiers, types.

Engines that draw codes of a learnt table (`shape`) hand them over here. Conditions that
could not be built into the drawing select among finished rows, within a bounded amount of work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from understudy.data import Dataset
from understudy.encoding import identifiers
from understudy.encoding.constraints import Reparametrisation
from understudy.encoding.discrete import Floats
from understudy.encoding.invented import invent
from understudy.encoding.points import join_points, split_points
from understudy.errors import ConditionError, ConstraintError
from understudy.runtime.random import stream
from understudy.schema import Identifier, Number, Schema, Table
from understudy.schema.domains import Domain
from understudy.synthesizers.tabular.shape import readable_points

TRIES = 20
Domains = Mapping[str, Domain]
Draw = Callable[[int, int], pa.Table]
"""Rows of the learnt table: how many, and the number of the attempt, which names their streams."""


@dataclass(frozen=True)
class Assembly:
    """The way back from the learnt table. `identifiers` holds the real ones, which must not be made
    again, in a model without a budget; None where they may not be known."""

    schema: Schema
    types: pa.Schema
    space: Reparametrisation
    learnt_spec: Table
    learnt_types: pa.Schema
    identifiers: pa.Table | None

    def direct(self, domains: Domains) -> dict[str, Domain]:
        """The conditions on columns that are drawn; the others select among finished rows."""
        return self.space.translate(dict(domains))[0]

    def finish(self, draw: Draw, n: int, domains: Domains, seed: int) -> pa.Table:
        """Draws until `n` rows meet what could not be built in, then makes identifiers."""
        _, residual = self.space.translate(dict(domains))
        kept: list[pa.Table] = []
        missing, made = n, 0
        for attempt in range(TRIES):
            batch = missing if not residual else max(2 * missing, 1000) * (attempt + 1)
            table = self.backward(draw(batch, attempt))
            made += table.num_rows
            for name, domain in residual.items():
                table = table.filter(pa.array(domain.mask(table[name])))
            joined = pa.concat_tables([*kept, table])
            repeats = self.space.duplicates(joined)
            joined = joined.filter(pa.array(~repeats)) if repeats.any() else joined
            if joined.num_rows >= n:
                return self.with_identifiers(joined.slice(0, n), seed)
            kept, missing = [joined], n - joined.num_rows
        raise self._short(n, n - missing, made, residual)

    def forward(self, table: pa.Table) -> pa.Table:
        """Rows of the source as rows of the learnt table; points that cannot be read are null."""
        moved = readable_points(self.space.forward(table), self.space.spec)
        return split_points(moved, self.space.spec)[0]

    def backward(self, table: pa.Table) -> pa.Table:
        """Rows of the learnt table as rows of the source, identifiers and text null."""
        arrays = [
            table[column.name]
            if column.name in table.column_names
            else pa.nulls(table.num_rows, self.learnt_types.field(column.name).type)
            for column in self.learnt_spec.columns
        ]
        whole = pa.table(arrays, schema=self.learnt_types)
        return self.space.backward(join_points(whole, self.space.spec, self.types))

    def with_identifiers(self, table: pa.Table, seed: int) -> pa.Table:
        """Identifiers made anew, in their places."""
        for place, column in enumerate(self.schema.table().columns):
            if not isinstance(column, Identifier):
                continue
            rng = stream(seed, "identifier", column.name)
            type = self.types.field(column.name).type
            if self.identifiers is None:
                made = invent(column, type, table.num_rows, rng)
            else:
                real = self.identifiers[column.name]
                made = identifiers.make(column, real, table.num_rows, rng)
            table = table.set_column(place, table.schema.field(column.name), made)
        return table

    def _short(self, n: int, found: int, made: int, residual: Domains) -> Exception:
        if residual and found == 0:
            what = " AND ".join(domain.describe(name) for name, domain in residual.items())
            return ConditionError(
                f"none of {made:,} rows satisfied {what}. The model gives it a probability below "
                f"about 1 in {made:,}; widen the condition."
            )
        return ConstraintError(
            f"only {found:,} of {n:,} rows could be made without breaking a condition or a unique "
            "key. Ask for fewer rows, or relax it."
        )


def with_weight(schema: Schema, table: pa.Table, weight: Floats) -> Dataset:
    """The rows with a last column of weights."""
    spec = schema.table()
    name = "weight"
    while name in spec.column_names:
        name = f"_{name}"
    column = Number(
        name=name, nullable=False, why="undoes the balance: weighted, shares are as in training"
    )
    wider = spec.model_copy(update={"columns": (*spec.columns, column)})
    return Dataset(
        schema.with_table(wider), {spec.name: table.append_column(name, pa.array(weight))}
    )
