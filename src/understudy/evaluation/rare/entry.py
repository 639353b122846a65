"""One line of the rare-event scorecard: a value, its interval, and what real rows score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from understudy.contracts import Better
from understudy.evaluation.statistics import Estimate, Floats

DRAWS = 400


@dataclass(frozen=True)
class Entry:
    """`floor` is the same statistic of real rows; `n` the rare rows (or cells) behind the value.

    `parts` are the same measure by stratum, group or column.
    """

    code: str
    name: str
    value: float | None
    low: float | None
    high: float | None
    floor: float | None
    n: int
    meaning: str
    better: Better = "higher"
    floor_low: float | None = None
    floor_high: float | None = None
    parts: tuple[Mapping[str, Any], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def paired_ratio(top: Floats, bottom: Floats, rng: np.random.Generator) -> Estimate:
    """`mean(top) / mean(bottom)` over the same rows, with a bootstrap interval over the rows."""
    n = len(top)
    if n == 0 or bottom.mean() == 0:
        return Estimate(float("nan"), 0.0, float("inf"))
    weights = rng.multinomial(n, np.full(n, 1 / n), size=DRAWS)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = (weights @ top) / (weights @ bottom)
    ratios = ratios[np.isfinite(ratios)]
    low, high = np.quantile(ratios, [0.025, 0.975]) if len(ratios) else (0.0, np.inf)
    return Estimate(float(top.mean() / bottom.mean()), float(low), float(high))


def mean_of(values: Floats) -> Estimate:
    """A mean with its normal 95 % interval, kept within 0 and 1."""
    if len(values) == 0:
        return Estimate(float("nan"), 0.0, 1.0)
    value = float(values.mean())
    error = 1.96 * float(values.std(ddof=1)) / np.sqrt(len(values)) if len(values) > 1 else 1.0
    return Estimate(value, max(0.0, value - error), min(1.0, value + error))


def rate_ratio(hits: int, rows: int, others: int, other_rows: int) -> Estimate:
    """`(hits / rows) / (others / other_rows)` of two Poisson counts, with its exact interval.

    Given their sum, one count is binomial (Przyborowski & Wilenski 1940).
    """
    from understudy.evaluation.statistics import clopper_pearson

    if rows == 0 or other_rows == 0 or hits + others == 0:
        return Estimate(float("nan"), 0.0, float("inf"))
    scale = other_rows / rows
    share = clopper_pearson(hits, hits + others)

    def odds(p: float) -> float:
        return scale * p / (1 - p) if p < 1 else float("inf")

    return Estimate(odds(hits / (hits + others)), odds(share.low), odds(share.high))


def worst(parts: Sequence[Mapping[str, Any]], key: str) -> Mapping[str, Any]:
    """The part whose `key` is furthest from 1 on a logarithmic scale."""
    return max(parts, key=lambda part: abs(np.log(max(part[key], 1e-9))))
