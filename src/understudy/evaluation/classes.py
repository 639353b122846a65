"""Class by class: recall, precision-recall area, calibration, and gaps between groups of people.

All read the trees' predictions, trained on real and on synthetic rows, over the same held-out rows;
every difference has a paired bootstrap interval over them. Brier's score and the expected
calibration error (ten equally full bins, Naeini et al. 2015) ask whether probabilities mean what
they say. Fairness gaps are the largest difference between groups of a named column in how often
the rare answer is predicted (demographic parity) and predicted where true (equal opportunity,
Hardt et al. 2016).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.evaluation.predictions import TREES, Predictions
from understudy.evaluation.samples import Feature
from understudy.evaluation.statistics import Floats

BINS = 10
FEWEST_IN_GROUP = 30
FEWEST_POSITIVES = 20
MOST_GROUPS = 12
DRAWS = 100
Statistic = Callable[[Floats, int, NDArray[np.bool_], Floats], Floats]
"""(scores [n, classes], class, whether a row is of it, weights [draws, n]) -> one value a draw."""


def per_class(found: Predictions) -> list[dict[str, Any]]:
    """Recall, PR-AUC, Brier score and calibration error of every class, rarest first."""
    if found.classes is None:
        return []
    counts = [int((found.truth == one).sum()) for one in found.classes]
    wanted = [int(np.argmin(counts))] if len(counts) == 2 else range(len(counts))
    return [
        {
            "class": found.labels[k],
            "n": counts[k],
            "recall": compared(found, k, recall),
            "pr_auc": compared(found, k, average_precision),
            "brier": compared(found, k, brier),
            "calibration": compared(found, k, calibration_error),
        }
        for k in sorted(wanted, key=counts.__getitem__)
    ]


def compared(found: Predictions, k: int, statistic: Statistic) -> dict[str, float]:
    """A statistic of class k: real, synthetic, and the interval of their difference."""
    weights = np.concatenate([np.ones((1, len(found.truth))), found.weights[:DRAWS]])
    is_class = found.truth == found.classes[k] if found.classes is not None else found.truth > 0
    real = statistic(found.of(TREES, "train"), k, is_class, weights)
    ours = statistic(found.of(TREES, "synthetic"), k, is_class, weights)
    return {"real": float(real[0]), "synthetic": float(ours[0]), **_interval(ours - real)}


def _interval(gaps: Floats) -> dict[str, float]:
    finite = gaps[1:][np.isfinite(gaps[1:])]
    low, high = np.quantile(finite, [0.025, 0.975]) if len(finite) else (np.nan, np.nan)
    return {"low": float(low), "high": float(high)}


def recall(scores: Floats, k: int, is_class: NDArray[np.bool_], weights: Floats) -> Floats:
    """Share of the class that is called by its name, the likeliest class."""
    called = scores.argmax(axis=1) == k
    return (weights @ (is_class & called)) / np.maximum(weights @ is_class, 1e-12)


def average_precision(
    scores: Floats, k: int, is_class: NDArray[np.bool_], weights: Floats
) -> Floats:
    """Area under precision over recall, as a sum over thresholds; ties share a threshold."""
    order = np.argsort(-scores[:, k], kind="stable")
    ranked = scores[order, k]
    last = np.flatnonzero(np.concatenate([ranked[1:] != ranked[:-1], [True]]))
    heavy = weights[:, order]
    hits = np.cumsum(heavy * is_class[order], axis=1)[:, last]
    called = np.cumsum(heavy, axis=1)[:, last]
    gained = np.diff(hits, axis=1, prepend=0.0)
    precision = hits / np.maximum(called, 1e-12)
    return (gained * precision).sum(axis=1) / np.maximum(hits[:, -1], 1e-12)


def brier(scores: Floats, k: int, is_class: NDArray[np.bool_], weights: Floats) -> Floats:
    return (weights @ (scores[:, k] - is_class) ** 2) / weights.sum(axis=1)


def calibration_error(
    scores: Floats, k: int, is_class: NDArray[np.bool_], weights: Floats
) -> Floats:
    """Mean distance of predicted from true shares over ten bins of equally many rows."""
    edges = np.unique(np.quantile(scores[:, k], np.arange(1, BINS) / BINS))
    bins = np.searchsorted(edges, scores[:, k], side="right")
    gaps = np.zeros(len(weights))
    for b in range(len(edges) + 1):
        inside = bins == b
        gaps += np.abs(weights[:, inside] @ (scores[inside, k] - is_class[inside]))
    return gaps / weights.sum(axis=1)


def fairness(found: Predictions, sensitive: Feature) -> dict[str, Any] | None:
    """Gaps between groups of `sensitive`, of the labels and of the trees' predictions.

    None where the target is a number or fewer than two groups are large enough to compare.
    """
    if found.classes is None or sensitive.name == found.target:
        return None
    k = int(np.argmin([(found.truth == one).sum() for one in found.classes]))
    true = found.truth == found.classes[k]
    groups = _groups(sensitive, found)
    if len(groups) < 2:
        return None
    weights = np.concatenate([np.ones((1, len(true))), found.weights[:DRAWS]])
    said = {role: found.of(TREES, role).argmax(axis=1) == k for role in ("train", "synthetic")}
    able = {name: rows for name, rows in groups.items() if (rows & true).sum() >= FEWEST_POSITIVES}
    return {
        "column": sensitive.name,
        "answer": found.labels[k],
        "groups": {name: int(rows.sum()) for name, rows in groups.items()},
        "demographic_parity": _gaps(said, list(groups.values()), weights),
        "equal_opportunity": (
            _gaps(said, [rows & true for rows in able.values()], weights) if len(able) > 1 else None
        ),
        "label_parity": _label_parity(found, sensitive, k, tuple(groups)),
    }


def _groups(sensitive: Feature, found: Predictions) -> dict[str, NDArray[np.bool_]]:
    """Held-out rows by group: levels, or halves of a number at the reference's median."""
    return {
        name: rows
        for name, rows in _split(sensitive, "holdout", found).items()
        if rows.sum() >= FEWEST_IN_GROUP
    }


