"""A new SQLite file: keys held at the commit, so tables may point at each other."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from understudy.data.databases.ddl import Target, names, quoted
from understudy.data.databases.violations import refuse_broken
from understudy.data.writing import whole
from understudy.errors import ConstraintError, SourceError
from understudy.schema import Table

ROWS = 20_000
"""Rows turned into Python's values at a time."""


def write_sqlite(target: Target, tables: Mapping[str, pa.Table], path: Path) -> None:
    """The whole file or none."""
    whole(path, lambda building: _fill(target, tables, building, path))


def _fill(target: Target, tables: Mapping[str, pa.Table], building: Path, path: Path) -> None:
    connection = sqlite3.connect(building, isolation_level=None)
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        # The file counts for nothing until it is whole, so it needs no journal beside it.
        connection.execute("PRAGMA journal_mode = MEMORY")
        connection.execute("BEGIN")
        connection.execute("PRAGMA defer_foreign_keys = ON")
        for spec in target.schema.tables:
            connection.execute(target.create(spec, foreign=spec.foreign_keys))
        for spec in target.schema.tables:
            _load(connection, spec, tables[spec.name])
        connection.execute("COMMIT")
    except sqlite3.IntegrityError as error:
        _diagnose(target, tables, path)
        raise ConstraintError(f"{path} refuses the rows: {error}. Nothing was written.") from None
    except sqlite3.Error as error:
        raise SourceError(
            f"{path} could not be written: {error}. Nothing was written. If a check is the cause, "
            "take it out of `checks` in the plan."
        ) from None
    finally:
        connection.close()


def _diagnose(target: Target, tables: Mapping[str, pa.Table], path: Path) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        for spec in target.schema.tables:
            columns = [f"{quoted(c.name)} {target.type_of(spec, c)}" for c in spec.columns]
            connection.execute(f"CREATE TABLE {quoted(spec.name)} ({', '.join(columns)})")
            _load(connection, spec, tables[spec.name])

        def count(query: str) -> int:
            return int(connection.execute(query).fetchone()[0])

        refuse_broken(target, quoted, count, str(path))
    finally:
        connection.close()


def _load(connection: sqlite3.Connection, spec: Table, table: pa.Table) -> None:
    marks = ", ".join("?" * table.num_columns)
    insert = f"INSERT INTO {quoted(spec.name)} ({names(spec.column_names)}) VALUES ({marks})"
    for batch in table.to_batches(ROWS):
        connection.executemany(insert, _rows(batch))


def _rows(batch: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
    return zip(*(_plain(column).to_pylist() for column in batch.columns), strict=True)


def _plain(column: pa.Array) -> pa.Array:
    """What SQLite stores: numbers, and text for times; lengths of time are seconds."""
    kind = column.type
    if pa.types.is_boolean(kind):
        return column.cast(pa.int64())
    if pa.types.is_decimal(kind):
        return column.cast(pa.int64() if kind.scale == 0 and kind.precision <= 18 else pa.float64())
    if pa.types.is_duration(kind):
        micros = column.cast(pa.duration("us")).cast(pa.int64()).cast(pa.float64())
        return pc.divide(micros, 1e6)
    if pa.types.is_timestamp(kind):
        return _instants(column)
    if pa.types.is_date(kind) or pa.types.is_time(kind):
        return column.cast(pa.string())
    return column


def _instants(column: pa.Array) -> pa.Array:
    """`YYYY-MM-DD HH:MM:SS` with a fraction only where there is one; UTC where there is a zone."""
    plain = column.cast(pa.timestamp("us"))
    text = plain.cast(pa.string())
    return pc.replace_substring_regex(text, r"\.0+$", "")
