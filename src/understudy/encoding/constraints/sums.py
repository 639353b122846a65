"""Sums: the total is added up again, not learnt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.encoding.constraints.numbers import common_type, decimals_of, rounded
from understudy.encoding.constraints.step import Domains, fresh, replaced, reshaped
from understudy.errors import ConstraintError
from understudy.schema import Boolean, Sum, Table


@dataclass(frozen=True)
class SumStep:
    """`kept` holds totals of rows with an empty part, `blank` marks totals that are empty although
    every part is there; each column exists only where the source has such rows.
    """

    total: str
    parts: tuple[str, ...]
    type: pa.DataType
    decimals: int | None
    kept: str | None
    blank: str | None
    rule: str = "sum"
    table: None = None

    @classmethod
    def fit(cls, rule: Sum, table: pa.Table, spec: Table) -> SumStep:
        total = table[rule.total]
        complete = all_present(table, rule.parts)
        absent = pc.is_null(total).to_numpy()
        floats = pa.types.is_floating(total.type)
        return cls(
            total=rule.total,
            parts=rule.parts,
            type=total.type,
            decimals=decimals_of(total) if floats else None,
            kept=fresh(f"kept({rule.total})", spec) if (~complete & ~absent).any() else None,
            blank=fresh(f"blank({rule.total})", spec) if (complete & absent).any() else None,
        )

    def reshape(self, spec: Table) -> Table:
        added = []
        if self.kept:
            column = spec.column(self.total)
            added.append(column.model_copy(update={"name": self.kept, "nullable": True}))
        if self.blank:
            added.append(Boolean(name=self.blank, nullable=False))
        return reshaped(spec, [self.total], added)

    def forward(self, table: pa.Table) -> pa.Table:
        total, complete = table[self.total], all_present(table, self.parts)
        added = {}
        if self.kept:
            added[self.kept] = pc.if_else(pa.array(~complete), total, pa.scalar(None, self.type))
        if self.blank:
            added[self.blank] = pa.array(complete & pc.is_null(total).to_numpy())
        return replaced(table, [self.total], added)

    def backward(self, table: pa.Table) -> pa.Table:
        total = summed(table, self.parts, self.type, self.decimals)
        empty = pa.scalar(None, self.type)
        if self.blank:
            total = pc.if_else(pc.fill_null(table[self.blank], False), empty, total)
        if self.kept:
            complete = pa.array(all_present(table, self.parts))
            total = pc.if_else(complete, total, table[self.kept].cast(self.type))
        gone = [name for name in (self.kept, self.blank) if name]
        return replaced(table, gone, {self.total: total})

    def translate(self, domains: Domains) -> tuple[Domains, Domains]:
        others = {name: domain for name, domain in domains.items() if name != self.total}
        return others, {name: domains[name] for name in domains if name == self.total}

    def to_json(self) -> dict[str, Any]:
        return {
            "total": self.total,
            "parts": list(self.parts),
            "decimals": self.decimals,
            "kept": self.kept,
            "blank": self.blank,
        }

    @classmethod
    def from_json(cls, state: dict[str, Any], source: pa.Schema, table: None) -> SumStep:
        del table
        return cls(
            **{**state, "parts": tuple(state["parts"])}, type=source.field(state["total"]).type
        )


def all_present(table: pa.Table, columns: tuple[str, ...]) -> NDArray[np.bool_]:
    """bool[n]: none of the columns is null."""
    present = [pc.is_valid(table[name]).to_numpy() for name in columns]
    return np.asarray(np.logical_and.reduce(present), dtype=bool)


def summed(
    table: pa.Table, parts: tuple[str, ...], type: pa.DataType, decimals: int | None
) -> pa.ChunkedArray:
    """The parts' sum in the total's type, null where a part is; floats to `decimals` digits.

    Raises ConstraintError where a sum does not fit the type.
    """
    line = common_type([table[name].type for name in parts] + [type], f"sum of {list(parts)}")
    if pa.types.is_decimal(line):
        line = pa.decimal256(70, line.scale)
    try:
        total = table[parts[0]].cast(line)
        for name in parts[1:]:
            total = pc.add_checked(total, table[name].cast(line))
            if pa.types.is_decimal(line):
                total = total.cast(line)
        if decimals is not None:
            missing = pc.is_null(total).to_numpy()
            near = rounded(total.fill_null(0.0).to_numpy(), decimals)
            total = pa.chunked_array([pa.array(near, mask=missing)])
        return total.cast(type)
    except pa.ArrowInvalid as error:
        raise ConstraintError(
            f"the sum of {list(parts)} does not fit type {type}: {error}. Give the total a wider "
            "type, or drop the constraint."
        ) from error
