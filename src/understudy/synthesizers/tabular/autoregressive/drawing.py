"""Rows of codes from the network: in any order, under conditions, or around cells that are given.

Columns with a condition are drawn first, among admitted codes only, so every row meets them. One
condition is exact as it stands. Under several, rows are particles weighted by how much of each next
condition the network expects of them, and resampled (see `particles`); all other columns follow
given what was drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.encoding.discrete import Codes, Floats
from understudy.synthesizers.tabular.autoregressive.coding import Coding
from understudy.synthesizers.tabular.autoregressive.forward import Forward, State
from understudy.synthesizers.tabular.particles import resample

Admitted = Mapping[str, tuple[Floats, Floats]]
"""For some columns the share of each group, and of each member of a group, that is admitted."""
Tokens = NDArray[np.int64]

EMPTY = 1e-30


@dataclass(frozen=True)
class Drawing:
    """A network and what its tokens mean; `order` is the columns' usual drawing order."""

    forward: Forward
    codings: Mapping[str, Coding]
    order: tuple[str, ...]
    tilts: Mapping[str, Floats] = field(default_factory=dict)

    @cached_property
    def places(self) -> dict[str, tuple[int, ...]]:
        """The tokens of each column."""
        return places_of(self.codings)

    @property
    def tokens(self) -> int:
        return len(self.forward.sizes)

    def draw(
        self, rows: int, admitted: Admitted, rng: np.random.Generator, particles: int
    ) -> tuple[Tokens, float] | None:
        """int64 [rows, tokens] and the probability of what is admitted; None where no particle
        meets it."""
        names = [n for n in self.order if n in admitted]
        free = [n for n in self.order if n not in admitted]
        ahead = sum(len(self.places[n]) for n in names)
        size = particles if ahead > 1 else rows
        codes, state = np.zeros((size, self.tokens), np.int64), self.forward.blank(size)
        mass, blank = 1.0, True
        for name in (*names, *free):
            for k, token in enumerate(self.places[name]):
                chances = self._chances(state, name, token, blank)
                blank = False
                if name in admitted:
                    share = admitted[name]
                    chances = chances * (share[1][codes[:, token - 1]] if k else share[0])
                    weight = np.broadcast_to(chances.sum(1, dtype=np.float64), len(codes))
                    mass *= float(weight.mean())
                    if mass <= EMPTY:
                        return None
                    ahead -= 1
                codes[:, token] = pick(chances, len(codes), rng)
                if name in admitted and size > 1 and len(chances) > 1:
                    kept = resample(weight, size if ahead else rows, rng)
                    codes, state = codes[kept], state[kept]
                self.forward.see(state, token, codes[:, token])
        return codes[:rows], mass

    def fill(
        self, codes: Tokens, known: NDArray[np.bool_], admitted: Admitted, rng: np.random.Generator
    ) -> Tokens:
        """`codes` [rows, tokens] with those that are not `known` drawn given those that are, and
        given each other."""
        codes, state = codes.copy(), self.forward.blank(len(codes))
        for token in range(self.tokens):
            rows = np.flatnonzero(known[:, token])
            self.forward.see(state, token, codes[rows, token], rows)
        for name in self.order:
            for k, token in enumerate(self.places[name]):
                rows = np.flatnonzero(~known[:, token])
                if len(rows) == 0:
                    continue
                chances = self.forward.chances(state[rows], token)
                if name in admitted:
                    share = admitted[name]
                    chances = chances * (share[1][codes[rows, token - 1]] if k else share[0])
                codes[rows, token] = pick(chances, len(rows), rng)
                self.forward.see(state, token, codes[rows, token], rows)
        return codes

    def log_chances(self, codes: Tokens, order: Sequence[str]) -> Floats:
        """float64 [rows, tokens]: the log probability of each token given those before it."""
        found, state = np.zeros(codes.shape), self.forward.blank(len(codes))
        blank = True
        for name in order:
            for token in self.places[name]:
                chances = self._chances(state, name, token, blank)
                blank = False
                rows = np.arange(len(codes)) if len(chances) > 1 else np.zeros(len(codes), int)
                own = chances[rows, codes[:, token]]
                found[:, token] = np.log(np.maximum(own, EMPTY))
                self.forward.see(state, token, codes[:, token])
        return found

    def _chances(self, state: State, name: str, token: int, blank: bool) -> Any:
        """[rows, codes]; a single row where nothing was seen yet: the column's own shares."""
        return self.codings[name].margin[None] if blank else self.forward.chances(state, token)


def places_of(codings: Mapping[str, Coding]) -> dict[str, tuple[int, ...]]:
    """The tokens of each column, numbered in the order of the columns."""
    places, first = {}, 0
    for name, coding in codings.items():
        places[name] = tuple(range(first, first + len(coding.sizes)))
        first += len(coding.sizes)
    return places


def pick(chances: Any, rows: int, rng: np.random.Generator) -> Codes:
    """int[rows]: a code for each row by its chances, or by the one row of chances there is."""
    edges = np.cumsum(chances, axis=1, dtype=np.float64)
    tick = rng.random(rows) * edges[:, -1] * (1 - 1e-12)
    if len(chances) == 1 and rows > 1:
        return np.searchsorted(edges[0], tick, side="right")
    return np.argmax(edges > tick[:, None], axis=1)
