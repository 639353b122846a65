"""Small networks, one for each layer and each way of using it twice."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from understudy.privacy.dpsgd.records import Batch

ROWS, POSITIONS, WIDTH, LEVELS = 11, 5, 6, 9


def numbers(*shape: int) -> Tensor:
    return torch.randn(ROWS, *shape, dtype=torch.float64)


def identifiers(positions: int = POSITIONS) -> Tensor:
    """Few levels, so that ids repeat within a row."""
    return torch.randint(0, LEVELS // 2, (ROWS, positions))


class Recurrent(nn.Module):
    """A GRU cell written as linear layers, called once a step."""

    def __init__(self) -> None:
        super().__init__()
        self.gates, self.new = nn.Linear(2 * WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.zeros_like(x[:, 0])
        for t in range(x.shape[1]):
            forget, update = self.gates(torch.cat((x[:, t], h), 1)).sigmoid().chunk(2, 1)
            new = self.new(torch.cat((x[:, t], forget * h), 1)).tanh()
            h = update * h + (1 - update) * new
        return h


class Tied(nn.Module):
    """The embedding is the output layer too."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.table, self.mix = nn.Embedding(LEVELS, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.head = nn.Linear(WIDTH, LEVELS, bias=bias)
        self.head.weight = self.table.weight

    def forward(self, ids: Tensor) -> Tensor:
        result: Tensor = self.head(self.mix(self.table(ids)).tanh())
        return result


class LowRank(nn.Module):
    """LoRA: a frozen layer and a trained product of two thin ones."""

    def __init__(self) -> None:
        super().__init__()
        self.base = nn.Linear(WIDTH, WIDTH).requires_grad_(False)
        self.down, self.up = nn.Linear(WIDTH, 2, bias=False), nn.Linear(2, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.base(x) + 0.5 * self.up(self.down(x))
        return result


class Scaled(nn.Module):
    """Has parameters of its own that no rule knows, and a layer that one does."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.randn(WIDTH))
        self.inner = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.inner(x) * self.scale
        return result


class Channels(nn.Module):
    """[n, T, d] as the channels of a convolution."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x.mT).mT  # type: ignore[no-any-return]


def twice(layer: nn.Module) -> nn.Module:
    return nn.Sequential(layer, nn.Tanh(), layer)


Case = tuple[Callable[[], nn.Module], Callable[[], Tensor]]
D, T = WIDTH, POSITIONS
CASES: dict[str, Case] = {
    "linear": (lambda: nn.Sequential(nn.Linear(D, 7), nn.ReLU(inplace=True), nn.Linear(7, 3)),
               lambda: numbers(D)),
    "linear, no bias": (lambda: nn.Linear(D, 3, bias=False), lambda: numbers(D)),
    "linear, sequence by Gram": (lambda: nn.Linear(30, 40), lambda: numbers(3, 30)),
    "linear, sequence instantiated": (lambda: nn.Linear(D, 3), lambda: numbers(20, D)),
    "linear, one position": (lambda: nn.Linear(D, 3), lambda: numbers(1, D)),
    "linear, two axes of positions": (lambda: nn.Linear(D, 3), lambda: numbers(2, 4, D)),
    "linear, reused": (lambda: twice(nn.Linear(D, D)), lambda: numbers(D)),
    "linear, reused on a sequence": (lambda: twice(nn.Linear(D, D)), lambda: numbers(T, D)),
    "linear, weight frozen": (lambda: frozen(nn.Linear(D, 4), "weight"), lambda: numbers(T, D)),
    "linear, bias frozen": (lambda: frozen(nn.Linear(D, 4), "bias"), lambda: numbers(T, D)),
    "layer norm": (lambda: nn.Sequential(nn.Linear(D, D), nn.LayerNorm(D)), lambda: numbers(D)),
    "layer norm, sequence": (lambda: twice(nn.LayerNorm(D)), lambda: numbers(T, D)),
    "layer norm, two axes": (lambda: nn.LayerNorm((T, D)), lambda: numbers(T, D)),
    "layer norm, no bias": (lambda: nn.LayerNorm(D, bias=False), lambda: numbers(T, D)),
    "rms norm": (lambda: nn.Sequential(nn.Linear(D, D), nn.RMSNorm(D)), lambda: numbers(T, D)),
    "group norm": (lambda: Channels(nn.Conv1d(D, 4, 1), nn.GroupNorm(2, 4)),
                   lambda: numbers(T, D)),
    "group norm, no positions": (lambda: nn.Sequential(nn.Linear(D, 4), nn.GroupNorm(2, 4)),
                                 lambda: numbers(D)),
    "conv1d": (lambda: Channels(nn.Conv1d(D, 8, 3, padding=1), nn.Tanh(),
                                nn.Conv1d(8, 4, 2, stride=2, dilation=2)), lambda: numbers(T, D)),
    "conv1d, groups": (lambda: Channels(nn.Conv1d(D, 8, 3, groups=2)), lambda: numbers(T, D)),
    "conv1d, reused": (lambda: Channels(twice(nn.Conv1d(D, D, 3, padding=1))),
                       lambda: numbers(T, D)),
    "embedding": (lambda: nn.Embedding(LEVELS, D), identifiers),
    "embedding, one id": (lambda: nn.Embedding(LEVELS, D), lambda: identifiers(1)[:, 0]),
    "embedding, padding": (lambda: nn.Embedding(LEVELS, D, padding_idx=1), identifiers),
    "tied": (lambda: Tied(bias=False), identifiers),
    "tied, bias": (lambda: Tied(bias=True), identifiers),
    "recurrent": (Recurrent, lambda: numbers(T, D)),
    "LoRA": (lambda: twice(LowRank()), lambda: numbers(T, D)),
    "fallback": (lambda: nn.Sequential(nn.Linear(D, D), Scaled()), lambda: numbers(T, D)),
    "fallback, reused": (lambda: twice(Scaled()), lambda: numbers(D)),
    "fallback, padded convolution": (
        lambda: Channels(nn.Conv1d(D, 4, 3, padding="same", padding_mode="circular")),
        lambda: numbers(T, D)),
}  # fmt: skip


def frozen(net: nn.Module, name: str) -> nn.Module:
    net.get_parameter(name).requires_grad_(False)
    return net


def loss(net: nn.Module, batch: Batch) -> Tensor:
    """Weighted by the second tensor: gradients of very different length, one of them zero."""
    out = net(batch.tensors[0])
    losses: Tensor = F.softplus(out).flatten(1).mean(1) + out.flatten(1).square().mean(1)
    return losses * batch.tensors[1]


def weights() -> Tensor:
    found = torch.logspace(-2, 1, ROWS, dtype=torch.float64)
    found[3] = 0.0
    return found
