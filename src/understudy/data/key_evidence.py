"""Why a key was believed, which nearly was, and which tables are histories.

Only full inclusion makes a key. A column that misses a few values is told with their number: they
may be orphans, and the user knows whether they should be mended.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from understudy.data.keys import names_agree
from understudy.data.matching import links, pointing
from understudy.schema import Datetime, ForeignKey, Table

NEARLY = 0.95
"""Share of rows that find their parent, from which a column that is no key is worth a word."""
REPEATS = 2.0
"""Rows per parent, on average, from which a table with a clock is a history of its parents."""

Tables = Mapping[str, pa.Table]


@dataclass(frozen=True)
class NearMiss:
    """A column that would be a key but for `orphans` rows of the `rows` with a value."""

    table: str
    key: ForeignKey
    orphans: int
    rows: int

    def __str__(self) -> str:
        here, there = f"{self.table}.{self.key.columns[0]}", self.key.references[0]
        return (
            f"{here} would point at {self.key.table}.{there}, but {self.orphans:,} of "
            f"{self.rows:,} rows find nothing there, so it is no key. Declare it in the plan with "
            "`orphans: drop` or `orphans: null` to use it all the same."
        )


def key_evidence(child: Table, parent: Table, key: ForeignKey, tables: Tables) -> str:
    """What speaks for a foreign key: uniqueness above, inclusion below, and the names."""
    above, below = tables[parent.name], tables[child.name]
    names = list(key.references)
    distinct = above.select(names).group_by(names).aggregate([]).num_rows
    met = links(below, above, key)
    points, found = int(pointing(below, key).sum()), len(np.unique(met.child))
    used = len(np.unique(met.parent))
    gaps = f", {below.num_rows - points:,} empty" if points < below.num_rows else ""
    unique = "unique" if distinct == above.num_rows else f"{distinct:,} distinct values"
    agree = all(
        names_agree(a, parent.name, b) for a, b in zip(key.columns, key.references, strict=True)
    )
    return (
        f"{unique} in {above.num_rows:,} rows of {parent.name!r}; {found:,} of {points:,} rows "
        f"({found / max(1, points):.1%}) find theirs{gaps}; {used:,} of {above.num_rows:,} are "
        f"pointed at; the names {'agree' if agree else 'differ'}"
    )


def near_misses(specs: Mapping[str, Table], tables: Tables) -> tuple[NearMiss, ...]:
    """Columns named like another table's key, of which nearly all values are found there."""
    found = []
    for spec in specs.values():
        used = {name for key in spec.foreign_keys for name in key.columns} | {*spec.primary_key}
        for column in spec.columns:
            for other in specs.values():
                if column.name in used or other.name == spec.name or len(other.primary_key) != 1:
                    continue
                if not names_agree(column.name, other.name, other.primary_key[0]):
                    continue
                key = ForeignKey(
                    columns=(column.name,), table=other.name, references=other.primary_key
                )
                missing, rows = _missing(tables[spec.name], tables[other.name], key)
                if 0 < missing <= (1 - NEARLY) * rows:
                    found.append(NearMiss(spec.name, key, missing, rows))
    return tuple(found)


def _missing(child: pa.Table, parent: pa.Table, key: ForeignKey) -> tuple[int, int]:
    """Rows that find no parent, and rows with a value."""
    ours, theirs = child[key.columns[0]], parent[key.references[0]]
    if ours.type != theirs.type:
        return 0, 0
    present = ours.drop_null()
    hits = pc.sum(pc.is_in(present, value_set=theirs.unique())).as_py() or 0
    return len(present) - hits, len(present)


def clock(spec: Table, tables: Tables, pointed: bool) -> str | None:
    """The column that orders a table of events: rows that repeat for a parent, and a time.

    A table that others point at (`pointed`) is one of things, however many hang on one place.
    """
    times = [c.name for c in spec.columns if isinstance(c, Datetime) and not c.nullable]
    if pointed or not times:
        return None
    table = tables[spec.name]
    for key in (key for key in spec.foreign_keys if key.table != spec.name):
        names = list(key.columns)
        parents = table.select(names).drop_null().group_by(names).aggregate([]).num_rows
        if parents and table.num_rows >= REPEATS * parents:
            return times[0]
    return None
