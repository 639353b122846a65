"""DuckDB files as sources: catalogue and Arrow batches in one transaction."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pyarrow as pa

from understudy.data.databases.catalogue import FoundColumn, FoundTable
from understudy.data.databases.stream import no_values
from understudy.data.databases.url import DatabaseUrl
from understudy.errors import SourceError, suggest
from understudy.schema import ForeignKey

ROWS = 20_000
"""Rows of one record batch."""
PLAIN = {
    "BOOLEAN": pa.bool_(),
    "TINYINT": pa.int8(),
    "SMALLINT": pa.int16(),
    "INTEGER": pa.int32(),
    "BIGINT": pa.int64(),
    "UTINYINT": pa.uint8(),
    "USMALLINT": pa.uint16(),
    "UINTEGER": pa.uint32(),
    "UBIGINT": pa.uint64(),
    "DOUBLE": pa.float64(),
    "VARCHAR": pa.string(),
    "TIME": pa.time64("us"),
}
TIMES = {
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us"),
    "TIMESTAMP_S": pa.timestamp("us"),
    "TIMESTAMP_MS": pa.timestamp("us"),
    "TIMESTAMP_NS": pa.timestamp("us"),
    "TIMESTAMP WITH TIME ZONE": pa.timestamp("us", "UTC"),
}
DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")
TABLES = """
SELECT table_name, comment FROM duckdb_tables()
WHERE schema_name = 'main' AND database_name = current_database() AND NOT temporary
ORDER BY table_oid
"""
COLUMNS = """
SELECT table_name, column_name, data_type, is_nullable, column_default, comment
FROM duckdb_columns()
WHERE schema_name = 'main' AND database_name = current_database() ORDER BY table_oid, column_index
"""
CONSTRAINTS = """
SELECT table_name, constraint_type, constraint_column_names, expression, referenced_table,
       referenced_column_names
