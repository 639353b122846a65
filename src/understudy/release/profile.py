"""Distributions of a synthetic table, computed from its own rows and nothing else.

The scorecard's histograms cannot be published: their bars are laid along quantiles and levels of
the real table. These can, since they are a function of rows that leave anyway.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from understudy.data.dataset import Dataset

BARS = 24
LEVELS = 10


def profile(synthetic: Dataset) -> list[dict[str, Any]]:
    """One histogram per column that has one: `name`, `kind`, `labels`, `edges`, `shares`,
    `missing`."""
    found = []
    for spec in synthetic.schema.tables:
        for column in spec.columns:
            if column.kind in ("identifier", "text"):
                continue
            values = synthetic.tables[spec.name][column.name]
            numeric = column.kind not in ("category", "boolean")
            bars = _numbers(values) if numeric else None
            if bars is None:
                bars = _levels(values)
            missing = values.null_count / max(1, len(values))
            found.append({"name": column.name, "kind": column.kind, "missing": missing, **bars})
    return found


def _levels(values: pa.ChunkedArray) -> dict[str, Any]:
    """The commonest levels, then all others together."""
    present = values.drop_null()
    counted = pc.value_counts(present.cast(pa.string())).to_pylist()
    counted.sort(key=lambda entry: (-entry["counts"], entry["values"]))
    total = max(1, len(present))
    labels = [entry["values"] for entry in counted[:LEVELS]]
    shares = [entry["counts"] / total for entry in counted[:LEVELS]]
    rest = sum(entry["counts"] for entry in counted[LEVELS:])
    if rest:
        labels.append(f"{len(counted) - LEVELS:,} others")
        shares.append(rest / total)
    return {"labels": labels, "edges": None, "shares": shares}


def _numbers(values: pa.ChunkedArray) -> dict[str, Any] | None:
    """Equal bars between the 1 % and 99 % quantiles; None where there is no number line."""
    numbers = _as_floats(values.drop_null())
    if numbers is None or len(numbers) == 0:
        return None
    low, high = np.quantile(numbers, [0.01, 0.99])
    if low == high:
        low, high = float(numbers.min()), float(numbers.max())
    if low == high:
        return None
    counts, edges = np.histogram(np.clip(numbers, low, high), BARS, (low, high))
    written = [_written(float(edge), values.type) for edge in edges]
    labels = [f"{low} to {high}" for low, high in pairwise(written)]
    shares = (counts / len(numbers)).tolist()
    return {"labels": labels, "edges": edges.tolist(), "shares": shares}


def _written(value: float, kind: pa.DataType) -> str:
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return str(np.datetime64(int(value), "s"))[:10]
    return f"{value:.4g}"


def _as_floats(values: pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    """Numbers as they are, instants and durations in seconds; None for text."""
    kind = values.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return None
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        values = values.cast(pa.timestamp("s", getattr(kind, "tz", None)), safe=False)
        values = values.cast(pa.int64())
    elif pa.types.is_duration(kind):
        values = values.cast(pa.duration("s"), safe=False).cast(pa.int64())
    floats = np.asarray(values.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    return floats[np.isfinite(floats)]
