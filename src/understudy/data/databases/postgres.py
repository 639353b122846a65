"""PostgreSQL as a source, through ADBC: what its catalogue says, and rows in Arrow batches.

Everything is read in one read-only transaction that sees one snapshot, so tables fit together
however long the reading takes.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pyarrow as pa

from understudy.data.databases.catalogue import FoundColumn, FoundTable
from understudy.data.databases.postgres_catalogue import COLUMNS, CONSTRAINTS, SCHEMAS, TABLES
from understudy.data.databases.postgres_types import column_of
from understudy.data.databases.stream import no_values
from understudy.data.databases.url import DatabaseUrl
from understudy.errors import MissingExtraError, SourceError, suggest
from understudy.schema import ForeignKey

BATCH = 4 * 2**20
"""Bytes of one record batch."""
ON_DELETE = {"c": "cascade", "n": "set null", "d": "set default", "r": "restrict"}


@contextmanager
def connected(url: DatabaseUrl) -> Iterator[Any]:
    """A connection with a transaction open, rolled back if nobody commits it.

    Raises `SourceError`, scrubbed, where there is no such server, user or database.
    """
    try:
        from adbc_driver_manager import Error
        from adbc_driver_postgresql import dbapi
    except ImportError:
        raise MissingExtraError.of("a PostgreSQL database", "postgres") from None
    try:
        connection = dbapi.connect(url.for_driver())
    except Error as error:
        raise SourceError(
            f"cannot connect to {url}: {url.scrub(str(error))}. Check host, port, database, user "
            "and password ($UNDERSTUDY_DATABASE_PASSWORD, $PGPASSWORD or ~/.pgpass)."
        ) from None
    try:
        yield connection
    finally:
        with suppress(Error):  # the server may be gone, and with it the transaction
            connection.close()


class PostgresReader:
    """An open PostgreSQL database. One transaction, read only, one snapshot."""

    def __init__(self, url: DatabaseUrl, connection: Any) -> None:
        self.url = url
        self.connection = connection
        self.schema = url.schema or "public"
        self._run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        self._run(f"SET LOCAL search_path TO {quoted(self.schema)}")

    def catalogue(self) -> tuple[FoundTable, ...]:
        """Every ordinary and partitioned table of the schema, in the order they were made."""
        tables = self._rows(TABLES)
        if not tables:
            self._refuse_empty()
        columns, constraints = defaultdict(list), defaultdict(list)
        for row in self._rows(COLUMNS):
            columns[row["table"]].append(column_of(row))
            for check in row["domain_checks"] or ():
                ruled = {"kind": "c", "check": check_of_domain(check, row["name"])}
                constraints[row["table"]].append(ruled)
        for row in self._rows(CONSTRAINTS):
            constraints[row["table"]].append(row)
        return tuple(_table(row, columns[row["name"]], constraints[row["name"]]) for row in tables)

    def batches(self, table: FoundTable) -> Generator[pa.RecordBatch]:
        """The rows of a table in the types of `table.arrow`, some megabytes at a time."""
        chosen = ", ".join(column.expression for column in table.columns)
        query = f"SELECT {chosen} FROM {quoted(self.schema)}.{quoted(table.name)}"
        where = f"table {table.name!r} of {self.url}"
        with self._read(where) as cursor:
            cursor.execute(query)
            for batch in cursor.fetch_record_batch():
                with no_values(where):
                    yield _typed(batch, table.arrow)

    def _rows(self, query: str) -> list[dict[str, Any]]:
        with self._read(f"the catalogue of {self.url}") as cursor:
            cursor.execute(query.replace("$schema", literal(self.schema)))
            return [json.loads(row[0]) for row in cursor.fetchall()]

    def _run(self, statement: str) -> None:
        with self._read(str(self.url)) as cursor:
            cursor.execute(statement)

    @contextmanager
    def _read(self, where: str) -> Iterator[Any]:
        from adbc_driver_manager import Error

        try:
            with self.connection.cursor() as cursor:
                cursor.adbc_statement.set_options(
                    **{"adbc.postgresql.batch_size_hint_bytes": str(BATCH)}
                )
                yield cursor
        except (Error, OSError) as error:
            raise SourceError(
                f"{where} could not be read: {self.url.scrub(str(error))}. Nothing was kept. If "
                "the server went away, try again when it is back; if it forbids, ask for SELECT "
                "on the tables."
            ) from None

    def _refuse_empty(self) -> None:
        names = [row["name"] for row in self._rows(SCHEMAS)]
        if self.schema in names:
            raise SourceError(
                f"schema {self.schema!r} of {self.url} has no table that this user may see. "
                f"{suggest(self.schema, [n for n in names if n != self.schema])} Name another with "
                "?schema=NAME."
            )
        raise SourceError(
            f"{self.url} has no schema {self.schema!r}. {suggest(self.schema, names)}"
        )


def check_of_domain(check: str, column: str) -> str:
    """A domain's condition on VALUE as one on the column that has the domain's type."""
    import sqlglot
    from sqlglot import exp

    def named(node: exp.Expression) -> exp.Expression:
        if isinstance(node, exp.Column) and node.name == "value" and not node.this.quoted:
            return exp.column(column, quoted=True)
        return node

    folded = re.sub(r"\bVALUE\b", "value", check)
    return sqlglot.parse_one(folded, dialect="postgres").transform(named).sql("postgres")


def quoted(name: str) -> str:
    """A name as SQL's identifiers are spelled."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL's standard strings are spelled."""
    return "'" + text.replace("'", "''") + "'"


def _table(
    row: dict[str, Any], columns: list[FoundColumn], constraints: list[dict[str, Any]]
) -> FoundTable:
    of: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for constraint in constraints:
        of[constraint["kind"]].append(constraint)
    return FoundTable(
        name=row["name"],
        columns=tuple(columns),
        primary_key=tuple(of["p"][0]["columns"]) if of["p"] else (),
        unique=tuple(tuple(found["columns"]) for found in of["u"]),
        foreign_keys=tuple(
            ForeignKey(
                columns=f["columns"],
                table=f["parent"],
                references=f["references"],
                on_delete=ON_DELETE.get(f["on_delete"]),
            )
            for f in of["f"]
        ),
        checks=tuple(found["check"] for found in of["c"]),
        comment=row["comment"],
    )


def _typed(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    columns = [
        column.cast(field.type) if column.type != field.type else column
        for column, field in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