FROM duckdb_constraints()
WHERE schema_name = 'main' AND database_name = current_database()
ORDER BY table_oid, constraint_index
"""
LEVELS = "SELECT unnest(enum_range(NULL::{kind}))::VARCHAR"


@contextmanager
def opened_duckdb(url: DatabaseUrl) -> Iterator[DuckdbReader]:
    """The file, read only, in one transaction."""
    import duckdb

    if not url.path.is_file():
        folder = url.path.parent
        near = [p.name for p in folder.iterdir()] if folder.is_dir() else []
        raise SourceError(f"no file {url.address!r}. {suggest(url.path.name, near)}")
    try:
        connection = duckdb.connect(url.address, read_only=True)
    except duckdb.Error as error:
        raise SourceError(f"{url} cannot be opened: {url.scrub(str(error))}.") from None
    try:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("BEGIN")
        yield DuckdbReader(url, connection)
    finally:
        connection.close()


class DuckdbReader:
    """An open DuckDB file; its schema `main` is read."""

    def __init__(self, url: DatabaseUrl, connection: Any) -> None:
        self.url = url
        self.connection = connection

    def catalogue(self) -> tuple[FoundTable, ...]:
        """Every table in the order they were made."""
        tables = self._rows(TABLES)
        if not tables:
            raise SourceError(f"{self.url} has no table in its schema main.")
        columns: dict[str, list[FoundColumn]] = defaultdict(list)
        rules: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        for table, *row in self._rows(COLUMNS):
            columns[table].append(self._column(*row))
        for table, *rule in self._rows(CONSTRAINTS):
            rules[table].append(tuple(rule))
        return tuple(
            _table(name, tuple(columns[name]), rules[name], comment) for name, comment in tables
        )

    def batches(self, table: FoundTable) -> Generator[pa.RecordBatch]:
        """The rows of a table in the types of `table.arrow`."""
        chosen = ", ".join(column.expression for column in table.columns)
        with self._read(f"table {table.name!r}"):
            found = self.connection.sql(f"SELECT {chosen} FROM {_field(table.name)}")
            new = hasattr(found, "to_arrow_reader")
            reader = found.to_arrow_reader(ROWS) if new else found.fetch_record_batch(ROWS)
            for batch in reader:
                with no_values(f"table {table.name!r} of {self.url}"):
                    columns = [
                        column if column.type == field.type else column.cast(field.type)
                        for column, field in zip(batch.columns, table.arrow, strict=True)
                    ]
                yield pa.RecordBatch.from_arrays(columns, schema=table.arrow)

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        with self._read("the catalogue"):
            return list(self.connection.execute(query).fetchall())

    def _column(
        self, name: str, kind: str, nullable: bool, default: str | None, comment: str | None
    ) -> FoundColumn:
        field = _field(name)
        found = FoundColumn(
            name=name,
            sql=kind,
            type=pa.string(),
            expression=f"{field}::VARCHAR AS {field}",
            nullable=nullable,
            default="identity" if default and default.startswith("nextval(") else default,
            comment=comment,
        )
        if kind.startswith("ENUM("):
            levels = tuple(row[0] for row in self._rows(LEVELS.format(kind=kind)))
            return replace(found, plays="enum", levels=levels, sql=f"enum {name}")
        return _of_type(found, kind, field)

    @contextmanager
    def _read(self, where: str) -> Iterator[None]:
        import duckdb

        try:
            yield
        except duckdb.Error as error:
            raise SourceError(
                f"{where} of {self.url} could not be read: {self.url.scrub(str(error))}. Nothing "
                "was kept."
            ) from None


def _of_type(found: FoundColumn, kind: str, field: str) -> FoundColumn:
    if kind in PLAIN:
        return replace(found, type=PLAIN[kind], expression=field)
    if kind in TIMES:
        cast = "::TIMESTAMP" if kind.startswith("TIMESTAMP_") else ""
        finite = f"CASE WHEN isfinite({field}) THEN {field} END{cast} AS {field}"
        return replace(found, type=TIMES[kind], expression=finite)
    if sized := DECIMAL.fullmatch(kind):
        precision, scale = int(sized[1]), int(sized[2])
        if scale == 0 and precision <= 18:
            return replace(found, type=pa.int64(), expression=f"{field}::BIGINT AS {field}")
        exact = pa.decimal128(precision, scale)
        return replace(found, type=exact, expression=field, decimals=scale)
    if kind == "FLOAT":
        return replace(found, type=pa.float64(), expression=f"{field}::DOUBLE AS {field}")
    if kind in ("HUGEINT", "UHUGEINT"):
        cast = f"{field}::DECIMAL(38,0) AS {field}"
        return replace(found, type=pa.decimal128(38, 0), expression=cast, decimals=0)
    if kind == "INTERVAL":
        micros = f"epoch_us({field}) AS {field}"
        note = "a month counts as 30 days"
        return replace(found, type=pa.duration("us"), expression=micros, note=note)
    if kind == "UUID":
        return replace(found, plays="uuid")
    if kind == "TIME WITH TIME ZONE":
        return found
    return replace(found, plays="text", note="read as text, which tables' engines leave empty")


def _table(
    name: str, columns: tuple[FoundColumn, ...], rules: list[tuple[Any, ...]], comment: str | None
) -> FoundTable:
    of: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for kind, *rule in rules:
        of[kind].append(tuple(rule))
    primary = of["PRIMARY KEY"]
    return FoundTable(
        name=name,
        columns=columns,
        primary_key=tuple(primary[0][0]) if primary else (),
        unique=tuple(tuple(rule[0]) for rule in of["UNIQUE"]),
        foreign_keys=tuple(
            ForeignKey(columns=tuple(names), table=parent, references=tuple(references))
            for names, _, parent, references in of["FOREIGN KEY"]
        ),
        checks=tuple(expression for _, expression, *_ in of["CHECK"]),
        comment=comment,
    )


def _field(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
