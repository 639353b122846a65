"""R1-R3 and R12: is the tail kept, invented, at its rate, and kept no better where it was seen?

* R1 asks of every held-out tail row whether the synthetic table has a row as near as the nearest
  reference row. At equal sizes two real samples tie, so a real sample scores about one half; train,
  which held the place of the synthetic table, gives the exact floor over the same rows.
* R2 asks of synthetic tail rows whether they lie in a ball that a real row and its five neighbours
  span; held-out tail rows set the floor. Invented outliers lie outside.
* R12 is the share of tail rows with such a near synthetic row among train less that among the
  holdout. Whoever learns the region scores zero, whoever copies its rows scores above.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from understudy.encoding.neighbours import nearest
from understudy.evaluation.rare.entry import Entry, mean_of, paired_ratio, rate_ratio, worst
from understudy.evaluation.rare.groups import Group
from understudy.evaluation.rare.landscape import Landscape, Tail, chance_of_any, within
from understudy.evaluation.statistics import Estimate, clopper_pearson, share_difference

FEWEST = 5
SPEAKING = 20
"""Held-out rows a group should have to stand for all of them."""
MOST_TAIL = 2_000
RESOLUTION = 0.05
"""Half-width of the coverage ratio that settles on which side of .8 it lies; sets `rows_needed`."""


def tail_coverage(land: Landscape, rng: np.random.Generator) -> Entry | None:
    """R1, one part per tail; the first tail speaks."""
    parts = [part for tail in land.tails if (part := _covered(land, tail, rng)) is not None]
    if not parts:
        return None
    first = parts[0]
    return Entry(
        "R1",
        "tail coverage",
        first["value"],
        first["low"],
        first["high"],
        first["floor"],
        first["n"],
        f"held-out rows of the {first['tail']} most unusual with a synthetic row as near as the "
        "nearest reference row; floor: train in its place",
        parts=tuple(parts),
    )


def _covered(land: Landscape, tail: Tail, rng: np.random.Generator) -> dict[str, Any] | None:
    rows = land.rows("holdout", tail)[:MOST_TAIL]
    if len(rows) < FEWEST:
        return None
    asking = land.points["holdout"][rows]
    radius = nearest(asking, land.points["reference"]).to(1)
    size = min(land.size(role) for role in ("synthetic", "train", "reference"))

    def kept(role: str) -> Any:
        return chance_of_any(within(asking, land.points[role], radius), land.size(role), size)

    ours, real = kept("synthetic"), kept("train")
    value, ratio = mean_of(ours), paired_ratio(ours, real, rng)
    width = (ratio.high - ratio.low) / 2
    needed = len(rows) * (width / RESOLUTION) ** 2
    return {
        "tail": tail.name,
        "n": len(rows),
        "value": value.value,
        "low": value.low,
        "high": value.high,
        "floor": float(real.mean()),
        "ratio": ratio.value,
        "ratio_low": ratio.low,
        "ratio_high": ratio.high,
        "rows_needed": int(np.ceil(needed)) if np.isfinite(needed) else None,
    }


def tail_precision(land: Landscape) -> Entry | None:
    """R2 in the first tail that has rows."""
    for tail in land.tails:
        ours = land.rows("synthetic", tail)[:MOST_TAIL]
        real = land.rows("holdout", tail)[:MOST_TAIL]
        if len(ours) < FEWEST or len(real) < FEWEST:
            continue
        inside = {
            role: _in_a_ball(land, role, rows)
            for role, rows in (("synthetic", ours), ("holdout", real))
        }
        value = clopper_pearson(inside["synthetic"], len(ours))
        floor = clopper_pearson(inside["holdout"], len(real))
        return Entry(
            "R2",
            "tail precision",
            value.value,
            value.low,
            value.high,
            floor.value,
            len(ours),
            f"synthetic rows of the {tail.name} most unusual inside a ball of real rows; floor: "
            "held-out rows of the same tail",
            floor_low=floor.low,
            floor_high=floor.high,
        )
    return None


def _in_a_ball(land: Landscape, role: str, rows: Any) -> int:
    """How many of the rows lie within the reach of some reference row."""
    asking = land.points[role][rows]
    inside = np.zeros(len(asking), bool)
    wide, reference = asking.astype(np.float64), land.points["reference"].astype(np.float64)
    norms = np.einsum("ij,ij->i", reference, reference)
    limit = land.reach**2 + 1e-9
    for start in range(0, len(wide), 256):
        block = wide[start : start + 256]
        squares = np.einsum("ij,ij->i", block, block)[:, None] + norms - 2 * block @ reference.T
        inside[start : start + 256] = (squares <= limit).any(axis=1)
    return int(inside.sum())


def rates(land: Landscape, groups: Sequence[Group]) -> Entry | None:
    """R3: how often rare rows and groups occur, against the holdout; floor: train's own ratio."""
    parts = []
    for tail in land.tails:
        counts = {
            role: (len(land.rows(role, tail)), land.size(role))
            for role in ("synthetic", "holdout", "train")
        }
        parts.append(_rate(tail.name + " most unusual", counts))
    for group in groups:
        roles = ("synthetic", "holdout", "train")
        parts.append(_rate(group.name, {role: group.counts(role) for role in roles}))
    parts = [part for part in parts if part["n"] >= FEWEST and np.isfinite(part["ratio"])]
    if not parts:
        return None
    speaks = worst([part for part in parts if part["n"] >= SPEAKING] or parts, "ratio")
    return Entry(
        "R3",
        "rate of rare rows",
        speaks["ratio"],
        speaks["ratio_low"],
        speaks["ratio_high"],
        speaks["floor"],
        speaks["n"],
        f"how often rare rows occur among synthetic rows over how often among held-out ones; shown "
        f"is the worst of {len(parts)} groups, {speaks['group']}; floor: train in its place",
        "near",
        parts=tuple(parts),
    )


