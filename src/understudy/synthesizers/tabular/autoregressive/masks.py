"""Which tokens a row shows while training: a subset of random size, in one of two ways.

In half of the rows the subset is the beginning of the order that rows are drawn in, so that
unconditional sampling meets contexts it was trained on; in the others it is any subset, so that
every conditional distribution is known. All tokens that are not shown are learnt at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

IN_ORDER = 0.5
"""Share of rows that show the beginning of the order."""


class Masks:
    """`order` is the tokens' drawing order; `leader[j]` is the token that tells which group token j
    places a label in, or j itself; `target`, if any, counts `emphasis` times."""

    def __init__(
        self,
        order: Sequence[int],
        leader: Sequence[int],
        target: int | None = None,
        emphasis: float = 1.0,
    ) -> None:
        self.tokens = len(order)
        self._rank = torch.empty(self.tokens)
        self._rank[torch.tensor(list(order))] = torch.arange(self.tokens, dtype=torch.float32)
        self._leader = torch.tensor(list(leader))
        self._counts = torch.ones(self.tokens)
        if target is not None:
            self._counts[target] = emphasis

    @property
    def uniforms(self) -> int:
        """Numbers from [0, 1) that one row's mask takes."""
        return self.tokens + 2

    def seen(self, uniform: Tensor) -> Tensor:
        """bool [n, tokens] from `uniform` [n, uniforms]."""
        places = uniform[:, 2:].argsort(1).argsort(1).to(self._rank.dtype)
        in_order = uniform[:, :1] < IN_ORDER
        rank = torch.where(in_order, self._rank.to(uniform.device), places)
        shown = rank < (uniform[:, 1:2] * self.tokens).floor()
        # A place within a group is only ever known together with the group.
        leader = self._leader.to(uniform.device)
        return shown & shown[:, leader]

    def weights(self, seen: Tensor) -> Tensor:
        """float [n, tokens]: of each unseen token, so that they sum to the number of tokens.

        A place within a group can only be learnt where the group is seen.
        """
        leader = self._leader.to(seen.device)
        alone = leader == torch.arange(self.tokens, device=seen.device)
        open_ = (~seen & (alone | seen[:, leader])) * self._counts.to(seen.device)
        return open_ * (self.tokens / open_.sum(1, keepdim=True).clamp(min=1e-6))
