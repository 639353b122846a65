"""R10: when rare events happen within an entity's history, where rows have an order.

Per entity, in order: how many rows lie between two rare events, how many follow each other without
a pause, and how many rows pass before the first. The Kolmogorov-Smirnov distance of each from the
holdout's, beside train's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.encoding.columns import to_numbers
from understudy.evaluation.rare.entry import Entry
from understudy.evaluation.rare.groups import Group
from understudy.evaluation.samples import Samples
from understudy.evaluation.statistics import Floats
from understudy.schema import Schema

FEWEST = 20
DRAWS = 60
PARTS = ("rows between events", "length of bursts", "rows before the first")


def event_timing(
    samples: Samples, schema: Schema, group: Group, rng: np.random.Generator
) -> Entry | None:
    """R10 for one group; None without an order column, or with too few events."""
    order = schema.table().order_by
    if order is None:
        return None
    entity = schema.unit.column
    spans = {
        role: _spans(*_history(samples, role, entity, order, group))
        for role in ("synthetic", "holdout", "train")
    }
    parts: list[dict[str, Any]] = []
    for i, name in enumerate(PARTS):
        held, ours, real = (spans[role][i] for role in ("holdout", "synthetic", "train"))
        if min(len(held), len(ours), len(real)) < FEWEST:
            continue
        draws = [_distance(rng.choice(ours, len(ours)), held) for _ in range(DRAWS)]
        value = _distance(ours, held)
        error = 1.96 * float(np.std(draws))
        parts.append(
            {
                "name": name,
                "value": value,
                "low": max(0.0, value - error),
                "high": min(1.0, value + error),
                "floor": _distance(real, held),
                "n": len(held),
            }
        )
    if not parts:
        return None
    speaks = max(parts, key=lambda part: part["value"])
    return Entry(
        "R10",
        "timing of rare events",
        speaks["value"],
        speaks["low"],
        speaks["high"],
        speaks["floor"],
        speaks["n"],
        f"Kolmogorov-Smirnov distance from the holdout of {speaks['name']} for {group.name}, by "
        f"{order}; floor: train in its place",
        "lower",
        parts=tuple(parts),
    )


def _history(
    samples: Samples, role: str, entity: str | None, order: str, group: Group
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(entity of every row, whether it is an event), sorted by entity and order."""
    table = samples.tables[role]
    numbers, _ = to_numbers(table[order])
    owner = np.zeros(len(table), np.int64)
    if entity is not None:
        codes = table[entity].combine_chunks().dictionary_encode().indices
        owner = pc.fill_null(codes, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    rows = np.lexsort((numbers, owner))
    return owner[rows], group.rows[role][rows]


def _spans(owner: NDArray[np.int64], event: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
    """Gaps between events, burst lengths, and rows before an entity's first event."""
    if len(owner) == 0:
        return (np.zeros(0),) * 3
    start = np.flatnonzero(np.concatenate([[True], owner[1:] != owner[:-1]]))
    first_row = start[np.searchsorted(start, np.arange(len(owner)), side="right") - 1]
    at = np.flatnonzero(event)
    same = owner[at[1:]] == owner[at[:-1]]
    gaps = np.diff(at)
    opens = np.concatenate([[True], ~same | (gaps > 1)]) if len(at) else np.zeros(0, bool)
    bursts = np.diff(np.append(np.flatnonzero(opens), len(at)))
    leads = np.concatenate([[True], ~same]) if len(at) else np.zeros(0, bool)
    before = at[leads] - first_row[at[leads]]
    return gaps[same].astype(float), bursts.astype(float), before.astype(float)


def _distance(a: Floats, b: Floats) -> float:
    points = np.union1d(a, b)
    below = [np.searchsorted(np.sort(x), points, side="right") / len(x) for x in (a, b)]
    return float(np.abs(below[0] - below[1]).max())
