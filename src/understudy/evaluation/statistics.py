"""Statistics that evaluation and attacks share: AUC with its variance, exact binomial intervals.

Sources: Hanley & McNeil 1982 and DeLong et al. 1988 in the O(n log n) form by mid-ranks (Sun & Xu
2014); Clopper & Pearson 1934; Newcombe 1998, method 10, for a difference of two shares.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A value with its interval."""

    value: float
    low: float
    high: float


def midranks(scores: NDArray[Any]) -> Floats:
    """Ranks from 1, equal scores sharing the mean of theirs."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2.0)[inverse])


def auc(positives: Floats, negatives: Floats) -> float:
    """P[positive > negative] + P[tie] / 2."""
    m, n = len(positives), len(negatives)
    ranks = midranks(np.concatenate([positives, negatives]))
    return float((ranks[:m].sum() - m * (m + 1) / 2.0) / (m * n))


def delong(positives: Floats, negatives: Floats, z: float = 1.96) -> Estimate:
    """AUC with DeLong's interval of half-width `z` standard errors.

    At an AUC of exactly 0 or 1 that interval has no width; the variance is then floored by what
    one misplaced pair row would give, so that ten perfect rows do not look certain.
    """
    m, n = len(positives), len(negatives)
    pooled = midranks(np.concatenate([positives, negatives]))
    # Placement of each row among the other class: share of the other side it beats.
    above = (pooled[:m] - midranks(positives)) / n
    below = 1.0 - (pooled[m:] - midranks(negatives)) / m
    value = float(above.mean())
    variance = _variance(above) / m + _variance(below) / n
    error = z * np.sqrt(max(variance, 0.25 / (m * n)))
    return Estimate(value, max(0.0, value - error), min(1.0, value + error))


def _variance(values: Floats) -> float:
    return float(values.var(ddof=1)) if len(values) > 1 else 0.25


def clopper_pearson(hits: float, trials: float, level: float = 0.95) -> Estimate:
    """A share with its exact binomial interval; (0, 1) when nothing was tried.

    Numbers need not be whole: tries may be worth less than they are (see `risk`).
    """
    from scipy.special import betaincinv

    if trials == 0:
        return Estimate(float("nan"), 0.0, 1.0)
    tail = (1 - level) / 2
    low = float(betaincinv(hits, trials - hits + 1, tail)) if hits else 0.0
    high = float(betaincinv(hits + 1, trials - hits, 1 - tail)) if hits < trials else 1.0
    return Estimate(hits / trials, low, high)


def binomial_tail(hits: int, trials: int, share: float = 0.5) -> float:
    """P[Bin(trials, share) >= hits]; 1 when nothing was tried. At share 1/2, the sign test."""
    from scipy.special import bdtrc

    return 1.0 if hits <= 0 else float(bdtrc(hits - 1, trials, share))


def share_difference(hits_a: int, n_a: int, hits_b: int, n_b: int) -> Estimate:
    """`hits_a / n_a - hits_b / n_b` with Newcombe's interval from two Wilson intervals."""
    if n_a == 0 or n_b == 0:
        return Estimate(float("nan"), -1.0, 1.0)
    a, b = _wilson(hits_a, n_a), _wilson(hits_b, n_b)
    gap = a.value - b.value
    low = gap - float(np.hypot(a.value - a.low, b.high - b.value))
    high = gap + float(np.hypot(a.high - a.value, b.value - b.low))
    return Estimate(gap, low, high)


def _wilson(hits: int, trials: int, z: float = 1.96) -> Estimate:
    share = hits / trials
    spread = 1 + z * z / trials
    centre = (share + z * z / (2 * trials)) / spread
    half = z * np.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2)) / spread
    return Estimate(share, float(centre - half), float(centre + half))


def resampled_auc(scores: Floats, labels: NDArray[np.bool_], weights: Floats) -> Floats:
    """AUC under each row of `weights` [b, n] (bootstrap multiplicities); ties count one half."""
    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    first = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
    sorted_weights = weights[:, order]
    up = np.add.reduceat(sorted_weights * labels[order], first, axis=1)
    down = np.add.reduceat(sorted_weights * ~labels[order], first, axis=1)
    beaten = np.cumsum(down, axis=1) - 0.5 * down
    pairs = up.sum(axis=1) * down.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((up * beaten).sum(axis=1) / pairs)


def bootstrap_weights(n: int, size: int, draws: int, rng: np.random.Generator) -> Floats:
    """Multiplicities float64 [draws, n] of `size` rows drawn with replacement from `n`."""
    return np.stack(
        [np.bincount(rng.integers(n, size=size), minlength=n) for _ in range(draws)]
    ).astype(np.float64)


def around(value: float, replicates: Iterable[float], *, least: float = 0.0) -> Estimate:
    """`value` +- 1.96 standard deviations of its bootstrap replicates.

    Not their percentiles: a distance between samples grows when one of them is resampled, so
    percentiles would sit above the value they belong to.
    """
    found = np.fromiter(replicates, np.float64)
    found = found[np.isfinite(found)]
    spread = 1.96 * float(found.std(ddof=1)) if len(found) > 1 else 0.0
    return Estimate(value, max(least, value - spread), value + spread)


def plain(value: Any) -> Any:
    """`value` as JSON takes it: floats to 6 significant digits, NaN and infinities as null."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return value
