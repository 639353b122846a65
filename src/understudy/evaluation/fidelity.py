"""Fidelity measurements: means over columns and pairs, each with its interval and floor.

Everything is judged against train, with bootstrap resamples of train at the synthetic's size as
floor; `shape_error_holdout` alone is judged against the holdout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from understudy.contracts import Measurement
from understudy.evaluation import correlations
from understudy.evaluation.columns import column_card, compare_column
from understudy.evaluation.pairs import by_quantiles, by_width, pair_errors
from understudy.evaluation.samples import Feature, Samples
from understudy.evaluation.statistics import Floats, around, bootstrap_weights

DRAWS = 30
MATRIX_DRAWS = 10
"""Draws of association matrices, which cost more than counts."""
Found = list[Measurement | None]


@dataclass(frozen=True)
class Draws:
    """Bootstrap multiplicities, float64 [draws, rows], of synthetic and (at its size) of train."""

    synthetic: Floats
    train: Floats


def resample(samples: Samples, size: int, rng: np.random.Generator, draws: int = DRAWS) -> Draws:
    """`draws` resamples of `size` rows from each of the two."""
    return Draws(
        bootstrap_weights(samples.size("synthetic"), size, draws, rng),
        bootstrap_weights(samples.size("train"), size, draws, rng),
    )


def of_columns(samples: Samples, draws: Draws) -> tuple[list[dict[str, Any]], Found]:
    """Cards of all columns, worst first; Shape and Wasserstein over all of them."""
    errors = [compare_column(f, draws.synthetic, draws.train) for f in samples.features]
    order = np.argsort([-np.nan_to_num(e.shape, nan=-1.0) for e in errors], kind="stable")
    n = samples.size("synthetic")
    shape = summary(
        "shape_error",
        np.array([e.shape for e in errors]),
        np.stack([e.shape_replicates for e in errors], axis=1),
        np.stack([e.shape_floors for e in errors], axis=1),
        n,
        "mean difference of single columns from train (SDMetrics Shape, 100 - score)",
        "%",
    )
    wasserstein = summary(
        "wasserstein",
        np.array([e.wasserstein for e in errors]),
        np.stack([e.wasserstein_replicates for e in errors], axis=1),
        np.stack([e.wasserstein_floors for e in errors], axis=1),
        n,
        "mean Wasserstein-1 distance of numeric columns from train, in interquartile ranges",
        "",
    )
    cards = [column_card(samples.features[i], errors[i]) for i in order]
    return cards, [shape, wasserstein]


def shape_on_holdout(samples: Samples, rng: np.random.Generator) -> Measurement | None:
    """Shape against the holdout, synthetic and train both resampled to one size."""
    if not samples.size("holdout"):
        return None
    size = min(samples.size("holdout"), samples.size("synthetic"))
    draws = resample(samples, size, rng)
    errors = [
        compare_column(f, draws.synthetic, draws.train, real="holdout") for f in samples.features
    ]
    replicates = np.stack([e.shape_replicates for e in errors], axis=1)
    return summary(
        "shape_error_holdout",
        _mean(replicates, axis=0),
        replicates,
        np.stack([e.shape_floors for e in errors], axis=1),
        size,
        "mean difference of single columns from the holdout, at equal sizes",
        "%",
    )


def of_pairs(features: Sequence[Feature], draws: Draws) -> tuple[dict[str, Any], Found]:
    """The matrix of pair errors; pair error and Trend over all pairs."""
    n = draws.synthetic.shape[1]
    deciles = [by_quantiles(f) for f in features]
    errors = 100 * pair_errors(deciles, "synthetic")[0]
    replicates = 100 * pair_errors(deciles, "synthetic", weights=draws.synthetic)
    floors = 100 * pair_errors(deciles, "train", weights=draws.train)
    upper = np.triu_indices(len(features), 1)
    pair = summary(
        "pair_error",
        errors[upper],
        replicates[:, *upper],
        floors[:, *upper],
        n,
        "mean 2-way total variation from train over all pairs, numbers in deciles",
        "%",
    )
    trend = summary(
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


def of_correlations(features: Sequence[Feature], draws: Draws) -> tuple[dict[str, Any], Found]:
    """Association matrices of train and synthetic; their mean difference."""
    real = correlations.association(features, "train")
    synthetic = correlations.association(features, "synthetic")
    upper = np.triu_indices(len(features), 1)

    def gaps(role: str, weights: Floats) -> Floats:
        matrices = [correlations.association(features, role, w) for w in weights[:MATRIX_DRAWS]]
        return np.stack([np.abs(matrix - real)[upper] for matrix in matrices])

    error = summary(
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


def summary(
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