def _rate(name: str, counts: dict[str, tuple[int, int]]) -> dict[str, Any]:
    real = counts["holdout"]
    ratio = rate_ratio(*counts["synthetic"], *real)
    floor = rate_ratio(*counts["train"], *real)
    return {
        "group": name,
        "n": real[0],
        "synthetic": counts["synthetic"][0],
        "ratio": ratio.value,
        "ratio_low": ratio.low,
        "ratio_high": ratio.high,
        "floor": floor.value,
    }


def copied_coverage(land: Landscape) -> Entry | None:
    """R12: coverage of train's tail less coverage of the holdout's."""
    parts = []
    for tail in land.tails:
        kept = {role: _near(land, role, tail) for role in ("train", "holdout")}
        if min(rows for _, rows in kept.values()) < FEWEST:
            continue
        gap = share_difference(*kept["train"], *kept["holdout"])
        parts.append(_gap(tail, gap, kept))
    if not parts:
        return None
    first = parts[0]
    return Entry(
        "R12",
        "copied coverage",
        first["value"],
        first["low"],
        first["high"],
        0.0,
        first["n"],
        f"coverage of the {first['tail']} most unusual rows learnt from, less that of rows never "
        "seen; learning the region gives 0, copying its rows more",
        "near",
        parts=tuple(parts),
    )


def _gap(tail: Tail, gap: Estimate, kept: dict[str, tuple[int, int]]) -> dict[str, Any]:
    return {
        "tail": tail.name,
        "n": kept["holdout"][1],
        "value": gap.value,
        "low": gap.low,
        "high": gap.high,
        "train": kept["train"][0] / kept["train"][1],
        "holdout": kept["holdout"][0] / kept["holdout"][1],
    }


def _near(land: Landscape, role: str, tail: Tail) -> tuple[int, int]:
    """(tail rows with a synthetic row as near as the nearest reference row, tail rows)."""
    rows = land.rows(role, tail)[:MOST_TAIL]
    if len(rows) == 0:
        return 0, 0
    asking = land.points[role][rows]
    gap = nearest(asking, land.points["reference"]).to(1)
    return int((nearest(asking, land.points["synthetic"]).to(1) <= gap).sum()), len(rows)
