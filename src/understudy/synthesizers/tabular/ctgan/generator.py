"""The generator in NumPy: rows are drawn without torch, each by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from understudy.encoding.discrete import Floats
from understudy.errors import FormatError
from understudy.synthesizers.tabular.ctgan.slots import Slots, chosen
from understudy.synthesizers.tabular.neural.head import Arrays, State, check_shapes

EPSILON = 1e-5


@dataclass(frozen=True)
class Maker:
    """The generator's blocks, by the names of its module, and the conditional vector's slots."""

    slots: Slots
    weights: Arrays

    @cached_property
    def depth(self) -> int:
        return sum(name.endswith(".inner.weight") for name in self.weights)

    @property
    def noise(self) -> int:
        return int(self.weights["blocks.0.inner.weight"].shape[1]) - self.slots.width

    @property
    def width(self) -> int:
        """Numbers of a state."""
        size = self.weights["blocks.0.inner.weight"].shape[1]
        return int(size) + sum(
            len(self.weights[f"blocks.{i}.norm.bias"]) for i in range(self.depth)
        )

    def start(self, rows: int, rng: np.random.Generator, lean: Mapping[str, Floats]) -> State:
        """float32 [rows, width]: the vector names columns evenly, modes by their frequencies; with
        `lean` the column that `lead` says, modes by the shares wanted."""
        which, mode = self.slots.draw(rows, self.slots.frequencies, rng)
        wanted = {self._column[name]: shares for name, shares in lean.items()}
        named = self.slots.named(wanted)
        if named is not None:
            which = np.full(rows, named)
            mode = chosen(wanted[self.slots.columns[named]], rng.random(rows))
        return self.states(which, mode, rng)

    def states(
        self, which: NDArray[np.int64], mode: NDArray[np.int64], rng: np.random.Generator
    ) -> State:
        """The states of rows whose vector names these columns and modes."""
        noise = rng.standard_normal((len(which), self.noise), np.float32)
        return self.through(noise, self.slots.vector(which, mode))

    def through(self, noise: State, vector: State) -> State:
        """float32 [rows, width]: what the blocks make of noise and conditional vectors, each row
        by itself."""
        x = np.concatenate((noise, vector), 1)
        for i in range(self.depth):
            x = np.concatenate((self._block(i, x), x), 1)
        return x

    def lead(self, names: Sequence[str]) -> str | None:
        """The column, if any of these has slots, that the vector would name."""
        codings = self.slots.modes.codings
        margins = {self._column[name]: codings[name].margin for name in names}
        named = self.slots.named(margins)
        return None if named is None else list(codings)[self.slots.columns[named]]

    @cached_property
    def _column(self) -> dict[str, int]:
        return {name: j for j, name in enumerate(self.slots.modes.codings)}

    def _block(self, i: int, x: State) -> State:
        at, name = self.weights, f"blocks.{i}"
        h = x @ at[f"{name}.inner.weight"].T + at[f"{name}.inner.bias"]
        h -= h.mean(1, keepdims=True)
        h *= 1.0 / np.sqrt((h * h).mean(1, keepdims=True) + EPSILON)
        h *= at[f"{name}.norm.weight"]
        h += at[f"{name}.norm.bias"]
        np.maximum(h, 0, out=h)
        return h


def maker_of(slots: Slots, arrays: Arrays) -> Maker:
    """From a model's arrays; raises `FormatError` where they do not fit together."""
    weights = {name: value for name, value in arrays.items() if name.startswith("blocks.")}
    depth = sum(name.endswith(".inner.weight") for name in weights)
    try:
        size = weights["blocks.0.inner.weight"].shape[1]
        shapes: dict[str, tuple[int, ...]] = {}
        for i in range(depth):
            width = len(weights[f"blocks.{i}.inner.bias"])
            shapes[f"blocks.{i}.inner.weight"] = (width, size)
            for part in ("inner.bias", "norm.weight", "norm.bias"):
                shapes[f"blocks.{i}.{part}"] = (width,)
            size += width
    except (KeyError, IndexError) as error:
        raise FormatError(f"the network has no {error}.") from None
    check_shapes(weights, shapes)
    found = Maker(slots, weights)
    if found.noise < 1:
        raise FormatError("the network takes no noise beside its conditional vector.")
    return found
