"""The trained network in NumPy: rows are drawn without torch, a column at a time.

Seeing one more token changes the first layer's sum by one precomputed vector, so a row's state is
that sum and every column costs one pass through the trunk and one head.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.encoding.discrete import Codes
from understudy.errors import FormatError

State = NDArray[np.float32]
Arrays = Mapping[str, NDArray[Any]]

ROWS = 4_096
"""Rows that go through the trunk at a time: what a core's cache holds."""
EPSILON = 1e-5


@dataclass(frozen=True)
class Forward:
    """`sizes` are codes a token; `weights` are the network's, by the names of its module."""

    sizes: tuple[int, ...]
    weights: Arrays

    def blank(self, rows: int) -> State:
        """float32 [rows, width]: rows of which nothing is seen."""
        return np.tile(self._unseen.sum(0) + self.weights["inward.bias"], (rows, 1))

    def see(self, state: State, token: int, codes: Codes, rows: Codes | None = None) -> None:
        """Adds the codes of one more token to the state, of all rows or of `rows`."""
        change = self._seen[self._first[token] + codes] - self._unseen[token]
        if rows is None:
            state += change
        else:
            state[rows] += change

    def chances(self, state: State, token: int) -> NDArray[np.float32]:
        """float32 [rows, codes]: the distribution of a token given what each row has seen."""
        place = slice(self._heads[token], self._heads[token + 1])
        head, bias = self.weights["heads.weight"][place], self.weights["heads.bias"][place]
        found = np.empty((len(state), self.sizes[token]), np.float32)
        for start in range(0, len(state), ROWS):
            logits = self._trunk(state[start : start + ROWS]) @ head.T + bias
            logits -= logits.max(1, keepdims=True)
            np.exp(logits, out=logits)
            found[start : start + ROWS] = logits / logits.sum(1, keepdims=True)
        return found

    def _trunk(self, x: State) -> State:
        at = self.weights
        for i in range(self._depth):
            name = f"blocks.{i}"
            h = _normed(x, at[f"{name}.norm.weight"], at[f"{name}.norm.bias"])
            h = h @ at[f"{name}.inner.weight"].T + at[f"{name}.inner.bias"]
            np.maximum(h, 0, out=h)
            x = x + h @ at[f"{name}.outer.weight"].T + at[f"{name}.outer.bias"]
        h = _normed(x, at["norm.weight"], at["norm.bias"])
        np.maximum(h, 0, out=h)
        return h

    @cached_property
    def _depth(self) -> int:
        return sum(name.endswith(".outer.weight") for name in self.weights)

    @cached_property
    def _heads(self) -> list[int]:
        return [0, *np.cumsum(self.sizes).tolist()]

    @cached_property
    def _first(self) -> list[int]:
        """Where each token's seen codes start in the embedding; the code before is unseen."""
        return [int(f) + 1 for f in np.cumsum([0, *(size + 1 for size in self.sizes[:-1])])]

    @cached_property
    def _seen(self) -> State:
        """What each code of each token adds to the first layer's sum."""
        table, inward = self.weights["embedding.weight"], self.weights["inward.weight"]
        dim = table.shape[1]
        parts = [
            table[first - 1 : first + size] @ inward[:, j * dim : (j + 1) * dim].T
            for j, (first, size) in enumerate(zip(self._first, self.sizes, strict=True))
        ]
        return np.concatenate(parts)

    @cached_property
    def _unseen(self) -> State:
        return self._seen[[first - 1 for first in self._first]]


def checked(sizes: Sequence[int], weights: Arrays) -> Forward:
    """The network, or `FormatError` where the arrays do not fit together."""
    try:
        width = len(weights["inward.bias"])
        expected = {
            "embedding.weight": (sum(sizes) + len(sizes), weights["embedding.weight"].shape[-1]),
            "inward.weight": (width, len(sizes) * weights["embedding.weight"].shape[-1]),
            "heads.weight": (sum(sizes), width),
            "heads.bias": (sum(sizes),),
        }
        for name, shape in expected.items():
            if weights[name].shape != shape or not np.isfinite(weights[name]).all():
                raise FormatError(
                    f"the network's {name} is {weights[name].shape} or not finite; expected "
                    f"finite numbers of shape {shape}."
                )
    except KeyError as error:
        raise FormatError(f"the network has no {error}.") from None
    return Forward(tuple(sizes), weights)


def _normed(x: State, weight: NDArray[Any], bias: NDArray[Any]) -> State:
    centred: State = x - x.mean(1, keepdims=True)
    scale = 1.0 / np.sqrt((centred * centred).mean(1, keepdims=True) + EPSILON)
    centred *= scale
    centred *= weight
    centred += bias
    return centred
