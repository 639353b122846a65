"""SQLite files as sources, through Python's own driver.

SQLite keeps any value in any column. The declared type is believed where every value fits it, else
what is stored decides.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from understudy.data.databases.catalogue import FoundColumn, FoundTable
from understudy.data.databases.sqlite_types import column_of, evidence
from understudy.data.databases.stream import no_values
from understudy.data.databases.url import DatabaseUrl
from understudy.errors import SourceError, suggest
from understudy.schema import ForeignKey

ROWS = 20_000
"""Rows of one record batch."""
ON_DELETE = {word.upper(): word for word in ("cascade", "set null", "set default", "restrict")}

TABLES = """
SELECT name, sql FROM sqlite_master
WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND sql NOT LIKE 'CREATE VIRTUAL%'
ORDER BY rowid
"""


@contextmanager
def opened(url: DatabaseUrl) -> Iterator[SqliteReader]:
    """The file, read only, in one transaction."""
    if not url.path.is_file():
        folder = url.path.parent
        near = [p.name for p in folder.iterdir()] if folder.is_dir() else []
        raise SourceError(f"no file {url.address!r}. {suggest(url.path.name, near)}")
    connection = sqlite3.connect(
        f"file:{quote(str(url.path.resolve()))}?mode=ro", uri=True, isolation_level=None
    )
    try:
        reader = SqliteReader(url, connection)
        reader.rows("BEGIN")
        yield reader
    finally:
        connection.close()


class SqliteReader:
    """An open SQLite file."""

    def __init__(self, url: DatabaseUrl, connection: sqlite3.Connection) -> None:
        self.url = url
        self.connection = connection

    def catalogue(self) -> tuple[FoundTable, ...]:
        """Every table in the order they were made; virtual ones are left out."""
        tables = self.rows(TABLES)
        if not tables:
            raise SourceError(f"{self.url} has no table.")
        keys = {name: self._primary_key(name) for name, _ in tables}
        return tuple(self._table(name, sql, keys) for name, sql in tables)

    def batches(self, table: FoundTable) -> Generator[pa.RecordBatch]:
        """The rows of a table in the types of `table.arrow`."""
        chosen = ", ".join(column.expression for column in table.columns)
        with self._read(f"table {table.name!r}"):
            cursor = self.connection.execute(f"SELECT {chosen} FROM {quoted(table.name)}")
            while rows := cursor.fetchmany(ROWS):
                with no_values(f"table {table.name!r} of {self.url}"):
                    columns = [
                        _array(values, column)
                        for values, column in zip(
                            zip(*rows, strict=True), table.columns, strict=True
                        )
                    ]
                yield pa.RecordBatch.from_arrays(columns, schema=table.arrow)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self._read("the catalogue"):
            return self.connection.execute(query).fetchall()

    def _table(self, name: str, sql: str, keys: dict[str, tuple[str, ...]]) -> FoundTable:
        declared = self.rows(f"PRAGMA table_xinfo({quoted(name)})")
        # Hidden columns are 1; 2 and 3 are generated ones, which have values like all others.
        declared = [row for row in declared if row[6] != 1]
        tests = ", ".join(part for row in declared for part in evidence(row[1], row[2]))
        flags = list(self.rows(f"SELECT {tests} FROM {quoted(name)}")[0])
        columns = []
        for place, (_, column, kind, not_null, default, key, _) in enumerate(declared):
            stored = [bool(flag) for flag in flags[4 * place : 4 * place + 4]]
            found = column_of(column, kind, stored)
            if keys[name] == (column,) and kind.upper() == "INTEGER":
                default = "identity"
            columns.append(replace(found, nullable=not (not_null or key), default=default))
        return FoundTable(
            name=name,
            columns=tuple(columns),
            primary_key=keys[name],
            unique=self._unique(name),
            foreign_keys=self._foreign_keys(name, keys, tuple(c.name for c in columns)),
            checks=checks_of(sql),
        )

    def _primary_key(self, table: str) -> tuple[str, ...]:
        found = [row for row in self.rows(f"PRAGMA table_info({quoted(table)})") if row[5]]
        return tuple(row[1] for row in sorted(found, key=lambda row: row[5]))

    def _unique(self, table: str) -> tuple[tuple[str, ...], ...]:
        """Unique constraints and whole unique indexes over columns."""
        found = []
        for _, index, unique, origin, partial in self.rows(f"PRAGMA index_list({quoted(table)})"):
            columns = [row[2] for row in self.rows(f"PRAGMA index_info({quoted(index)})")]
            if unique and origin != "pk" and not partial and None not in columns:
                found.append(tuple(columns))
        return tuple(reversed(found))

    def _foreign_keys(
        self, table: str, keys: dict[str, tuple[str, ...]], names: tuple[str, ...]
    ) -> tuple[ForeignKey, ...]:
        parts: dict[int, list[tuple[Any, ...]]] = {}
        for row in self.rows(f"PRAGMA foreign_key_list({quoted(table)})"):
            parts.setdefault(row[0], []).append(row)
        found = []
        for number in sorted(parts, reverse=True):
            rows = sorted(parts[number], key=lambda row: row[1])
            parent = _spelled(rows[0][2], keys)
            if parent is None:
                continue  # SQLite lets a key point at a table that is not there
            said = tuple(row[4] for row in rows)
            theirs = [row[1] for row in self.rows(f"PRAGMA table_info({quoted(parent)})")]
            references = keys[parent] if said[0] is None else said
            found.append(
                ForeignKey(
                    columns=tuple(_spelled(row[3], names) or row[3] for row in rows),
                    table=parent,
                    references=tuple(_spelled(name, theirs) or name for name in references),
                    on_delete=ON_DELETE.get(rows[0][6]),
                )
            )
        return tuple(found)

    @contextmanager
    def _read(self, where: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            what = re.split(r" with text", str(error))[0]
            raise SourceError(
                f"{where} of {self.url} could not be read: {what}. Nothing was kept."
            ) from None


def checks_of(sql: str) -> tuple[str, ...]:
    """The CHECK conditions of a CREATE TABLE statement, in its order."""
    import sqlglot
    from sqlglot import exp

    try:
        tree = sqlglot.parse_one(sql, dialect="sqlite")
    except sqlglot.errors.SqlglotError:
        return ()
    found = tree.find_all(exp.CheckColumnConstraint, bfs=False)
    return tuple(check.this.sql(dialect="sqlite") for check in found)


def quoted(name: str) -> str:
    """A name as SQL's identifiers are spelled."""
    return '"' + name.replace('"', '""') + '"'


def _spelled(name: str, known: Any) -> str | None:
    """The name as it was declared: SQLite does not tell capitals from small letters."""
    return next((k for k in known if k.casefold() == name.casefold()), None)


def _array(values: tuple[Any, ...], column: FoundColumn) -> pa.Array:
    kind = column.type
    if pa.types.is_boolean(kind):
        return pa.array(values, pa.int64()).cast(kind)
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        naive = pa.date32() if pa.types.is_date(kind) else pa.timestamp("us")
        return pa.array(values, pa.string()).cast(naive).cast(kind)
    return pa.array(values, kind)
