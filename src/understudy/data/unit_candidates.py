"""Whom a database could protect: the tables that others point at, with what would hang on each."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from understudy.data.dataset import Dataset
from understudy.data.ownership import owners
from understudy.data.roles import Role, proposed_roles
from understudy.schema import Schema, Unit
from understudy.schema.ownership import reach, walked


@dataclass(frozen=True)
class UnitCandidate:
    """`column` as `--unit` takes it; `shared` rows would hang on several units."""

    column: str
    units: int
    owned: tuple[str, ...]
    reference: tuple[str, ...]
    unreached: tuple[str, ...]
    shared: int

    def __str__(self) -> str:
        parts = [
            f"--unit {self.column}: {self.units:,} units, {len(self.owned)} tables hang off each "
            f"({', '.join(self.owned)})"
        ]
        if self.reference:
            parts.append(f"shared by all: {', '.join(self.reference)}")
        if self.unreached:
            parts.append(f"not reached: {', '.join(self.unreached)}")
        if self.shared:
            parts.append(f"{self.shared:,} rows hang on several units")
        return "; ".join(parts)


def unit_candidates(dataset: Dataset) -> tuple[UnitCandidate, ...]:
    """Tables with a key of one column that another table points at; most units first."""
    schema = dataset.schema
    pointed = {
        key.table for spec in schema.tables for key in spec.foreign_keys if key.table != spec.name
    }
    found = []
    for spec in schema.tables:
        if spec.name in pointed and len(spec.primary_key) == 1 and spec.role != "reference":
            unit = Unit(of="entity", table=spec.name, column=spec.primary_key[0])
            tried = replace(dataset, schema=schema.model_copy(update={"unit": unit}))
            found.append(_candidate(tried, f"{spec.name}.{spec.primary_key[0]}"))
    return tuple(sorted(found, key=lambda c: -c.units))


def described_roles(dataset: Dataset) -> tuple[Schema, dict[str, str]]:
    """The schema with the roles that the unit needs, and for each table how it belongs to it."""
    schema, roles = proposed_roles(dataset)
    proposed: dict[str, Role] = {role.table: role for role in roles}
    found = reach(schema)
    said = {}
    for spec in schema.tables:
        why = f" (proposed: {proposed[spec.name].why})" if spec.name in proposed else ""
        if spec.name in found.paths:
            path = found.paths[spec.name]
            how = f"owned, by {walked(found.unit_table, path)}" if path else "the unit"
        elif spec.name in found.reference:
            how = "reference: the same whoever is in the data"
        else:
            how = "NOT REACHED: declare `role: reference`, or the key that is missing"
        said[spec.name] = how + why
    return schema, said


def _candidate(dataset: Dataset, column: str) -> UnitCandidate:
    schema, _ = proposed_roles(dataset)
    found = reach(schema)
    kept = [s.name for s in schema.tables if s.name in found.paths]
    unreached = [s.name for s in schema.tables if s.name not in {*kept, *found.reference}]
    # Tables out of reach are set aside as lookups, or nothing could be said of the others.
    for name in unreached:
        aside = schema.table(name).model_copy(update={"role": "reference", "foreign_keys": ()})
        schema = schema.with_table(aside)
    owned, units = owners(replace(dataset, schema=schema))
    shared = sum(int((np.unique(o.rows, return_counts=True)[1] > 1).sum()) for o in owned.values())
    return UnitCandidate(
        column,
        units,
        tuple(name for name in kept if name != found.unit_table),
        tuple(sorted(found.reference)),
        tuple(unreached),
        shared,
    )
