"""`minimum <= column <= maximum`: checked on the source, held on the way back by clipping."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.encoding.constraints.step import Domains
from understudy.errors import ConditionError, ConstraintError
from understudy.schema import Range, Table
from understudy.schema.domains import Domain, Value, bound_in


@dataclass(frozen=True)
class RangeStep:
    """Cells beyond a bound are set on it; an engine that keeps to the source's range makes none."""

    column: str
    minimum: float | str | None
    maximum: float | str | None
    type: pa.DataType
    rule: str = "range"
    table: None = None

    @classmethod
    def fit(cls, rule: Range, table: pa.Table) -> RangeStep:
        return cls(rule.column, rule.minimum, rule.maximum, table[rule.column].type)

    def reshape(self, spec: Table) -> Table:
        return spec

    def forward(self, table: pa.Table) -> pa.Table:
        return table

    def backward(self, table: pa.Table) -> pa.Table:
        found = table[self.column].cast(self.type)
        if found.null_count == len(found):
            return table
        for bound, up in ((self.minimum, True), (self.maximum, False)):
            edge = None if bound is None else bound_in(_value(bound), self.type, up=up)
            if edge is not None:
                beyond = pc.less(found, edge) if up else pc.greater(found, edge)
                found = pc.if_else(beyond, edge, found) if pc.any(beyond).as_py() else found
        place = table.column_names.index(self.column)
        return table.set_column(place, self.column, found)

    def translate(self, domains: Domains) -> tuple[Domains, Domains]:
        return domains, {}

    def to_json(self) -> dict[str, Any]:
        return {"column": self.column, "minimum": self.minimum, "maximum": self.maximum}

    @classmethod
    def from_json(cls, state: dict[str, Any], source: pa.Schema, table: None) -> RangeStep:
        del table
        return cls(**state, type=source.field(state["column"]).type)


def out_of_range(rule: Range, column: pa.ChunkedArray) -> NDArray[np.bool_]:
    """bool[n]: present cells outside the range."""
    ends = [None if end is None else _value(end) for end in (rule.minimum, rule.maximum)]
    inside = Domain(low=ends[0], high=ends[1], nulls=True)
    try:
        return ~inside.mask(column)
    except ConditionError as error:
        raise ConstraintError(f"the range of column {rule.column!r}: {error}") from error


def _value(bound: float | str) -> Value:
    """The bound as an exact value: a float as the decimal it prints as, text as a date."""
    if isinstance(bound, str):
        try:
            return datetime.fromisoformat(bound)
        except ValueError as error:
            raise ConstraintError(
                f"{bound!r} is not a date; the bounds of a range are numbers or 'YYYY-MM-DD'."
            ) from error
    return int(bound) if bound == int(bound) else Decimal(repr(bound))
