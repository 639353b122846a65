"""A new PostgreSQL schema: staged by COPY, cast into its tables, keys added, one transaction."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from understudy.data.databases.ddl import Target, literal, quoted
from understudy.data.databases.postgres import connected
from understudy.data.databases.url import DatabaseUrl
from understudy.data.databases.violations import refuse_broken
from understudy.errors import ConstraintError, SourceError


def write_schema(
    target: Target, tables: Mapping[str, pa.Table], url: DatabaseUrl, schema: str
) -> None:
    """Commits the whole schema or leaves the database as it was."""
    from adbc_driver_manager import Error

    with connected(url) as connection:
        try:
            _fill(target, tables, connection, schema)
            connection.commit()
            return
        except Error as error:
            state, said = error.sqlstate or "", url.scrub(str(error))
    if state.startswith("23"):
        _diagnose(target, tables, url, schema)
    raise _explained(state, said, url, schema)


def _fill(target: Target, tables: Mapping[str, pa.Table], connection: Any, schema: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA {quoted(schema)}")
        _make_types(target, cursor, schema)
        for spec in target.schema.tables:
            cursor.execute(target.create(spec))
        for place, spec in enumerate(target.schema.tables):
            staged = _stage(cursor, place, tables[spec.name])
            cursor.execute(f"INSERT INTO {quoted(spec.name)} {target.cast(spec, staged)}")
            cursor.execute(f"DROP TABLE {staged}")
        # Keys come after the rows, so that tables may point at each other and at themselves.
        for spec in target.schema.tables:
            for key in spec.foreign_keys:
                cursor.execute(
                    f"ALTER TABLE {quoted(spec.name)} ADD FOREIGN KEY {target.reference(key)}"
                )
            for column in target.running(spec):
                cursor.execute(_counted_on(spec.name, column, schema))
        for comment in target.comments():
            cursor.execute(comment)


def _counted_on(table: str, column: str, schema: str) -> str:
    """New rows of the copy are numbered after those that it has."""
    whole = literal(f"{quoted(schema)}.{quoted(table)}")
    largest = f"(SELECT max({quoted(column)}) FROM {quoted(table)})"
    sequence = f"pg_get_serial_sequence({whole}, {literal(column)})"
    return f"SELECT setval({sequence}, greatest(1, {largest}), {largest} IS NOT NULL)"


def _make_types(target: Target, cursor: Any, schema: str) -> None:
    cursor.execute(f"SET LOCAL search_path TO {quoted(schema)}, pg_temp")
    for name, levels in target.enums().items():
        cursor.execute(f"CREATE TYPE {quoted(schema)}.{quoted(name)} AS ENUM ({levels})")


def _stage(cursor: Any, place: int, table: pa.Table) -> str:
    """The rows as they are, by binary COPY into a temporary table."""
    name = f"understudy_staged_{place}"
    cursor.adbc_ingest(name, table, mode="create", temporary=True)
    return f"pg_temp.{name}"


def _diagnose(
    target: Target, tables: Mapping[str, pa.Table], url: DatabaseUrl, schema: str
) -> None:
    """Stages the rows once more and counts; the transaction is left to roll back."""
    with connected(url) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA {quoted(schema)}")
        _make_types(target, cursor, schema)
        places = {
            spec.name: f"({target.cast(spec, _stage(cursor, place, tables[spec.name]))})"
            for place, spec in enumerate(target.schema.tables)
        }

        def count(query: str) -> int:
            cursor.execute(f"SELECT ({query})::int8")
            return int(cursor.fetchone()[0])

        refuse_broken(target, places.__getitem__, count, f"schema {schema!r} of {url}")


def _explained(state: str, said: str, url: DatabaseUrl, schema: str) -> Exception:
    nothing = "Nothing was written."
    if state == "42P06":
        return SourceError(
            f"{url} has a schema {schema!r} already. Choose another with ?schema=NAME, or drop it "
            f"first: DROP SCHEMA {quoted(schema)} CASCADE. {nothing}"
        )
    if state == "42501":
        return SourceError(
            f"{url} does not let this user make schema {schema!r}: {said}. Ask for GRANT CREATE ON "
            f"DATABASE. {nothing}"
        )
    if state.startswith(("22", "23")):
        # What follows the last colon is the value of a cell.
        said = re.sub(r': ".*', "", said)
        return ConstraintError(f"schema {schema!r} of {url} refuses the rows: {said}. {nothing}")
    return SourceError(
        f"schema {schema!r} of {url} could not be written: {said}. {nothing} If a type or "
        "a check is the cause, correct it in the plan."
    )
