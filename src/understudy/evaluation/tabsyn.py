"""The protocol of the TabSyn and TabDiff papers, for numbers that stand beside theirs.

Zhang et al., ICLR 2024 (arXiv:2310.09656); Shi et al., ICLR 2025 (arXiv:2410.20626): error of
single columns (Shape) and of pairs (Trend), both 100 - SDMetrics' score, from train;
alpha-precision and beta-recall from train in their naive form (centre: the mean of the rows,
min-max scaled numbers, one-hot levels); detection score of a logistic judge, from train; machine
learning efficiency, trained on synthetic rows and tested on real ones, hyper-parameters chosen on a
ninth of the training rows; and the share of synthetic rows nearer to train than to test (DCR).

Reproduced as published, also where we would not do so: recall judged on train rewards copies, a
share of near rows hides a leak of few. Beside each number stands what the test rows score in the
synthetic rows' place. Histogram-boosted trees stand for XGBoost. The papers quote the naive form of
alpha-precision; the one-class embedding of its authors, trained anew for every table, is left out,
since its numbers do not compare across tables or seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.data.dataset import Dataset
from understudy.encoding.neighbours import nearest
from understudy.evaluation import fidelity
from understudy.evaluation.detection import logistic_scores
from understudy.evaluation.discriminator import declared_categories, design, filled
from understudy.evaluation.manifold import diagonal_score
from understudy.evaluation.samples import Feature, Samples, collect
from understudy.evaluation.statistics import Floats, plain, resampled_auc
from understudy.runtime.random import stream

MOST_ROWS = 20_000
MOST_DCR = 5_000
MOST_LEVELS = 500
GRID = tuple((rounds, leaves) for rounds in (50, 100, 200) for leaves in (15, 31))
LOG_RANGE = (1.0, 20_000.0)
"""The papers' regression targets are clipped to it, and their logarithm is predicted."""
BLOCK = 256


@dataclass(frozen=True)
class TabSyn:
    """Name -> value, floor (the test rows' score), and which end is good."""

    rows: Mapping[str, int]
    target: str | None
    measures: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...]

    def __getitem__(self, name: str) -> float:
        return float(next(one["value"] for one in self.measures if one["name"] == name))

    def as_dict(self) -> dict[str, Any]:
        card: dict[str, Any] = plain(
            {
                "format": 1,
                "protocol": "tabsyn",
                "rows": self.rows,
                "target": self.target,
                "measures": self.measures,
                "notes": self.notes,
            }
        )
        return card


def evaluate_tabsyn(
    train: Dataset,
    test: Dataset,
    synthetic: Dataset,
    *,
    target: str | None = None,
    seed: int = 0,
) -> TabSyn:
    """Shape, Trend, alpha-precision, beta-recall, detection, DCR and, with a target, efficiency.

    Raises `ColumnError` for a target that the table does not have.
    """
    if target is not None:
        train.schema.table().column(target)
    samples = collect(train, test, test, synthetic, seed=seed)
    notes = list(samples.notes)
    rows = {"train": train.num_rows, "test": test.num_rows, "synthetic": synthetic.num_rows}
    if not samples.features or min(samples.size(r) for r in ("train", "holdout", "synthetic")) < 30:
        notes.append("too few rows, or no column, to compare")
        return TabSyn(rows, target, (), tuple(notes))
    measures = [
        *_columns(samples, seed),
        *_quality(samples, stream(seed, "tabsyn", "quality"), notes),
        _detection(samples, seed),
        _nearer(samples, stream(seed, "tabsyn", "dcr")),
    ]
    if target is not None:
        efficiency = _efficiency(samples, target, stream(seed, "tabsyn", "efficiency"))
        if efficiency is None:
            notes.append(f"efficiency: {target} cannot be learnt from these rows")
        else:
            measures.append(efficiency)
    return TabSyn(rows, target, tuple(measures), tuple(notes))


def _measure(name: str, value: float, floor: float, better: str, meaning: str) -> dict[str, Any]:
    return {"name": name, "value": value, "floor": floor, "better": better, "meaning": meaning}


