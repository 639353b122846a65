"""A functional dependency on one column: what it determines is looked up, not learnt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from understudy.encoding.constraints.rows import find_rows, first_rows, row_codes
from understudy.encoding.constraints.step import Domains, reshaped
from understudy.errors import ConditionError, ConstraintError
from understudy.schema import Dependency, Table
from understudy.schema.domains import Domain


@dataclass(frozen=True)
class DependencyStep:
    """`table` maps each value of `by` (null too) to its value of `determines`."""

    by: str
    determines: str
    table: pa.Table
    rule: str = "dependency"

    @classmethod
    def fit(cls, rule: Dependency, table: pa.Table, spec: Table) -> DependencyStep:
        del spec
        (by,) = rule.by
        rows = first_rows(row_codes(table, [by]))
        mapping = table.select([by, rule.determines]).take(rows).combine_chunks()
        return cls(by, rule.determines, mapping)

    def reshape(self, spec: Table) -> Table:
        return reshaped(spec, [self.determines], [])

    def forward(self, table: pa.Table) -> pa.Table:
        return table.drop_columns([self.determines])

    def backward(self, table: pa.Table) -> pa.Table:
        rows = find_rows(table, [self.by], self.table)
        if (rows < 0).any():
            raise ConstraintError(
                f"the engine made values of {self.by!r} that the source has not, so "
                f"{self.determines!r} cannot be looked up. Declare the two as fixed_combinations."
            )
        found = self.table[self.determines].take(pa.array(rows))
        return table.append_column(self.determines, found)

    def translate(self, domains: Domains) -> tuple[Domains, Domains]:
        if self.determines not in domains:
            return domains, {}
        asked = domains[self.determines]
        met = self.table[self.by].filter(pa.array(asked.mask(self.table[self.determines])))
        values = frozenset(met.drop_null().to_pylist())
        here = Domain(allowed=values, nulls=met.null_count > 0)
        both = here.intersect(domains[self.by]) if self.by in domains else here
        if len(met) == 0 or both.is_empty:
            raise ConditionError(
                f"no value of {self.by!r} goes with {asked.describe(self.determines)}: the source "
                f"fixes {self.determines!r} by {self.by!r}. Ask for a pair that occurs."
            )
        others = {name: d for name, d in domains.items() if name != self.determines}
        return others | {self.by: both}, {}

    def to_json(self) -> dict[str, Any]:
        return {"by": self.by, "determines": self.determines}

    @classmethod
    def from_json(cls, state: dict[str, Any], source: pa.Schema, table: pa.Table) -> DependencyStep:
        del source
        return cls(state["by"], state["determines"], table)
