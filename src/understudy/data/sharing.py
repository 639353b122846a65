"""What hangs on one unit only, and a whole database of it after rows have left.

Under a budget no unit may decide what is learnt of another, so rows that two share are left out
before anything else, and so is whatever needs them. What stays of a unit then depends on the rows
of that unit and the reference tables, and on nothing else: `unshared` of a database without one
unit is `unshared` of the whole one without that unit's rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.data.dataset import Dataset
from understudy.data.matching import Links, emptied, links, pointing
from understudy.data.owners import NOBODY, owners
from understudy.schema import ForeignKey
from understudy.schema.ownership import Ownership, ownership

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Tie:
    """One foreign key over the rows. Without `loose` columns to empty, rows need it."""

    child: str
    key: ForeignKey
    met: Links
    points: Bools
    loose: tuple[str, ...]

    def broken(self, units: Mapping[str, Ints], keep: Mapping[str, Bools]) -> Bools:
        """Rows whose key names no kept row of the same unit, or a row of another one as well."""
        held, lost = np.zeros_like(self.points), np.zeros_like(self.points)
        held[self.met.child] = True
        parent = self.key.table
        if parent in units:
            ours, theirs = units[self.child][self.met.child], units[parent][self.met.parent]
            good = keep[parent][self.met.parent] & (ours == theirs)
            lost[self.met.child[~good]] = True
        found = ~held | lost
        return found & self.points if self.loose else found


@dataclass(frozen=True)
class Ties:
    """The unit of each row (-1: of none or several) and every key of the owned tables."""

    plan: Ownership
    units: dict[str, Ints]
    keys: tuple[Tie, ...]

    def settle(self, keep: dict[str, Bools]) -> None:
        """Lets go of rows, in `keep`, until every key and every path holds among those kept."""
        changed = True
        while changed:
            before = sum(int(rows.sum()) for rows in keep.values())
            for tie in self.keys:
                if not tie.loose:
                    keep[tie.child] &= ~tie.broken(self.units, keep)
            for name, path in self.plan.paths.items():
                if path and not path[-1].down:
                    keep[name] &= self._named(name, keep)
            changed = before != sum(int(rows.sum()) for rows in keep.values())

    def _named(self, table: str, keep: Mapping[str, Bools]) -> Bools:
        """Rows of a table reached by walking up that a kept row of their unit still points at."""
        step = self.plan.paths[table][-1]
        tie = next(t for t in self.keys if t.child == step.child and t.key == step.key)
        ours, theirs = self.units[step.child][tie.met.child], self.units[table][tie.met.parent]
        found = np.zeros_like(keep[table])
        found[tie.met.parent[keep[step.child][tie.met.child] & (ours == theirs)]] = True
        return found

    def kept(self, dataset: Dataset, keep: Mapping[str, Bools]) -> Dataset:
        """The rows of `keep` and all reference tables; keys to what is gone are emptied."""
        tables = dict(dataset.tables)
        for tie in self.keys:
            if tie.loose:
                gone = tie.broken(self.units, keep)
                tables[tie.child] = emptied(tables[tie.child], tie.loose, gone)
        for name, rows in keep.items():
            tables[name] = tables[name].filter(pa.array(rows))
        return Dataset(dataset.schema, tables)


def unshared(dataset: Dataset) -> Dataset:
    """The rows that hang on exactly one unit, as a whole database.

    Left out are rows of several units or of none, and rows that would then point nowhere by a key
    they need; other keys to what is left out, or to another unit's rows, are emptied. Reference
    tables stay as they are. Without an entity as the unit nothing is shared. Raises `PlanError`
    as `ownership` does, and nothing that depends on the rows.
    """
    if dataset.schema.unit.column is None:
        return dataset
    found = ties(dataset)
    keep = {name: units != NOBODY for name, units in found.units.items()}
    found.settle(keep)
    return found.kept(dataset, keep)


def ties(dataset: Dataset) -> Ties:
    """All keys of the owned tables of `dataset`, matched once."""
    plan = ownership(dataset.schema)
    owned, _ = owners(dataset)
    tables = dataset.tables
    units = {name: owned[name].single(tables[name].num_rows) for name in plan.paths}
    keys = []
    for name, path in plan.paths.items():
        spec = dataset.schema.table(name)
        for key in spec.foreign_keys:
            # The key that says whose a row is cannot be emptied: the row would be nobody's.
            needed = bool(path) and path[-1].down and path[-1].key == key
            met = links(tables[name], tables[key.table], key)
            points = pointing(tables[name], key)
            keys.append(Tie(name, key, met, points, () if needed else spec.loose(key)))
    return Ties(plan, units, tuple(keys))
