"""Rows of codes as tensors: modes and scalars to learn from, one-hots built a batch at a time."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from understudy.synthesizers.tabular.neural.modes import EDGE, Modes, stretches, wide


class RowTensors:
    """What `codes` [n, columns] of the axes mean, on the device where the codes are."""

    def __init__(self, modes: Modes, device: torch.device | str = "cpu") -> None:
        codings = list(modes.codings.values())
        starts = np.cumsum([0, *(coding.axis.size for coding in codings)])
        ends = [stretches(coding) for coding in codings]
        self._modes = modes
        self._start = torch.from_numpy(starts[:-1]).to(device)
        self._mode = torch.from_numpy(np.concatenate([c.group for c in codings])).to(device)
        self._low, self._high = (
            torch.from_numpy(np.concatenate([e[i] for e in ends])).float().to(device)
            for i in (0, 1)
        )
        self._first = torch.tensor(modes.first[:-1], device=device)
        self._lines = torch.tensor(modes.lines, dtype=torch.int64, device=device)
        self._wide_of = [torch.from_numpy(wide(c)).float().to(device) for c in codings]
        self._wide = torch.from_numpy(np.concatenate([wide(c) for c in codings])).to(device)
        self._scalars = torch.tensor(modes.scalars_at, dtype=torch.int64, device=device)

    @property
    def lines(self) -> int:
        """Scalars of a row, and numbers from [0, 1) that placing it within its codes takes."""
        return len(self._lines)

    def modes(self, codes: Tensor) -> Tensor:
        """int64 [n, columns]: the mode of each cell, within its column."""
        return self._mode[codes + self._start]

    def scalars(self, codes: Tensor, uniform: Tensor) -> Tensor:
        """float [n, lines]: where in its mode each number is, spread evenly over its code by
        `uniform` [n, lines]; 0 in modes of a single code."""
        at = (codes + self._start)[:, self._lines]
        share = self._low[at] + (self._high[at] - self._low[at]) * uniform
        scalar = torch.special.ndtri(share.double().clamp(EDGE, 1 - EDGE)).float()
        return torch.where(self.placed(self.modes(codes)), scalar, 0.0)

    def placed(self, mode: Tensor) -> Tensor:
        """bool [n, lines]: whether the mode of each line is one with a scalar."""
        return self._wide[(mode + self._first)[:, self._lines]]

    def wide_modes(self, column: int) -> Tensor:
        """float [modes of the column]: 1 for those with a scalar."""
        return self._wide_of[column]

    def dense(self, mode: Tensor, scalars: Tensor) -> Tensor:
        """float [n, width]: one-hots side by side, then the scalars."""
        hot = torch.zeros(len(mode), self._modes.total, device=mode.device)
        hot.scatter_(1, mode + self._first, 1.0)
        return torch.cat((hot, scalars), 1)

    def own_scalars(self, outputs: Tensor, mode: Tensor) -> Tensor:
        """float [n, lines]: of the scalars told for all modes those of the rows' own."""
        return outputs.gather(1, self._scalars + mode[:, self._lines])

    def scalar_places(self, mode: Tensor) -> Tensor:
        """int64 [n, lines]: the places of the rows' own among all scalars."""
        return self._scalars - self._modes.total + mode[:, self._lines]


class Spread(nn.Module):
    """The logarithm of the spread of each scalar, learnt as a table that rows look up."""

    def __init__(self, scalars: int, first: float) -> None:
        super().__init__()
        self.table = nn.Embedding(max(scalars, 1), 1)
        nn.init.constant_(self.table.weight, float(np.log(first)))

    def forward(self, places: Tensor) -> Tensor:
        """float of the shape of `places`."""
        log: Tensor = self.table(places).squeeze(-1)
        return log
