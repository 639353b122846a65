"""Rows joined with everything above them, and entities as rows: one table from many.

A joined row holds its own columns and those of its parents and theirs; a profile one row per
entity. Both are one-table datasets, so every judge and model for tables works on them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.data.dataset import Dataset
from understudy.encoding.profiles import ENTITY, Profiler
from understudy.evaluation.relational.database import Database, Rows, parent_rows
from understudy.schema import LEARNT_KINDS, Column, Schema, Table, Unit

DEEPEST = 3

Part = tuple[Column, pa.ChunkedArray]


def joined(data: Dataset, table: str) -> Dataset:
    """The rows of `table` in their order, learnt columns only, parents' cells null without one."""
    return _dataset("joined", list(_above(data, table, table, None, frozenset())))


def joined_profiles(base: Database, role: str, profiler: Profiler) -> Dataset:
    """One row per entity: its profile, and the reference rows its only rows point at."""
    found = profiler.profiles(base.data[role], base.entity[role])
    parts = [(c, found.table[c.name]) for c in found.schema.table().columns if c.name != ENTITY]
    for name in base.owned:
        entity = base.entity[role][name]
        if any(len(base.entity[r][name]) > base.entities[r] for r in base.data):
            continue
        row = np.full(base.entities[role], -1)
        row[entity[::-1]] = np.arange(len(entity))[::-1]
        for link in base.links_of(name):
            if link.parent in base.reference:
                up = np.append(link.rows[role], -1)[row]
                path = f"{name}.{'+'.join(link.key.columns)}"
                parts += _above(base.data[role], link.parent, path, up, frozenset({name}))
    return _dataset("profiles", parts)


def joined_with_profiles(base: Database, role: str, table: str, profiler: Profiler) -> Dataset:
    """Rows of `table` joined with everything above them and with their entity's profile."""
    rows = joined(base.data[role], table)
    profile = profiler.profiles(base.data[role], base.entity[role])
    owner = pa.array(base.entity[role][table])
    parts = [(c, rows.table[c.name]) for c in rows.schema.table().columns]
    known = {column.name for column, _ in parts}
    for column in profile.schema.table().columns:
        if column.name != ENTITY and column.name not in known:
            parts.append((column, profile.table[column.name].take(owner)))
    return _dataset("joined", parts)


def leaves(base: Database) -> tuple[str, ...]:
    """Owned tables that point at others and that no owned table points at."""
    parents = {link.parent for link in base.links if link.child not in base.reference}
    return tuple(name for name in base.owned if name not in parents and base.links_of(name))


def _above(
    data: Dataset, table: str, path: str, rows: Rows | None, met: frozenset[str]
) -> Iterator[Part]:
    """Columns of `table` at `rows` (all where None, -1: null), then those of its parents."""
    spec, found = data.schema.table(table), data.tables[table]
    taken = None if rows is None else pa.array(rows, mask=rows < 0)
    keys = {*spec.primary_key, *(name for key in spec.foreign_keys for name in key.columns)}
    for column in spec.columns:
        if column.kind not in LEARNT_KINDS or column.name in keys:
            continue
        values = found[column.name] if taken is None else found[column.name].take(taken)
        renamed = {"name": f"{path}.{column.name}", "nullable": True}
        yield column.model_copy(update=renamed), values
    if len(met) >= DEEPEST:
        return
    for key in spec.foreign_keys:
        if key.table in met or key.table == table:
            continue
        up = parent_rows(found, data.tables[key.table], key)
        above = up if rows is None else np.append(up, -1)[rows]
        further = f"{path}.{'+'.join(key.columns)}"
        yield from _above(data, key.table, further, above, met | {table})


def _dataset(name: str, parts: list[Part]) -> Dataset:
    columns = tuple(column for column, _ in parts)
    schema = Schema(tables=(Table(name=name, columns=columns),), unit=Unit())
    return Dataset.single(
        schema, pa.table([values for _, values in parts], names=[c.name for c in columns])
    )


def first_rows(data: Dataset, rows: NDArray[np.int64]) -> Dataset:
    """Some rows of a one-table dataset."""
    return data.with_table(data.table.take(pa.array(rows)))
