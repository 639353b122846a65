"""The trained network in NumPy, for thousands of histories at once: drawing needs no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.synthesizers.sequential.clock import Numbers
from understudy.synthesizers.sequential.events import Index
from understudy.synthesizers.sequential.recurrent.gaps import Gaps
from understudy.synthesizers.tabular.cart import Floats

EPSILON = 1e-5


@dataclass(frozen=True)
class Forward:
    """`weights` by the names of `network.Network`; `context` and `sizes` are codes of tokens,
    `heads` outputs of each token."""

    weights: Mapping[str, NDArray[Any]]
    context: tuple[int, ...]
    sizes: tuple[int, ...]
    heads: tuple[int, ...]

    def start(self, context: Index) -> tuple[Floats, Floats]:
        """int [entities, tokens] to the first state and what stays."""
        known = self.bag("context", context, self.context)
        return np.tanh(self._linear("begin", known)), self._linear("steady", known)

    def step(self, state: Floats, x: Floats) -> Floats:
        """The state after one more input, as `torch.nn.GRU` has it."""
        at = self.weights
        inward = x @ at["gru.weight_ih_l0"].T + at["gru.bias_ih_l0"]
        inside = state @ at["gru.weight_hh_l0"].T + at["gru.bias_hh_l0"]
        n = state.shape[1]
        both = _sigmoid(inward[:, : 2 * n] + inside[:, : 2 * n])
        reset, update = both[:, :n], both[:, n:]
        new = np.tanh(inward[:, 2 * n :] + reset * inside[:, 2 * n :])
        found: Floats = new + update * (state - new)
        return found

    def input(self, previous: Index, before: Floats, dated: Index | None, steady: Floats) -> Floats:
        """What a step is given: see `network.Batch`."""
        x = self.bag("inward", previous, [size + 1 for size in self.sizes])
        x = x + self._linear("before", before) + steady
        return x if dated is None else x + self.summed("dated", dated)

    def summed(self, name: str, places: Index) -> Floats:
        """Rows of an embedding added up, [rows, width]."""
        found: Floats = self.weights[f"{name}.weight"][places].sum(1)
        return found

    def bag(self, name: str, codes: Index, sizes: Sequence[int]) -> Floats:
        """One embedding for each of several tokens, added up."""
        first = np.cumsum([0, *sizes])[:-1].astype(np.int64)
        found: Floats = self.weights[f"{name}.table.weight"][codes + first].sum(1)
        return found

    def begin(self, state: Floats, before: Floats) -> Floats:
        """What is known before the first token of an event."""
        return self._linear("outward", state) + self._linear("now", before)

    def token(self, token: int, codes: Index) -> Floats:
        """What a token adds once it is known."""
        found: Floats = self.weights["inside.table.weight"][self._first[token] + codes]
        return found

    def logits(self, sums: Floats, token: int) -> Floats:
        """float32 [rows, outputs] of one token."""
        x = sums + self.weights["place.weight"][token]
        h = np.maximum(self._linear("inner", self._normed("norm", x)), 0)
        x = np.maximum(self._normed("last", x + self._linear("outer", h)), 0)
        place = slice(self._heads[token], self._heads[token + 1])
        found: Floats = (
            x @ self.weights["heads.weight"][place].T + self.weights["heads.bias"][place]
        )
        return found

    def _linear(self, name: str, x: Floats) -> Floats:
        found: Floats = x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]
        return found

    def _normed(self, name: str, x: Floats) -> Floats:
        centred = x - x.mean(1, keepdims=True)
        scale = 1.0 / np.sqrt((centred * centred).mean(1, keepdims=True) + EPSILON)
        found: Floats = (
            centred * scale * self.weights[f"{name}.weight"] + (self.weights[f"{name}.bias"])
        )
        return found

    @cached_property
    def _first(self) -> list[int]:
        return [0, *np.cumsum(self.sizes).tolist()]

    @cached_property
    def _heads(self) -> list[int]:
        return [0, *np.cumsum(self.heads).tolist()]


def gap_logits(told: Floats, gaps: Gaps, day: Numbers, expected: Floats) -> Floats:
    """float [rows, codes] of the gap after `day`, the calendar's share added and that of what is
    due on the days that follow, `expected` [rows, single]."""
    codes = gaps.end + 1
    logits = told[:, :codes].copy()
    if gaps.single:
        coming = gaps.coming(day)
        calendar = told[:, codes:]
        rows = np.arange(len(told))[:, None, None]
        logits[:, : gaps.single] += calendar[rows, coming].sum(2) + calendar[:, -1:] * expected
    return logits


def chances(logits: Floats, low: Index | None = None, high: Index | None = None) -> Floats:
    """A distribution over the codes from `low` on and below `high`, each [rows]."""
    code = np.arange(logits.shape[1])
    if low is not None:
        logits = np.where(code < low[:, None], -np.inf, logits)
    if high is not None:
        logits = np.where(code >= high[:, None], -np.inf, logits)
    found: Floats = np.exp(logits - logits.max(1, keepdims=True))
    found /= found.sum(1, keepdims=True)
    return found


def _sigmoid(x: Floats) -> Floats:
    found: Floats = 0.5 * (1 + np.tanh(0.5 * x))
    return found
