"""What a dataset is like before anything is learnt: kinds, rare groups, rules, and the strategy."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from understudy.data.dataset import Dataset
from understudy.data.key_evidence import key_evidence, near_misses
from understudy.data.proposals import propose
from understudy.data.unit_candidates import UnitCandidate, described_roles, unit_candidates
from understudy.schema import Schema, Table

RARE = 20
"""Levels held by fewer rows are called rare."""


@dataclass(frozen=True)
class RareGroup:
    """A level of a column that few rows hold."""

    table: str
    column: str
    level: str
    rows: int


@dataclass(frozen=True)
class Inspection:
    """Findings about a dataset; `strategy` is flat, relational, sequential or text."""

    schema: Schema
    rows: dict[str, int]
    strategy: str
    why: str
    engine: str
    privacy: str
    identifiers: tuple[str, ...]
    rare: tuple[RareGroup, ...]
    missing: dict[str, float]
    repeated: dict[str, float]
    proposed: dict[str, tuple[Any, ...]]
    warnings: tuple[str, ...]
    keys: dict[str, str]
    """Foreign keys, as `child.column -> parent.column`, with what speaks for each."""
    roles: dict[str, str]
    """How each table of a database belongs to the unit, where one is named."""
    clocks: dict[str, str]
    """Tables of events, with the column that orders them."""
    units: tuple[UnitCandidate, ...]

    def as_dict(self) -> dict[str, Any]:
        plain = asdict(self)
        plain["schema"] = self.schema.model_dump(mode="json")
        plain["proposed"] = {
            name: [rule.model_dump(mode="json") for rule in rules]
            for name, rules in self.proposed.items()
        }
        return plain


def inspect(dataset: Dataset) -> Inspection:
    """Looks at every table; reads, decides nothing.

    Where a unit is named, the schema that comes back has the roles that tables need (see `roles`).
    """
    schema, roles = dataset.schema, {}
    several = len(schema.tables) > 1
    if several and schema.unit.column is not None:
        schema, roles = described_roles(dataset)
    strategy, why = _strategy(dataset)
    rows = {name: table.num_rows for name, table in dataset.tables.items()}
    warnings = []
    repeated = {}
    for spec in schema.tables:
        table = dataset.tables[spec.name]
        repeated[spec.name] = _repeated(table, spec)
        if repeated[spec.name] > 0.1:
            warnings.append(
                f"{repeated[spec.name]:.0%} of the rows of {spec.name!r} repeat an earlier one: "
                "copies are judged against what chance repeats."
            )
        if table.num_rows < 1000:
            warnings.append(
                f"{spec.name!r} has {table.num_rows:,} rows: an audit of so few will mostly be "
                "INCONCLUSIVE."
            )
    warnings += _shared_units(dataset)
    specs = {spec.name: spec for spec in schema.tables}
    warnings += [str(miss) for miss in near_misses(specs, dataset.tables)]
    return Inspection(
        schema=schema,
        rows=rows,
        strategy=strategy,
        why=why,
        engine="tree" if strategy == "flat" else "relational",
        privacy=_privacy(dataset),
        identifiers=tuple(
            f"{spec.name}.{c.name} ({c.form}): {c.why}"
            for spec in schema.tables
            for c in spec.columns
            if c.kind == "identifier"
        ),
        rare=tuple(_rare(dataset)),
        missing={
            f"{spec.name}.{c.name}": dataset.tables[spec.name][c.name].null_count
            / max(1, rows[spec.name])
            for spec in schema.tables
            for c in spec.columns
            if dataset.tables[spec.name][c.name].null_count
        },
        repeated=repeated,
        proposed={
            spec.name: rules
            for spec in schema.tables
            if (rules := propose(dataset.tables[spec.name], spec))
        },
        warnings=tuple(warnings),
        keys=_keys(dataset),
        roles=roles,
        clocks={spec.name: spec.order_by for spec in schema.tables if spec.order_by},
        units=unit_candidates(dataset) if several else (),
    )


def _keys(dataset: Dataset) -> dict[str, str]:
    schema = dataset.schema
    return {
        f"{spec.name}.{'+'.join(key.columns)} -> {key.table}.{'+'.join(key.references)}": (
            key_evidence(spec, schema.table(key.table), key, dataset.tables)
        )
        for spec in schema.tables
        for key in spec.foreign_keys
    }


def _strategy(dataset: Dataset) -> tuple[str, str]:
    specs = dataset.schema.tables
    if len(specs) > 1:
        links = sum(len(spec.foreign_keys) for spec in specs)
        return "relational", f"{len(specs)} tables joined by {links} foreign keys."
    spec = specs[0]
    texts, learnt = spec.of_kind("text"), spec.learnt
    if texts and len(learnt) <= 2:
        return "text", f"free text in {texts[0].name!r} and little else."
    entity = _entity(dataset.table, spec)
    if entity:
        time = spec.of_kind("datetime")[0].name
        return "sequential", (
            f"{entity!r} repeats and {time!r} orders its rows: histories of an entity. The flat "
            "engine treats rows as unrelated and would lose the order."
        )
    return "flat", "one table whose rows stand for themselves."


def _entity(table: pa.Table, spec: Table) -> str | None:
    """A key-like column that repeats in a table with a time column."""
    if not spec.of_kind("datetime"):
        return None
    for column in spec.of_kind("identifier"):
        values = table[column.name]
        distinct = pc.count_distinct(values).as_py()
        if 1 < distinct <= 0.5 * len(values):
            return column.name
    return None


def _shared_units(dataset: Dataset) -> list[str]:
    """Rows that belong to one person should not be parted between training and holdout."""
    if len(dataset.tables) > 1 or dataset.schema.unit.column:
        return []
    found = []
    for column in dataset.schema.table().of_kind("identifier"):
        values = dataset.table[column.name].drop_null()
        levels = pc.count_distinct(values).as_py()
        if 1 < levels < 0.9 * len(values):
            found.append(
                f"{len(values) / levels:.1f} rows share a value of {column.name!r}. If it names "
                f"people, protect each with all their rows: --unit {column.name}"
            )
    return found


def _privacy(dataset: Dataset) -> str:
    rows = max(table.num_rows for table in dataset.tables.values())
    if rows < 5000:
        return (
            f"{rows:,} rows are few: without DP the audit can clear little, and with DP the noise "
            "would weigh. Release only to people who could see the source."
        )
    return (
        "Without DP the audit decides, on evidence. With DP a guarantee holds against anybody, and "
        "costs some fidelity; prefer it when the rows leave for the world."
    )


def _repeated(table: pa.Table, spec: Table) -> float:
    names = [c.name for c in spec.columns if c.kind != "identifier"]
    if not names or table.num_rows == 0:
        return 0.0
    distinct = table.select(names).group_by(names).aggregate([]).num_rows
    return 1 - distinct / table.num_rows


def _rare(dataset: Dataset) -> list[RareGroup]:
    found = []
    for spec in dataset.schema.tables:
        for column in spec.of_kind("category", "boolean"):
            counts = pc.value_counts(dataset.tables[spec.name][column.name].drop_null()).to_pylist()
            few = sorted((c for c in counts if c["counts"] < RARE), key=lambda c: c["counts"])
            found += [
                RareGroup(spec.name, column.name, str(c["values"]), c["counts"]) for c in few[:20]
            ]
    return sorted(found, key=lambda group: group.rows)
