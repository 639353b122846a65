"""Rows that must meet conditions: what is drawn first, with which chance, and what is selected.

The column that leads is drawn from its own shares among what is admitted, exactly. Other columns
without a score are drawn next, given those before, rows being particles weighted by how much of the
condition the network expects of them (see `particles`). A network that was trained with any columns
shown knows all others given these. Further conditions on numbers that a score tells select among
finished rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from understudy.encoding.discrete import Codes, Floats
from understudy.synthesizers.tabular.neural.gaps import Gaps
from understudy.synthesizers.tabular.particles import resample
from understudy.synthesizers.tabular.tabdiff.layout import Place, places_of
from understudy.synthesizers.tabular.tabdiff.mixed import (
    Columns,
    FineCodes,
    Mixed,
    normal_score,
)
from understudy.synthesizers.tabular.tabdiff.network import Network
from understudy.synthesizers.tabular.tabdiff.sampling import Sampler, State, Steps, blank

Admitted = Mapping[str, Floats]
"""For some columns the share of each code of the axis that is admitted."""
EMPTY = 1e-30


@dataclass(frozen=True)
class Drawing:
    """A network and what its tokens and scores mean; `gaps` go to its sampler."""

    network: Network
    columns: Columns
    steps: Steps
    gaps: Gaps = field(default_factory=dict)

    @property
    def places(self) -> dict[str, Place]:
        return places_of(self.columns)

    def sampler(self, rng: np.random.Generator, bars: Floats | None = None) -> Sampler:
        """`bars`, one number a class of every token, is added to the logits."""
        at = next(self.network.parameters()).device
        added = None if bars is None else torch.from_numpy(bars).float().to(at)
        return Sampler(self.network, self.steps, rng, added, self.gaps)

    def draw(self, rows: int, admitted: Admitted, rng: np.random.Generator) -> FineCodes:
        """At most `rows` rows: those of so many that meet the conditions that select."""
        first, later = split(self.columns, admitted)
        state, _ = self.start(rows, first, rng)
        self.sampler(rng).walk(state)
        found = self.fine(state)
        for name in later:
            codes = found[:, list(self.columns).index(name)]
            found = found[rng.random(len(codes)) < admitted[name][codes]]
        return found

    def start(
        self, rows: int, first: Mapping[str, Floats], rng: np.random.Generator
    ) -> tuple[State, float]:
        """Rows with the columns of `first` drawn, and the probability of what they admit.

        No rows where no particle meets it.
        """
        state, mass = blank(self.network, rows), 1.0
        for i, (name, share) in enumerate(first.items()):
            column, place = self.columns[name], self.places[name]
            if i == 0:
                mass *= self._lead(state, column, place, share, rng)
                continue
            weight = self._next(state, column, place, share, rng)
            mass *= float(weight.mean())
            if mass <= EMPTY:
                return blank(self.network, 0), 0.0
            state = state.taken(torch.from_numpy(resample(weight, rows, rng)))
        return state, mass

    def fine(self, state: State) -> FineCodes:
        """Codes of the axes, from finished rows."""
        tokens, scores = state.codes.cpu().numpy(), state.scores.cpu().numpy()
        found = []
        for name, place in self.places.items():
            own = [tokens[:, j] for j in place.tokens]
            score = None if place.score is None else scores[:, place.score]
            found.append(self.columns[name].fine(own, score, len(tokens)))
        return np.stack(found, 1).astype(np.int64)

    def know(
        self, state: State, column: Mixed, place: Place, fine: Codes, rows: Codes, place_in: Floats
    ) -> None:
        """Enters cells of one column, codes of its axis, as known; `place_in` says where in its
        interval of shares a score lies, from (0, 1)."""
        at, where = state.codes.device, torch.from_numpy(rows)
        for j, codes in zip(place.tokens, column.tokens_of(fine), strict=True):
            state.codes[where, j] = torch.from_numpy(codes.astype(np.int64)).to(at)
            state.hidden[where, j] = False
            state.kept[where, j] = True
        if place.score is not None:
            low, high = column.interval_of(fine).T
            score = normal_score(low + (high - low) * place_in).astype(np.float32)
            state.scores[where, place.score] = torch.from_numpy(score).to(at)
            state.given[where, place.score] = True

    def _lead(
        self, state: State, column: Mixed, place: Place, share: Floats, rng: np.random.Generator
    ) -> float:
        """Draws the first column from its own shares among what is admitted."""
        held = column.coding.shares
        weight = held * share
        rows = len(state.codes)
        fine = rng.choice(len(weight), rows, p=weight / weight.sum())
        self.know(state, column, place, fine, np.arange(rows), inner(rng, rows))
        return float(weight.sum() / held.sum())

    def _next(
        self, state: State, column: Mixed, place: Place, share: Floats, rng: np.random.Generator
    ) -> Floats:
        """Draws a further column without a score; float64 [rows]: what is admitted of it."""
        sampler = self.sampler(rng)
        weight = np.ones(len(state.codes))
        for k, j in enumerate(place.tokens):
            everything = sampler.denoised(state, 1.0)[0]
            logits = sampler.logits_of(state, everything, torch.arange(len(weight)), j)
            chances = logits.softmax(1).double().cpu().numpy()
            told = state.codes[:, place.tokens[0]].cpu().numpy()
            open_ = column.open_members(share)[told] if k else column.open_groups(share)
            weight *= (chances * open_).sum(1)
            barred = torch.from_numpy(np.log(np.maximum(open_, EMPTY))).float().to(logits.device)
            state.codes[:, j] = sampler.pick(logits + barred)
            state.hidden[:, j] = False
            state.kept[:, j] = True
        return weight


def split(columns: Columns, admitted: Admitted) -> tuple[dict[str, Floats], list[str]]:
    """The conditions that are met while drawing, in the order they are drawn in, and those that
    select: a number leads, the one of which the least is admitted."""
    scored = [name for name in admitted if columns[name].free is not None]
    scored.sort(key=lambda name: columns[name].mass(admitted[name]))
    first = scored[:1] + [n for n in columns if n in admitted and n not in scored]
    return {name: admitted[name] for name in first}, scored[1:]


def inner(rng: np.random.Generator, rows: int) -> Floats:
    """Places within an interval, never at its ends."""
    return np.clip(rng.random(rows), 1e-9, 1 - 1e-9)