def _split(sensitive: Feature, role: str, found: Predictions) -> dict[str, NDArray[np.bool_]]:
    values = sensitive.values[role][found.rows[role]]
    if not sensitive.numeric:
        levels = sensitive.levels[:MOST_GROUPS]
        return {str(level): values == code for code, level in enumerate(levels, start=1)}
    present = sensitive.present("reference").astype(np.float64)
    if len(present) == 0:
        return {}
    middle = float(np.median(present))
    return {f"up to {middle:g}": values <= middle, f"above {middle:g}": values > middle}


def _gaps(
    said: dict[str, NDArray[np.bool_]], groups: Sequence[NDArray[np.bool_]], weights: Floats
) -> dict[str, float]:
    """Largest less smallest rate over groups, trained on real and on synthetic rows."""

    def gap(called: NDArray[np.bool_]) -> Floats:
        rates = np.stack(
            [(weights @ (rows & called)) / np.maximum(weights @ rows, 1e-12) for rows in groups]
        )
        return np.asarray(rates.max(axis=0) - rates.min(axis=0))

    real, ours = gap(said["train"]), gap(said["synthetic"])
    return {"real": float(real[0]), "synthetic": float(ours[0]), **_interval(ours - real)}


def _label_parity(
    found: Predictions, sensitive: Feature, k: int, names: Sequence[str]
) -> dict[str, float | None]:
    """The gap in the answers themselves, holdout and synthetic rows."""
    assert found.classes is not None
    gaps: dict[str, float | None] = {}
    for key, role in (("real", "holdout"), ("synthetic", "synthetic")):
        answer = found.answers[role] == found.classes[k]
        groups = _split(sensitive, role, found)
        rates = [float(answer[groups[name]].mean()) for name in names if groups[name].any()]
        gaps[key] = max(rates) - min(rates) if len(rates) > 1 else None
    return gaps
