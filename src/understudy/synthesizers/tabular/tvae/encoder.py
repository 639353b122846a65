"""The encoder in NumPy: what latents a row may have, for scores."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from understudy.errors import FormatError
from understudy.synthesizers.tabular.neural.head import Arrays, State, check_shapes
from understudy.synthesizers.tabular.neural.modes import Modes

LEAST, MOST = -8.0, 4.0
"""Of a latent's log variance."""


@dataclass(frozen=True)
class Encoder:
    """The hidden layers and the last, by the names of the module."""

    weights: Arrays

    @cached_property
    def depth(self) -> int:
        return sum(name.startswith("encoder.") and name.endswith("weight") for name in self.weights)

    def latents(self, dense: NDArray[np.float32]) -> tuple[State, State]:
        """float32 [rows, latent] each: mean and spread."""
        x = through(self.weights, "encoder", self.depth, dense)
        told = x @ self.weights["code.weight"].T + self.weights["code.bias"]
        mean, log = np.split(told, 2, axis=1)
        return mean, np.exp(0.5 * np.clip(log, LEAST, MOST))


def through(weights: Arrays, name: str, depth: int, x: State) -> State:
    """Linear layers with a ReLU after each."""
    for i in range(depth):
        x = x @ weights[f"{name}.{2 * i}.weight"].T + weights[f"{name}.{2 * i}.bias"]
        np.maximum(x, 0, out=x)
    return x


def encoder_of(arrays: Arrays, modes: Modes) -> Encoder:
    """From a model's arrays; raises `FormatError` where they do not fit together."""
    weights = {n: a for n, a in arrays.items() if n.startswith(("encoder.", "code."))}
    found = Encoder(weights)
    check_layers(weights, "encoder", found.depth, modes.width)
    last = weights.get(f"encoder.{2 * (found.depth - 1)}.bias")
    code = weights.get("code.bias")
    if last is None or code is None:
        raise FormatError("the network has no encoder.")
    check_shapes(weights, {"code.weight": (len(code), len(last))})
    return found


def check_layers(weights: Arrays, name: str, depth: int, size: int) -> None:
    """Raises `FormatError` where hidden layers that take `size` numbers do not fit together."""
    for i in range(depth):
        bias = weights.get(f"{name}.{2 * i}.bias")
        if bias is None:
            raise FormatError(f"the network has no '{name}.{2 * i}.bias'.")
        width = len(bias)
        check_shapes(
            weights,
            {f"{name}.{2 * i}.weight": (width, size), f"{name}.{2 * i}.bias": (width,)},
        )
        size = width
