"""What a database says of its tables, and the schema that follows from it and the rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from understudy.data.databases.checks import DECLARED, translate
from understudy.data.inference import infer, infer_column
from understudy.errors import SourceError
from understudy.schema import (
    Boolean,
    Category,
    Column,
    Datetime,
    Dialect,
    Duration,
    ForeignKey,
    Identifier,
    Number,
    Schema,
    Table,
    Text,
    Unique,
)
from understudy.schema.storage import arrow_type


@dataclass(frozen=True)
class FoundColumn:
    """A column as declared. `expression` is the SQL that selects it, `type` what arrives then.

    `plays` is set where the SQL type settles what the Arrow type leaves open.
    """

    name: str
    sql: str
    type: pa.DataType
    expression: str
    nullable: bool = True
    default: str | None = None
    comment: str | None = None
    plays: Literal["uuid", "text", "enum"] | None = None
    levels: tuple[str, ...] = ()
    decimals: int | None = None
    note: str = ""


@dataclass(frozen=True)
class FoundTable:
    """A table as declared: its columns, keys and checks."""

    name: str
    columns: tuple[FoundColumn, ...]
    primary_key: tuple[str, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    checks: tuple[str, ...] = ()
    comment: str | None = None

    @property
    def arrow(self) -> pa.Schema:
        return pa.schema([(column.name, column.type) for column in self.columns])


def schema_of(
    found: tuple[FoundTable, ...], tables: Mapping[str, pa.Table], dialect: Dialect
) -> Schema:
    """The schema: SQL decides where it speaks, the values where it does not (text, whole numbers).

    Keys are the declared ones; where the database declares none at all, those that the rows show.
    """
    specs = [_with_keys(_table(t, tables[t.name]), t.primary_key, t.foreign_keys) for t in found]
    if not any(spec.primary_key or spec.foreign_keys for spec in specs):
        filled = {name: table for name, table in tables.items() if table.num_rows}
        shown = infer(filled).tables if filled else ()
        keys = {s.name: (s.primary_key, s.foreign_keys) for s in shown}
        specs = [_with_keys(spec, *keys.get(spec.name, ((), ())), how="found") for spec in specs]
    ruled = tuple(_with_rules(spec, tables[spec.name].schema, dialect) for spec in specs)
    return Schema(tables=ruled, dialect=dialect)


def _table(found: FoundTable, table: pa.Table) -> Table:
    return Table(
        name=found.name,
        columns=tuple(_column(c, table[c.name]) for c in found.columns),
        constraints=tuple(Unique(columns=names) for names in found.unique),
        checks=found.checks,
        comment=found.comment,
    )


def _with_keys(
    spec: Table, primary: tuple[str, ...], foreign: tuple[ForeignKey, ...], how: str = "declared"
) -> Table:
    """Keys of one column are identifiers; a part of a wider key may be a date or a label."""
    why = {key.columns[0]: f"pointing at {key.table}" for key in foreign if len(key.columns) == 1}
    if len(primary) == 1:
        why[primary[0]] = "the primary key"
    columns = tuple(
        _key(column, f"{how} as {why[column.name]}") if column.name in why else column
        for column in spec.columns
    )
    return spec.model_copy(
        update={"columns": columns, "primary_key": primary, "foreign_keys": foreign}
    )


def _with_rules(spec: Table, types: pa.Schema, dialect: Dialect) -> Table:
    """What the checks say of columns that are learnt; keys are made anew, whatever their values."""
    keys = {*spec.primary_key, *(name for key in spec.foreign_keys for name in key.columns)}
    free = {c.name: c for c in spec.columns if not (c.name in keys and c.kind == "identifier")}
    said, rules = translate(spec.checks, free, types, dialect)
    return spec.model_copy(
        update={
            "columns": tuple(said.get(c.name, c) for c in spec.columns),
            "constraints": (*rules, *spec.constraints),
        }
    )


def _key(column: Column, why: str) -> Identifier:
    form = column.form if isinstance(column, Identifier) else "key"
    common = column.model_dump(include=DECLARED)
    return Identifier(**common, form=form, why=why)


def _column(found: FoundColumn, values: pa.ChunkedArray) -> Column:
    nullable = found.nullable or values.null_count > 0
    common = {"name": found.name, "nullable": nullable, "stored": _named(found)}
    declared = {"sql": found.sql or None, "default": found.default, "comment": found.comment}
    why = f"SQL type {found.sql}".rstrip() + (f": {found.note}" if found.note else "")
    if found.plays == "uuid":
        return Identifier(**common, **declared, form="uuid", why=why)
    if found.plays == "text":
        return Text(**common, **declared, why=why)
    if found.plays == "enum":
        return Category(**common, **declared, levels=found.levels, ordered=True, why=why)
    if values.null_count == len(values):
        return _of_type(found.type, {**common, **declared, "why": why})
    kind = infer_column(found.name, values)
    update = {**declared, "nullable": nullable}
    if isinstance(kind, Number) and found.decimals is not None and not kind.integer:
        update["decimals"] = found.decimals
    return kind.model_copy(update=update)


def _of_type(kind: pa.DataType, common: dict[str, Any]) -> Column:
    """What a column without a value is, by its type alone."""
    if pa.types.is_boolean(kind):
        return Boolean(**common)
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return Datetime(**common)
    if pa.types.is_duration(kind) or pa.types.is_time(kind):
        return Duration(**common)
    if pa.types.is_integer(kind):
        return Number(**common, integer=True)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return Number(**common)
    return Category(**common)


def _named(found: FoundColumn) -> str:
    try:
        arrow_type(str(found.type))
    except ValueError as error:
        raise SourceError(f"column {found.name!r} of SQL type {found.sql}: {error}") from None
    return str(found.type)
