"""Classifier two-sample test (C2ST): can boosted trees tell two samples apart?

The AUC of out-of-fold scores, 3-fold stratified, at equal sizes; .5 is two samples of one
distribution. The judge never sees a row it scores. Lopez-Paz & Oquab 2017 with AUC for accuracy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from understudy.evaluation.samples import Feature
from understudy.evaluation.statistics import Estimate, Floats, auc, delong, resampled_auc

FOLDS = 3
ITERATIONS = 150
MOST_ROWS = 20_000
FEWEST_ROWS = 30
DRAWS = 100
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
    owners: Mapping[str, NDArray[np.int64]] | None = None,
) -> Estimate | None:
    """AUC of telling `right` from `left`, at most `most` rows each, with DeLong's interval of `z`
    standard errors; None with too few rows.

    With `owners`, the entity of each row by role, rows of one entity share a fold, so that the
    judge meets none whom it has learnt, and the interval comes from resampled entities.
    """
    if not features:
        return None
    a, b = (design(features, role) for role in (left, right))
    size = min(rows_a_side(features, left, right), most)
    if size < FEWEST_ROWS:
        return None
    drawn = [rng.permutation(len(side))[:size] for side in (a, b)]
    sides = [side[rows] for side, rows in zip((a, b), drawn, strict=True)]
    held = None
    # Both samples are in random order, so folds by position are random and stratified.
    folds = [np.arange(size) % FOLDS] * 2
    if owners is not None:
        named = [owners[role][rows] for role, rows in zip((left, right), drawn, strict=True)]
        held = [np.unique(names, return_inverse=True)[1] for names in named]
        folds = [rng.permutation(codes.max() + 1)[codes] % FOLDS for codes in held]
    declared = declared_categories(features)
    scores = np.empty((2, size))
    for k in range(FOLDS):
        inside = [fold != k for fold in folds]
        rows = np.concatenate([side[chosen] for side, chosen in zip(sides, inside, strict=True)])
        labels = np.repeat([0, 1], [int(chosen.sum()) for chosen in inside])
        judge = _judge(declared, int(rng.integers(2**31))).fit(filled(rows), labels)
        for i, (side, chosen) in enumerate(zip(sides, inside, strict=True)):
            if not chosen.all():
                scores[i, ~chosen] = judge.predict_proba(side[~chosen])[:, 1]
    if held is None:
        return delong(scores[1], scores[0], z)
    return _by_owner(scores, held, rng, z)


def _by_owner(
    scores: Floats, held: Sequence[NDArray[np.int64]], rng: np.random.Generator, z: float
) -> Estimate:
    """The AUC with `z` standard deviations of it over resampled owners."""
    weights = []
    for codes in held:
        owners = int(codes.max()) + 1
        weights.append(rng.multinomial(owners, np.full(owners, 1 / owners), DRAWS)[:, codes])
    pooled, labels = scores.ravel(), np.repeat([False, True], scores.shape[1])
    drawn = resampled_auc(pooled, labels, np.concatenate(weights, axis=1).astype(np.float64))
    value, error = auc(scores[1], scores[0]), z * float(np.nanstd(drawn))
    return Estimate(value, max(0.0, value - error), min(1.0, value + error))


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
