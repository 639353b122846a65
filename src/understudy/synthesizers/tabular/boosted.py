"""The target, redrawn at the end with the help of gradient boosting from all other columns.

Leaves lose a little of the signal that a model trained on the data would live on; boosting
(Friedman 2001, histogram trees by scikit-learn) gives it back. A class is drawn from the predicted
probabilities. A number is drawn from leaves that see the boosted prediction beside the other
columns: predictive mean matching (Little 1988) in which not only the mean but the whole
distribution may depend on the row.

Only threshold trees are kept, as arrays, so heads are saved without pickles.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.encoding.columns import Codec, Codes, Levels
from understudy.synthesizers.tabular.cart import LEAF, Cart, Floats
from understudy.synthesizers.tabular.leaves import Grove

MOST_CLASSES = 10
FEWEST_ROWS = 100
FOLDS = 3
ROUNDS = (25, 50, 100, 200, 400)
WORTH = 0.001
"""Share of the variance that more rounds must explain beyond the rounds before."""


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
class GuidedHead:
    """Draws a number from leaves grown on the other columns and on a boosted prediction of it."""

    ensemble: Ensemble
    grove: Grove

    def draw(self, x: Floats, rng: np.random.Generator) -> Codes:
        codes, _ = self.grove.draw(_beside(x, self.ensemble.score(x)[:, 0]), {}, rng, None)
        return codes


Head = ClassHead | GuidedHead


def fit_head(
    x: Floats,
    codes: Codes,
    codec: Codec,
    *,
    numeric: bool,
    grow: Callable[[Floats, Codes], Grove],
    rows: int,
    rng: np.random.Generator,
) -> Head | None:
    """The head for a target, or None where boosting cannot help (one class, too many, few rows).

    `grow` makes the leaves of a number from predictors and codes; boosting sees `rows` at most.
    """
    few = isinstance(codec, Levels) and codec.size <= MOST_CLASSES
    chosen = rng.permutation(len(codes) if few else np.flatnonzero(codes >= 0))[:rows]
    if x.shape[1] == 0 or len(chosen) < FEWEST_ROWS or len(np.unique(codes[chosen])) < 2:
        return None
    if few:
        return _fit_classes(x[chosen], codes[chosen])
    if not numeric:
        return None
    ensemble, crossed = _fit_prediction(x, codes, chosen, rng)
    return GuidedHead(ensemble, grow(_beside(x, crossed), codes))


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


def _fit_prediction(
    x: Floats, codes: Codes, chosen: NDArray[np.intp], rng: np.random.Generator
) -> tuple[Ensemble, NDArray[np.float64]]:
    """A boosted prediction fitted on the rows `chosen`, and its cross-fitted values at all rows.

    Leaves must be grown on predictions of rows that the booster did not see, or they would trust it
    too much. Rounds are added while they lower the loss on such rows.
    """
    y = codes.astype(np.float64)
    fold = rng.integers(0, FOLDS, len(codes))
    boosters = [_booster() for _ in range(FOLDS)]
    worth = WORTH * float(y[chosen].var())
    rounds, best, crossed = 0, np.inf, np.zeros(len(codes))
    for more in ROUNDS:
        predicted = np.empty(len(codes))
        for k, booster in enumerate(boosters):
            inside, outside = chosen[fold[chosen] != k], np.flatnonzero(fold == k)
            booster.set_params(max_iter=more).fit(x[inside], y[inside])
            predicted[outside] = booster.predict(x[outside])
        loss = float(np.mean((predicted[chosen] - y[chosen]) ** 2))
        if loss > best - worth:
            break
        rounds, best, crossed = more, loss, predicted
    final = _booster().set_params(max_iter=rounds).fit(x[chosen], y[chosen])
    return _as_arrays(final, x.shape[1]), crossed


def _beside(x: Floats, prediction: NDArray[np.float64]) -> Floats:
    """`x` with one more column."""
    return np.column_stack((x, prediction.astype(np.float32)))


def _booster() -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(
        learning_rate=0.1, max_leaf_nodes=31, early_stopping=False, warm_start=True, random_state=0
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
