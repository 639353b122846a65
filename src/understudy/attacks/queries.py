"""Targeted queries: how often does the synthetic table hold the combinations that this record has?

Cells of one to three columns are counted among synthetic and among reference rows. A record whose
rare cells turn up more often than the reference makes likely was probably learnt from. Generators
that publish marginals leak this way first (Houssiau et al., TAPAS, arXiv:2211.06550, with shadow
models; here the reference takes their place). Needs no distance, so it works where distances tie.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from understudy.attacks.challenge import POOL, REFERENCE, SYNTHETIC
from understudy.evaluation.samples import Feature

BINS = 20
MOST_CELLS = 90
"""Sets of columns asked about."""
TABLE = 1 << 19
"""Slots of the hash table that holds the counts of one set of columns."""

Floats = NDArray[np.float64]


def rare_cells(features: Sequence[Feature], rng: np.random.Generator) -> Floats:
    """One score per pooled row: the mean log ratio of its cells' shares, rare cells counting most.

    A cell weighs one over (1 + its count among reference rows).
    """
    codes = {
        role: np.stack([_binned(feature, role) for feature in features])
        for role in (POOL, REFERENCE, SYNTHETIC)
    }
    sizes = {role: rows.shape[1] for role, rows in codes.items()}
    total = np.zeros(sizes[POOL])
    weights = np.zeros(sizes[POOL])
    for key in _keys(len(features), rng):
        slots = {role: _slots(rows, key) for role, rows in codes.items()}
        made = np.bincount(slots[SYNTHETIC], minlength=TABLE)[slots[POOL]]
        known = np.bincount(slots[REFERENCE], minlength=TABLE)[slots[POOL]]
        gain = np.log((made + 0.5) / sizes[SYNTHETIC]) - np.log((known + 0.5) / sizes[REFERENCE])
        weight = 1.0 / (1.0 + known)
        total += weight * gain
        weights += weight
    return np.asarray(total / weights)


def _binned(feature: Feature, role: str) -> NDArray[np.uint64]:
    """Levels as they are; numbers by the reference's quantiles, the outer bins by eighths of the
    usual range, so that far-out values keep cells of their own.
    """
    values = feature.values[role]
    if not feature.numeric:
        return values.astype(np.uint64)
    known = feature.present(REFERENCE).astype(np.float64)
    if len(known) == 0:
        return np.zeros(len(values), np.uint64)
    low, high = np.quantile(known, [0.01, 0.99])
    inner = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1]))
    step = (high - low) / 8 or 1.0
    number = np.nan_to_num(values.astype(np.float64), nan=low)
    bin = np.searchsorted(inner, number, side="right").astype(np.int64)
    bin = np.where(number < low, -1 - ((low - number) / step).clip(0, 1e6).astype(np.int64), bin)
    above = BINS + 1 + ((number - high) / step).clip(0, 1e6).astype(np.int64)
    bin = np.where(number > high, above, bin)
    bin = np.where(np.isnan(values.astype(np.float64)), np.iinfo(np.int32).max, bin)
    return bin.astype(np.int64).view(np.uint64)


def _keys(count: int, rng: np.random.Generator) -> list[tuple[int, ...]]:
    """Every column, then pairs and triples at random in equal parts."""
    chosen: list[tuple[int, ...]] = [(i,) for i in range(min(count, MOST_CELLS // 3))]
    for width in (2, 3):
        found = _sets(count, width, MOST_CELLS // 3, rng)
        chosen += found
    return chosen


def _sets(count: int, width: int, most: int, rng: np.random.Generator) -> list[tuple[int, ...]]:
    if count < width:
        return []
    if count <= 12:
        every = list(combinations(range(count), width))
        if len(every) <= most:
            return every
        return [every[i] for i in rng.choice(len(every), most, replace=False)]
    drawn = {tuple(sorted(rng.choice(count, width, replace=False).tolist())) for _ in range(most)}
    return sorted(drawn)


def _slots(codes: NDArray[np.uint64], key: tuple[int, ...]) -> NDArray[np.int64]:
    """Hash slots of the cells that `key` cuts; two cells may share one, alike for every record."""
    mixed = np.full(codes.shape[1], 0x9E3779B97F4A7C15, np.uint64)
    for column in key:
        mixed = (mixed ^ codes[column]) * np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(29)
    return (mixed >> np.uint64(45)).astype(np.int64)
