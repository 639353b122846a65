"""Writing a dataset as a new database: in one transaction, every declared rule in force."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from understudy.data.databases.ddl import Target
from understudy.data.databases.url import DatabaseUrl, parse_url
from understudy.data.dataset import Dataset
from understudy.data.dates import as_spelled
from understudy.errors import SourceError

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
        tables[spec.name] = _widened(as_spelled(dataset.tables[spec.name], spec))
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


def _widened(table: pa.Table) -> pa.Table:
    """Types that every database can load: no unsigned numbers, no columns of nothing."""
    wider = {
        pa.uint8(): pa.int16(),
        pa.uint16(): pa.int32(),
        pa.uint32(): pa.int64(),
        pa.uint64(): pa.decimal128(20, 0),
        pa.int8(): pa.int16(),
        pa.null(): pa.string(),
    }
    fields = [f.with_type(wider.get(f.type, f.type)) for f in table.schema]
    return table.cast(pa.schema(fields))