def _columns(samples: Samples, seed: int) -> list[dict[str, Any]]:
    """Shape and Trend, with the test rows' own as floor."""
    found = []
    for role in ("synthetic", "holdout"):
        features = [_as_synthetic(feature, role) for feature in samples.features]
        one = Samples(tuple(features), {**samples.tables, "synthetic": samples.tables[role]}, ())
        draws = fidelity.resample(one, one.size("synthetic"), stream(seed, "tabsyn", role), draws=1)
        _, of_columns = fidelity.of_columns(one, draws)
        _, of_pairs = fidelity.of_pairs(one.features, draws)
        named = {m.name: m.value for m in (*of_columns, *of_pairs) if m is not None}
        found.append(named)
    ours, real = found
    return [
        _measure(name, ours[key], real.get(key, float("nan")), "lower", meaning)
        for name, key, meaning in (
            ("shape", "shape_error", "error of single columns, %"),
            ("trend", "trend_error", "error of pairs of columns, %"),
        )
        if key in ours
    ]


def _as_synthetic(feature: Feature, role: str) -> Feature:
    values = {**feature.values, "synthetic": feature.values[role]}
    return Feature(
        feature.name, feature.kind, feature.numeric, feature.type, feature.levels, values
    )


def _quality(samples: Samples, rng: np.random.Generator, notes: list[str]) -> list[dict[str, Any]]:
    size = min(MOST_ROWS, *(samples.size(role) for role in ("train", "synthetic")))
    if size < samples.size("train"):
        notes.append(f"alpha-precision, beta-recall: {size:,} rows of either side")
    picked = {
        role: rng.permutation(samples.size(role))[:size]
        for role in ("train", "synthetic", "holdout")
    }
    points = {role: _scaled(samples.features, role, rows) for role, rows in picked.items()}
    ours = naive(points["train"], points["synthetic"])
    real = naive(points["train"], points["holdout"])
    return [
        _measure("alpha_precision", ours[0], real[0], "higher", "naive, from train"),
        _measure("beta_recall", ours[1], real[1], "higher", "naive, from train"),
    ]


def naive(real: NDArray[np.float32], other: NDArray[np.float32]) -> tuple[float, float]:
    """alpha-precision and beta-recall without an embedding.

    Recall counts a real row when its nearest other row is no farther than its nearest real row, by
    how far from the others' centre that row lies among all such nearest rows.
    """
    centre = real.mean(axis=0, dtype=np.float64)
    radii = np.sort(np.linalg.norm(real - centre, axis=1))
    away = np.linalg.norm(other - centre, axis=1)
    own = nearest(real, real, 2).distance[:, 1]
    met = nearest(real, other, 1)
    inner = np.linalg.norm(other[met.index[:, 0]] - other.mean(axis=0, dtype=np.float64), axis=1)
    central = np.searchsorted(np.sort(inner), inner, side="left") / len(inner)
    reached = np.where(met.to(1) <= own, central, np.inf)
    return (
        diagonal_score(np.searchsorted(radii, away, side="left") / len(radii)),
        diagonal_score(reached),
    )


