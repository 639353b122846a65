"""The network: a noised row in, the classes of its tokens and the noise of its scores out.

Tokens are embedded, a hidden one as a class of its own; a score comes as itself and as the
piecewise-linear code of its place between normal quantiles (Gorishniy et al. 2022). All of it goes
through one residual network, to which the time is added in every block, and one linear layer gives
all tokens' logits and all scores' outputs. The paper's transformer over four numbers a column was
dropped for this: on a CPU it costs more than the trunk and knows less.

Built from layers whose per-example gradients have closed forms, so that DP-SGD trains it as it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from understudy.encoding.discrete import Floats
from understudy.synthesizers.tabular.tabdiff.layout import Layout
from understudy.synthesizers.tabular.tabdiff.schedules import Schedules, noise_level

SMALL = 0.1
"""What the heads' first weights are scaled by: training starts near independent columns."""
SMOOTHING = 0.5
"""Of a row, added to every class before the logarithm of its share."""
KNOTS = 16
WAVES = 16
"""Frequencies that a time is told by."""


class Shown(NamedTuple):
    """What the network sees of rows, [n, ...]: classes and which of them are hidden (bool), by
    token; scores scaled to variance 1, which of them are given without noise, and which are absent
    as their token says something else, by score."""

    codes: Tensor
    hidden: Tensor
    scores: Tensor
    given: Tensor
    absent: Tensor


class Network(nn.Module):
    """`dim` numbers embed a class; `depth` residual blocks of `width`."""

    first: Tensor
    knots: Tensor
    waves: Tensor

    def __init__(self, layout: Layout, dim: int, width: int, depth: int, learnt: bool) -> None:
        super().__init__()
        self.layout = layout
        self.schedules = Schedules(layout.scores, layout.hiding, learnt)
        sizes = layout.sizes
        first = np.cumsum([0, *(size + 1 for size in sizes[:-1])])[: len(sizes)]
        self.register_buffer("first", torch.from_numpy(first.astype(np.int64)), persistent=False)
        quantiles = torch.linspace(0, 1, KNOTS + 3)[1:-1]
        self.register_buffer("knots", torch.special.ndtri(quantiles), persistent=False)
        waves = math.pi * torch.logspace(-1, 1.5, WAVES, 2.0)
        self.register_buffer("waves", waves, persistent=False)
        self.embedding = nn.Embedding(max(sum(sizes) + len(sizes), 1), dim)
        self.inward = nn.Linear(len(sizes) * dim + layout.scores * (KNOTS + 3) + 1, width)
        self.clock = nn.Linear(2 * WAVES + 1, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.heads = nn.Linear(width, max(sum(sizes) + layout.scores, 1))
        with torch.no_grad():
            self.embedding.weight.mul_(dim**-0.5)
            self.heads.weight.mul_(SMALL)

    def forward(self, shown: Shown, t: Tensor, soft: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Rows at times t [n] to logits [n, sum of sizes] and outputs [n, scores].

        `soft` [n, tokens] has the value of `hidden` and a gradient towards the schedules.
        """
        seen = self.first + shown.codes + 1
        cells = self.embedding(torch.where(shown.hidden, self.first, seen))
        if soft is not None:
            apart = self.embedding(self.first) - self.embedding(seen)
            cells = cells + apart * (soft - soft.detach())[..., None]
        level = noise_level(t)[:, None]
        x = self.inward(torch.cat((cells.flatten(1), self._scores(shown), level), 1))
        time = nn.functional.silu(self.clock(self._waves(level)))
        for block in self.blocks:
            x = block(x, time)
        found = self.heads(nn.functional.silu(self.norm(x)))
        tokens = sum(self.layout.sizes)
        return found[:, :tokens], found[:, tokens : tokens + self.layout.scores]

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Parameters and schedules by name."""
        state = self.state_dict()
        return {name: value.detach().cpu().float().numpy().copy() for name, value in state.items()}

    @torch.no_grad()
    def start_at(self, shares: Sequence[Floats], rows: float) -> None:
        """Sets the heads' biases so that tokens start out independent, with these shares."""
        if shares:
            logs = np.concatenate([np.log(share + SMOOTHING / max(rows, 1.0)) for share in shares])
            self.heads.bias[: len(logs)].copy_(torch.from_numpy(logs))

    def _scores(self, shown: Shown) -> Tensor:
        x = shown.scores[..., None]
        low, high = self.knots[:-1], self.knots[1:]
        spread = ((x - low) / (high - low)).clamp(0, 1) * 2 - 1
        here = (~shown.absent[..., None]).to(x.dtype)
        flags = torch.stack((shown.given, shown.absent), 2).to(x.dtype)
        return torch.cat((x * here, spread * here, flags), 2).flatten(1)

    def _waves(self, level: Tensor) -> Tensor:
        angles = level * self.waves
        return torch.cat((level, angles.sin(), angles.cos()), 1)


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        inner = nn.functional.silu(self.inner(self.norm(x) + time))
        changed: Tensor = x + self.outer(inner)
        return changed
