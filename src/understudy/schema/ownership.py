"""Which tables hang on the protected unit, and by which foreign keys: read off the schema alone.

From the unit's table keys are walked down to the rows that point at it, up to what those point at,
and down again. A table reached only by walking up is either part of the unit (the client of an
account) or a lookup that everybody shares (the district): no schema tells which, so `role` must.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from understudy.errors import PlanError
from understudy.schema.tables import ForeignKey, Schema, Table


@dataclass(frozen=True)
class Step:
    """One foreign key walked: `down` from parent to child rows, or up from child to parent."""

    child: str
    key: ForeignKey
    down: bool

    @property
    def source(self) -> str:
        """The table that the step starts at."""
        return self.key.table if self.down else self.child

    @property
    def target(self) -> str:
        """The table that the step leads to."""
        return self.child if self.down else self.key.table

    def __str__(self) -> str:
        link = f"{self.child}.{'+'.join(self.key.columns)}"
        return f"<- {link}" if self.down else f"({link}) -> {self.key.table}"


@dataclass(frozen=True)
class Ownership:
    """What belongs to the units: `paths` says how each table is reached from the unit's own.

    `reference` tables belong to nobody: they are the same in neighbouring databases.
    """

    unit_table: str
    paths: Mapping[str, tuple[Step, ...]]
    reference: frozenset[str]


@dataclass(frozen=True)
class Reach:
    """How far the keys lead; `undecided` are reached by walking up only and have no role yet."""

    unit_table: str
    paths: dict[str, tuple[Step, ...]]
    reference: frozenset[str]
    undecided: dict[str, tuple[Step, ...]]


def ownership(schema: Schema) -> Ownership:
    """The shortest path from the unit's table to every table that is no reference.

    Raises `PlanError` for a database without a unit, a table that nothing connects with the
    unit's, one whose role must be declared and is not, and a reference table that points at an
    owned one.
    """
    found = reach(schema)
    if found.undecided:
        raise PlanError(_undecided(found))
    for spec in schema.tables:
        if spec.name not in found.paths and spec.name not in found.reference:
            raise PlanError(_unconnected(schema, found, spec))
    _refuse_owned_lookups(schema, found)
    return Ownership(found.unit_table, found.paths, found.reference)


def reach(schema: Schema) -> Reach:
    """Walks the keys breadth first, down before up at equal length, ties by the schema's order."""
    start = _start(schema)
    paths: dict[str, tuple[Step, ...]] = {start: ()}
    undecided: dict[str, tuple[Step, ...]] = {}
    level = [start]
    while level:
        following: list[str] = []
        for step in sorted(_steps(schema, level), key=lambda s: not s.down):
            spec = schema.table(step.target)
            if spec.name in paths or spec.role == "reference":
                continue
            path = (*paths[step.source], step)
            if not step.down and spec.role is None:
                undecided.setdefault(spec.name, path)
                continue
            paths[spec.name] = path
            following.append(spec.name)
        level = following
    reference = _lookups(schema, paths)
    still = {k: v for k, v in undecided.items() if k not in paths and k not in reference}
    return Reach(start, paths, reference, still)


def _start(schema: Schema) -> str:
    unit = schema.unit
    if unit.column is None and len(schema.tables) > 1:
        keyed = [f"{t.name}.{t.primary_key[0]}" for t in schema.tables if len(t.primary_key) == 1]
        raise PlanError(
            f"the data has {len(schema.tables)} tables, and nothing says whose privacy is "
            "protected. Name the column that names them: --unit TABLE.COLUMN"
            + (f", such as {', '.join(keyed[:4])}." if keyed else ".")
        )
    spec = schema.table(unit.table)
    if spec.role == "reference":
        raise PlanError(
            f"table {spec.name!r} names the protected unit and is declared `role: reference`, "
            "which is public. Drop the role, or choose another unit."
        )
    return spec.name


def _steps(schema: Schema, level: Iterable[str]) -> Iterator[Step]:
    """All keys that touch a table of `level`, in the order of that level and of the schema."""
    for name in level:
        for child in schema.tables:
            for key in child.foreign_keys:
                if key.table == child.name:
                    continue
                if key.table == name:
                    yield Step(child.name, key, down=True)
                elif child.name == name:
                    yield Step(child.name, key, down=False)


def _lookups(schema: Schema, paths: Mapping[str, object]) -> frozenset[str]:
    """Declared reference tables, and whatever they point at: public rows name it."""
    found = {spec.name for spec in schema.tables if spec.role == "reference"}
    waiting = list(found)
    while waiting:
        for key in schema.table(waiting.pop()).foreign_keys:
            free = key.table not in paths and schema.table(key.table).role is None
            if free and key.table not in found:
                found.add(key.table)
                waiting.append(key.table)
    return frozenset(found)


def _refuse_owned_lookups(schema: Schema, found: Reach) -> None:
    for name in sorted(found.reference):
        for key in schema.table(name).foreign_keys:
            if key.table not in found.reference:
                raise PlanError(
                    f"table {name!r} is a reference table and points at {key.table!r} by "
                    f"{'+'.join(key.columns)!r}, whose rows belong to the units: with a unit gone "
                    f"it would not stay the same. Drop `role: reference` from {name!r}, or the "
                    "key."
                )


def _undecided(found: Reach) -> str:
    names = ", ".join(repr(name) for name in found.undecided)
    name, path = next(iter(found.undecided.items()))
    many = len(found.undecided) > 1
    return (
        f"table{'s' if many else ''} {names}: the unit's rows point at "
        f"{'them' if many else 'it'} ({name!r} by {walked(found.unit_table, path)}), and the "
        "schema cannot tell a part of the unit from a lookup that all share. Write into the plan, "
        f"under {'each' if many else repr(name)}: `role: owned` (its rows belong to the units that "
        "point at them) or `role: reference` (public, the same whoever is in the data)."
    )


def _unconnected(schema: Schema, found: Reach, spec: Table) -> str:
    tried = _any_path(schema, found.unit_table, spec.name)
    if tried is None:
        near = "no key of any table leads from one to the other"
    else:
        stop = next((s for s in tried if s.source in found.reference), tried[-1])
        near = (
            f"the nearest path, {walked(found.unit_table, tried)}, stops at {stop.source!r}, "
            "a reference table that belongs to nobody"
        )
    return (
        f"table {spec.name!r} does not hang on the unit, a row of {found.unit_table!r}: {near}. "
        f"Declare `role: reference` under {spec.name!r} if it is public, or the foreign key that "
        "is missing."
    )


def _any_path(schema: Schema, start: str, end: str) -> tuple[Step, ...] | None:
    """The shortest path along keys in either direction, whatever the roles."""
    paths: dict[str, tuple[Step, ...]] = {start: ()}
    level = [start]
    while level and end not in paths:
        following = []
        for step in _steps(schema, level):
            if step.target not in paths:
                paths[step.target] = (*paths[step.source], step)
                following.append(step.target)
        level = following
    return paths.get(end)


def walked(start: str, path: Iterable[Step]) -> str:
    """`account <- disp.account_id (disp.client_id) -> client`."""
    return " ".join([start, *map(str, path)])
