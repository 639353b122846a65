"""How often two modes meet, as a loss: what a critic takes thousands of steps to say.

All pairs of columns are in the second moments of one-hots and scalars, which made rows should share
with real ones (moment matching, Li, Swersky & Zemel 2015, with a quadratic kernel). Those of the
real rows are taken once, exactly, as training by sampling weighs them; those of made rows are
smoothed over steps, as a batch says little of rare pairs.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from understudy.synthesizers.tabular.ctgan.slots import Finder
from understudy.synthesizers.tabular.neural.modes import Modes
from understudy.synthesizers.tabular.neural.rows import RowTensors

SOFT = 0.05
"""Added to a mode's share before it is scaled by the root of it: the rarest do not count most."""
SCALAR = 0.5
"""What scalars are scaled by."""
AT_ONCE = 8_192
WIDEST = 4_096
"""Numbers of a row, beyond which the matrix of all pairs would fill the memory."""
FRESH = 0.2
"""Of a batch, in the smoothed moments."""


class Moments:
    """Those of real rows, `codes` [rows, columns], and how far made rows are from them."""

    def __init__(self, modes: Modes, rows: RowTensors, codes: Tensor, finder: Finder) -> None:
        scale = np.append(1 / np.sqrt(modes.margins + SOFT), np.full(rows.lines, SCALAR))
        self._scale = torch.from_numpy(scale).float().to(codes.device)
        weight = torch.from_numpy(finder.weights).float().to(codes.device)
        self._real = torch.zeros(modes.width, modes.width, device=codes.device)
        for part, its in zip(
            torch.split(codes, AT_ONCE), torch.split(weight, AT_ONCE), strict=True
        ):
            place = torch.rand(len(part), rows.lines, device=codes.device)
            dense = rows.dense(rows.modes(part), rows.scalars(part, place)) * self._scale
            self._real += (dense * its[:, None]).T @ dense
        self._gap: Tensor | None = None

    def gap(self, made: Tensor) -> Tensor:
        """Whose gradient is that of the squared distance of the smoothed moments; `made` is
        [n, width]."""
        scaled = made * self._scale
        gap = scaled.T @ scaled / len(made) - self._real
        now = gap.detach()
        self._gap = now if self._gap is None else self._gap.lerp(now, FRESH)
        loss: Tensor = 2 * (self._gap * gap).sum()
        return loss
