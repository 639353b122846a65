"""What a report knows of a database beside its card: the graph of tables, and some histories.

`database_contents` makes `contents["database"]`:

    {"tables": [{"name", "role": "owned" | "reference" | None, "order_by": str | None,
                 "primary_key": [str], "foreign_keys": [{"columns", "table", "references"}],
                 "columns": [{"name", "kind"}], "rows_real": int, "rows_synthetic": int}],
     "histories": [{"table": str, "columns": [str],
                    "real": [[[str]]], "synthetic": [[[str]]]}]}

Histories are rows of real people: they go into the internal report and nowhere else.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from understudy.data.dataset import Dataset
from understudy.data.ownership import entity_of
from understudy.encoding.columns import to_numbers
from understudy.runtime.random import stream
from understudy.schema import Table

ENTITIES = 3
MOST_EVENTS = 14
FEWEST_EVENTS = 3
MOST_COLUMNS = 8


def database_contents(real: Dataset, synthetic: Dataset, *, seed: int = 0) -> dict[str, Any]:
    """`real` are the rows learnt from; a few of their histories are drawn with `seed`."""
    tables = [
        {
            "name": spec.name,
            "role": spec.role,
            "order_by": spec.order_by,
            "primary_key": list(spec.primary_key),
            "foreign_keys": [
                {
                    "columns": list(key.columns),
                    "table": key.table,
                    "references": list(key.references),
                }
                for key in spec.foreign_keys
            ],
            "columns": [{"name": c.name, "kind": c.kind} for c in spec.columns],
            "rows_real": real.tables[spec.name].num_rows,
            "rows_synthetic": synthetic.tables[spec.name].num_rows,
        }
        for spec in real.schema.tables
    ]
    return {"tables": tables, "histories": _histories(real, synthetic, seed)}


def _histories(real: Dataset, synthetic: Dataset, seed: int) -> list[dict[str, Any]]:
    found = []
    clocks = [spec for spec in real.schema.tables if spec.order_by is not None]
    if not clocks:
        return []
    entity = {name: entity_of(data) for name, data in (("real", real), ("synthetic", synthetic))}
    for spec in clocks:
        if spec.name not in entity["real"]:
            continue
        names = _shown(spec)
        sides = {
            side: _drawn(data.tables[spec.name], entity[side][spec.name], spec, names, seed, side)
            for side, data in (("real", real), ("synthetic", synthetic))
        }
        if all(sides.values()):
            found.append({"table": spec.name, "columns": names, **sides})
    return found


def _shown(spec: Table) -> list[str]:
    """The clock first, then columns that are no identifiers."""
    clock = spec.order_by or ""
    rest = [c.name for c in spec.columns if c.kind not in ("identifier", "text")]
    return [clock, *(name for name in rest if name != clock)][:MOST_COLUMNS]


def _drawn(
    table: pa.Table,
    entity: np.ndarray[Any, np.dtype[np.int64]],
    spec: Table,
    names: list[str],
    seed: int,
    side: str,
) -> list[list[list[str]]]:
    """The first events of a few entities with enough of them, as text."""
    counts = np.bincount(entity[entity >= 0])
    enough = np.flatnonzero(counts >= min(FEWEST_EVENTS, counts.max(initial=0)))
    rng = stream(seed, "report", "histories", spec.name, side)
    chosen = rng.permutation(enough)[:ENTITIES]
    found = []
    for one in chosen:
        rows = table.take(pa.array(np.flatnonzero(entity == one)))
        when, _ = to_numbers(rows[spec.order_by])
        ordered = rows.take(pa.array(np.argsort(when, kind="stable")[:MOST_EVENTS]))
        cells = [ordered[name].to_pylist() for name in names]
        found.append(
            [["" if c is None else str(c) for c in row] for row in zip(*cells, strict=True)]
        )
    return found
