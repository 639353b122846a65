"""Train on synthetic, test on real (TSTR), beside train on real, test on real (TRTR).

Several models are trained on as many real rows as synthetic ones and judged on the same holdout,
which no engine saw. The difference has a paired bootstrap interval over the holdout. Levels of the
target are scored one against the rest (mean ROC AUC), numbers by R2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.encoding.metric import MetricSpace
from understudy.evaluation.discriminator import MOST_CELLS, declared_categories, design, filled
from understudy.evaluation.samples import Feature, Samples
from understudy.evaluation.statistics import Floats, bootstrap_weights, resampled_auc
from understudy.schema import Table

MOST_ROWS = 20_000
FEWEST_ROWS = 30
MOST_CLASSES = 20
DRAWS = 200
MODELS = ("boosted trees", "linear", "random forest")


@dataclass(frozen=True)
class Utility:
    """One model's score on the holdout; `low`, `high` bound `difference` = synthetic - real."""

    model: str
    metric: str
    trained_on_real: float
    trained_on_synthetic: float
    low: float
    high: float

    @property
    def difference(self) -> float:
        return self.trained_on_synthetic - self.trained_on_real

    def as_dict(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "metric": self.metric,
            "trained_on_real": self.trained_on_real,
            "trained_on_synthetic": self.trained_on_synthetic,
            "low": self.low,
            "high": self.high,
            "difference": self.difference,
        }


def tstr(samples: Samples, spec: Table, target: str, rng: np.random.Generator) -> list[Utility]:
    """Every model's `Utility`; empty when target or rows do not allow the comparison."""
    by_name = {feature.name: feature for feature in samples.features}
    feature = by_name.get(target)
    others = [f for f in samples.features if f.name != target]
    if feature is None or not others:
        return []
    most = min(MOST_ROWS, max(FEWEST_ROWS, MOST_CELLS // len(others)))
    rows = _rows(feature, most, rng)
    if min(len(index) for index in rows.values()) < FEWEST_ROWS:
        return []
    answers = {role: _answers(feature, role)[index] for role, index in rows.items()}
    if any(len(np.unique(answers[role])) < 2 for role in answers):
        return []
    classes = None if _is_number(feature) else np.unique(answers["holdout"])
    weights = bootstrap_weights(len(rows["holdout"]), len(rows["holdout"]), DRAWS, rng)
    trees = {role: design(others, role)[index] for role, index in rows.items()}
    points = _linear_points(samples, spec, target, rows)
    seed = int(rng.integers(2**31))
    results = []
    for name in MODELS:
        inputs = points if name == "linear" else trees
        if inputs["holdout"].shape[1] == 0:
            continue
        scores = {
            role: _predict(
                name, inputs[role], answers[role], inputs["holdout"], classes, others, seed
            )
            for role in ("train", "synthetic")
        }
        results.append(_compare(name, scores, answers["holdout"], classes, weights))
    return results


def _rows(feature: Feature, most: int, rng: np.random.Generator) -> dict[str, NDArray[np.int64]]:
    """Rows with a known target: as many of train as of synthetic, and the holdout's."""
    known = {role: np.flatnonzero(~feature.missing(role)) for role in feature.values}
    size = min(len(known["train"]), len(known["synthetic"]), most)
    return {
        "train": rng.permutation(known["train"])[:size],
        "synthetic": rng.permutation(known["synthetic"])[:size],
        "holdout": rng.permutation(known["holdout"])[:MOST_ROWS],
    }


def _is_number(feature: Feature) -> bool:
    """Whether the target is a quantity; a number with two values is a label."""
    return feature.numeric and len(np.unique(feature.present("train"))) > 2


def _answers(feature: Feature, role: str) -> NDArray[np.generic]:
    values = feature.values[role]
    return values if feature.numeric else np.minimum(values, MOST_CLASSES)


def _linear_points(
    samples: Samples, spec: Table, target: str, rows: dict[str, NDArray[np.int64]]
) -> dict[str, Floats]:
    columns = tuple(c for c in spec.columns if c.name != target)
    narrowed = Table(name=spec.name, columns=columns)
    space = MetricSpace.fit(samples.tables["reference"], narrowed)
    return {
        role: space.transform(samples.tables[role].take(pa.array(index))).astype(np.float64)
        for role, index in rows.items()
    }


def _predict(
    name: str,
    inputs: Floats,
    answers: NDArray[np.generic],
    queries: Floats,
    classes: NDArray[np.generic] | None,
    features: Sequence[Feature],
    seed: int,
) -> Floats:
    """Scores on `queries`: [n, 1] predictions, or [n, classes] probabilities (0: never learnt)."""
    model = _model(name, classes is not None, features, seed).fit(filled(inputs), answers)
    if classes is None:
        return np.asarray(model.predict(queries), np.float64)[:, None]
    learnt = model.predict_proba(queries)
    scores = np.zeros((len(queries), len(classes)))
    for k, label in enumerate(classes):
        found = np.flatnonzero(model.classes_ == label)
        if len(found):
            scores[:, k] = learnt[:, found[0]]
    return scores


def _model(name: str, classify: bool, features: Sequence[Feature], seed: int) -> Any:
    from sklearn import ensemble, linear_model

    if name == "linear":
        if classify:
            return linear_model.LogisticRegression(max_iter=300)
        return linear_model.Ridge(alpha=1.0)
    if name == "boosted trees":
        kind = (
            ensemble.HistGradientBoostingClassifier
            if classify
            else ensemble.HistGradientBoostingRegressor
        )
        declared = declared_categories(features)
        return kind(
            max_iter=100,
            early_stopping=False,
            categorical_features=declared,
            random_state=seed,
        )
    forest = ensemble.RandomForestClassifier if classify else ensemble.RandomForestRegressor
    return forest(n_estimators=40, min_samples_leaf=5, max_features="sqrt", random_state=seed)


def _compare(
    name: str,
    scores: dict[str, Floats],
    truth: NDArray[np.generic],
    classes: NDArray[np.generic] | None,
    weights: Floats,
) -> Utility:
    everyone = np.ones((1, len(truth)))
    metric = "r2" if classes is None else "auc"
    measured = {
        role: (
            _r2(found, truth, np.concatenate([everyone, weights]))
            if classes is None
            else _mean_auc(found, truth, classes, np.concatenate([everyone, weights]))
        )
        for role, found in scores.items()
    }
    gap = measured["synthetic"] - measured["train"]
    low, high = np.nanquantile(gap[1:], [0.025, 0.975])
    return Utility(
        name,
        metric,
        float(measured["train"][0]),
        float(measured["synthetic"][0]),
        float(low),
        float(high),
    )


def _mean_auc(
    scores: Floats, truth: NDArray[np.generic], classes: NDArray[np.generic], weights: Floats
) -> Floats:
    """Mean one-against-the-rest AUC per row of `weights`; one class suffices when there are two."""
    wanted = range(1, 2) if len(classes) == 2 else range(len(classes))
    each = [resampled_auc(scores[:, k], truth == classes[k], weights) for k in wanted]
    return np.asarray(np.nanmean(np.stack(each), axis=0))


def _r2(scores: Floats, truth: NDArray[np.generic], weights: Floats) -> Floats:
    y = truth.astype(np.float64)
    mass = weights.sum(axis=1)
    centred = y - y.mean()
    total = weights @ centred**2 - (weights @ centred) ** 2 / mass
    return np.asarray(1.0 - (weights @ (scores[:, 0] - y) ** 2) / total)
