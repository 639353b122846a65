"""Columns set right: a factor a code that makes drawn rows hold each code as often as they should.

Every network errs a little in how often it expects a code, and rows drawn column by column add such
errors up. What the columns hold is known (counted, or bought), so rows are drawn once after the
fit, and in each column the chances are scaled until their mean is the column's own share. This is
post-processing: no row is looked at.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from understudy.encoding.discrete import Floats
from understudy.synthesizers.tabular.autoregressive.drawing import Drawing, pick

ROWS = 16_384
ROUNDS = 5
MOST = 3.0
"""No chance is scaled by more than this, or its inverse."""


def tilted(drawing: Drawing, rng: np.random.Generator) -> Drawing:
    """`drawing` with tilts for its usual order."""
    codes = np.zeros((ROWS, drawing.tokens), np.int64)
    state = drawing.forward.blank(ROWS)
    seen: list[int] = []
    tilts: dict[str, Floats] = {}
    for name in drawing.order:
        for k, token in enumerate(drawing.places[name]):
            chances = drawing.chances(state, codes, name, token, seen)
            if k == 0 and seen:
                tilts[name] = _tilt(chances, drawing.codings[name].margin)
                chances = chances * tilts[name]
            codes[:, token] = pick(chances, ROWS, rng)
            drawing.forward.see(state, token, codes[:, token])
            seen.append(token)
    return replace(drawing, tilts=tilts)


def _tilt(chances: NDArray[np.float32], margin: Floats) -> Floats:
    """float64[codes]: factors that bring the mean of the chances to `margin`."""
    tilt = np.ones(len(margin))
    for _ in range(ROUNDS):
        moved = chances * tilt.astype(np.float32)
        mean = (moved / np.maximum(moved.sum(1, keepdims=True), 1e-30)).mean(0, dtype=np.float64)
        tilt = np.clip(tilt * margin / np.maximum(mean, 1e-12), 1 / MOST, MOST)
    return tilt
