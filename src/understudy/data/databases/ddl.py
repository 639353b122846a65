"""CREATE TABLE in the SQL of the target, from a schema: types, keys, checks, comments."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from understudy.data.databases.translation import translated
from understudy.schema import Category, Column, Dialect, ForeignKey, Schema, Table, Unique

SIZED = re.compile(
    r"(numeric|decimal)\s*\(\s*\d+\s*,\s*\d+\s*\)"
    r"|(character varying|varchar|character|char)\s*\(\s*\d+\s*\)",
    re.I,
)
"""Types that all three databases spell alike."""
ENUM = "enum "
IDENTITY = "identity"


@dataclass(frozen=True)
class Target:
    """What is written: the schema, its tables' Arrow types, and in whose SQL."""

    schema: Schema
    types: Mapping[str, pa.Schema]
    dialect: Dialect

    def create(self, spec: Table, *, foreign: tuple[ForeignKey, ...] = ()) -> str:
        """The table with its primary and unique keys, its checks, and the `foreign` keys."""
        lines = [self._line(spec, column) for column in spec.columns]
        if spec.primary_key:
            lines.append(f"PRIMARY KEY ({names(spec.primary_key)})")
        lines += [f"UNIQUE ({names(key)})" for key in unique_keys(spec)]
        lines += [f"CHECK ({check})" for check in self.checks(spec)]
        lines += [f"FOREIGN KEY {self.reference(key)}" for key in foreign]
        return f"CREATE TABLE {quoted(spec.name)} (\n  " + ",\n  ".join(lines) + "\n)"

    def reference(self, key: ForeignKey) -> str:
        """`(account_id) REFERENCES account (account_id) ON DELETE CASCADE`."""
        follows = self.dialect != "duckdb" and key.on_delete
        return reference(key) + (f" ON DELETE {follows.upper()}" if follows else "")

    def running(self, spec: Table) -> list[str]:
        """Columns that get the next number where a new row brings none."""
        if self.dialect != "postgres":
            return []
        whole = self.types[spec.name].field
        return [
            c.name
            for c in spec.columns
            if c.default == IDENTITY and pa.types.is_integer(whole(c.name).type)
        ]

    def type_of(self, spec: Table, column: Column) -> str:
        """The column's type: as it was declared where the SQL is the same, else by its cells."""
        kind = self.types[spec.name].field(column.name).type
        if column.sql and column.sql.startswith(ENUM):
            return self._enum(spec, column)
        if self.dialect == "sqlite" and column.default == IDENTITY and pa.types.is_integer(kind):
            return "INTEGER"  # the one type that SQLite counts on by itself
        if column.sql and (self.dialect == self.schema.dialect or SIZED.fullmatch(column.sql)):
            return column.sql
        if column.kind == "identifier" and column.form == "uuid" and self.dialect != "sqlite":
            return "UUID"
        return _by_cells(kind, self.dialect)

    def checks(self, spec: Table) -> tuple[str, ...]:
        """The table's conditions, and one for an enumeration where SQL has no such type."""
        found = [translated(check, self.schema.dialect, self.dialect) for check in spec.checks]
        if self.dialect == "sqlite":
            found += [
                f"{quoted(c.name)} IN ({_levels(c)})"
                for c in spec.columns
                if isinstance(c, Category) and c.levels and (c.sql or "").startswith(ENUM)
            ]
        return tuple(found)

    def enums(self) -> dict[str, str]:
        """The enumerations to make first, by name; a second of a name is called for its column."""
        found: dict[str, str] = {}
        for spec in self.schema.tables:
            for column in spec.columns:
                if isinstance(column, Category) and column.levels and column.sql:
                    name = self._enum_name(spec, column)
                    if name is not None:
                        found[name] = _levels(column)
        return found

    def comments(self) -> list[str]:
        """COMMENT ON statements for tables and columns."""
        found = []
        for spec in self.schema.tables:
            if spec.comment:
                found.append(f"COMMENT ON TABLE {quoted(spec.name)} IS {literal(spec.comment)}")
            found += [
                f"COMMENT ON COLUMN {quoted(spec.name)}.{quoted(c.name)} IS {literal(c.comment)}"
                for c in spec.columns
                if c.comment
            ]
        return found

    def cast(self, spec: Table, source: str) -> str:
        """SELECT that turns the staged rows in `source` into the types of the table."""
        chosen = ", ".join(
            f"CAST({quoted(c.name)} AS {self.type_of(spec, c)}) AS {quoted(c.name)}"
            for c in spec.columns
        )
        return f"SELECT {chosen} FROM {source}"

    def _line(self, spec: Table, column: Column) -> str:
        line = f"{quoted(column.name)} {self.type_of(spec, column)}"
        if column.name in self.running(spec):
            line += " GENERATED BY DEFAULT AS IDENTITY"
        elif column.default and column.default != IDENTITY and self.dialect == self.schema.dialect:
            line += f" DEFAULT {column.default}"
        return line + ("" if column.nullable else " NOT NULL")

    def _enum(self, spec: Table, column: Column) -> str:
        if not isinstance(column, Category) or not column.levels or self.dialect == "sqlite":
            return "TEXT"
        if self.dialect == "duckdb":
            return f"ENUM({_levels(column)})"
        return quoted(self._enum_name(spec, column) or "text")

    def _enum_name(self, spec: Table, column: Category) -> str | None:
        if not column.sql or not column.sql.startswith(ENUM):
            return None
        name = column.sql.removeprefix(ENUM)
        first = next(
            c
            for table in self.schema.tables
            for c in table.columns
            if isinstance(c, Category) and c.sql == column.sql and c.levels
        )
        return name if first.levels == column.levels else f"{spec.name}_{column.name}"


