"""The population of the selfcheck, under the names these tests use."""

from __future__ import annotations

import numpy as np

from understudy.selfcheck.generators import jittered as _jittered
from understudy.selfcheck.population import SCHEMA, Rows, draw

__all__ = ["SCHEMA", "Rows", "draw", "jittered", "most_outlying"]


def jittered(rows: Rows, share: float, rng: np.random.Generator) -> Rows:
    """Numbers moved by `share` of the usual range, levels kept."""
    low, high = np.quantile(rows.numbers, [0.01, 0.99], axis=0)
    return _jittered(rows, share, high - low, rng)


def most_outlying(rows: Rows, count: int) -> Rows:
    """The `count` rows farthest from the middle, in robust units."""
    middle = np.median(rows.numbers, axis=0)
    spread = np.quantile(np.abs(rows.numbers - middle), 0.9, axis=0)
    distance = (((rows.numbers - middle) / spread) ** 2).sum(axis=1)
    return rows.take(np.argsort(-distance)[:count])
