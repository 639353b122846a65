"""The last layer of a network in NumPy: how a row's columns are distributed given its latent state.

A logit for each mode of each column, and for each mode of a number line the mean of its scalar; the
scalar's spread is the mode's own. Given the state the columns are independent of each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.encoding.discrete import Codes, Floats
from understudy.errors import FormatError
from understudy.synthesizers.tabular.neural.modes import Modes, wide

State = NDArray[np.float32]
"""[rows, width]: what a network knows of each row before its last layer."""
EMPTY = 1e-30
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Head:
    """`weight` [outputs, width], `bias` [outputs], `spread` [outputs - modes]."""

    modes: Modes
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    spread: NDArray[np.float32]

    def chances(self, state: State, column: int) -> NDArray[np.float32]:
        """float32 [rows, modes of the column]."""
        place = slice(self.modes.first[column], self.modes.first[column + 1])
        logits = state @ self.weight[place].T + self.bias[place]
        logits -= logits.max(1, keepdims=True)
        np.exp(logits, out=logits)
        return np.asarray(logits / logits.sum(1, keepdims=True), np.float32)

    def scalar(
        self, state: State, column: int, mode: Codes
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """float32 [rows] each: the mean and the spread of the scalar of a line in its mode."""
        start = self.modes.scalars_at[self.modes.lines.index(column)]
        place = slice(start, start + self.modes.sizes[column])
        means = state @ self.weight[place].T + self.bias[place]
        spread = self.spread[start - self.modes.total + mode]
        return means[np.arange(len(mode)), mode], spread

    def log_chances(self, state: State, codes: NDArray[np.int64]) -> Floats:
        """float64 [rows]: the log probability of rows of codes [rows, columns], given their states;
        the density of a scalar is that of its normal over the standard one's."""
        mode, scalars = self.modes.cells(codes)
        total = np.zeros(len(codes))
        rows = np.arange(len(codes))
        for j in range(mode.shape[1]):
            total += np.log(np.maximum(self.chances(state, j)[rows, mode[:, j]], EMPTY))
        for k, j in enumerate(self.modes.lines):
            mean, spread = self.scalar(state, j, mode[:, j])
            own = scalars[:, k]
            gain = 0.5 * own**2 - 0.5 * ((own - mean) / spread) ** 2 - np.log(spread)
            coding = list(self.modes.codings.values())[j]
            total += np.where(wide(coding)[mode[:, j]], gain, 0.0)
        return total

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        return {"head.weight": self.weight, "head.bias": self.bias, "head.spread": self.spread}


def head_of(modes: Modes, arrays: Arrays, width: int) -> Head:
    """The layer in `arrays`; raises `FormatError` where they do not fit the columns."""
    shapes = {
        "head.weight": (modes.outputs, width),
        "head.bias": (modes.outputs,),
        "head.spread": (modes.outputs - modes.total,),
    }
    check_shapes(arrays, shapes)
    return Head(modes, *(arrays[name] for name in shapes))


def check_shapes(arrays: Arrays, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raises `FormatError` for arrays that are missing, of other shapes or not finite."""
    for name, shape in shapes.items():
        if name not in arrays:
            raise FormatError(f"the network has no {name!r}.")
        if arrays[name].shape != shape or not np.isfinite(arrays[name]).all():
            raise FormatError(
                f"the network's {name} is {arrays[name].shape} or not finite; expected finite "
                f"numbers of shape {shape}."
            )
