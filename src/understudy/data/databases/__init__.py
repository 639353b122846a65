"""Databases as sources and as targets: PostgreSQL, SQLite, DuckDB."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from understudy.data.databases.catalogue import schema_of
from understudy.data.databases.stream import Reader, in_files, in_memory
from understudy.data.databases.url import DatabaseUrl, is_database, parse_url
from understudy.data.databases.writing import write_database
from understudy.data.dataset import Dataset
from understudy.data.inference import coerce
from understudy.schema import Schema

__all__ = [
    "DatabaseUrl",
    "is_database",
    "parse_url",
    "read_database",
    "read_tables",
    "write_database",
]


def read_database(url: str | Path | DatabaseUrl, into: Path | None = None) -> Dataset:
    """Every table of a database, with what its SQL declares.

    With `into`, a folder that is new or empty, rows are streamed to one Arrow file a table there
    and mapped, so that they need not fit into memory. Raises `SourceError` for what cannot be
    reached or read; then nothing is left in `into`.
    """
    schema, tables = read_tables(url, into)
    return Dataset(schema, {s.name: coerce(tables[s.name], s) for s in schema.tables})


def read_tables(
    url: str | Path | DatabaseUrl, into: Path | None = None
) -> tuple[Schema, dict[str, pa.Table]]:
    """As `read_database`, with the cells as they are stored: for a schema of somebody's own."""
    url = url if isinstance(url, DatabaseUrl) else parse_url(url)
    with _reader(url) as reader:
        found = reader.catalogue()
        tables = in_memory(reader, found) if into is None else in_files(reader, found, Path(into))
    return schema_of(found, tables, url.dialect), tables


@contextmanager
def _reader(url: DatabaseUrl) -> Iterator[Reader]:
    if url.dialect == "postgres":
        from understudy.data.databases.postgres import PostgresReader, connected

        with connected(url) as connection:
            yield PostgresReader(url, connection)
    elif url.dialect == "sqlite":
        from understudy.data.databases.sqlite import opened

        with opened(url) as reader:
            yield reader
    else:
        from understudy.data.databases.duckdb import opened_duckdb

        with opened_duckdb(url) as reader:
            yield reader
