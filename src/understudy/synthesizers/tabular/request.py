"""What every engine of single tables is asked: one table, something to learn, a possible target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

from understudy.errors import ColumnError, EngineError
from understudy.schema import Schema, Table

Config = TypeVar("Config")


def single_table(schema: Schema, target: str | None, engine: str) -> Table:
    """The only table; `EngineError` for several, `ColumnError` for a target that cannot be one."""
    if len(schema.tables) != 1:
        names = ", ".join(t.name for t in schema.tables)
        raise EngineError(
            f"the {engine} engine takes one table, this dataset has several: {names}."
        )
    spec = schema.table()
    if target is None:
        return spec
    column = spec.column(target)
    if column.kind in ("identifier", "text"):
        raise ColumnError(
            f"column {target!r} is {column.kind} ({column.why or 'by its kind'}) and cannot be the "
            "target. Name a column to predict, or change its kind in the plan."
        )
    return spec


def learnable_table(schema: Schema, target: str | None, engine: str) -> Table:
    """The same; `EngineError` too for a table without a column that an engine models."""
    spec = single_table(schema, target, engine)
    if not spec.learnt:
        raise EngineError(
            f"table {spec.name!r} has no column to learn: all are identifiers or text."
        )
    return spec


def with_params(config: Config, params: Mapping[str, Any], engine: str) -> Config:
    """scikit-learn's `set_params` for a frozen configuration: a new one, with these changed."""
    known = {field.name for field in fields(config)}  # type: ignore[arg-type]
    for name in params:
        if name not in known:
            raise EngineError(f"the {engine} engine has no parameter {name!r}: {sorted(known)}")
    return replace(config, **params)  # type: ignore[type-var]
