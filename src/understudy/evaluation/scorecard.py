"""The scorecard: every measure of a synthetic table, each beside what real data scores.

`floor` is real against real at the synthetic's size: for statistics judged against train, the mean
over bootstrap resamples of train against train; for the C2ST, a train sample against the holdout;
for utility, the same model trained on as many real rows. Measurements called `*_holdout` judge the
synthetic table against the holdout, at equal sizes, with a train sample as floor: they also carry
the holdout's own sampling noise. What cannot be measured is left out, with a note.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from understudy.contracts import Measurement
from understudy.data.dataset import Dataset
from understudy.evaluation import correlations
from understudy.evaluation.columns import ColumnFidelity, compare_column
from understudy.evaluation.discriminator import c2st
from understudy.evaluation.pairs import by_quantiles, by_width, pair_errors
from understudy.evaluation.samples import Feature, Samples, collect
from understudy.evaluation.statistics import Floats, around, bootstrap_weights, plain
from understudy.evaluation.utility import Utility, tstr
from understudy.runtime.progress import Progress, ProgressEvent, silent
from understudy.runtime.random import stream

DRAWS = 30
MOST_PAIR_COLUMNS = 60


@dataclass(frozen=True)
class Scorecard:
    """What was measured; `as_dict` is its JSON."""

    rows: dict[str, int]
    target: str | None
    measurements: dict[str, Measurement]
    columns: tuple[ColumnFidelity, ...]
    pairs: dict[str, Any]
    correlations: dict[str, Any]
    utility: tuple[Utility, ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        card: dict[str, Any] = plain(
            {
                "format": 1,
                "rows": self.rows,
                "target": self.target,
                "measurements": {name: m.as_dict() for name, m in self.measurements.items()},
                "columns": [column.as_dict() for column in self.columns],
                "pairs": self.pairs,
                "correlations": self.correlations,
                "utility": [result.as_dict() for result in self.utility],
                "notes": self.notes,
            }
        )
        return card


def evaluate(
    train: Dataset,
    holdout: Dataset,
    reference: Dataset,
    synthetic: Dataset,
    *,
    target: str | None = None,
    seed: int = 0,
    progress: Progress = silent,
    workers: int = 1,
) -> Scorecard:
    """Measures `synthetic` against `train` (what it learnt) and `holdout` (what it never saw)."""
    samples = collect(train, holdout, reference, synthetic, seed=seed)
    spec = train.schema.table()
    if target is not None:
        spec.column(target)
    notes = list(samples.notes)
    rng = stream(seed, "evaluation", "bootstrap")
    n, m = samples.size("train"), samples.size("synthetic")
    measurements: list[Measurement | None] = []
    columns: tuple[ColumnFidelity, ...] = ()
    pairs: dict[str, Any] = {"columns": [], "error": [], "floor": []}
    related: dict[str, Any] = {"columns": [], "real": [], "synthetic": [], "measure": []}
    if n and m and samples.features:
        draws = Draws(bootstrap_weights(m, m, DRAWS, rng), bootstrap_weights(n, m, DRAWS, rng))
        progress(ProgressEvent("evaluate", 0, 5, "columns"))
        columns, found = _columns(samples, draws)
        measurements += found
        progress(ProgressEvent("evaluate", 1, 5, "pairs"))
        few = _few(samples.features, notes)
        pairs, found = _pairs(few, draws)
        measurements += found
        progress(ProgressEvent("evaluate", 2, 5, "correlations"))
        related, found = _correlations(few, draws)
        measurements += found
    else:
        notes.append("nothing to compare: no rows, or no column of a kind that is learnt")
    progress(ProgressEvent("evaluate", 3, 5, "discriminator"))
    measurements.append(_discriminator(samples, seed, notes))
    progress(ProgressEvent("evaluate", 4, 5, "utility"))
    utility: list[Utility] = []
    if target is not None:
        utility = tstr(samples, spec, target, stream(seed, "evaluation", "utility"))
        if not utility:
            notes.append(f"utility of target {target}: too few rows or values to compare")
        measurements.append(_utility(utility, samples))
    progress(ProgressEvent("evaluate", 5, 5, "done"))
    named = {found.name: found for found in measurements if found is not None}
    rows = {
        role: ds.num_rows
        for role, ds in zip(
            ("train", "holdout", "reference", "synthetic"),
            (train, holdout, reference, synthetic),
            strict=True,
        )
    }
    return Scorecard(
        {**rows, "compared": m},
        target,
        named,
        columns,
        pairs,
        related,
        tuple(utility),
        tuple(notes),
    )


@dataclass(frozen=True)
class Draws:
    """Bootstrap multiplicities, float64 [draws, rows], of synthetic and (at its size) of train."""

    synthetic: Floats
    train: Floats


def _columns(
    samples: Samples, draws: Draws
) -> tuple[tuple[ColumnFidelity, ...], list[Measurement | None]]:
    compared = [compare_column(f, draws.synthetic, draws.train) for f in samples.features]
    worst_first = sorted(compared, key=lambda c: -np.nan_to_num(c.shape, nan=-1.0))
    n = samples.size("synthetic")
    shape = _summary(
        "shape_error",
        np.array([c.shape for c in compared]),
        np.stack([c.shape_replicates for c in compared], axis=1),
        np.stack([c.shape_floors for c in compared], axis=1),
        n,
        "mean difference of single columns from train (SDMetrics Shape, 100 - score)",
        "%",
    )
    wasserstein = _summary(
        "wasserstein",
        np.array([c.wasserstein for c in compared]),
        np.stack([c.wasserstein_replicates for c in compared], axis=1),
        np.stack([c.wasserstein_floors for c in compared], axis=1),
        n,
        "mean Wasserstein-1 distance of numeric columns from train, in interquartile ranges",
        "",
    )
    return tuple(worst_first), [shape, wasserstein, _shape_on_holdout(samples)]


def _shape_on_holdout(samples: Samples) -> Measurement | None:
    if not samples.size("holdout"):
        return None
    rng = np.random.default_rng(0)
    size = min(samples.size("holdout"), samples.size("synthetic"))
    of_synthetic = bootstrap_weights(samples.size("synthetic"), size, 8, rng)
    of_train = bootstrap_weights(samples.size("train"), size, 8, rng)
    found = [compare_column(f, of_synthetic, of_train, real="holdout") for f in samples.features]
    replicates = np.stack([c.shape_replicates for c in found], axis=1)
    return _summary(
        "shape_error_holdout",
        _mean(replicates, axis=0),
        replicates,
        np.stack([c.shape_floors for c in found], axis=1),
        size,
        "mean difference of single columns from the holdout, at equal sizes",
        "%",
    )


def _pairs(
    features: Sequence[Feature], draws: Draws
) -> tuple[dict[str, Any], list[Measurement | None]]:
    n = draws.synthetic.shape[1]
    deciles = [by_quantiles(f) for f in features]
    errors = 100 * pair_errors(deciles, "synthetic")[0]
    replicates = 100 * pair_errors(deciles, "synthetic", weights=draws.synthetic)
    floors = 100 * pair_errors(deciles, "train", weights=draws.train)
    upper = np.triu_indices(len(features), 1)
    pair = _summary(
        "pair_error",
        errors[upper],
        replicates[:, *upper],
        floors[:, *upper],
        n,
        "mean 2-way total variation from train over all pairs, numbers in deciles",
        "%",
    )
    trend = _summary(
        "trend_error",
        _trend(features, "synthetic", None)[0][upper],
        _trend(features, "synthetic", draws.synthetic)[:, *upper],
        _trend(features, "train", draws.train)[:, *upper],
        n,
        "mean difference of column pairs from train (SDMetrics Trend, 100 - score)",
        "%",
    )
    matrix = {
        "columns": [f.name for f in features],
        "error": errors,
        "floor": _mean(floors, axis=0),
    }
    return matrix, [pair, trend]


def _trend(features: Sequence[Feature], role: str, weights: Floats | None) -> Floats:
    """SDMetrics' pair errors in %, float64 [draws, c, c]: half |r - r'|, else contingency TV."""
    numeric = np.array([f.numeric for f in features])
    both = numeric[:, None] & numeric[None, :]
    bins = [by_width(f) for f in features]
    errors = 100 * pair_errors(bins, role, weights=weights, wanted=~both)
    if numeric.sum() > 1:
        real = correlations.pearson(correlations.stacked(features, "train"))
        columns = correlations.stacked(features, role)
        for draw in range(len(errors)):
            weight = None if weights is None else weights[draw]
            gap = np.abs(correlations.pearson(columns, weight) - real)
            errors[draw][both] = 100 * gap.ravel() / 2
    return errors


def _correlations(
    features: Sequence[Feature], draws: Draws
) -> tuple[dict[str, Any], list[Measurement | None]]:
    real = correlations.association(features, "train")
    synthetic = correlations.association(features, "synthetic")
    upper = np.triu_indices(len(features), 1)

    def gaps(role: str, weights: Floats) -> Floats:
        matrices = [correlations.association(features, role, w) for w in weights[:10]]
        return np.stack([np.abs(matrix - real)[upper] for matrix in matrices])

    error = _summary(
        "correlation_error",
        np.abs(synthetic - real)[upper],
        gaps("synthetic", draws.synthetic),
        gaps("train", draws.train),
        draws.synthetic.shape[1],
        "mean absolute difference of pairwise association (Pearson, eta, Cramér's V) from train",
        "",
    )
    matrices = {
        "columns": [f.name for f in features],
        "real": real,
        "synthetic": synthetic,
        "measure": correlations.measures(features),
    }
    return matrices, [error]


def _discriminator(samples: Samples, seed: int, notes: list[str]) -> Measurement | None:
    found = c2st(samples.features, "holdout", "synthetic", rng=stream(seed, "evaluation", "c2st"))
    floor = c2st(samples.features, "holdout", "train", rng=stream(seed, "evaluation", "c2st floor"))
    if found is None or floor is None:
        notes.append("c2st: too few rows to train a judge")
        return None
    size = min(samples.size("holdout"), samples.size("synthetic"), 20_000)
    return Measurement(
        "c2st",
        found.value,
        found.low,
        found.high,
        floor.value,
        size,
        "AUC of boosted trees that tell synthetic rows from held-out real rows",
        "near",
        floor.low,
        floor.high,
    )


def _utility(results: Sequence[Utility], samples: Samples) -> Measurement | None:
    """The model that real data serves best speaks for utility."""
    if not results:
        return None
    best = max(results, key=lambda r: r.trained_on_real)
    return Measurement(
        f"tstr_{best.metric}",
        best.trained_on_synthetic,
        best.trained_on_real + best.low,
        best.trained_on_real + best.high,
        best.trained_on_real,
        samples.size("holdout"),
        f"{best.model} trained on synthetic rows, judged on the holdout; floor: trained on as many "
        "real rows; the interval is that of the paired difference",
        "higher",
    )


def _summary(
    name: str,
    values: Floats,
    replicates: Floats,
    floors: Floats,
    n: int,
    meaning: str,
    unit: str,
) -> Measurement | None:
    """The mean over columns or pairs; `replicates` and `floors` are [draws, columns or pairs]."""
    if not np.isfinite(values).any():
        return None
    interval = around(float(np.nanmean(values)), _mean(replicates, axis=1))
    floor = _mean(floors, axis=1)
    return Measurement(
        name,
        interval.value,
        interval.low,
        interval.high,
        float(np.nanmean(floor)),
        n,
        meaning,
        "lower",
        float(np.nanquantile(floor, 0.025)),
        float(np.nanquantile(floor, 0.975)),
        unit,
    )


def _mean(values: Floats, axis: int) -> Floats:
    """Mean over present values; NaN, silently, where there is none."""
    there = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(there, values, 0.0).sum(axis=axis) / there.sum(axis=axis))


def _few(features: Sequence[Feature], notes: list[str]) -> Sequence[Feature]:
    if len(features) <= MOST_PAIR_COLUMNS:
        return features
    notes.append(f"pairs: the first {MOST_PAIR_COLUMNS} of {len(features)} columns")
    return features[:MOST_PAIR_COLUMNS]
