"""How strongly columns hang together: one matrix over mixed columns.

* number and number: Pearson's r (or Spearman's, on ranks), over rows where both are present;
* number and level: the correlation ratio eta, `sqrt(between-level / total sum of squares)`;
* level and level: Cramér's V with Bergsma's 2013 bias correction, so that two unrelated columns of
  many levels do not look related. Missing is a level.

All take row weights, so that bootstrap draws cost no copies.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from understudy.evaluation.samples import Feature
from understudy.evaluation.statistics import Floats, midranks


def pearson(columns: Floats, weights: Floats | None = None) -> Floats:
    """Pearson's r of `columns` [n, c] with NaN for missing, each pair over rows that have both.

    NaN where a column does not vary over those rows.
    """
    there = ~np.isnan(columns)
    weight = np.ones(len(columns)) if weights is None else weights
    with np.errstate(invalid="ignore"):
        centre = np.nan_to_num(np.nansum(columns, axis=0) / there.sum(axis=0))
        scale = np.sqrt(np.nansum((columns - centre) ** 2, axis=0) / there.sum(axis=0))
    x = np.where(there, columns - centre, 0.0) / np.where(scale > 0, scale, 1.0)
    mask = there.astype(np.float64)
    heavy = mask * weight[:, None]
    xw = x * weight[:, None]
    rows = heavy.T @ mask
    own = xw.T @ mask
    squares = (xw * x).T @ mask
    with np.errstate(invalid="ignore", divide="ignore"):
        covariance = xw.T @ x - own * own.T / rows
        variance = squares - own**2 / rows
        r = covariance / np.sqrt(variance * variance.T)
    flat = (variance <= 1e-12 * rows) | (1e-12 * rows >= variance.T)
    return np.where(flat, np.nan, np.clip(r, -1.0, 1.0))


def spearman(columns: Floats, weights: Floats | None = None) -> Floats:
    """Pearson's r of each column's mid-ranks."""
    ranks = np.full(columns.shape, np.nan)
    for j in range(columns.shape[1]):
        there = ~np.isnan(columns[:, j])
        ranks[there, j] = midranks(columns[there, j])
    return pearson(ranks, weights)


def correlation_ratio(
    levels: NDArray[np.integer], numbers: Floats, weights: Floats | None = None
) -> float:
    """eta of `numbers` given `levels`; NaN if the numbers do not vary."""
    there = ~np.isnan(numbers)
    weight = np.ones(len(numbers)) if weights is None else weights
    w, x, level = weight[there], numbers[there], levels[there]
    if len(x) == 0 or w.sum() == 0:
        return float("nan")
    x = x - np.average(x, weights=w)
    total = float(w @ x**2)
    if total <= 0:
        return float("nan")
    mass = np.bincount(level, w)
    sums = np.bincount(level, w * x)
    between = float((sums[mass > 0] ** 2 / mass[mass > 0]).sum())
    return float(np.sqrt(min(1.0, between / total)))


def cramers_v(
    a: NDArray[np.integer], b: NDArray[np.integer], weights: Floats | None = None
) -> float:
    """Bias-corrected Cramér's V; 1 for a column with itself, NaN if either does not vary."""
    weight = np.ones(len(a)) if weights is None else weights
    n = weight.sum()
    width = int(b.max(initial=0)) + 1
    cells, cell = np.unique(a.astype(np.int64) * width + b, return_inverse=True)
    joint = np.bincount(cell, weight, len(cells))
    of_a, of_b = np.bincount(a, weight), np.bincount(b, weight)
    r, c = int((of_a > 0).sum()), int((of_b > 0).sum())
    if min(r, c) < 2 or n <= 1:
        return float("nan")
    expected = of_a[cells // width] * of_b[cells % width]
    some = expected > 0
    phi = float((joint[some] ** 2 / expected[some]).sum()) - 1.0
    excess = max(0.0, phi - (r - 1) * (c - 1) / (n - 1))
    room = min(r - 1 - (r - 1) ** 2 / (n - 1), c - 1 - (c - 1) ** 2 / (n - 1))
    return float(min(1.0, np.sqrt(excess / room))) if room > 0 else float("nan")


def association(features: Sequence[Feature], role: str, weights: Floats | None = None) -> Floats:
    """The mixed matrix of one sample, float64 [c, c], ones on the diagonal."""
    count = len(features)
    matrix = np.eye(count)
    numeric = [i for i, feature in enumerate(features) if feature.numeric]
    if numeric:
        matrix[np.ix_(numeric, numeric)] = pearson(stacked(features, role), weights)
    for i in range(count):
        for j in range(i + 1, count):
            if features[i].numeric and features[j].numeric:
                continue
            matrix[i, j] = matrix[j, i] = _mixed(features[i], features[j], role, weights)
    np.fill_diagonal(matrix, 1.0)
    return matrix


def stacked(features: Sequence[Feature], role: str) -> Floats:
    """The numeric columns of a sample side by side, float64 [n, numeric columns]."""
    columns = [f.values[role].astype(np.float64) for f in features if f.numeric]
    return np.stack(columns, axis=1)


def measures(features: Sequence[Feature]) -> list[list[str]]:
    """Which measure each cell of `association` holds."""

    def of(a: Feature, b: Feature) -> str:
        if a.numeric and b.numeric:
            return "pearson"
        return "ratio" if a.numeric or b.numeric else "cramer"

    return [[of(a, b) for b in features] for a in features]


def _mixed(a: Feature, b: Feature, role: str, weights: Floats | None) -> float:
    x, y = a.values[role], b.values[role]
    if a.numeric:
        return correlation_ratio(y.astype(np.int64), x.astype(np.float64), weights)
    if b.numeric:
        return correlation_ratio(x.astype(np.int64), y.astype(np.float64), weights)
    return cramers_v(x.astype(np.int64), y.astype(np.int64), weights)
