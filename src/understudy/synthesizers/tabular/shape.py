"""The table that the engine learns: constraints taken out, points split; what is public of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from understudy.encoding.constraints import Reparametrisation
from understudy.encoding.known import Known, known_of_data, known_of_schema
from understudy.encoding.points import split_points
from understudy.errors import EngineError
from understudy.schema import Dependency, FixedCombinations, Inequality, Range, Sum, Table
from understudy.schema.constraints import columns_of

POINT = r"^\s*-?\d{1,3}(\.\d+)?\s*,\s*-?\d{1,3}(\.\d+)?\s*$"


@dataclass(frozen=True)
class Shape:
    """The table that is learnt: constraints taken out, points split, and what is public of it."""

    space: Reparametrisation
    spec: Table
    types: pa.Schema
    known: Mapping[str, Known]
    robust: bool

    @classmethod
    def public(cls, spec: Table, types: pa.Schema) -> Shape:
        """From the schema alone."""
        space = _space(spec, types)
        empty, shaped = split_points(space.forward(types.empty_table()), space.spec)
        known = {
            column.name: known_of_schema(column, spec, empty.schema.field(column.name).type)
            for column in shaped.learnt
        }
        return cls(space, shaped, empty.schema, known, True)

    @classmethod
    def of_data(cls, table: pa.Table, spec: Table) -> Shape:
        """Without a budget the data itself says what its values are."""
        space = Reparametrisation.fit(table, spec)
        moved, shaped = split_points(space.forward(table), space.spec)
        known = {column.name: known_of_data(column, moved[column.name]) for column in shaped.learnt}
        return cls(space, shaped, moved.schema.remove_metadata(), known, False)

    def forward(self, table: pa.Table) -> pa.Table:
        """Rows in the shape; under a budget, points that cannot be read count as missing."""
        moved = self.space.forward(table)
        if self.robust:
            moved = readable_points(moved, self.space.spec)
        return split_points(moved, self.space.spec)[0]


def _space(spec: Table, types: pa.Schema) -> Reparametrisation:
    """Constraints by construction, as far as they can be built without looking at rows."""
    worked_out = {r.high for r in spec.constraints if isinstance(r, Inequality)}
    worked_out |= {r.total for r in spec.constraints if isinstance(r, Sum)}
    for rule in spec.constraints:
        floats = isinstance(rule, Inequality | Sum) and any(
            pa.types.is_floating(types.field(name).type) for name in columns_of(rule)
        )
        on_result = isinstance(rule, Range) and rule.column in worked_out
        if isinstance(rule, FixedCombinations | Dependency) or floats or on_result:
            raise EngineError(
                f"the constraint {rule.rule} on {', '.join(map(repr, columns_of(rule)))} can only "
                "be built by looking at the rows, which a privacy budget forbids. Drop it from the "
                "plan, or run with --no-dp. Ranges, unique keys, and inequalities and sums of "
                "whole numbers, decimals and dates hold under a budget."
            )
    return Reparametrisation.fit(types.empty_table(), spec)


def readable_points(table: pa.Table, spec: Table) -> pa.Table:
    """Points that are not `latitude,longitude` as missing: no row may stop the run."""
    for place, column in enumerate(spec.columns):
        if column.kind == "geo" and column.axis == "point":
            texts = table[column.name]
            valid = pc.fill_null(pc.match_substring_regex(texts, POINT), False)
            cleaned = pc.if_else(valid, texts, pa.scalar(None, texts.type))
            table = table.set_column(place, table.schema.field(place), cleaned)
    return table
