"""Columns set right after a fit: the last layer moved until drawn rows hold each mode as often as
the column does, and every scalar is the standard normal that it should be.

What the columns hold is known (counted, or bought), so rows are drawn once and the last layer's
biases are moved by the logarithms of the factors that bring the mean chances to the columns' own
shares; each mode's scalars are centred and scaled. This is post-processing: no row is looked at.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from understudy.encoding.discrete import Floats
from understudy.synthesizers.tabular.neural.head import Head, State
from understudy.synthesizers.tabular.neural.latent import LatentDrawing
from understudy.synthesizers.tabular.neural.modes import wide
from understudy.synthesizers.tabular.neural.picking import pick, tilt_of

ROWS = 16_384
MOST = 20.0
"""No chance is scaled by more than this, or its inverse, nor a scalar's spread."""
ENOUGH = 20.0
"""Rows of a mode, in expectation, below which its scalars stay as they are."""


def set_right(drawing: LatentDrawing, rng: np.random.Generator) -> LatentDrawing:
    """`drawing` with its last layer moved."""
    state = drawing.source.start(ROWS, rng, {})
    codes = np.zeros((ROWS, drawing.tokens), np.int64)
    head = drawing.head
    bias = head.bias.copy()
    found: dict[int, NDArray[np.floating]] = {}
    seen: list[str] = []
    for name, coding in drawing.codings.items():
        column = drawing.column[name]
        chances = drawing.chances(state, codes, name, seen)
        tilt = tilt_of(chances, coding.margin, MOST)
        place = slice(drawing.modes.first[column], drawing.modes.first[column + 1])
        bias[place] += np.log(tilt).astype(np.float32)
        moved = chances * tilt.astype(np.float32)
        found[column] = moved / np.maximum(moved.sum(1, keepdims=True), 1e-30)
        codes[:, drawing.places[name][0]] = pick(moved, ROWS, rng)
        seen.append(name)
    moved_head = replace(head, weight=head.weight.copy(), bias=bias, spread=head.spread.copy())
    for column in drawing.modes.lines:
        _centre(moved_head, state, column, found[column])
    return replace(drawing, head=moved_head)


def _centre(head: Head, state: State, column: int, chances: NDArray[np.floating]) -> None:
    """Moves a line's scalars in place, so that those of rows in a mode have mean 0, spread 1."""
    modes = head.modes
    coding = list(modes.codings.values())[column]
    start = modes.scalars_at[modes.lines.index(column)]
    for mode in np.flatnonzero(wide(coding)):
        weight = np.asarray(chances[:, mode], np.float64)
        if weight.sum() < ENOUGH:
            continue
        at = start + mode
        mean, spread = head.scalar(state, column, np.full(len(state), mode))
        centre, scale = _moments(mean, spread, weight / weight.sum())
        head.weight[at] /= scale
        head.bias[at] = (head.bias[at] - centre) / scale
        head.spread[at - modes.total] /= scale


def _moments(
    mean: NDArray[np.floating], spread: NDArray[np.floating], share: Floats
) -> tuple[float, float]:
    centre = float(share @ mean)
    square = float(share @ ((mean - centre) ** 2 + spread**2))
    return centre, float(np.clip(np.sqrt(square), 1 / MOST, MOST))