def _scaled(features: Sequence[Feature], role: str, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Numbers by train's range, missing as its mean; levels one-hot, the rarest of many as one."""
    columns = []
    for feature in features:
        values = feature.values[role][rows]
        if feature.numeric:
            present = feature.present("train").astype(np.float64)
            if len(present) == 0:
                continue
            filled_in = np.where(np.isnan(values), present.mean(), values)
            columns.append(((filled_in - present.min()) / (np.ptp(present) or 1.0))[:, None])
            continue
        width = min(len(feature.levels), MOST_LEVELS) + 1
        columns.append(np.eye(width)[np.minimum(values, width - 1)])
    return np.ascontiguousarray(np.concatenate(columns, axis=1), dtype=np.float32)


def _detection(samples: Samples, seed: int) -> dict[str, Any]:
    size = min(MOST_ROWS, *(samples.size(role) for role in ("train", "synthetic", "holdout")))
    ours, real = (
        logistic_scores(
            samples.features, "train", role, size, stream(seed, "tabsyn", "detection", role)
        ).mean()
        for role in ("synthetic", "holdout")
    )
    return _measure("detection", float(ours), float(real), "higher", "logistic judge, 1 is alike")


def _nearer(samples: Samples, rng: np.random.Generator) -> dict[str, Any]:
    """DCR: share of synthetic rows nearer to train than to test, in L1; half is neither."""
    size = min(MOST_ROWS // 2, samples.size("train"), samples.size("holdout"))
    picked = {role: rng.permutation(samples.size(role))[:size] for role in ("train", "holdout")}
    asking = rng.permutation(samples.size("synthetic"))[:MOST_DCR]
    to_train, to_test = (
        _city_block(samples.features, asking, role, rows) for role, rows in picked.items()
    )
    share = float((to_train < to_test).mean())
    return _measure(
        "dcr_share",
        share,
        0.5,
        "near",
        f"synthetic rows nearer to {size:,} rows of train than test",
    )


def _city_block(
    features: Sequence[Feature], asking: NDArray[np.int64], role: str, rows: NDArray[np.int64]
) -> Floats:
    """L1 distance to the nearest row; a number counts its range, a mismatch of levels 2."""
    found = np.full(len(asking), np.inf)
    for start in range(0, len(asking), BLOCK):
        block = asking[start : start + BLOCK]
        total = np.zeros((len(block), len(rows)), np.float32)
        for feature in features:
            ours, theirs = feature.values["synthetic"][block], feature.values[role][rows]
            if not feature.numeric:
                total += np.float32(2) * (ours[:, None] != theirs)
                continue
            present = feature.present("train").astype(np.float64)
            if len(present) == 0:
                continue
            middle, span = present.mean(), np.ptp(present) or 1.0
            a, b = (np.where(np.isnan(v), middle, v) / span for v in (ours, theirs))
            total += np.abs(a[:, None] - b).astype(np.float32)
        found[start : start + BLOCK] = total.min(axis=1)
    return found


def _efficiency(samples: Samples, target: str, rng: np.random.Generator) -> dict[str, Any] | None:
    """Mean one-against-the-rest AUC, or RMSE of the logarithm, on the test rows."""
    feature = next((f for f in samples.features if f.name == target), None)
    others = [f for f in samples.features if f.name != target]
    if feature is None or not others:
        return None
    regress = feature.numeric and len(np.unique(feature.present("train"))) > 2
    known = {role: np.flatnonzero(~feature.missing(role)) for role in feature.values}
    inputs = {role: filled(design(others, role)[rows]) for role, rows in known.items()}
    answers = {role: feature.values[role][rows] for role, rows in known.items()}
    if regress:
        answers = {role: np.log(np.clip(values, *LOG_RANGE)) for role, values in answers.items()}
    if any(len(np.unique(answers[role])) < 2 for role in ("train", "synthetic", "holdout")):
        return None
    declared = declared_categories(others)
    ours, real = (
        _chosen(inputs, answers, role, declared, regress, rng) for role in ("synthetic", "train")
    )
    if regress:
        return _measure(
            "rmse", ours, real, "lower", "of the clipped logarithm; floor: real-trained"
        )
    return _measure("auc", ours, real, "higher", "trained on synthetic rows; floor: on real ones")


def _chosen(
    inputs: Mapping[str, Floats],
    answers: Mapping[str, NDArray[np.generic]],
    role: str,
    declared: NDArray[np.bool_],
    regress: bool,
    rng: np.random.Generator,
) -> float:
    """The test score of the grid's best on a ninth of the rows."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingRegressor if regress else HistGradientBoostingClassifier
    order = rng.permutation(len(answers[role]))
    held = len(order) // 9
    val, fit = order[:held], order[held:]
    best, chosen = -np.inf, None
    for rounds, leaves in GRID:
        model = kind(
            max_iter=rounds,
            max_leaf_nodes=leaves,
            early_stopping=False,
            categorical_features=declared,
            random_state=0,
        ).fit(inputs[role][fit], answers[role][fit])
        score = _score(model, inputs[role][val], answers[role][val], regress)
        if chosen is None or score > best:
            best, chosen = score, model
    found = _score(chosen, inputs["holdout"], answers["holdout"], regress)
    return -found if regress else found


def _score(model: Any, rows: Floats, truth: NDArray[np.generic], regress: bool) -> float:
    """Higher is better: AUC, or the negative root mean squared error."""
    if regress:
        return -float(np.sqrt(np.mean((model.predict(rows) - truth) ** 2)))
    learnt, everyone = model.predict_proba(rows), np.ones((1, len(truth)))
    classes = list(model.classes_)
    wanted = range(1, 2) if len(classes) == 2 else range(len(classes))
    each = [resampled_auc(learnt[:, k], truth == classes[k], everyone)[0] for k in wanted]
    return float(np.nanmean(each)) if np.isfinite(each).any() else 0.5
