"""Whether a database holds together: keys that repeat, orphans, circles, units without a name.

What is wrong is refused with its place, its number and one masked example; orphans can be mended
as the plan says. Under a budget nobody may call this, since an error tells of rows: `unshared`
leaves out there whatever does not hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.data.dataset import Dataset
from understudy.data.matching import Links, emptied, links, pointing
from understudy.errors import PlanError, SourceError
from understudy.schema import ForeignKey, Schema, Table
from understudy.schema.ownership import ownership

Bools = NDArray[np.bool_]


def check_integrity(dataset: Dataset) -> None:
    """Raises for a database that no copy could be like.

    `SourceError` for keys that repeat or are empty where they may not, orphans, and empty cells of
    the unit's column; `PlanError` for keys in a circle that none may leave empty, and for a unit
    that does not reach a table.
    """
    schema = dataset.schema
    check_shape(schema)
    if schema.unit.column is not None:
        _refuse_nameless(dataset)
    for spec in schema.tables:
        table = dataset.tables[spec.name]
        if spec.primary_key:
            _refuse_gaps(table, spec, spec.primary_key, "the primary key")
            _refuse_repeats(table, spec.name, spec.primary_key, "the primary key")
        for key in spec.foreign_keys:
            parent = schema.table(key.table)
            if key.references != parent.primary_key:
                what = f"what {spec.name}.{'+'.join(key.columns)} points at"
                _refuse_repeats(dataset.tables[parent.name], parent.name, key.references, what)
            needed = tuple(name for name in key.columns if not spec.column(name).nullable)
            _refuse_gaps(table, spec, needed, "a foreign key")
            _refuse_orphans(table, dataset.tables[parent.name], spec, key)


def check_shape(schema: Schema) -> None:
    """The part of `check_integrity` that looks at no row, and so holds under a budget too."""
    if schema.unit.column is not None:
        ownership(schema)
    refuse_circles(schema)


def refuse_circles(schema: Schema) -> None:
    """`PlanError` for tables that point at each other by keys that none may leave empty.

    None of their rows could be the first to be written.
    """
    left = {
        spec.name: [
            key
            for key in spec.foreign_keys
            if not any(spec.column(name).nullable for name in key.columns)
        ]
        for spec in schema.tables
    }
    while left:
        free = [n for n, keys in left.items() if not any(key.table in left for key in keys)]
        if not free:
            break
        for name in free:
            del left[name]
    if not left:
        return
    circle = _circle(left)
    links = ", ".join(f"{name}.{'+'.join(key.columns)} -> {key.table}" for name, key in circle)
    name, key = circle[0]
    raise PlanError(
        f"foreign keys run in a circle and none of them may be empty: {links}. No row could be the "
        f"first. Say `nullable: true` for one of them in the plan, such as column "
        f"{key.columns[0]!r} of table {name!r}, so that its cells can be filled in afterwards."
    )


def mend(dataset: Dataset) -> tuple[Dataset, tuple[str, ...]]:
    """`dataset` without the orphans of keys that say `orphans: drop` or `null`, and what was done.

    Rows that hang on a dropped row go with it, unless their own key says `null`. Orphans of keys
    that say nothing stay, for `check_integrity` to refuse.
    """
    bonds = [
        _bond(dataset, spec, key) for spec in dataset.schema.tables for key in spec.foreign_keys
    ]
    keep = {name: np.ones(t.num_rows, np.bool_) for name, t in dataset.tables.items()}
    falling = True
    while falling:
        falling = False
        for bond in bonds:
            lost = bond.lost(keep[bond.key.table]) & keep[bond.child]
            if bond.key.orphans is None:
                lost &= ~bond.orphans
            if bond.key.orphans != "null" and lost.any():
                keep[bond.child] &= ~lost
                falling = True
    tables, said = dict(dataset.tables), []
    for bond in bonds:
        gone = bond.lost(keep[bond.key.table]) & keep[bond.child]
        if bond.key.orphans == "null" and gone.any():
            spec = dataset.schema.table(bond.child)
            tables[bond.child] = emptied(tables[bond.child], spec.loose(bond.key), gone)
            said.append(f"{int(gone.sum()):,} keys {bond} were emptied")
    for name, rows in keep.items():
        tables[name] = tables[name].filter(pa.array(rows))
        if not rows.all():
            said.append(f"{int((~rows).sum()):,} rows of {name!r} without a parent were dropped")
    return Dataset(dataset.schema, tables), tuple(said)


def masked(value: object) -> str:
    """The beginning of a private value: its first two characters and `…`."""
    return f"{str(value)[:2]}…"


@dataclass(frozen=True)
class _Bond:
    """A foreign key over the rows; `orphans` pointed at nothing from the start."""

    child: str
    key: ForeignKey
    met: Links
    points: Bools
    orphans: Bools

    def lost(self, parents: Bools) -> Bools:
        """Rows that point at no parent of those that are left."""
        held = np.zeros_like(self.points)
        held[self.met.child[parents[self.met.parent]]] = True
        return self.points & ~held

    def __str__(self) -> str:
        return f"{self.child}.{'+'.join(self.key.columns)} -> {self.key.table}"


def _bond(dataset: Dataset, spec: Table, key: ForeignKey) -> _Bond:
    child = dataset.tables[spec.name]
    met, points = links(child, dataset.tables[key.table], key), pointing(child, key)
    orphans = points.copy()
    orphans[met.child] = False
    return _Bond(spec.name, key, met, points, orphans)


def _circle(left: dict[str, list[ForeignKey]]) -> list[tuple[str, ForeignKey]]:
    """One circle among tables each of which points at another of them."""
    way: list[tuple[str, ForeignKey]] = []
    seen: dict[str, int] = {}
    name = next(iter(left))
    while name not in seen:
        seen[name] = len(way)
        key = next(key for key in left[name] if key.table in left)
        way.append((name, key))
        name = key.table
    return way[seen[name] :]


def _refuse_nameless(dataset: Dataset) -> None:
    unit = dataset.schema.unit
    spec = dataset.schema.table(unit.table)
    gaps = dataset.tables[spec.name][str(unit.column)].null_count
    if gaps:
        raise SourceError(
            f"unit column {unit.column!r} of table {spec.name!r} has {gaps:,} empty cells, and "
            "whose rows those are is not known. Fill them or drop the rows."
        )


def _refuse_gaps(table: pa.Table, spec: Table, columns: Iterable[str], what: str) -> None:
    for name in columns:
        gaps = table[name].null_count
        if gaps:
            raise SourceError(
                f"column {name!r} of table {spec.name!r} has {gaps:,} empty cells, and it is part "
                f"of {what}, which may have none. Fill them or drop the rows"
                + (
                    ", or say `nullable: true` in the plan."
                    if name not in spec.primary_key
                    else "."
                )
            )


def _refuse_repeats(table: pa.Table, name: str, columns: tuple[str, ...], what: str) -> None:
    cells = table.select(list(columns)).drop_null()
    counts = cells.group_by(list(columns)).aggregate([([], "count_all")])
    most = counts["count_all"].to_numpy()
    if most.max(initial=0) <= 1:
        return
    twice = counts.slice(int(np.argmax(most)), 1).select(list(columns)).to_pylist()[0]
    rows = int(most[most > 1].sum())
    raise SourceError(
        f"{what} ({'+'.join(columns)}) of table {name!r} repeats: {rows:,} rows share "
        f"{int((most > 1).sum()):,} values, such as {_shown(twice)} in {int(most.max()):,} rows. "
        "Drop the copies, or name another key in the plan."
    )


def _refuse_orphans(table: pa.Table, parent: pa.Table, spec: Table, key: ForeignKey) -> None:
    lost = pointing(table, key)
    lost[links(table, parent, key).child] = False
    if not lost.any():
        return
    first = table.select(list(key.columns)).slice(int(np.argmax(lost)), 1).to_pylist()[0]
    place = f"{spec.name}.{'+'.join(key.columns)}"
    null = ", or `orphans: null` to empty the key" if spec.loose(key) else ""
    raise SourceError(
        f"{int(lost.sum()):,} of {table.num_rows:,} rows of {spec.name!r} are orphans: {place} "
        f"points at no row of {key.table!r}, such as {_shown(first)}. Write `orphans: drop` beside "
        f"this foreign key in the plan to leave them out{null}, or add the missing rows."
    )


def _shown(cells: dict[str, object]) -> str:
    return ", ".join(f"{name} {masked(value)}" for name, value in cells.items())
