"""Small works on a run's rows: apart from real identifiers, unbalanced for the audit, a preview."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import pyarrow as pa

from understudy.data import Dataset
from understudy.runtime.random import stream


def unbalanced(synthetic: Dataset, source: Dataset, seed: int) -> Dataset:
    """The rows to audit: those of a balanced table resampled by weight, others as they are."""
    extra = [n for n in synthetic.table.column_names if n not in source.table.column_names]
    if not extra:
        return synthetic
    weight = synthetic.table[extra[0]].to_numpy()
    rng = stream(seed, "unbalanced")
    rows = rng.choice(len(weight), len(weight), p=weight / weight.sum())
    return source.with_table(synthetic.table.drop_columns(extra).take(pa.array(rows)))


def apart_from_real(table: pa.Table, source: Dataset, seed: int) -> pa.Table:
    """Remakes identifiers that chance made equal to one of a person the engine never saw."""
    from understudy.encoding import identifiers

    for column in source.schema.table().of_kind("identifier"):
        made, real = table[column.name], source.table[column.name]
        fresh = identifiers.apart(column, made, real, stream(seed, "apart", column.name))
        place = table.column_names.index(column.name)
        table = table.set_column(place, table.schema.field(place), fresh)
    return table


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
    """The first ten rows, as text."""
    head = synthetic.table.slice(0, 10)
    rows = [["" if v is None else str(v) for v in row.values()] for row in head.to_pylist()]
    return {"columns": head.column_names, "rows": rows}
