"""Classifier two-sample test (C2ST): can boosted trees tell two samples apart?

The AUC of out-of-fold scores, 3-fold stratified, at equal sizes; .5 is two samples of one
distribution. The judge never sees a row it scores. Lopez-Paz & Oquab 2017 with AUC for accuracy.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from understudy.evaluation.samples import Feature
from understudy.evaluation.statistics import Estimate, Floats, delong

FOLDS = 3
ITERATIONS = 150
MOST_ROWS = 20_000
FEWEST_ROWS = 30
MOST_CELLS = 2_000_000
"""Rows times columns a side: wide tables are judged on fewer rows, never on fewer columns."""
MOST_DECLARED = 254
"""Levels that the trees take as categories; columns with more are crowded."""


def c2st(
    features: Sequence[Feature],
    left: str,
    right: str,
    rng: np.random.Generator,
    *,
    most: int = MOST_ROWS,
    z: float = 1.96,
) -> Estimate | None:
    """AUC of telling `right` from `left`, at most `most` rows each, with DeLong's interval of `z`
    standard errors; None with too few rows.
    """
    if not features:
        return None
    a, b = (design(features, role) for role in (left, right))
    size = min(rows_a_side(features, left, right), most)
    if size < FEWEST_ROWS:
        return None
    a = a[rng.permutation(len(a))[:size]]
    b = b[rng.permutation(len(b))[:size]]
    declared = declared_categories(features)
    scores = np.empty((2, size))
    # Both samples are in random order, so folds by position are random and stratified.
    fold = np.arange(size) % FOLDS
    for k in range(FOLDS):
        inside, outside = fold != k, fold == k
        rows = np.concatenate([a[inside], b[inside]])
        labels = np.repeat([0, 1], int(inside.sum()))
        judge = _judge(declared, int(rng.integers(2**31))).fit(filled(rows), labels)
        scores[0, outside] = judge.predict_proba(a[outside])[:, 1]
        scores[1, outside] = judge.predict_proba(b[outside])[:, 1]
    return delong(scores[1], scores[0], z)


def rows_a_side(features: Sequence[Feature], left: str, right: str) -> int:
    """Rows of each sample that the judge may see."""
    sizes = [len(features[0].values[role]) for role in (left, right)]
    return min(*sizes, MOST_ROWS, max(FEWEST_ROWS, MOST_CELLS // len(features)))


def design(features: Sequence[Feature], role: str) -> Floats:
    """Rows as trees take them: float64 [n, c], NaN for missing, levels as codes from 0.

    A level of a crowded column becomes its count in the reference sample: a code would order levels
    by the sample they were first met in, and so tell the samples apart by itself.
    """
    columns = []
    for feature, declared in zip(features, declared_categories(features), strict=True):
        codes = feature.values[role]
        values = codes.astype(np.float64)
        if not feature.numeric:
            values -= 1
            if not declared:
                tally = np.bincount(feature.values["reference"], minlength=len(feature.levels) + 1)
                values = tally[codes].astype(np.float64)
            values[codes == 0] = np.nan
        columns.append(values)
    return np.stack(columns, axis=1)


def filled(rows: Floats) -> Floats:
    """`rows` with columns that have no value at all set to zero, which trees cannot split on."""
    blank = np.isnan(rows).all(axis=0)
    return np.where(blank, 0.0, rows) if blank.any() else rows


def declared_categories(features: Sequence[Feature]) -> NDArray[np.bool_]:
    """Which columns of `design` the trees take as categories."""
    return np.array([not f.numeric and len(f.levels) <= MOST_DECLARED for f in features])


def _judge(declared: NDArray[np.bool_], seed: int):  # type: ignore[no-untyped-def]
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=ITERATIONS,
        early_stopping=False,
        categorical_features=declared,
        random_state=seed,
    )
