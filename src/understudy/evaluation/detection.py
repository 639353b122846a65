"""The logistic two-sample test, for comparison with papers: SDMetrics' LogisticDetection.

Score = 1 - (2 max(AUC, 1/2) - 1), the mean over three folds: 1 is two samples that a linear judge
cannot tell apart. Numbers are scaled by median and quartiles with the mean for missing; a level
becomes the middle of its interval when levels are laid end to end by frequency, as in SDMetrics'
default encoding of the time the papers were written. Blind to anything but single columns' shifts:
boosted trees (`discriminator`) are the judge to believe.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from understudy.contracts import Measurement
from understudy.evaluation.discriminator import FEWEST_ROWS, FOLDS, MOST_ROWS
from understudy.evaluation.samples import Feature
from understudy.evaluation.statistics import Floats, auc


def detection(
    features: Sequence[Feature], rng: np.random.Generator, *, most: int = MOST_ROWS
) -> Measurement | None:
    """The detection score of synthetic against held-out rows; floor: train against held-out."""
    if not features:
        return None
    roles = ("holdout", "synthetic", "train")
    size = min(most, *(len(features[0].values[role]) for role in roles))
    if size < FEWEST_ROWS:
        return None
    found, floor = (
        logistic_scores(features, "holdout", role, size, rng) for role in ("synthetic", "train")
    )
    low, high = _ends(found)
    floor_low, floor_high = _ends(floor)
    return Measurement(
        "detection",
        float(found.mean()),
        low,
        high,
        float(floor.mean()),
        size,
        "1 - (2 AUC - 1) of a logistic judge (SDMetrics' detection score); compare with papers, "
        "believe the trees",
        "higher",
        floor_low,
        floor_high,
    )


def _ends(folds: Floats) -> tuple[float, float]:
    """The mean over folds +- 1.96 standard errors between them."""
    error = 1.96 * float(folds.std(ddof=1)) / np.sqrt(len(folds))
    return max(0.0, float(folds.mean()) - error), min(1.0, float(folds.mean()) + error)


def logistic_scores(
    features: Sequence[Feature], real: str, other: str, size: int, rng: np.random.Generator
) -> Floats:
    """One score per fold, `size` rows of either sample."""
    from sklearn.linear_model import LogisticRegression

    a, b = (
        encoded(features, role, real)[rng.permutation(len(features[0].values[role]))[:size]]
        for role in (real, other)
    )
    fold = np.arange(size) % FOLDS
    scores = np.empty(FOLDS)
    for k in range(FOLDS):
        inside, outside = fold != k, fold == k
        judge = LogisticRegression(max_iter=300)
        judge.fit(np.concatenate([a[inside], b[inside]]), np.repeat([0, 1], int(inside.sum())))
        ours, theirs = (judge.decision_function(rows[outside]) for rows in (b, a))
        scores[k] = 1 - (2 * max(0.5, auc(ours, theirs)) - 1)
    return scores


def encoded(features: Sequence[Feature], role: str, real: str) -> Floats:
    """Rows for a linear judge, fitted on `real`: float64 [n, c]."""
    columns = []
    for feature in features:
        if not feature.numeric:
            tally = np.bincount(feature.values[real], minlength=len(feature.levels) + 1)
            order = np.argsort(-tally, kind="stable")
            shares = tally[order] / max(1, tally.sum())
            middle = np.empty(len(tally))
            middle[order] = np.cumsum(shares) - shares / 2
            columns.append(middle[feature.values[role]])
            continue
        present = feature.present(real).astype(np.float64)
        if len(present) == 0:
            continue
        values = feature.values[role].astype(np.float64)
        values = np.where(np.isnan(values), present.mean(), values)
        low, middle, high = np.quantile(present, [0.25, 0.5, 0.75])
        columns.append((values - middle) / ((high - low) or present.std() or 1.0))
    return np.stack(columns, axis=1) if columns else np.zeros((len(features[0].values[role]), 0))
