"""Codes picked by their chances, row by row, and chances set right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.encoding.discrete import Codes, Floats

Admitted = Mapping[str, tuple[Floats, Floats]]
"""For some columns the share of each group, and of each member of a group, that is admitted."""
EMPTY = 1e-30
ROUNDS = 5
MOST = 3.0
"""No chance is scaled by more than this, or its inverse."""


def pick(chances: Any, rows: int, rng: np.random.Generator) -> Codes:
    """int[rows]: a code for each row by its chances, or by the one row of chances there is."""
    edges = np.cumsum(chances, axis=1, dtype=np.float64)
    tick = rng.random(rows) * edges[:, -1] * (1 - 1e-12)
    if len(chances) == 1 and rows > 1:
        return np.asarray(np.searchsorted(edges[0], tick, side="right"))
    return np.asarray(np.argmax(edges > tick[:, None], axis=1))


def tilt_of(chances: NDArray[Any], margin: Floats, most: float = MOST) -> Floats:
    """float64[codes]: factors that bring the mean of the chances, [rows, codes], to `margin`."""
    tilt = np.ones(len(margin))
    for _ in range(ROUNDS):
        moved = chances * tilt.astype(np.float32)
        mean = (moved / np.maximum(moved.sum(1, keepdims=True), EMPTY)).mean(0, dtype=np.float64)
        tilt = np.clip(tilt * margin / np.maximum(mean, 1e-12), 1 / most, most)
    return tilt
