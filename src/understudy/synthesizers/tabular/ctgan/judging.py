"""The critic in NumPy: how real a row looks among others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from understudy.encoding.discrete import Floats
from understudy.errors import FormatError
from understudy.synthesizers.tabular.neural.head import Arrays, check_shapes

SLOPE = 0.2
"""Of the critic's activations below zero."""


@dataclass(frozen=True)
class Judgement:
    """The critic's layers, first to last, by weight and bias; `pac` rows of `size` numbers go
    in."""

    layers: tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]
    size: int

    @property
    def pac(self) -> int:
        return int(self.layers[0][0].shape[1]) // self.size

    def scores(self, rows: NDArray[np.float32], beside: NDArray[np.float32]) -> Floats:
        """float64 [n] of rows [n, size], each first in a pack with the rows `beside`
        [pac - 1, size]."""
        weight, bias = self.layers[0]
        x = rows @ weight[:, : self.size].T + (weight[:, self.size :] @ beside.ravel() + bias)
        for weight, bias in self.layers[1:]:
            x = np.where(x > 0, x, SLOPE * x) @ weight.T + bias
        return np.asarray(x[:, 0], np.float64)


def judgement_of(arrays: Arrays, size: int) -> Judgement:
    """From a model's arrays; raises `FormatError` where they do not fit together."""
    names = sorted(
        (n for n in arrays if n.startswith("critic.") and n.endswith(".weight")),
        key=lambda name: int(name.split(".")[-2]),
    )
    if not names:
        raise FormatError("the network has no critic.")
    layers = []
    width = arrays[names[0]].shape[-1]
    if not size or not width or width % size:
        raise FormatError(f"the critic takes {width} numbers, which are no rows of {size}.")
    for name in names:
        other = name.removesuffix("weight") + "bias"
        check_shapes(arrays, {name: (len(arrays[name]), width), other: (len(arrays[name]),)})
        layers.append((arrays[name], arrays[other]))
        width = len(arrays[name])
    return Judgement(tuple(layers), size)
