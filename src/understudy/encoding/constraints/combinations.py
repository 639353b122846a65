"""Fixed combinations: several columns become one, whose levels are the combinations seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from understudy.encoding.constraints.rows import find_rows, first_rows, row_codes
from understudy.encoding.constraints.step import Domains, fresh, replaced, reshaped
from understudy.errors import ConditionError, ConstraintError
from understudy.schema import Category, FixedCombinations, Table
from understudy.schema.domains import Domain


@dataclass(frozen=True)
class CombinationStep:
    """`table` holds one row per combination seen; the joint column holds its row number."""

    columns: tuple[str, ...]
    joint: str
    table: pa.Table
    rule: str = "fixed_combinations"

    @classmethod
    def fit(cls, rule: FixedCombinations, table: pa.Table, spec: Table) -> CombinationStep:
        seen = table.select(rule.columns)
        levels = seen.take(first_rows(row_codes(seen, rule.columns))).combine_chunks()
        joint = fresh(f"combination({', '.join(rule.columns)})", spec)
        return cls(rule.columns, joint, levels)

    def reshape(self, spec: Table) -> Table:
        levels = tuple(range(self.table.num_rows))
        column = Category(name=self.joint, nullable=False, levels=levels)
        return reshaped(spec, self.columns, [column])

    def forward(self, table: pa.Table) -> pa.Table:
        codes = find_rows(table, self.columns, self.table)
        if (codes < 0).any():
            raise ConstraintError(
                f"{int((codes < 0).sum())} of {table.num_rows} rows hold a combination of "
                f"{list(self.columns)} that the source has not."
            )
        return replaced(table, self.columns, {self.joint: pa.array(codes)})

    def backward(self, table: pa.Table) -> pa.Table:
        rows = self.table.take(table[self.joint].cast(pa.int64()))
        return replaced(table, [self.joint], {name: rows[name] for name in self.columns})

    def translate(self, domains: Domains) -> tuple[Domains, Domains]:
        mine = {name: domains[name] for name in self.columns if name in domains}
        if not mine:
            return domains, {}
        met = np.logical_and.reduce([domain.mask(self.table[n]) for n, domain in mine.items()])
        if not met.any():
            asked = " AND ".join(domain.describe(name) for name, domain in mine.items())
            raise ConditionError(
                f"no combination of {list(self.columns)} in the source meets {asked}, and only "
                "combinations of the source may occur. Ask for one that does, or drop the "
                "constraint."
            )
        others = {name: domain for name, domain in domains.items() if name not in mine}
        codes = frozenset(np.flatnonzero(met).tolist())
        return others | {self.joint: Domain(allowed=codes)}, {}

    def to_json(self) -> dict[str, Any]:
        return {"columns": list(self.columns), "joint": self.joint}

    @classmethod
    def from_json(
        cls, state: dict[str, Any], source: pa.Schema, table: pa.Table
    ) -> CombinationStep:
        del source
        return cls(tuple(state["columns"]), state["joint"], table)


def merged(rules: list[FixedCombinations]) -> list[FixedCombinations]:
    """Rules that share a column as one rule over all their columns, which implies each."""
    groups: list[FixedCombinations] = []
    for rule in rules:
        apart = []
        for other in groups:
            if set(other.columns) & set(rule.columns):
                both = dict.fromkeys((*other.columns, *rule.columns))
                rule = replace_columns(rule, tuple(both))
            else:
                apart.append(other)
        groups = [*apart, rule]
    return groups


def replace_columns(rule: FixedCombinations, columns: tuple[str, ...]) -> FixedCombinations:
    return rule.model_copy(update={"columns": columns})
