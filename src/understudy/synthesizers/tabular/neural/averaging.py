"""Weights averaged over steps, and the pace of the steps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

DECAY = 0.995
WARM = 0.05
"""Share of the steps over which the rate rises."""


def pace(done: float) -> float:
    """The rate's share of its peak after a share of the steps: a short rise, then a cosine."""
    return min(1.0, (done + 1e-4) / WARM) * 0.5 * (1 + math.cos(math.pi * done))


class Average:
    """An exponential average of a network's weights over steps."""

    def __init__(self, network: torch.nn.Module, decay: float = DECAY) -> None:
        self._decay = decay
        self._now: list[Tensor] = list(network.parameters())
        self._mean = self._copied(self._now)

    @torch.no_grad()
    def follow(self, step: int) -> None:
        decay = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._mean, self._now, 1 - decay)

    def copy(self) -> list[Tensor]:
        return self._copied(self._mean)

    def keep(self) -> None:
        """The network with the averaged weights, for good."""
        fill(self._now, self._mean)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """The network with the averaged weights, for a while."""
        kept = self._copied(self._now)
        fill(self._now, self._mean)
        yield
        fill(self._now, kept)

    @staticmethod
    def _copied(tensors: list[Tensor]) -> list[Tensor]:
        return [tensor.detach().clone() for tensor in tensors]


@torch.no_grad()
def fill(places: Iterable[Tensor], values: Iterable[Tensor]) -> None:
    """Copies values into parameters."""
    for place, value in zip(places, values, strict=True):
        place.copy_(value)
