"""The target, redrawn at the end by gradient boosting from all other columns.

Leaves lose a little of the signal that a model trained on the data would live on; a boosted head
(Friedman 2001, histogram trees by scikit-learn) gives it back. A class is drawn from the predicted
probabilities. A number is drawn by predictive mean matching (Little 1988): a donor among the
training rows whose cross-fitted prediction is nearest, so the spread around the mean stays real.

Only threshold trees are kept, as arrays, so heads are saved without pickles.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from understudy.encoding.columns import Codec, Codes, Levels
from understudy.synthesizers.tabular.cart import LEAF, Cart, Floats

MOST_CLASSES = 10
NEIGHBOURS = 10
"""Donors on either side of a prediction."""


@dataclass(frozen=True)
class Ensemble:
    """A sum of trees with values at their nodes, for `outputs` scores a row.

    `trees[k]` adds `values[k]` to score `k % outputs`; `baseline` [outputs] starts the sum.
    """

    trees: tuple[Cart, ...]
    values: tuple[NDArray[np.float64], ...]
    baseline: NDArray[np.float64]

    def score(self, x: Floats) -> NDArray[np.float64]:
        """[n, outputs]."""
        outputs = len(self.baseline)
        total = np.repeat(self.baseline[None, :], len(x), axis=0)
        for k, (tree, values) in enumerate(zip(self.trees, self.values, strict=True)):
            total[:, k % outputs] += values[tree.apply(x)]
        return total


@dataclass(frozen=True)
class ClassHead:
    """Draws one of `classes` (codes, -1 for missing) given the other columns."""

    ensemble: Ensemble
    classes: Codes
    shares: NDArray[np.float64]

    def draw(
        self,
        x: Floats,
        rng: np.random.Generator,
        *,
        allowed: NDArray[np.bool_] | None = None,
        shift: NDArray[np.float64] | None = None,
    ) -> Codes:
        """Codes for the rows of `x`.

        `allowed` limits the draw to some classes; `shift` [classes] multiplies the odds, which
        turns p(y|x) into the posterior under other class shares (Saerens et al. 2002).
        """
        odds = self.probabilities(x)
        if shift is not None:
            odds = odds * shift
        if allowed is not None:
            odds = odds * allowed[self.classes]
        edges = odds.cumsum(axis=1)
        u = rng.random(len(x)) * edges[:, -1]
        return self.classes[np.minimum((edges <= u[:, None]).sum(axis=1), len(self.classes) - 1)]

    def probabilities(self, x: Floats) -> NDArray[np.float64]:
        """[n, classes]."""
        score = self.ensemble.score(x)
        if score.shape[1] == 1:
            score = np.hstack([np.zeros_like(score), score])
        score = np.exp(score - score.max(axis=1, keepdims=True))
        return score / score.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class MeanHead:
    """Draws a number's code by predictive mean matching.

    `predictions` are the training rows' cross-fitted predictions, sorted; `donors` their codes.
    """

    ensemble: Ensemble
    predictions: NDArray[np.float32]
    donors: Codes

    def draw(self, x: Floats, rng: np.random.Generator) -> Codes:
        place = np.searchsorted(self.predictions, self.ensemble.score(x)[:, 0])
        place = place + rng.integers(-NEIGHBOURS, NEIGHBOURS, len(x))
        return self.donors[np.clip(place, 0, len(self.donors) - 1)]


Head = ClassHead | MeanHead


def fit_head(
    x: Floats, codes: Codes, codec: Codec, *, rows: int, rng: np.random.Generator
) -> Head | None:
    """The head for a target, or None where boosting cannot help (one class, or too many)."""
    chosen = rng.permutation(len(codes))[:rows]
    x, codes = x[chosen], codes[chosen]
    if x.shape[1] == 0 or len(codes) < 100:
        return None
    if isinstance(codec, Levels) and codec.size <= MOST_CLASSES:
        return _fit_classes(x, codes)
    if np.unique(codes).size < 20 or np.any(codes < 0):
        return None
    return _fit_mean(x, codes)


def _fit_classes(x: Floats, codes: Codes) -> ClassHead | None:
    from sklearn.ensemble import HistGradientBoostingClassifier

    classes, counts = np.unique(codes, return_counts=True)
    if len(classes) < 2 or counts.min() < 2:
        return None
    booster = HistGradientBoostingClassifier(
        max_iter=100, learning_rate=0.08, max_leaf_nodes=31, early_stopping=False, random_state=0
    ).fit(x, codes)
    return ClassHead(
        _as_arrays(booster, x.shape[1]), classes.astype(np.int32), counts / counts.sum()
    )


def _fit_mean(x: Floats, codes: Codes) -> MeanHead:
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.model_selection import cross_val_predict

    booster = HistGradientBoostingRegressor(
        max_iter=400, learning_rate=0.1, max_leaf_nodes=63, early_stopping=False, random_state=0
    )
    predictions = cross_val_predict(booster, x, codes.astype(np.float64), cv=3)
    order = np.argsort(predictions, kind="stable")
    booster.fit(x, codes.astype(np.float64))
    return MeanHead(
        _as_arrays(booster, x.shape[1]), predictions[order].astype(np.float32), codes[order]
    )


def _as_arrays(booster: object, width: int) -> Ensemble:
    trees, values = [], []
    for round_ in booster._predictors:  # type: ignore[attr-defined]
        for predictor in round_:
            nodes = predictor.nodes
            leaf = nodes["is_leaf"].astype(bool)
            trees.append(
                Cart(
                    left=np.where(leaf, LEAF, nodes["left"]).astype(np.int32),
                    right=np.where(leaf, LEAF, nodes["right"]).astype(np.int32),
                    feature=np.where(leaf, 0, nodes["feature_idx"]).astype(np.int32),
                    threshold=np.where(leaf, 0.0, nodes["num_threshold"]).astype(np.float64),
                    width=width,
                )
            )
            values.append(nodes["value"].astype(np.float64))
    baseline = np.atleast_1d(np.asarray(booster._baseline_prediction, dtype=float).ravel())  # type: ignore[attr-defined]
    return Ensemble(tuple(trees), tuple(values), baseline)
