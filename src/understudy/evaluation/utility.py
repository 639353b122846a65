"""Train on synthetic, test on real (TSTR), beside train on real, test on real (TRTR).

Several models are trained on as many real rows as synthetic ones and judged on the same holdout,
which no engine saw. The difference has a paired bootstrap interval over the holdout. Levels of the
target are scored one against the rest (mean ROC AUC), numbers by R2. The reverse, train on real and
test on synthetic (TRTS), and augmentation, real and synthetic rows together, are beside them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.contracts import Measurement
from understudy.evaluation.predictions import DRAWS, TREES, Predictions
from understudy.evaluation.statistics import Floats, bootstrap_weights, resampled_auc


@dataclass(frozen=True)
class Utility:
    """One model's score on the holdout; `low`, `high` bound `difference` = synthetic - real.

    Over `repeats` resamples of the training rows the scores have the standard deviations
    `spread_real` and `spread_synthetic` (None for one repeat).
    """

    model: str
    metric: str
    trained_on_real: float
    trained_on_synthetic: float
    low: float
    high: float
    repeats: int = 1
    spread_real: float | None = None
    spread_synthetic: float | None = None

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
            "repeats": self.repeats,
            "spread_real": self.spread_real,
            "spread_synthetic": self.spread_synthetic,
        }


def tstr(found: Predictions) -> list[Utility]:
    """Every model's `Utility`."""
    return [_compare(found, name) for name in found.models]


def _compare(found: Predictions, name: str) -> Utility:
    weights = _with_everyone(found.weights)
    measured = {role: _score(found, found.of(name, role), weights) for role in SOURCES}
    gap = measured["synthetic"] - measured["train"]
    low, high = np.nanquantile(gap[1:], [0.025, 0.975])
    repeats = {
        role: [float(_score(found, one, weights[:1])[0]) for one in found.scores[name, role]]
        for role in SOURCES
    }
    count = len(repeats["train"])
    return Utility(
        name,
        metric_of(found),
        float(measured["train"][0]),
        float(measured["synthetic"][0]),
        float(low),
        float(high),
        count,
        float(np.std(repeats["train"], ddof=1)) if count > 1 else None,
        float(np.std(repeats["synthetic"], ddof=1)) if count > 1 else None,
    )


SOURCES = ("train", "synthetic")


def metric_of(found: Predictions) -> str:
    return "r2" if found.classes is None else "auc"


def trts(found: Predictions, rng: np.random.Generator) -> Measurement:
    """Trees trained on real rows, judged on synthetic ones; floor: judged on held-out ones."""
    truth = found.answers["synthetic"]
    weights = _with_everyone(bootstrap_weights(len(truth), len(truth), DRAWS // 4, rng))
    ours = _judged(found.reversed, truth, found.classes, weights)
    real = _score(found, found.of(TREES, "train"), _with_everyone(found.weights))
    low, high = np.nanquantile(ours[1:], [0.025, 0.975])
    floor_low, floor_high = np.nanquantile(real[1:], [0.025, 0.975])
    return Measurement(
        f"trts_{metric_of(found)}",
        float(ours[0]),
        float(low),
        float(high),
        float(real[0]),
        len(truth),
        f"{TREES} trained on real rows, judged on synthetic ones; floor: judged on held-out rows. "
        "Above its floor, synthetic rows are easier to predict than real ones",
        "near",
        float(floor_low),
        float(floor_high),
    )


def augmentation(found: Predictions) -> list[Measurement]:
    """What synthetic rows add to all real rows, and to few of them; floor: without them."""
    weights = _with_everyone(found.weights)
    measured = []
    for name, source, without, said in (
        ("augmented", "both", "train", "real and as many synthetic rows; floor: real rows alone"),
        (
            "augmented_few",
            "small and synthetic",
            "small",
            "few reference rows and the synthetic ones; floor: those few alone",
        ),
    ):
        if (TREES, source) not in found.scores:
            continue
        ours = _score(found, found.of(TREES, source), weights)
        real = _score(found, found.of(TREES, without), weights)
        low, high = np.nanquantile((ours - real)[1:], [0.025, 0.975])
        measured.append(
            Measurement(
                f"{name}_{metric_of(found)}",
                float(ours[0]),
                float(real[0] + low),
                float(real[0] + high),
                float(real[0]),
                len(found.truth),
                f"{TREES} trained on {said}; the interval is that of the paired difference",
                "higher",
            )
        )
    return measured


def _with_everyone(weights: Floats) -> Floats:
    return np.concatenate([np.ones((1, weights.shape[1])), weights])


def _score(found: Predictions, scores: Floats, weights: Floats) -> Floats:
    return _judged(scores, found.truth, found.classes, weights)


def _judged(
    scores: Floats,
    truth: NDArray[np.generic],
    classes: NDArray[np.generic] | None,
    weights: Floats,
) -> Floats:
    """The metric under each row of `weights`."""
    if classes is None:
        return _r2(scores, truth, weights)
    return _mean_auc(scores, truth, classes, weights)


def _mean_auc(
    scores: Floats, truth: NDArray[np.generic], classes: NDArray[np.generic], weights: Floats
) -> Floats:
    """Mean one-against-the-rest AUC per row of `weights`; one class suffices when there are two."""
    wanted = range(1, 2) if len(classes) == 2 else range(len(classes))
    each = np.stack([resampled_auc(scores[:, k], truth == classes[k], weights) for k in wanted])
    there = np.isfinite(each)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(there, each, 0.0).sum(axis=0) / there.sum(axis=0))


def _r2(scores: Floats, truth: NDArray[np.generic], weights: Floats) -> Floats:
    y = truth.astype(np.float64)
    mass = weights.sum(axis=1)
    centred = y - y.mean()
    total = weights @ centred**2 - (weights @ centred) ** 2 / mass
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(1.0 - (weights @ (scores[:, 0] - y) ** 2) / total)
