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
from understudy.schema.domains import Domain, Value


@dataclass(frozen=True)
class RangeStep:
    """`table` holds the least and greatest value of the source, which lie within the range."""

    column: str
    table: pa.Table
    rule: str = "range"

    @classmethod
    def fit(cls, rule: Range, table: pa.Table, spec: Table) -> RangeStep:
        del spec
        column = table[rule.column]
        extremes = pa.array([*pc.min_max(column).values()], column.type)
        return cls(rule.column, pa.table({rule.column: extremes}))

    def reshape(self, spec: Table) -> Table:
        return spec

    def forward(self, table: pa.Table) -> pa.Table:
        return table

    def backward(self, table: pa.Table) -> pa.Table:
        least, most = self.table[self.column][0], self.table[self.column][1]
        if not least.is_valid:
            return table
        found = table[self.column].cast(self.table[self.column].type)
        if not _strays(found, least, most):
            return table
        found = pc.if_else(pc.less(found, least), least, found)
        found = pc.if_else(pc.greater(found, most), most, found)
        place = table.column_names.index(self.column)
        return table.set_column(place, self.column, found)

    def translate(self, domains: Domains) -> tuple[Domains, Domains]:
        return domains, {}

    def to_json(self) -> dict[str, Any]:
        return {"column": self.column}

    @classmethod
    def from_json(cls, state: dict[str, Any], source: pa.Schema, table: pa.Table) -> RangeStep:
        del source
        return cls(state["column"], table)


def out_of_range(rule: Range, column: pa.ChunkedArray) -> NDArray[np.bool_]:
    """bool[n]: present cells outside the range."""
    inside = Domain(low=_bound(rule.minimum), high=_bound(rule.maximum), nulls=True)
    try:
        return ~inside.mask(column)
    except ConditionError as error:
        raise ConstraintError(f"the range of column {rule.column!r}: {error}") from error


def _bound(value: float | str | None) -> Value | None:
    """The bound as an exact value: a float as the decimal it prints as, text as a date."""
    if value is None:
        return None
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError as error:
            raise ConstraintError(
                f"{value!r} is not a date; the bounds of a range are numbers or 'YYYY-MM-DD'."
            ) from error
    return int(value) if value == int(value) else Decimal(repr(value))


def _strays(column: pa.ChunkedArray, least: pa.Scalar, most: pa.Scalar) -> bool:
    found = pc.min_max(column)
    if not found["min"].is_valid:
        return False
    return bool(pc.less(found["min"], least).as_py() or pc.greater(found["max"], most).as_py())
