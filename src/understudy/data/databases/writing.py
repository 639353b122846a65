"""Writing a dataset as a new database: in one transaction, every declared rule in force."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from understudy.data.databases.ddl import Target
from understudy.data.databases.url import DatabaseUrl, parse_url
from understudy.data.dataset import Dataset
from understudy.data.dates import as_spelled
from understudy.errors import ConstraintError, SourceError
from understudy.schema import Dialect, Table

SCHEMA = "synthetic"


def write_database(
    dataset: Dataset, url: str | Path | DatabaseUrl, schema: str | None = None
) -> DatabaseUrl:
    """A new schema of a PostgreSQL database, or a new SQLite or DuckDB file.

    The schema is `schema`, else the URL's `?schema=`, else `synthetic`. Raises `SourceError` where
    it exists, or the file does, and `ConstraintError` for rows that break a declared key, check or
    type; then nothing was written.
    """
    url = url if isinstance(url, DatabaseUrl) else parse_url(url)
    types = {}
    tables: dict[str, pa.Table] = {}
    for spec in dataset.schema.tables:
        table = _without_text(dataset.tables[spec.name], spec, url.dialect)
        _refuse_missing(table, spec)
        tables[spec.name] = _widened(as_spelled(table, spec))
        types[spec.name] = tables[spec.name].schema
    target = Target(dataset.schema, types, url.dialect)
    if url.dialect == "postgres":
        from understudy.data.databases.postgres_writing import write_schema

        name = schema or url.schema or SCHEMA
        write_schema(target, tables, url, name)
        return DatabaseUrl("postgres", url.address, name, url.secrets)
    if url.path.exists():
        raise SourceError(f"{url} exists. Give the name of a new file, or remove it first.")
    if url.dialect == "sqlite":
        from understudy.data.databases.sqlite_writing import write_sqlite

        write_sqlite(target, tables, url.path)
    else:
        from understudy.data.databases.duckdb_writing import write_duckdb

        write_duckdb(target, tables, url.path)
    return url


def _without_text(table: pa.Table, spec: Table, dialect: Dialect) -> pa.Table:
    """Free text that an engine left empty as the empty value, where a database wants one."""
    for place, column in enumerate(spec.columns):
        values = table.column(place)
        left = column.kind == "text" and values.null_count == len(values)
        if left and not column.nullable:
            sql = (column.sql or "").casefold()
            empty = "[]" if sql.endswith("[]") and dialect == "duckdb" else "{}"
            text = empty if sql.endswith("[]") or sql.startswith("json") else ""
            filled = pa.repeat(pa.scalar(text), len(values))
            table = table.set_column(place, column.name, filled)
    return table


def _refuse_missing(table: pa.Table, spec: Table) -> None:
    """SQLite would make up a key of its own where one is missing."""
    for column in spec.columns:
        missing = table[column.name].null_count
        if missing and (not column.nullable or column.name in spec.primary_key):
            raise ConstraintError(
                f"column {column.name!r} of table {spec.name!r} has to have a value, and "
                f"{missing:,} of {table.num_rows:,} rows have none. Nothing was written. Fill "
                "them, or let the column be nullable in the plan."
            )


def _widened(table: pa.Table) -> pa.Table:
    """Types that every database can load: no unsigned numbers, no columns of nothing.

    Databases keep microseconds; what is finer is cut off.
    """
    wider = {
        pa.uint8(): pa.int16(),
        pa.uint16(): pa.int32(),
        pa.uint32(): pa.int64(),
        pa.uint64(): pa.decimal128(20, 0),
        pa.int8(): pa.int16(),
        pa.null(): pa.string(),
        pa.duration("ns"): pa.duration("us"),
        pa.time64("ns"): pa.time64("us"),
    }
    fields = []
    for field in table.schema:
        kind = wider.get(field.type, field.type)
        if pa.types.is_timestamp(kind) and kind.unit == "ns":
            kind = pa.timestamp("us", kind.tz)
        fields.append(field.with_type(kind))
    return table.cast(pa.schema(fields), safe=False)
