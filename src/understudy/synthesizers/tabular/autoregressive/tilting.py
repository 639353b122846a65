"""Columns set right: a factor a code that makes drawn rows hold each code as often as they should.

Every network errs a little in how often it expects a code, and rows drawn column by column add such
errors up. What the columns hold is known (counted, or bought), so rows are drawn once after the
fit, and in each column the chances are scaled until their mean is the column's own share. This is
post-processing: no row is looked at.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from understudy.encoding.discrete import Floats
from understudy.synthesizers.tabular.autoregressive.drawing import Drawing
from understudy.synthesizers.tabular.neural.picking import pick, tilt_of

ROWS = 16_384


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
                tilts[name] = tilt_of(chances, drawing.codings[name].margin)
                chances = chances * tilts[name]
            codes[:, token] = pick(chances, ROWS, rng)
            drawing.forward.see(state, token, codes[:, token])
            seen.append(token)
    return replace(drawing, tilts=tilts)
