"""In which order tables are made, and what each foreign key means for that.

Every table hangs on at most one parent, whose rows say how many rows of it they have (`primary`). A
key into a small table that belongs to nobody is a category (`lookup`), unless it shares a column
with another key, with which it must agree (`agreement`). Every other key is matched
once both sides are there (`matched`); one that points at a table made later, itself included, is
matched when that table is made (`deferred`), which is how cycles and hierarchies come out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from understudy.errors import PlanError
from understudy.schema import ForeignKey, Schema, Table

Way = Literal["primary", "lookup", "matched", "deferred"]


@dataclass(frozen=True)
class Link:
    """The foreign key number `place` of table `child`, and the way in which it is made."""

    child: str
    place: int
    key: ForeignKey
    nullable: bool
    way: Way

    @property
    def parent(self) -> str:
        return self.key.table

    @property
    def name(self) -> str:
        """`disp.client_id`: how the link is called in columns, streams and files."""
        return f"{self.child}.{'+'.join(self.key.columns)}"


@dataclass(frozen=True)
class Graph:
    """`order` has every table after those its links need; `reference` ones are kept as they are."""

    order: tuple[str, ...]
    reference: frozenset[str]
    links: Mapping[str, tuple[Link, ...]]

    def primary(self, table: str) -> Link | None:
        """The link a table hangs on, if any."""
        return next((link for link in self.links[table] if link.way == "primary"), None)

    def into(self, table: str, *ways: Way) -> tuple[Link, ...]:
        """Links that point at `table`, in the order in which their tables are made."""
        return tuple(
            link
            for child in self.order
            for link in self.links[child]
            if link.parent == table and link.way in ways
        )

    def of(self, table: str, *ways: Way) -> tuple[Link, ...]:
        return tuple(link for link in self.links[table] if link.way in ways)


def graph_of(
    schema: Schema,
    *,
    reference: Collection[str],
    small: Collection[str],
    hangs: Mapping[str, ForeignKey | None],
    late: Collection[str] = (),
) -> Graph:
    """The graph of `schema`; `late` tables come as late as they can.

    `reference` tables belong to nobody, and the `small` ones among them become categories; `hangs`
    says on which key a table hangs on its way from the unit, None for one that is reached from
    below. Raises `PlanError` for cycles of keys that may not be empty.
    """
    specs = {spec.name: spec for spec in schema.tables}
    chosen = {name: _primary(spec, reference, hangs) for name, spec in specs.items()}
    order = _ordered(specs, chosen, reference, late)
    place = {name: i for i, name in enumerate(order)}
    links: dict[str, tuple[Link, ...]] = {}
    for name, spec in specs.items():
        found = [
            Link(name, i, key, _nullable(spec, key), _way(spec, key, chosen, place, small))
            for i, key in enumerate(spec.foreign_keys if name not in reference else ())
        ]
        # Keys that are always there are settled first: others may have to agree with them.
        links[name] = tuple(sorted(found, key=lambda link: link.nullable))
    return Graph(order, frozenset(reference), links)


def _primary(
    spec: Table, reference: Collection[str], hangs: Mapping[str, ForeignKey | None]
) -> ForeignKey | None:
    if spec.name in reference:
        return None
    if spec.name in hangs:
        return hangs[spec.name]
    able = [k for k in spec.foreign_keys if k.table not in reference and k.table != spec.name]
    return next((k for k in able if not _nullable(spec, k)), None)


def _way(
    spec: Table,
    key: ForeignKey,
    chosen: Mapping[str, ForeignKey | None],
    place: Mapping[str, int],
    small: Collection[str],
) -> Way:
    if key == chosen[spec.name]:
        return "primary"
    shares = any(
        set(key.columns) & set(other.columns) for other in spec.foreign_keys if other != key
    )
    if key.table in small and not shares:
        return "lookup"
    return "matched" if place[key.table] < place[spec.name] else "deferred"


def _ordered(
    specs: Mapping[str, Table],
    chosen: Mapping[str, ForeignKey | None],
    reference: Collection[str],
    late: Collection[str],
) -> tuple[str, ...]:
    """Tables after the parents they need; nullable keys give way where there is a cycle.

    A table that is matched comes after the one that says how many rows will want it, so that it can
    be made as large as is asked for.
    """
    must: dict[str, set[str]] = {name: set() for name in specs}
    may: dict[str, set[str]] = {name: set() for name in specs}
    for name, spec in specs.items():
        for key in spec.foreign_keys if name not in reference else ():
            if key.table == name:
                continue
            gives_way = _nullable(spec, key) and key != chosen[name]
            (may if gives_way else must)[name].add(key.table)
            above = chosen[name]
            if above is not None and key != above and key.table not in reference:
                may[key.table].add(above.table)
    for name in may:
        may[name].discard(name)
    done: list[str] = [name for name in specs if name in reference]
    left = sorted((name for name in specs if name not in done), key=lambda name: name in late)
    while left:
        ready = _ready(left, done, (must, may)) or _ready(left, done, (must,))
        if not ready:
            circle = " -> ".join([*sorted(left), min(left)])
            raise PlanError(
                f"foreign keys run in a circle that has no beginning: {circle}. Rows of such "
                "tables can only be made if one key of the circle may be empty: make its column "
                "nullable in the plan (and in the database)."
            )
        done.append(ready)
        left.remove(ready)
    return tuple(done)


def _ready(
    left: Iterable[str], done: Collection[str], needs: tuple[Mapping[str, set[str]], ...]
) -> str | None:
    return next((name for name in left if all(need[name] <= set(done) for need in needs)), None)


def _nullable(spec: Table, key: ForeignKey) -> bool:
    """Whether a key may be empty; no column of the primary key may."""
    own = spec.primary_key
    return any(spec.column(name).nullable and name not in own for name in key.columns)


def has_clock(schema: Schema, graph: Graph, name: str) -> bool:
    """Whether a table is made as histories: it has a clock and hangs on another."""
    return schema.table(name).order_by is not None and graph.primary(name) is not None
