"""Levels kept: of the labels that twenty real rows share, how many survive at their frequency.

An average over levels by frequency hides the rare ones, so here each counts the same. A level is
kept in rate when its share is within .8 to 1.25 of train's. With a target the same is asked of
every level among the rows of each answer. Floors are draws of the same size from train's shares.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.contracts import Measurement
from understudy.evaluation.pairs import by_quantiles
from understudy.evaluation.samples import Feature
from understudy.evaluation.statistics import Floats, around

FEWEST = 20
LOW, HIGH = 0.8, 1.25
DRAWS = 50
MOST_LISTED = 20

Counts = tuple[NDArray[np.int64], NDArray[np.int64]]


def levels_kept(
    features: Sequence[Feature], target: str | None, rng: np.random.Generator
) -> tuple[list[Measurement], list[dict[str, Any]]]:
    """Shares kept in rate, alone and given the target; and the levels lost, commonest first."""
    named = [feature for feature in features if not feature.numeric]
    if not named:
        return [], []
    alone = [_counts(feature) for feature in named]
    found = [
        _kept(
            "levels_kept",
            alone,
            f"levels with at least {FEWEST} real rows whose share is within {LOW:g} to {HIGH:g} of "
            "train's",
            rng,
        )
    ]
    by_name = {feature.name: feature for feature in features}
    if target in by_name:
        given = [_given(feature, by_name[target]) for feature in named if feature.name != target]
        found.append(
            _kept(
                "levels_kept_by_answer",
                given,
                f"the same for every level together with the answer ({target}, numbers in tenths)",
                rng,
            )
        )
    lost = [
        {"column": feature.name, "level": str(feature.levels[i]), "rows": int(real[i + 1])}
        for feature, (real, ours) in zip(named, alone, strict=True)
        for i in np.flatnonzero((real[1:] >= FEWEST) & (ours[1:] == 0))
    ]
    lost.sort(key=lambda one: -one["rows"])
    return [one for one in found if one is not None], lost[:MOST_LISTED]


def _counts(feature: Feature) -> Counts:
    size = len(feature.levels) + 1
    real, ours = (
        np.bincount(feature.values[role], minlength=size) for role in ("train", "synthetic")
    )
    return real, ours


def _given(feature: Feature, target: Feature) -> Counts:
    answer = by_quantiles(target)
    real, ours = (
        np.bincount(
            feature.values[role].astype(np.int64) * answer.size + answer.codes[role],
            minlength=(len(feature.levels) + 1) * answer.size,
        )
        for role in ("train", "synthetic")
    )
    return real, ours


def _kept(
    name: str, columns: Sequence[Counts], meaning: str, rng: np.random.Generator
) -> Measurement | None:
    total = sum(int((real >= FEWEST).sum()) for real, _ in columns)
    n = int(columns[0][1].sum()) if columns else 0
    if not total or not n:
        return None
    value = sum(_in_rate(real, ours) for real, ours in columns) / total
    replicates = np.zeros(DRAWS)
    floors = np.zeros(DRAWS)
    for real, ours in columns:
        # Of each column alone: its levels share one draw, and columns count separately.
        replicates += _drawn(real, ours, n, rng)
        floors += _drawn(real, real, n, rng)
    interval = around(value, replicates / total)
    low, high = np.quantile(floors / total, [0.025, 0.975])
    return Measurement(
        name,
        value,
        interval.low,
        min(1.0, interval.high),
        float(floors.mean() / total),
        total,
        meaning,
        "higher",
        float(low),
        float(high),
    )


def _in_rate(real: NDArray[np.int64], ours: NDArray[np.int64]) -> int:
    common = real >= FEWEST
    ratio = (ours[common] / ours.sum()) / (real[common] / real.sum())
    return int(((ratio >= LOW) & (ratio <= HIGH)).sum())


def _drawn(
    real: NDArray[np.int64], shares: NDArray[np.int64], n: int, rng: np.random.Generator
) -> Floats:
    """Levels in rate in samples of `n` rows from `shares`."""
    drawn = rng.multinomial(n, shares / shares.sum(), size=DRAWS)
    return np.array([_in_rate(real, one) for one in drawn], np.float64)
