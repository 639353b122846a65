"""Pairs of columns: 2-way total variation over discretised columns.

Two discretisations share the code. "Pair error" cuts numbers at the deciles of train; SDMetrics'
ContingencySimilarity cuts them into ten equal widths of the real column, with values beyond either
end in cells of their own. Missing is a level in both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from understudy.evaluation.samples import Feature
from understudy.evaluation.statistics import Floats

BINS = 10
DENSE_CELLS = 1 << 18
"""Larger joint tables are counted over the cells that occur."""


@dataclass(frozen=True)
class Binned:
    """A column as small integer codes per sample; code 0 is missing."""

    codes: Mapping[str, NDArray[np.int64]]
    size: int


def by_quantiles(feature: Feature, real: str = "train") -> Binned:
    """Numbers cut at the deciles of `real`; levels as they are."""
    if not feature.numeric:
        return _levels(feature)
    present = feature.present(real).astype(np.float64)
    if len(present) == 0:
        return _cut(feature, present)
    return _cut(feature, np.unique(np.quantile(present, np.arange(1, BINS) / BINS)))


def by_width(feature: Feature, real: str = "train") -> Binned:
    """Numbers cut into ten equal widths of `real`; levels as they are."""
    if not feature.numeric:
        return _levels(feature)
    present = feature.present(real).astype(np.float64)
    if len(present) == 0:
        return _cut(feature, present)
    return _cut(feature, np.histogram_bin_edges(present, bins=BINS).astype(np.float64))


def pair_errors(
    columns: Sequence[Binned],
    other: str,
    *,
    real: str = "train",
    weights: Floats | None = None,
    wanted: NDArray[np.bool_] | None = None,
) -> Floats:
    """Total variation of every pair's joint distribution: [draws, c, c], NaN on the diagonal.

    `weights` [draws, rows of other] are bootstrap multiplicities; without them there is one draw.
    `wanted` [c, c] limits the work; pairs not wanted are NaN.
    """
    count = len(columns)
    draws = 1 if weights is None else len(weights)
    errors = np.full((draws, count, count), np.nan)
    for i in range(count):
        for j in range(i + 1, count):
            if wanted is not None and not wanted[i, j]:
                continue
            errors[:, i, j] = _pair_error(columns[i], columns[j], other, real, weights)
            errors[:, j, i] = errors[:, i, j]
    return errors


def _pair_error(a: Binned, b: Binned, other: str, real: str, weights: Floats | None) -> Floats:
    ours = a.codes[real] * b.size + b.codes[real]
    theirs = a.codes[other] * b.size + b.codes[other]
    size = a.size * b.size
    if size > DENSE_CELLS:
        used, cell = np.unique(np.concatenate([ours, theirs]), return_inverse=True)
        ours, theirs, size = cell[: len(ours)], cell[len(ours) :], len(used)
    truth = np.bincount(ours, minlength=size) / max(1, len(ours))
    rows = [None] if weights is None else weights
    return np.array([variation(truth, np.bincount(theirs, w, size)) for w in rows])


def variation(truth: Floats, counts: NDArray[np.generic]) -> float:
    """Total variation of shares from counts; NaN where nothing was counted."""
    total = counts.sum()
    return float(0.5 * np.abs(truth - counts / total).sum()) if total else float("nan")


def _levels(feature: Feature) -> Binned:
    codes = {role: values.astype(np.int64) for role, values in feature.values.items()}
    return Binned(codes, len(feature.levels) + 1)


def _cut(feature: Feature, cuts: Floats) -> Binned:
    codes = {}
    for role, values in feature.values.items():
        cell = 1 + np.searchsorted(cuts, values, side="right")
        codes[role] = np.where(feature.missing(role), 0, cell)
    return Binned(codes, len(cuts) + 2)
