"""Column by column: Shape as SDMetrics defines it, Wasserstein-1, missing shares, histograms.

Shape error is `100 * (1 - score)`: numbers by the Kolmogorov-Smirnov distance over present values,
everything else by total variation with missing as a level. Wasserstein-1 is divided by the
interquartile range of train. Floors are bootstrap resamples of train, of the synthetic's size,
against train itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.evaluation.samples import Feature
from understudy.evaluation.statistics import Floats, around

BARS = 30


@dataclass(frozen=True)
class ColumnErrors:
    """One column's errors. Replicates and floors [draws] are kept, so that a mean over columns has
    an interval. Wasserstein is NaN for levels, and both are NaN where a side is empty.
    """

    shape: float
    shape_replicates: Floats
    shape_floors: Floats
    wasserstein: float
    wasserstein_replicates: Floats
    wasserstein_floors: Floats


def compare_column(
    feature: Feature, of_synthetic: Floats, of_train: Floats, *, real: str = "train"
) -> ColumnErrors:
    """Synthetic against `real`, and resampled train against `real` as the floor.

    `of_synthetic`, `of_train` [draws, rows] are bootstrap multiplicities of the two samples.
    """
    grid = _grid(feature, (real, "train", "synthetic"))
    base = grid.shares(feature, real)
    synthetic = grid.shares(feature, "synthetic")
    replicas = [grid.shares(feature, "synthetic", w) for w in of_synthetic]
    floors = [grid.shares(feature, "train", w) for w in of_train]
    iqr = grid.interquartile(base)
    return ColumnErrors(
        100 * grid.distance(base, synthetic),
        100 * np.array([grid.distance(base, other) for other in replicas]),
        100 * np.array([grid.distance(base, other) for other in floors]),
        grid.wasserstein(base, synthetic) / iqr,
        np.array([grid.wasserstein(base, other) for other in replicas]) / iqr,
        np.array([grid.wasserstein(base, other) for other in floors]) / iqr,
    )


def column_card(feature: Feature, errors: ColumnErrors) -> dict[str, Any]:
    """A column's entry in the scorecard."""
    interval = around(errors.shape, errors.shape_replicates)
    numeric = not np.isnan(errors.wasserstein)
    return {
        "name": feature.name,
        "kind": feature.kind,
        "shape_error": errors.shape,
        "shape_floor": _mean(errors.shape_floors),
        "shape_low": interval.low,
        "shape_high": interval.high,
        "wasserstein": errors.wasserstein if numeric else None,
        "wasserstein_floor": _mean(errors.wasserstein_floors) if numeric else None,
        "missing": {
            "real": float(feature.missing("train").mean()),
            "synthetic": float(feature.missing("synthetic").mean()),
        },
        "histogram": histogram(feature),
    }


@dataclass(frozen=True)
class Grid:
    """Every distinct value as a cell; samples become shares over the cells.

    Missing is the last cell of a numeric grid, which holds no share, and cell 0 of the others.
    """

    points: Floats | None
    codes: dict[str, NDArray[np.int64]]
    size: int

    def shares(self, feature: Feature, role: str, weights: Floats | None = None) -> Floats:
        counts = np.bincount(self.codes[role], weights, self.size).astype(np.float64)
        if self.points is not None:
            counts = counts[:-1]
        total = counts.sum()
        return counts / total if total else np.full(len(counts), np.nan)

    def distance(self, a: Floats, b: Floats) -> float:
        """Kolmogorov-Smirnov for numbers, total variation for levels; NaN if a side is empty."""
        if len(a) == 0:
            return float("nan")
        if self.points is None:
            return float(0.5 * np.abs(a - b).sum())
        return float(np.abs(np.cumsum(a - b)).max())

    def wasserstein(self, a: Floats, b: Floats) -> float:
        """Area between the two distribution functions; NaN for levels."""
        if self.points is None or len(a) == 0:
            return float("nan")
        return float(np.abs(np.cumsum(a - b)[:-1]) @ np.diff(self.points))

    def interquartile(self, shares: Floats) -> float:
        """Of the sample the shares describe; its range where the middle half is one value."""
        if self.points is None or len(shares) == 0 or np.isnan(shares[0]):
            return float("nan")
        low, high = self.points[np.searchsorted(np.cumsum(shares), [0.25, 0.75])]
        present = self.points[shares > 0]
        return float((high - low) or (present[-1] - present[0])) or float("nan")


