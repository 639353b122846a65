"""The network: tokens seen and unseen in, a distribution over the codes of every token out.

Each token's code is embedded, an unseen token as a code of its own; the embeddings side by side go
through a residual network, and one linear head a token gives the logits of its codes given all that
is seen. A network that is shown any subset knows every conditional distribution, so one fit serves
sampling in any order, conditions, imputation and likelihood (the any-order training of TabularARGN,
mostlyai-engine, here with one trunk for all columns).

Built from layers whose per-example gradients have closed forms, so that DP-SGD trains it as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from understudy.encoding.discrete import Floats

SMALL = 0.1
"""What the heads' first weights are scaled by: training starts near independent columns."""
SMOOTHING = 0.5
"""Of a row, added to every code before the logarithm of its share."""


class Network(nn.Module):
    """`sizes` are codes a token; `dim` numbers embed one; `depth` residual blocks of `width`."""

    first: Tensor

    def __init__(self, sizes: Sequence[int], dim: int, width: int, depth: int) -> None:
        super().__init__()
        self.sizes = list(sizes)
        first = np.cumsum([0, *(size + 1 for size in sizes[:-1])])
        self.register_buffer("first", torch.from_numpy(first), persistent=False)
        self.embedding = nn.Embedding(sum(sizes) + len(sizes), dim)
        self.inward = nn.Linear(len(sizes) * dim, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.heads = nn.Linear(width, sum(sizes))
        with torch.no_grad():
            self.embedding.weight.mul_(dim**-0.5)
            self.heads.weight.mul_(SMALL)

    def forward(self, codes: Tensor, seen: Tensor) -> Tensor:
        """int64 [n, tokens] and bool [n, tokens] to logits [n, sum of sizes]."""
        ids = torch.where(seen, codes + 1, 0) + self.first
        x = self.inward(self.embedding(ids).flatten(1))
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.heads(torch.relu(self.norm(x)))
        return logits

    def losses(self, codes: Tensor, seen: Tensor) -> Tensor:
        """float [n, tokens]: the cross-entropy of every token's code."""
        parts = self(codes, seen).split(self.sizes, 1)
        each = [
            nn.functional.cross_entropy(part, codes[:, j], reduction="none")
            for j, part in enumerate(parts)
        ]
        return torch.stack(each, 1)

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """The parameters by name."""
        state = self.state_dict()
        return {name: value.detach().cpu().float().numpy().copy() for name, value in state.items()}

    @torch.no_grad()
    def start_at(self, shares: Sequence[Floats], rows: float) -> None:
        """Sets the heads' biases so that columns start out independent, with these shares."""
        logs = [np.log(share + SMOOTHING / max(rows, 1.0)) for share in shares]
        self.heads.bias.copy_(torch.from_numpy(np.concatenate(logs)).to(self.heads.bias.dtype))


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        changed: Tensor = x + self.outer(torch.relu(self.inner(self.norm(x))))
        return changed
