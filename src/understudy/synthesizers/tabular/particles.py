"""Rows under a condition: sequential importance resampling, bounded in work.

Particles are rows being drawn column by column. At a conditioned column each particle draws only
among the donors that satisfy the condition and is weighted by their share in its leaf; resampling
by these weights leaves particles distributed as the model's rows given the condition (Liu & Chen
1998). More particles than rows are drawn when the condition is rare, up to `MOST_PARTICLES`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SHARD = 65_536
PILOT = 4_096
MOST_PARTICLES = 2_000_000


def resample(weight: NDArray[np.float64], rows: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """`rows` particle indices by systematic resampling, shuffled; weights need a positive sum."""
    edges = np.cumsum(weight)
    ticks = (rng.random() + np.arange(rows)) * (edges[-1] / rows)
    picked = np.minimum(np.searchsorted(edges, ticks, side="right"), len(weight) - 1)
    return rng.permutation(picked)


def shards(rows: int, oversample: float) -> list[tuple[int, int]]:
    """(rows, particles) per shard; depends on nothing but the request."""
    particles = int(min(max(rows * oversample, rows), max(MOST_PARTICLES, rows)))
    count = max(1, -(-rows // SHARD), -(-particles // (4 * SHARD)))
    count = min(count, rows)
    sizes = [rows * (i + 1) // count - rows * i // count for i in range(count)]
    each = min(-(-particles // count), 4 * SHARD)
    return [(size, max(size, each)) for size in sizes if size]


def quotas(rows: int, shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """Whole numbers that sum to `rows` and are nearest to `shares` (largest remainders)."""
    exact = shares * rows
    floor = np.floor(exact).astype(np.int64)
    short = rows - int(floor.sum())
    floor[np.argsort(-(exact - floor), kind="stable")[:short]] += 1
    return floor