def _grid(feature: Feature, roles: tuple[str, ...]) -> Grid:
    if not feature.numeric:
        codes = {role: feature.values[role].astype(np.int64) for role in roles}
        return Grid(None, codes, len(feature.levels) + 1)
    points = np.unique(np.concatenate([feature.present(role) for role in roles]))
    points = points.astype(np.float64)
    codes = {}
    for role in roles:
        cell = np.searchsorted(points, feature.values[role])
        codes[role] = np.where(feature.missing(role), len(points), cell)
    return Grid(points, codes, len(points) + 1)


def histogram(feature: Feature) -> dict[str, Any]:
    """Shares over at most `BARS` bars, with the 95 % band of a real sample of the synthetic's size.

    Numbers: present values over equal bins between the 1 % and 99 % quantiles of train, the outer
    bins open to the extremes. Levels: the commonest in train, then "other", then "missing".
    """
    from scipy.stats import binom

    labels, edges, codes = _number_bars(feature) if feature.numeric else _level_bars(feature)
    shares = {}
    for role in ("train", "holdout", "synthetic"):
        counts = np.bincount(codes[role], minlength=len(labels))[: len(labels)]
        shares[role] = counts / max(1, counts.sum())
    n = max(1, len(codes["synthetic"]))
    return {
        "labels": labels,
        "edges": edges,
        "real": shares["train"].tolist(),
        "holdout": shares["holdout"].tolist(),
        "synthetic": shares["synthetic"].tolist(),
        "floor_low": (binom.ppf(0.025, n, shares["train"]).clip(0) / n).tolist(),
        "floor_high": (binom.ppf(0.975, n, shares["train"]).clip(0) / n).tolist(),
    }


Bars = tuple[list[str], list[float] | None, dict[str, NDArray[np.int64]]]


def _number_bars(feature: Feature) -> Bars:
    present = {role: feature.present(role).astype(np.float64) for role in feature.values}
    pooled = np.concatenate([present[role] for role in ("train", "holdout", "synthetic")])
    if len(present["train"]) == 0:
        return [], None, {role: np.zeros(0, np.int64) for role in present}
    points = np.unique(pooled)
    if len(points) <= BARS:
        codes = {role: np.searchsorted(points, values) for role, values in present.items()}
        return [written(value, feature) for value in points], None, codes
    low, high = np.quantile(present["train"], [0.01, 0.99])
    inner = np.linspace(low, high, BARS - 1) if high > low else np.array([low])
    edges = np.unique(np.concatenate([[pooled.min()], inner, [pooled.max()]]))
    cuts = edges[1:-1]
    codes = {r: np.searchsorted(cuts, values, side="right") for r, values in present.items()}
    labels = [f"{written(a, feature)} to {written(b, feature)}" for a, b in pairwise(edges)]
    return labels, edges.tolist(), codes


def _level_bars(feature: Feature) -> Bars:
    crowded = len(feature.levels) > BARS - 1
    shown = BARS - 2 if crowded else len(feature.levels)
    labels = [str(level) for level in feature.levels[:shown]]
    other = len(labels)
    if crowded:
        labels.append("other")
    blank = len(labels)
    if any(feature.missing(role).any() for role in ("train", "holdout", "synthetic")):
        labels.append("missing")
    codes = {}
    for role, values in feature.values.items():
        bar = np.minimum(values.astype(np.int64) - 1, other)
        codes[role] = np.where(values == 0, blank, bar)
    return labels, None, codes


def written(value: float, feature: Feature) -> str:
    """A point of a numeric column as a person writes it."""
    if pa.types.is_date32(feature.type):
        return str(pa.scalar(round(value), pa.int32()).cast(feature.type).as_py())
    if pa.types.is_timestamp(feature.type):
        unit = feature.type.unit
        return str(np.datetime64(round(value), unit).astype("datetime64[s]"))
    if pa.types.is_duration(feature.type):
        return str(np.timedelta64(round(value), feature.type.unit))
    return f"{value:.6g}"


def _mean(values: Floats) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
