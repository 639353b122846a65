"""All constraints of a table as one way forward, into the columns an engine models, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.encoding.constraints.checks import describe, duplicates, kept_keys, require
from understudy.encoding.constraints.combinations import CombinationStep
from understudy.encoding.constraints.dependency import DependencyStep
from understudy.encoding.constraints.inequality import InequalityStep
from understudy.encoding.constraints.order import Shaping, ordered, ranges, removes
from understudy.encoding.constraints.ranges import RangeStep
from understudy.encoding.constraints.reach import require_within
from understudy.encoding.constraints.step import Domains, Step
from understudy.encoding.constraints.sums import SumStep
from understudy.errors import ColumnError, ConstraintError
from understudy.schema import Inequality, Running, Sum, Table
from understudy.schema.constraints import columns_of

STEPS: dict[str, Any] = {
    "inequality": InequalityStep,
    "sum": SumStep,
    "dependency": DependencyStep,
    "fixed_combinations": CombinationStep,
    "range": RangeStep,
}
SOURCE = "source"


@dataclass(frozen=True)
class Reparametrisation:
    """`forward` into the columns of `spec`, `backward` into rows that obey every constraint.

    `source` is an empty table with the source's columns, order and Arrow types; `keys` are the
    unique keys that no single row can ensure (see `duplicates`).
    """

    source_spec: Table
    spec: Table
    source: pa.Schema
    steps: tuple[Step, ...]
    keys: tuple[tuple[str, ...], ...]

    @classmethod
    def fit(cls, table: pa.Table, spec: Table) -> Reparametrisation:
        """Learns the steps from the source; without constraints there are none.

        Raises ConstraintError where the source breaks a constraint, or where constraints cannot
        stand together.
        """
        keys = kept_keys(spec)
        for rule in spec.constraints:
            if isinstance(rule, Running):
                raise ConstraintError(
                    f"{describe(rule)} is worked out event by event, which engines of single rows "
                    "cannot. Take the engine sequential or relational, or drop the rule."
                )
        if not spec.constraints:
            return cls(spec, spec, table.schema, (), keys)
        require(spec.constraints, table)
        steps: list[Step] = []
        shaped, moving = spec, table
        owners: dict[str, Step] = {}
        for rule in ordered(spec):
            if _is_vacuous(rule, table):
                continue
            step: Step = STEPS[rule.rule].fit(rule, moving, shaped)
            shaped, moving = step.reshape(shaped), step.forward(moving)
            steps.append(step)
            owners |= dict.fromkeys(removes(rule), step)
        for bound in ranges(spec):
            if bound.column in shaped.column_names:
                steps.append(RangeStep.fit(bound, moving))
            else:
                require_within(bound, owners, table)
        shaped = shaped.model_copy(update={"constraints": ()})
        return cls(spec, shaped, table.schema, tuple(steps), keys)

    def forward(self, table: pa.Table) -> pa.Table:
        """Rows of the source's columns as rows of `spec`'s."""
        for step in self.steps:
            table = step.forward(table)
        return table.select(list(self.spec.column_names)) if self.steps else table

    def backward(self, table: pa.Table) -> pa.Table:
        """Rows of `spec`'s columns as rows of the source's columns, order and Arrow types."""
        for step in reversed(self.steps):
            table = step.backward(table)
        table = table.select(self.source.names)
        return table if table.schema.equals(self.source) else table.cast(self.source)

    def translate(self, domains: Mapping[str, Any]) -> tuple[Domains, Domains]:
        """Conditions on source columns as conditions on `spec`'s columns, and the residual ones.

        Residual conditions are on columns worked out from several others: the engine must select
        for them among the rows that come `backward`. Raises ConditionError where no row can meet
        the conditions.
        """
        for name in domains:
            if name not in self.source_spec.column_names:
                raise ColumnError.unknown(name, self.source_spec.column_names)
        moving: Domains = dict(domains)
        residual: Domains = {}
        for step in self.steps:
            moving, more = step.translate(moving)
            residual |= more
        return moving, residual

    def duplicates(self, table: pa.Table) -> NDArray[np.bool_]:
        """bool[n]: rows (of the source's columns) that repeat a unique key of an earlier row."""
        return duplicates(table, self.keys)

    def to_json(self) -> dict[str, Any]:
        """Everything but the tables, as JSON-ready data."""
        return {
            "source": self.source_spec.model_dump(mode="json"),
            "spec": self.spec.model_dump(mode="json"),
            "steps": [{"rule": step.rule, **step.to_json()} for step in self.steps],
        }

    def tables(self) -> dict[str, pa.Table]:
        """The tables to keep beside the JSON, by name."""
        kept = {f"step_{place}": step.table for place, step in enumerate(self.steps)}
        found = {name: table for name, table in kept.items() if table is not None}
        return {SOURCE: self.source.empty_table(), **found}

    @classmethod
    def from_json(
        cls, state: Mapping[str, Any], tables: Mapping[str, pa.Table]
    ) -> Reparametrisation:
        """What `to_json` and `tables` wrote."""
        source = tables[SOURCE].schema
        spec = Table.model_validate(state["source"])
        steps = []
        for place, saved in enumerate(state["steps"]):
            rest = {key: value for key, value in saved.items() if key != "rule"}
            table = tables.get(f"step_{place}")
            steps.append(STEPS[saved["rule"]].from_json(rest, source, table))
        shaped = Table.model_validate(state["spec"])
        return cls(spec, shaped, source, tuple(steps), kept_keys(spec))


def _is_vacuous(rule: Shaping, table: pa.Table) -> bool:
    """Whether a rule of reckoning names a column without any type, which only ever holds nulls."""
    reckons = isinstance(rule, Inequality | Sum)
    return reckons and any(pa.types.is_null(table[name].type) for name in columns_of(rule))
