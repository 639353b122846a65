"""Models trained on real, synthetic and mixed rows, and what they say about the holdout.

Fitted once, read by many: utility, classes, calibration, fairness and rare answers all judge these
predictions. Every source trains on as many rows, and every model is judged on the same held-out
rows, which no engine saw. Repeats after the first train on bootstrap resamples of the rows, since
boosted trees without subsampling do not depend on a seed.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.encoding.metric import MetricSpace
from understudy.evaluation.columns import written
from understudy.evaluation.discriminator import MOST_CELLS, declared_categories, design, filled
from understudy.evaluation.samples import Feature, Samples
from understudy.evaluation.statistics import Floats, bootstrap_weights
from understudy.schema import Table

MOST_ROWS = 20_000
FEWEST_ROWS = 30
MOST_CLASSES = 20
DRAWS = 200
REPEATS = 3
ROUNDS = 100
SMALL = 1_000
"""Reference rows that synthetic ones are added to, to see what they add to few real rows."""
TREES = "boosted trees"
MODELS = (TREES, "linear", "random forest")

Answers = NDArray[np.generic]


@dataclass(frozen=True)
class Predictions:
    """`scores[model, source]`: one array per repeat, [held-out rows, classes] (1 for numbers).

    `classes` are None for numbers. `reversed` are the scores of trees that learnt from train, on
    synthetic rows (answers["synthetic"]). `weights` [draws, held-out rows] pair all intervals.
    """

    target: str
    classes: Answers | None
    labels: tuple[str, ...]
    rows: Mapping[str, NDArray[np.int64]]
    answers: Mapping[str, Answers]
    scores: Mapping[tuple[str, str], tuple[Floats, ...]]
    reversed: Floats
    weights: Floats

    @property
    def truth(self) -> Answers:
        return self.answers["holdout"]

    def of(self, model: str, source: str) -> Floats:
        """The first repeat, which trained on the rows themselves."""
        return self.scores[model, source][0]

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(name for name in MODELS if (name, "train") in self.scores)


def predict(
    samples: Samples, spec: Table, target: str, rng: np.random.Generator, *, full: bool = False
) -> Predictions | None:
    """Trains and predicts; None when target or rows do not allow it.

    `full` repeats the tree models and adds sources: `both` (real and synthetic rows), `small` (few
    reference rows) and `small and synthetic`.
    """
    by_name = {feature.name: feature for feature in samples.features}
    feature = by_name.get(target)
    others = [f for f in samples.features if f.name != target]
    if feature is None or not others:
        return None
    most = min(MOST_ROWS, max(FEWEST_ROWS, MOST_CELLS // len(others)))
    rows = _rows(feature, most, rng)
    if min(len(rows[role]) for role in ("train", "synthetic", "holdout")) < FEWEST_ROWS:
        return None
    answers = {role: _answers(feature, role)[index] for role, index in rows.items()}
    if any(len(np.unique(answers[role])) < 2 for role in ("train", "synthetic", "holdout")):
        return None
    classes = None if _is_number(feature) else np.unique(answers["holdout"])
    weights = bootstrap_weights(len(rows["holdout"]), len(rows["holdout"]), DRAWS, rng)
    trees = {role: design(others, role)[index] for role, index in rows.items()}
    points = _linear_points(samples, spec, target, rows)
    trial = _Trial(answers, classes, others, int(rng.integers(2**31)))
    scores: dict[tuple[str, str], tuple[Floats, ...]] = {}
    for name in MODELS:
        inputs = points if name == "linear" else trees
        if inputs["holdout"].shape[1] == 0:
            continue
        repeats = REPEATS if full and name != "linear" else 1
        for role in ("train", "synthetic"):
            scores[name, role] = tuple(
                trial.scores(name, inputs, [role], repeat) for repeat in range(repeats)
            )
    if full:
        _mixed(trial, trees, scores)
    backwards = trial.scores(TREES, trees, ["train"], 0, judged="synthetic")
    labels = () if classes is None else tuple(_label(feature, one) for one in classes)
    return Predictions(target, classes, labels, rows, answers, scores, backwards, weights)


@dataclass(frozen=True)
class _Trial:
    """What all models of one target share."""

    answers: Mapping[str, Answers]
    classes: Answers | None
    features: Sequence[Feature]
    seed: int

    def scores(
        self,
        name: str,
        inputs: Mapping[str, Floats],
        sources: Sequence[str],
        repeat: int,
        judged: str = "holdout",
    ) -> Floats:
        """Predictions [n, 1], or probabilities [n, classes] (0 for a class never learnt)."""
        rows = np.concatenate([inputs[source] for source in sources])
        answers = np.concatenate([self.answers[source] for source in sources])
        if repeat:
            drawn = np.random.default_rng([self.seed, repeat]).integers(len(rows), size=len(rows))
            if len(np.unique(answers[drawn])) > 1:
                rows, answers = rows[drawn], answers[drawn]
        count = None if self.classes is None else len(self.classes)
        model = _model(name, count, self.features, self.seed + repeat)
        with warnings.catch_warnings():
            # A linear model that stops before it has converged is judged as it is.
            warnings.simplefilter("ignore")
            model.fit(filled(rows), answers)
        if self.classes is None:
            return np.asarray(model.predict(inputs[judged]), np.float64)[:, None]
        learnt = model.predict_proba(inputs[judged])
        found = np.zeros((len(inputs[judged]), len(self.classes)))
        for k, label in enumerate(self.classes):
            column = np.flatnonzero(model.classes_ == label)
            if len(column):
                found[:, k] = learnt[:, column[0]]
        return found


def _mixed(
    trial: _Trial, trees: Mapping[str, Floats], scores: dict[tuple[str, str], tuple[Floats, ...]]
) -> None:
    """Trees on real and synthetic rows together, and on few real rows with and without them."""
    scores[TREES, "both"] = (trial.scores(TREES, trees, ["train", "synthetic"], 0),)
    if len(np.unique(trial.answers["reference"])) > 1:
        scores[TREES, "small"] = (trial.scores(TREES, trees, ["reference"], 0),)
        scores[TREES, "small and synthetic"] = (
            trial.scores(TREES, trees, ["reference", "synthetic"], 0),
        )


def _rows(feature: Feature, most: int, rng: np.random.Generator) -> dict[str, NDArray[np.int64]]:
    """Rows with a known target: as many of train as of synthetic, and few of the reference."""
    known = {role: np.flatnonzero(~feature.missing(role)) for role in feature.values}
    size = min(len(known["train"]), len(known["synthetic"]), most)
    return {
        "train": rng.permutation(known["train"])[:size],
        "synthetic": rng.permutation(known["synthetic"])[:size],
        "holdout": rng.permutation(known["holdout"])[:MOST_ROWS],
        "reference": rng.permutation(known["reference"])[:SMALL],
    }


def _is_number(feature: Feature) -> bool:
    """Whether the target is a quantity; a number with two values is a label."""
    return feature.numeric and len(np.unique(feature.present("train"))) > 2


def _answers(feature: Feature, role: str) -> Answers:
    values = feature.values[role]
    return values if feature.numeric else np.minimum(values, MOST_CLASSES)


def _label(feature: Feature, answer: Any) -> str:
    """How a class is written; the last code of many stands for all rarer levels."""
    if feature.numeric:
        return written(float(answer), feature)
    if answer == MOST_CLASSES < len(feature.levels):
        return "all rarer levels"
    return str(feature.levels[int(answer) - 1])


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


def _model(name: str, classes: int | None, features: Sequence[Feature], seed: int) -> Any:
    """A fresh model; boosting grows one tree a class a round, so many classes get fewer rounds."""
    from sklearn import ensemble, linear_model

    classify = classes is not None
    if name == "linear":
        if classify:
            return linear_model.LogisticRegression(max_iter=300)
        return linear_model.Ridge(alpha=1.0)
    if name == TREES:
        kind = (
            ensemble.HistGradientBoostingClassifier
            if classify
            else ensemble.HistGradientBoostingRegressor
        )
        declared = declared_categories(features)
        return kind(
            max_iter=ROUNDS if classes is None or classes <= 3 else max(20, 3 * ROUNDS // classes),
            early_stopping=False,
            categorical_features=declared,
            random_state=seed,
        )
    forest = ensemble.RandomForestClassifier if classify else ensemble.RandomForestRegressor
    return forest(n_estimators=40, min_samples_leaf=5, max_features="sqrt", random_state=seed)