def unique_keys(spec: Table) -> tuple[tuple[str, ...], ...]:
    """The unique constraints of the table."""
    return tuple(rule.columns for rule in spec.constraints if isinstance(rule, Unique))


def reference(key: ForeignKey) -> str:
    """`(account_id) REFERENCES account (account_id)`."""
    return f"({names(key.columns)}) REFERENCES {quoted(key.table)} ({names(key.references)})"


def quoted(name: str) -> str:
    """A name as SQL's identifiers are spelled."""
    return '"' + name.replace('"', '""') + '"'


def names(columns: tuple[str, ...]) -> str:
    return ", ".join(map(quoted, columns))


def literal(text: str) -> str:
    """A text as SQL's standard strings are spelled."""
    return "'" + text.replace("'", "''") + "'"


def _levels(column: Category) -> str:
    return ", ".join(literal(str(level)) for level in column.levels or ())


def _by_cells(kind: pa.DataType, dialect: Dialect) -> str:
    if pa.types.is_decimal(kind):
        return f"NUMERIC({kind.precision}, {kind.scale})"
    if pa.types.is_timestamp(kind):
        return "TIMESTAMP" if kind.tz is None else "TIMESTAMP WITH TIME ZONE"
    if pa.types.is_duration(kind):
        # SQLite would take INTERVAL for a kind of INT.
        return "REAL" if dialect == "sqlite" else "INTERVAL"
    sorts = {
        "BOOLEAN": pa.types.is_boolean(kind),
        "NUMERIC(20, 0)": kind == pa.uint64(),
        "SMALLINT": kind in (pa.int8(), pa.int16(), pa.uint8()),
        "INTEGER": kind in (pa.int32(), pa.uint16()),
        "BIGINT": pa.types.is_integer(kind),
        "DOUBLE PRECISION": pa.types.is_floating(kind),
        "DATE": pa.types.is_date(kind),
        "TIME": pa.types.is_time(kind),
    }
    return next((name for name, fits in sorts.items() if fits), "TEXT")
