"""Part of the unit, or a lookup that all share: proposed from the rows for each table without role.

A table that the unit's rows point at is a reference where its rows are shared by many units: a
district has dozens of accounts, a client one or two. Under a budget the rows may not decide this,
and the plan must.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from understudy.data.dataset import Dataset
from understudy.data.owners import Owned, owned_through
from understudy.schema import Schema
from understudy.schema.ownership import reach, walked

SHARED = 3.0
"""Units per row, on average, above which a table is a lookup."""
CROWDED = 0.05
"""Share of all units in one row, from which a table is a lookup (it needs 20 units at least)."""
FEW = 20


@dataclass(frozen=True)
class Role:
    """What a table was taken for, and why."""

    table: str
    role: Literal["owned", "reference"]
    why: str


def with_roles(dataset: Dataset) -> Dataset:
    """`dataset` with a role in the schema for every table that needs one, read off the rows."""
    schema, _ = proposed_roles(dataset)
    return replace(dataset, schema=schema)


def proposed_roles(dataset: Dataset) -> tuple[Schema, tuple[Role, ...]]:
    """The schema with roles, and those that were proposed; declared ones stay.

    Nearest tables first, since what hangs on a lookup depends on its being one.
    """
    schema = dataset.schema
    found: list[Role] = []
    while undecided := (far := reach(schema)).undecided:
        name = min(undecided, key=lambda n: len(undecided[n]))
        path = undecided[name]
        needed = {n: p for n, p in far.paths.items() if path[: len(p)] == p} | {name: path}
        owned, units = owned_through(replace(dataset, schema=schema), needed)
        role = _role(name, owned[name], units, walked(far.unit_table, path))
        schema = schema.with_table(schema.table(name).model_copy(update={"role": role.role}))
        found.append(role)
    return schema, tuple(found)


def _role(name: str, owned: Owned, units: int, path: str) -> Role:
    shared = np.unique(owned.rows, return_counts=True)[1]
    mean, most = (float(shared.mean()), int(shared.max())) if len(shared) else (0.0, 0)
    crowded = most > max(FEW, CROWDED * units)
    role: Literal["owned", "reference"] = "reference" if mean > SHARED or crowded else "owned"
    why = f"{mean:.1f} units share a row on average and {most:,} at most, by {path}"
    return Role(name, role, why)
