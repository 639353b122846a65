"""R4, R5: extreme values column by column, and whether columns are extreme together.

* R4 is the pinball loss on the holdout of the synthetic table's extreme quantiles over that of
  train's (Koenker & Bassett 1978): 1 means that they predict unseen extremes as well as real rows
  do. Beside it the shape of each tail, the generalised Pareto xi by probability-weighted moments
  (Hosking & Wallis 1987), which a mean over quantiles does not show.
* R5 is chi_u, P[both columns beyond their own quantile u | one of them] (Coles et al. 1999), over
  all pairs of numbers, both ends and two u; its mean difference from the holdout.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.evaluation.rare.entry import Entry
from understudy.evaluation.samples import Feature
from understudy.evaluation.statistics import Floats, around, bootstrap_weights

LOW_ENDS, HIGH_ENDS = (0.001, 0.005), (0.995, 0.999)
FEWEST_VALUES = 20
FEWEST_ROWS = 200
MOST_ROWS = 20_000
MOST_COLUMNS = 60
DRAWS = 60
CHI_DRAWS = 20
EXCESSES = 50
MOST_EXCESSES = 1_000
BEYOND = (0.95, 0.99)


def extreme_quantiles(features: Sequence[Feature], rng: np.random.Generator) -> Entry | None:
    """R4: one ratio over all columns that have tails; parts are the columns, worst first."""
    columns = _with_tails(features)
    if not columns:
        return None
    ours, real, parts = [], [], []
    for feature in columns:
        held = _some(feature.present("holdout"), rng)
        losses = {role: _pinball(feature, role, held) for role in ("synthetic", "train")}
        scale = losses["train"].mean()
        if not scale > 0:
            continue
        # Columns count alike: each is measured in units of train's own loss.
        rows = rng.integers(len(held), size=(DRAWS, len(held)))
        ours.append(_replicates(losses["synthetic"] / scale, rows))
        real.append(_replicates(losses["train"] / scale, rows))
        shape = _tail_shapes(feature, rng)
        parts.append({"column": feature.name, "ratio": ours[-1][0], "n": len(held), **shape})
    if not ours:
        return None
    top, bottom = np.mean(ours, axis=0), np.mean(real, axis=0)
    found = around(float(top[0] / bottom[0]), top[1:] / bottom[1:])
    parts.sort(key=lambda part: -part["ratio"])
    return Entry(
        "R4",
        "extreme values",
        found.value,
        found.low,
        found.high,
        1.0,
        min(part["n"] for part in parts),
        "pinball loss on the holdout of the synthetic 0.1, 0.5, 99.5 and 99.9 % quantiles over "
        "that of train's",
        "lower",
        parts=tuple(parts),
    )


def _with_tails(features: Sequence[Feature]) -> list[Feature]:
    roles = ("train", "holdout", "reference", "synthetic")
    return [
        feature
        for feature in features
        if feature.numeric
        and min(len(feature.present(role)) for role in roles) >= FEWEST_ROWS
        and len(np.unique(feature.present("reference"))) >= FEWEST_VALUES
    ][:MOST_COLUMNS]


def _some(values: NDArray[Any], rng: np.random.Generator) -> Floats:
    values = values.astype(np.float64)
    return values if len(values) <= MOST_ROWS else rng.choice(values, MOST_ROWS, replace=False)


def _pinball(feature: Feature, role: str, held: Floats) -> Floats:
    """Loss of each held-out value, summed over the four quantiles of `role`."""
    quantiles = np.array([*LOW_ENDS, *HIGH_ENDS])
    guesses = np.quantile(feature.present(role).astype(np.float64), quantiles)
    gap = held[:, None] - guesses
    return np.maximum(quantiles * gap, (quantiles - 1) * gap).sum(axis=1)


def _replicates(losses: Floats, rows: NDArray[np.int64]) -> Floats:
    """The mean, then that of every resample of rows."""
    return np.concatenate([[losses.mean()], losses[rows].mean(axis=1)])


def _tail_shapes(feature: Feature, rng: np.random.Generator) -> dict[str, Any]:
    """xi of both tails, synthetic less holdout, where enough values lie beyond 5 %."""
    found: dict[str, Any] = {}
    low, high = np.quantile(feature.present("reference").astype(np.float64), [0.05, 0.95])
    for end, edge, sign in (("upper", high, 1.0), ("lower", low, -1.0)):
        beyond = {}
        for role in ("synthetic", "holdout"):
            values = sign * (feature.present(role).astype(np.float64) - edge)
            beyond[role] = _some(values[values > 0], rng)[:MOST_EXCESSES]
        if any(len(np.unique(values)) < EXCESSES for values in beyond.values()):
            continue
        gap = _xi(beyond["synthetic"]) - _xi(beyond["holdout"])
        draws = [
            _xi(rng.choice(beyond["synthetic"], len(beyond["synthetic"])))
            - _xi(rng.choice(beyond["holdout"], len(beyond["holdout"])))
            for _ in range(CHI_DRAWS)
        ]
        interval = around(gap, draws, least=-np.inf)
        found[f"{end}_xi_difference"] = interval.value
        found[f"{end}_xi_low"], found[f"{end}_xi_high"] = interval.low, interval.high
    return found


def _xi(excesses: Floats) -> float:
    """Shape of a generalised Pareto tail: 2 - a0 / (a0 - 2 a1), a1 = E[y (1 - F(y))]."""
    y = np.sort(excesses)
    n = len(y)
    a0 = y.mean()
    a1 = (y * (n - np.arange(1, n + 1)) / (n - 1)).mean()
    room = a0 - 2 * a1
    return float(2 - a0 / room) if room > 0 else float("nan")


def extremal_dependence(features: Sequence[Feature], rng: np.random.Generator) -> Entry | None:
    """R5: mean |chi - chi of the holdout| over pairs, ends and u; floor: train in its place."""
    columns = _with_tails(features)
    if len(columns) < 2:
        return None
    size = min(MOST_ROWS, *(len(columns[0].values[role]) for role in ("synthetic", "train")))
    rows = {role: _ranked(columns, role, size, rng) for role in ("synthetic", "train")}
    held = _chi(_beyond(_ranked(columns, "holdout", MOST_ROWS, rng)), None)
    upper = np.triu_indices(len(columns), 1)

    def gaps(role: str) -> tuple[Floats, Floats]:
        flags = _beyond(rows[role])
        found = np.abs(_chi(flags, None) - held)[:, *upper]
        weights = bootstrap_weights(len(rows[role]), len(rows[role]), CHI_DRAWS, rng)
        moved = (np.abs(_chi(flags, w) - held)[:, *upper] for w in weights)
        return found, np.array([np.nanmean(gap) for gap in moved if np.isfinite(gap).any()])

    ours, drawn = gaps("synthetic")
    real, real_drawn = gaps("train")
    if not all(np.isfinite(gap).any() for gap in (ours, real, drawn, real_drawn)):
        return None
    found = around(float(np.nanmean(ours)), drawn)
    floor = around(float(np.nanmean(real)), real_drawn)
    part = _worst_pair(columns, ours, real, upper)
    return Entry(
        "R5",
        "extremes together",
        found.value,
        found.low,
        found.high,
        floor.value,
        len(rows["synthetic"]),
        "mean difference from the holdout of the chance that two numbers are extreme together "
        "(beyond 95 and 99 %, both ends); floor: train in its place",
        "lower",
        floor.low,
        floor.high,
        (part,),
    )


def _worst_pair(
    columns: Sequence[Feature], ours: Floats, real: Floats, upper: Any
) -> dict[str, Any]:
    end, pair = np.unravel_index(np.nanargmax(ours), ours.shape)
    names = [columns[int(index[pair])].name for index in upper]
    return {"columns": names, "largest": float(ours[end, pair]), "floor": float(np.nanmax(real))}


def _ranked(columns: Sequence[Feature], role: str, size: int, rng: np.random.Generator) -> Floats:
    """At most `size` rows of the columns, float64 [n, c]."""
    total = len(columns[0].values[role])
    rows = rng.permutation(total)[:size]
    return np.stack([feature.values[role][rows].astype(np.float64) for feature in columns], 1)


def _beyond(rows: Floats) -> list[Floats]:
    """Flags of values beyond their own column's quantile, one matrix per u and end."""
    found = []
    for u in BEYOND:
        high, low = np.nanquantile(rows, u, axis=0), np.nanquantile(rows, 1 - u, axis=0)
        with np.errstate(invalid="ignore"):
            found += [(rows > high).astype(np.float64), (rows < low).astype(np.float64)]
    return found


def _chi(flags: Sequence[Floats], weights: Floats | None) -> Floats:
    """chi per flag matrix, [ends, c, c]; NaN where a column has no value beyond its quantile."""
    found = []
    for flag in flags:
        together = (flag if weights is None else flag * weights[:, None]).T @ flag
        alone = np.diag(together)
        with np.errstate(invalid="ignore", divide="ignore"):
            chi = 2 * together / (alone[:, None] + alone[None, :])
        empty = (alone == 0)[:, None] | (alone == 0)[None, :]
        found.append(np.where(empty, np.nan, chi))
    return np.stack(found)
