"""Small works on a run's rows: apart from real identifiers, unbalanced for the audit, a preview."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from understudy.data import Dataset
from understudy.runtime.random import stream
from understudy.schema import Schema
from understudy.schema.plan import Plan


def unbalanced(synthetic: Dataset, source: Dataset, seed: int) -> Dataset:
    """The rows to audit: those of a balanced table resampled by weight, others as they are."""
    extra = [n for n in synthetic.table.column_names if n not in source.table.column_names]
    if not extra:
        return synthetic
    weight = synthetic.table[extra[0]].to_numpy()
    rng = stream(seed, "unbalanced")
    rows = rng.choice(len(weight), len(weight), p=weight / weight.sum())
    return source.with_table(synthetic.table.drop_columns(extra).take(pa.array(rows)))


def apart_from_real(made: Dataset, source: Dataset, seed: int) -> Dataset:
    """Remakes identifiers that chance made equal to one of a person the engine never saw.

    Keys that point at a remade one follow it; reference tables keep theirs.
    """
    from understudy.encoding import identifiers

    tables = dict(made.tables)
    pointing = {
        (spec.name, name)
        for spec in source.schema.tables
        for key in spec.foreign_keys
        for name in key.columns
    }
    for spec in source.schema.tables:
        for column in spec.of_kind("identifier"):
            if (spec.name, column.name) in pointing or spec.role == "reference":
                continue
            before, real = tables[spec.name][column.name], source.tables[spec.name][column.name]
            rng = stream(seed, "apart", spec.name, column.name)
            fresh = identifiers.apart(column, before, real, rng)
            tables[spec.name] = _with(tables[spec.name], column.name, fresh)
            _follow(tables, source.schema, (spec.name, column.name), before, fresh)
    return Dataset(made.schema, tables)


def _follow(
    tables: dict[str, pa.Table],
    schema: Schema,
    remade: tuple[str, str],
    before: pa.ChunkedArray,
    fresh: pa.Array,
) -> None:
    """Gives every key that points at the column `remade` its new values, and theirs in turn."""
    if before.combine_chunks().equals(fresh):
        return
    for spec in schema.tables:
        for key in spec.foreign_keys:
            for name, target in zip(key.columns, key.references, strict=True):
                if (key.table, target) != remade:
                    continue
                old = tables[spec.name][name]
                at = pc.index_in(old, value_set=before.combine_chunks())
                new = pc.if_else(at.is_valid(), fresh.take(at.combine_chunks()), old)
                tables[spec.name] = _with(tables[spec.name], name, new)
                _follow(tables, schema, (spec.name, name), old, new.combine_chunks())


def _with(table: pa.Table, name: str, column: pa.Array) -> pa.Table:
    place = table.column_names.index(name)
    return table.set_column(place, table.schema.field(place), column)


def name_of(data: Dataset, plan: Plan) -> str:
    """What a report calls the data: a table by its name, a database by its folder's or its own."""
    if len(data.schema.tables) == 1:
        return data.schema.table().name
    path = plan.source.path.partition("?")[0].rstrip("/")
    return path.rpartition("/")[2] or "database"


def fingerprint(data: Dataset) -> str:
    """A hash of names, types and cells, by which a run folder knows its data. It stays inside."""
    digest = hashlib.sha256()
    for name in sorted(data.tables):
        table = data.tables[name].combine_chunks()
        digest.update(json.dumps([name, str(table.schema)]).encode())
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema.remove_metadata()) as writer:
            writer.write_table(table.replace_schema_metadata(None))
        digest.update(np.frombuffer(sink.getvalue(), np.uint8))
    return digest.hexdigest()


def preview(synthetic: Dataset) -> dict[str, Any]:
    """The first ten rows, as text; of a database those of its largest table."""
    largest = max(synthetic.tables, key=lambda name: synthetic.tables[name].num_rows)
    head = synthetic.tables[largest].slice(0, 10)
    rows = [["" if v is None else str(v) for v in row.values()] for row in head.to_pylist()]
    return {"columns": head.column_names, "rows": rows}
