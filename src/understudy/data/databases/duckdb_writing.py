"""A new DuckDB file: tables after those they point at.

DuckDB holds keys row by row, so a table that points at itself, or round a circle, could not be
filled: such keys are held against the rows once, and are not declared.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from understudy.data.databases.ddl import Target, quoted
from understudy.data.databases.violations import refuse_broken
from understudy.data.writing import whole
from understudy.errors import ConstraintError, SourceError
from understudy.schema import ForeignKey, Schema


def write_duckdb(target: Target, tables: Mapping[str, pa.Table], path: Path) -> None:
    """The whole file or none."""
    whole(path, lambda building: _fill(target, tables, building, path))


def _fill(target: Target, tables: Mapping[str, pa.Table], building: Path, path: Path) -> None:
    import duckdb

    connection = duckdb.connect(str(building))
    try:
        connection.execute("SET TimeZone = 'UTC'")
        staged = _staged(target, tables, connection)
        order, kept = in_order(target.schema)
        if any(kept[spec.name] != spec.foreign_keys for spec in target.schema.tables):
            _count_broken(target, staged, connection, path)
        connection.execute("BEGIN")
        for name in order:
            spec = target.schema.table(name)
            connection.execute(target.create(spec, foreign=kept[name]))
            connection.execute(f"INSERT INTO {quoted(name)} {staged[name]}")
        for comment in target.comments():
            connection.execute(comment)
        connection.execute("COMMIT")
        connection.execute("CHECKPOINT")
    except (duckdb.ConstraintException, duckdb.ConversionException) as error:
        fits = isinstance(error, duckdb.ConstraintException)
        connection.close()
        if fits:
            _diagnose(target, tables, path)
        raise ConstraintError(
            f"{path} refuses the rows: a value does not fit the type of its column. Nothing was "
            "written."
        ) from None
    except duckdb.Error as error:
        what = " ".join(str(error).split())
        raise SourceError(
            f"{path} could not be written: {what}. Nothing was written. If a check is the cause, "
            "take it out of `checks` in the plan."
        ) from None
    finally:
        connection.close()
        Path(f"{building}.wal").unlink(missing_ok=True)


def in_order(schema: Schema) -> tuple[tuple[str, ...], dict[str, tuple[ForeignKey, ...]]]:
    """Tables with parents before children, and the keys that this order lets each declare."""
    waiting = {spec.name: spec for spec in schema.tables}
    order: list[str] = []
    kept: dict[str, tuple[ForeignKey, ...]] = {}
    while waiting:
        open_keys = {
            name: [k for k in spec.foreign_keys if k.table in waiting and k.table != name]
            for name, spec in waiting.items()
        }
        # In a circle somebody has to go first: who waits for fewest.
        name = min(waiting, key=lambda n: len(open_keys[n]))
        spec = waiting.pop(name)
        kept[name] = tuple(k for k in spec.foreign_keys if k.table in order)
        order.append(name)
    return tuple(order), kept


def _staged(target: Target, tables: Mapping[str, pa.Table], connection: Any) -> dict[str, str]:
    selects = {}
    for place, spec in enumerate(target.schema.tables):
        connection.register(f"understudy_staged_{place}", tables[spec.name])
        selects[spec.name] = target.cast(spec, f"understudy_staged_{place}")
    return selects


def _diagnose(target: Target, tables: Mapping[str, pa.Table], path: Path) -> None:
    import duckdb

    with duckdb.connect() as connection:
        _count_broken(target, _staged(target, tables, connection), connection, path)


def _count_broken(target: Target, staged: Mapping[str, str], connection: Any, path: Path) -> None:
    def count(query: str) -> int:
        return int(connection.execute(query).fetchone()[0])

    refuse_broken(target, lambda name: f"({staged[name]})", count, str(path))
