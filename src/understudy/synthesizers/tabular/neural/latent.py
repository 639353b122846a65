"""Rows of codes from a network that draws a latent state, and all columns given that.

Given its state a row's columns are independent, so a condition's probability is a sum over what the
state says of the conditioned columns alone. States are kept in proportion to it and the conditioned
cells drawn among what is admitted: every row meets the conditions, rows follow the network's own
conditional distribution, and work is bounded (importance resampling, see `particles`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from understudy.encoding.discrete import Floats
from understudy.synthesizers.tabular.neural.coding import Coding
from understudy.synthesizers.tabular.neural.gaps import Gaps, opened
from understudy.synthesizers.tabular.neural.head import Head, State
from understudy.synthesizers.tabular.neural.modes import (
    Modes,
    chances_of_places,
    placed,
    wide,
)
from understudy.synthesizers.tabular.neural.picking import EMPTY, Admitted, pick
from understudy.synthesizers.tabular.neural.tokens import Codings, Tokens, places_of
from understudy.synthesizers.tabular.particles import resample

BLOCK = 4_096
"""States drawn at a time, at least."""
BLOCKS = 32
FEW = 64
"""States of a block that are kept under a condition, at least, so that what else is asked of them
can be judged."""


class Source(Protocol):
    """A network up to its last layer. Rows of a draw do not depend on each other."""

    def start(self, rows: int, rng: np.random.Generator, lean: Mapping[str, Floats]) -> State:
        """States of `rows` rows. `lean` are shares of modes wanted of some columns, float64
        [modes]; a network that can be steered to one of them is."""

    def lead(self, names: Sequence[str]) -> str | None:
        """Which of these columns it would be steered to."""


@dataclass(frozen=True)
class LatentDrawing:
    """A source, its last layer, and pairs of modes that exclude each other."""

    source: Source
    head: Head
    gaps: Gaps = field(default_factory=dict)

    @property
    def modes(self) -> Modes:
        return self.head.modes

    @property
    def codings(self) -> Codings:
        return self.modes.codings

    @cached_property
    def places(self) -> dict[str, tuple[int, ...]]:
        """The tokens of each column: its mode, and the place in it."""
        return places_of(self.codings)

    @cached_property
    def column(self) -> dict[str, int]:
        return {name: j for j, name in enumerate(self.codings)}

    @cached_property
    def tokens(self) -> int:
        return sum(len(tokens) for tokens in self.places.values())

    def draw(
        self, rows: int, admitted: Admitted, rng: np.random.Generator, particles: int
    ) -> tuple[Tokens, float] | None:
        """int64 [rows, tokens] and the probability of what is admitted; None where no state
        allows it. `particles` is how many states to draw at a time under conditions."""
        if not admitted:
            state = self.source.start(rows, rng, {})
            return self._free(state, np.zeros((rows, self.tokens), np.int64), [], rng), 1.0
        lead = self.source.lead(list(admitted))
        names = sorted(admitted, key=lambda name: name != lead)
        kept: list[tuple[State, Tokens]] = []
        masses: list[float] = []
        size = max(BLOCK, min(particles, 4 * BLOCK))
        while sum(len(codes) for _, codes in kept) < rows and len(masses) < BLOCKS:
            state, codes, mass = self._block(size, names, admitted, rng)
            kept.append((state, codes))
            masses.append(mass)
        state, codes = (np.concatenate(parts) for parts in zip(*kept, strict=True))
        if len(codes) == 0:
            return None
        chosen = resample(np.ones(len(codes)), rows, rng)
        drawn = self._free(state[chosen], codes[chosen], names, rng)
        return drawn, float(np.mean(masses))

    def _block(
        self, size: int, names: Sequence[str], admitted: Admitted, rng: np.random.Generator
    ) -> tuple[State, Tokens, float]:
        """States that allow the conditions, with the conditioned columns drawn."""
        first = names[0]
        wanted = self.codings[first].margin * admitted_of(self.codings[first], admitted[first])
        state = self.source.start(size, rng, {first: wanted})
        codes = np.zeros((size, self.tokens), np.int64)
        mass = float(wanted.sum())  # columns are set right, so the first one's shares are known
        for place, name in enumerate(names):
            chances = self.chances(state, codes, name, names[:place])
            within = self._within(state, name, admitted[name])
            weight = (chances * within).sum(1, dtype=np.float64)
            mass *= float(weight.mean()) if place and len(weight) else 1.0
            if mass <= EMPTY or weight.sum() <= EMPTY:
                return state[:0], codes[:0], 0.0
            count = min(max(int(np.ceil(weight.sum())), FEW), len(weight))
            keep = resample(weight, count, rng)
            state, codes = state[keep], codes[keep]
            self._pick(state, codes, name, (chances * within)[keep], admitted[name][1], rng)
        return state, codes, mass

    def _free(
        self, state: State, codes: Tokens, seen: Sequence[str], rng: np.random.Generator
    ) -> Tokens:
        """`codes` with all columns drawn that are not `seen`, as the state says."""
        before = list(seen)
        for name in self.codings:
            if name not in seen:
                self._pick(state, codes, name, self.chances(state, codes, name, before), None, rng)
                before.append(name)
        return codes

    def chances(
        self, state: State, codes: Tokens, name: str, seen: Sequence[str]
    ) -> NDArray[np.float32]:
        """float32 [rows, modes] of a column, given the modes of columns `seen`, which may exclude
        some."""
        token = self.places[name][0]
        return opened(
            self.head.chances(state, self.column[name]),
            codes,
            token,
            [self.places[one][0] for one in seen],
            self.gaps,
        )

    def _within(self, state: State, name: str, admitted: tuple[Floats, Floats]) -> Floats:
        """[rows or 1, modes]: the share of each mode that is admitted, as a row's state says."""
        coding, column = self.codings[name], self.column[name]
        share = admitted_of(coding, admitted)
        if column not in self.modes.lines:
            return share[None]
        members = admitted[1]
        partial = np.flatnonzero((share > 0) & (share < 1 - 1e-9) & wide(coding))
        found = np.repeat(share[None], len(state), 0)
        for mode in partial:
            group = np.full(len(state), mode)
            told = chances_of_places(coding, group, *self.head.scalar(state, column, group))
            found[:, mode] = told @ members[mode]
        return found

    def _pick(
        self,
        state: State,
        codes: Tokens,
        name: str,
        chances: NDArray[np.floating],
        members: Floats | None,
        rng: np.random.Generator,
    ) -> None:
        """Draws a column into `codes`; `members` are the admitted shares within modes, if any."""
        coding, column = self.codings[name], self.column[name]
        mode = pick(chances, len(codes), rng)
        codes[:, self.places[name][0]] = mode
        if not coding.staged:
            return
        place = self.places[name][1]
        if column not in self.modes.lines:
            inner = coding.inner if members is None else coding.inner * members
            codes[:, place] = pick(inner[mode], len(codes), rng)
            return
        mean, spread = self.head.scalar(state, column, mode)
        if members is None:
            scalar = mean + spread * rng.standard_normal(len(mode)).astype(np.float32)
            codes[:, place] = placed(coding, mode, scalar)
            return
        told = (
            chances_of_places(coding, mode, mean, spread) + np.float32(EMPTY) * coding.inner[mode]
        )
        codes[:, place] = pick(told * members[mode], len(codes), rng)


def admitted_of(coding: Coding, admitted: tuple[Floats, Floats]) -> Floats:
    """float64 [modes]: the share of each mode's rows that is admitted."""
    groups, members = admitted
    if not coding.staged:
        return groups
    inner = coding.inner
    return np.asarray(groups * (inner * np.broadcast_to(members, inner.shape)).sum(1))
