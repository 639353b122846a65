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

from understudy.encoding.discrete import Floats
from understudy.synthesizers.tabular.autoregressive.forward import Forward, State
from understudy.synthesizers.tabular.neural.gaps import Gaps, opened
from understudy.synthesizers.tabular.neural.picking import EMPTY, Admitted, pick
from understudy.synthesizers.tabular.neural.tokens import Codings, Tokens, places_of
from understudy.synthesizers.tabular.particles import resample

TINY = 1e-12
"""What a gap leaves of a chance where something must be drawn."""


@dataclass(frozen=True)
class Drawing:
    """A network and what its tokens mean; `order` is the columns' usual drawing order.

    `gaps` are pairs of codes that exclude each other, `tilts` factors that set the columns of rows
    drawn in the usual order right (see `tilting`).
    """

    forward: Forward
    codings: Codings
    order: tuple[str, ...]
    gaps: Gaps = field(default_factory=dict)
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
        seen: list[int] = []
        mass = 1.0
        for name in (*names, *free):
            for k, token in enumerate(self.places[name]):
                chances = self.chances(state, codes, name, token, seen)
                if name in admitted:
                    share = admitted[name][1][codes[:, token - 1]] if k else admitted[name][0]
                    chances = chances * share
                    weight = np.broadcast_to(chances.sum(1, dtype=np.float64), len(codes))
                    mass *= float(weight.mean())
                    if mass <= EMPTY:
                        return None
                    ahead -= 1
                elif not admitted and not k and name in self.tilts:
                    chances = chances * self.tilts[name]
                codes[:, token] = pick(chances, len(codes), rng)
                if name in admitted and size > 1 and len(chances) > 1:
                    kept = resample(weight, size if ahead else rows, rng)
                    codes, state = codes[kept], state[kept]
                self.forward.see(state, token, codes[:, token])
                seen.append(token)
        return codes[:rows], mass

    def fill(
        self, codes: Tokens, known: NDArray[np.bool_], admitted: Admitted, rng: np.random.Generator
    ) -> Tokens:
        """`codes` [rows, tokens] with those that are not `known` drawn given those that are, and
        given each other."""
        codes, known, state = codes.copy(), known.copy(), self.forward.blank(len(codes))
        for token in range(self.tokens):
            rows = np.flatnonzero(known[:, token])
            self.forward.see(state, token, codes[rows, token], rows)
        for name in self.order:
            for k, token in enumerate(self.places[name]):
                rows = np.flatnonzero(~known[:, token])
                if len(rows) == 0:
                    continue
                chances = self.forward.chances(state[rows], token)
                for one in range(self.tokens):
                    if (one, token) in self.gaps:
                        open_ = self.gaps[one, token][codes[rows, one]]
                        chances *= np.where(known[rows, one, None] & ~open_, TINY, 1.0)
                if name in admitted:
                    share = admitted[name]
                    chances = chances * (share[1][codes[rows, token - 1]] if k else share[0])
                codes[rows, token] = pick(chances, len(rows), rng)
                known[rows, token] = True
                self.forward.see(state, token, codes[rows, token], rows)
        return codes

    def log_chances(self, codes: Tokens, order: Sequence[str]) -> Floats:
        """float64 [rows, tokens]: the log probability of each token given those before it."""
        found, state = np.zeros(codes.shape), self.forward.blank(len(codes))
        seen: list[int] = []
        for name in order:
            for token in self.places[name]:
                chances = self.chances(state, codes, name, token, seen)
                rows = np.arange(len(codes)) if len(chances) > 1 else np.zeros(len(codes), int)
                own = chances[rows, codes[:, token]]
                found[:, token] = np.log(np.maximum(own, EMPTY))
                self.forward.see(state, token, codes[:, token])
                seen.append(token)
        return found

    def chances(
        self, state: State, codes: Tokens, name: str, token: int, seen: Sequence[int]
    ) -> NDArray[Any]:
        """[rows, codes] given the tokens `seen`; a single row where none was: the column's own."""
        if not seen:
            return self.codings[name].margin[None]
        return opened(self.forward.chances(state, token), codes, token, seen, self.gaps)
