"""Integrity: do keys resolve, are primary keys unique, are empty keys as frequent as in reality?

Counted over the whole synthetic database as it was given, never over a sample of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc

from understudy.contracts import Measurement
from understudy.data.dataset import Dataset
from understudy.data.matching import pointing
from understudy.evaluation.relational.comparing import Items
from understudy.evaluation.relational.database import Database, parent_rows


@dataclass(frozen=True)
class KeyCheck:
    """One key: `share` of its complete values that resolve (foreign) or occur once (primary)."""

    table: str
    columns: tuple[str, ...]
    parent: str | None
    values: int
    broken: int

    @property
    def share(self) -> float:
        return 1.0 - self.broken / self.values if self.values else 1.0

    def as_dict(self) -> dict[str, Any]:
        return {
            "table": self.table,
            "columns": list(self.columns),
            "parent": self.parent,
            "values": self.values,
            "broken": self.broken,
            "share": self.share,
        }


def foreign_keys(data: Dataset) -> list[KeyCheck]:
    """Every foreign key; a composite one with an empty column points nowhere and is left out."""
    found = []
    for spec in data.schema.tables:
        table = data.tables[spec.name]
        for key in spec.foreign_keys:
            complete = pointing(table, key)
            rows = parent_rows(table, data.tables[key.table], key)
            broken = int((complete & (rows < 0)).sum())
            found.append(KeyCheck(spec.name, key.columns, key.table, int(complete.sum()), broken))
    return found


def primary_keys(data: Dataset) -> list[KeyCheck]:
    """Every primary key; rows whose key is incomplete or repeats another count as broken."""
    found = []
    for spec in data.schema.tables:
        if not spec.primary_key:
            continue
        keys = data.tables[spec.name].select(list(spec.primary_key))
        complete = keys.drop_null()
        counted = complete.group_by(list(spec.primary_key)).aggregate([([], "count_all")])
        once = pc.sum(pc.equal(counted["count_all"], 1)).as_py() or 0
        found.append(KeyCheck(spec.name, spec.primary_key, None, len(keys), len(keys) - int(once)))
    return found


def integrity(real: Dataset, synthetic: Dataset) -> tuple[list[KeyCheck], list[Measurement]]:
    """All checks of the synthetic database; shares over all keys together beside the real ones."""
    checks, found = [], []
    for name, look, meaning in (
        ("integrity", foreign_keys, "share of complete foreign keys that resolve"),
        ("key_uniqueness", primary_keys, "share of rows whose primary key is theirs alone"),
    ):
        ours, theirs = look(synthetic), look(real)
        checks += ours
        if ours:
            value, floor, n = _share(ours), _share(theirs), sum(one.values for one in ours)
            found.append(Measurement(name, value, value, value, floor, n, meaning, "higher"))
    return checks, found


def empty_keys(base: Database) -> list[Items]:
    """How often nullable foreign keys are empty."""
    found = []
    for link in base.links:
        empty = {
            role: (~pointing(data.tables[link.child], link.key)).astype(np.int64)
            for role, data in base.data.items()
        }
        if any(mask.any() for mask in empty.values()):
            owner = {role: base.entity[role][link.child] for role in empty}
            found.append(Items(f"{link.name}, empty", empty, owner, 2))
    return found


def _share(checks: Sequence[KeyCheck]) -> float:
    values = sum(one.values for one in checks)
    return 1.0 - sum(one.broken for one in checks) / values if values else 1.0
