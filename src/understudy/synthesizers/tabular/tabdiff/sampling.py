"""Rows from noise: the reverse of `losses.noised`, from time 1 to time 0.

Scores follow the probability flow step by step, the last steps corrected (Heun), after a little
noise is put back at the start of each (Karras et al. 2022, algorithm 2); tokens that were drawn are
hidden again by the same measure, so that an early mistake can be taken back (the stochastic sampler
of TabDiff, Shi et al. 2025).

Two things are done otherwise. Scores are kept at variance 1, y = x / sqrt(1 + sigma^2), and steps
are taken in the angle whose tangent is sigma: there the flow of Karras et al., equation 1, is
dy / d angle = -F, F being the network's own output, which a normal score keeps near 0. Euler's step
in sigma itself draws all scores together: after twenty, by a tenth of their spread. And of tokens
that come out in the same step of the paper's sampler each is drawn without knowing of the others;
here a row's are drawn one at a time, each given those before, and the network is asked again for
the few rows that have more than one. Twenty steps so keep dependences that fifty would blur.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from understudy.synthesizers.tabular.neural.gaps import Gaps
from understudy.synthesizers.tabular.tabdiff.losses import absent_scores
from understudy.synthesizers.tabular.tabdiff.network import Network, Shown

MOST_CHURN = 2**0.5 - 1
NEVER = 2.0
"""A rank beyond all that are drawn."""
BAR = -27.0
"""What is added to the logit of a class that is excluded: where all are, it excludes nothing."""


@dataclass(frozen=True)
class Steps:
    """How time is walked: `count` steps, `churn` shared among them, the last few `corrected`."""

    count: int
    churn: float
    corrected: int


@dataclass
class State:
    """Rows on their way, [n, ...]: classes int64 and which are `hidden`, by token; scores float32,
    at variance 1 however much of that is noise.

    `kept` are tokens, and `given` scores, that are known from the start and stay.
    """

    codes: Tensor
    hidden: Tensor
    scores: Tensor
    kept: Tensor
    given: Tensor

    def taken(self, rows: Tensor) -> State:
        """Some of the rows, or some again."""
        return State(*(part[rows] for part in vars(self).values()))


def blank(network: Network, rows: int) -> State:
    """Rows of which nothing is known."""
    layout, at = network.layout, next(network.parameters()).device
    return State(
        codes=torch.zeros(rows, layout.tokens, dtype=torch.int64, device=at),
        hidden=torch.ones(rows, layout.tokens, dtype=torch.bool, device=at),
        scores=torch.zeros(rows, layout.scores, device=at),
        kept=torch.zeros(rows, layout.tokens, dtype=torch.bool, device=at),
        given=torch.zeros(rows, layout.scores, dtype=torch.bool, device=at),
    )


class Sampler:
    """Draws rows of one network; all randomness comes from `rng`.

    `bars`, one number a class of every token, is added to the logits; `gaps` are pairs of classes
    that exclude each other (see `neural.gaps`).
    """

    def __init__(
        self,
        network: Network,
        steps: Steps,
        rng: np.random.Generator,
        bars: Tensor | None = None,
        gaps: Gaps | None = None,
    ) -> None:
        self._network, self._steps, self._rng, self._bars = network, steps, rng, bars
        self._layout = network.layout
        self._device = next(network.parameters()).device
        self._owner = torch.tensor(self._layout.owner, dtype=torch.int64, device=self._device)
        self._first = torch.tensor(self._layout.first, dtype=torch.int64, device=self._device)
        self._last = torch.tensor(self._layout.last, dtype=torch.int64, device=self._device)
        self._barred: dict[int, list[tuple[int, Tensor]]] = {}
        for (one, other), open_ in (gaps or {}).items():
            bar = torch.from_numpy(np.where(open_, 0.0, BAR).astype(np.float32))
            self._barred.setdefault(other, []).append((one, bar.to(self._device)))

    @torch.no_grad()
    def walk(self, state: State) -> None:
        """Draws, in place, all that is not known."""
        count = self._steps.count
        churn = min(self._steps.churn / count, MOST_CHURN)
        state.scores = torch.where(state.given, state.scores, self._normal(state.scores))
        target = self._held_back(state)
        for i in range(count):
            now, after = 1 - i / count, 1 - (i + 1) / count
            at = self._network.schedules.churned(now, churn) if churn and i else now
            if at > now:
                self._stir(state, now, at)
            logits, slope = self.denoised(state, at)
            due = self._due(state, at, after) & ~target
            corrected = count - self._steps.corrected <= i < count - 1
            self._advance(state, slope, at, after, corrected)
            self._reveal(state, logits, due, after)
        state.given = torch.ones_like(state.given)
        rows = torch.nonzero(target.any(1)).flatten()
        if len(rows):
            whole = state.taken(rows)
            self._reveal(whole, self.denoised(whole, 0.0)[0], target[rows], 0.0)
            state.codes[rows], state.hidden[rows] = whole.codes, whole.hidden

    @torch.no_grad()
    def denoised(self, state: State, t: float) -> tuple[Tensor, Tensor]:
        """Logits, barred, and the slope dy / d angle = -F of the scores."""
        absent = absent_scores(self._layout, state.codes, state.hidden)
        shown = Shown(state.codes, state.hidden, state.scores, state.given, absent)
        at = torch.full((len(state.codes),), t, device=self._device)
        logits, outputs = self._network(shown, at)
        slope = torch.where(absent | state.given, 0.0, -outputs)
        return logits if self._bars is None else logits + self._bars, slope

    def logits_of(self, state: State, logits: Tensor, rows: Tensor, j: int) -> Tensor:
        """float [rows, classes] of token `j`, from all tokens' logits of `rows`: what is seen of
        them may exclude classes."""
        found = logits[:, self._layout.starts[j] : self._layout.starts[j + 1]]
        for one, bar in self._barred.get(j, ()):
            seen = ~state.hidden[rows, one]
            found = found + bar[state.codes[rows, one]] * seen[:, None]
        return found

    def pick(self, logits: Tensor) -> Tensor:
        """int64 [n]: a class for each row of logits."""
        edges = logits.softmax(1).cumsum(1, dtype=torch.float64)
        ticks = self._uniform(len(logits), 1).double() * edges[:, -1:]
        # Rounding may not end beyond the last class that has a chance.
        last = logits.shape[1] - 1 - (logits.flip(1) > -torch.inf).int().argmax(1)
        return torch.minimum((edges <= ticks).sum(1), last)

    def _sigma(self, t: float) -> Tensor:
        """[1, scores]."""
        at = torch.tensor([t], dtype=torch.float32, device=self._device)
        return self._network.schedules.sigma(at)

    def _chance(self, t: float) -> Tensor:
        """[1, hiding]: that a column is hidden."""
        at = torch.tensor([t], dtype=torch.float32, device=self._device)
        found = self._network.schedules.hidden(at)
        return found if t > 0 else torch.zeros_like(found)

    def _stir(self, state: State, now: float, at: float) -> None:
        """Puts back the noise between two times."""
        # What of the variance stays; the rest is new noise.
        kept = (1 + self._sigma(now).square()) / (1 + self._sigma(at).square())
        stirred = (
            state.scores * kept.sqrt() + self._normal(state.scores) * (1 - kept).clamp(min=0).sqrt()
        )
        state.scores = torch.where(state.given, state.scores, stirred)
        again = 1 - (1 - self._chance(at)) / (1 - self._chance(now))
        hide = self._uniform(len(state.codes), self._layout.hiding) < again
        state.hidden = state.hidden | (hide[:, self._owner] & ~state.kept)

    def _advance(
        self, state: State, slope: Tensor, at: float, after: float, corrected: bool
    ) -> None:
        """Euler's step between two times, or Heun's: by the mean of the slopes at its ends."""
        before, width = state.scores, self._sigma(after).atan() - self._sigma(at).atan()
        state.scores = before + width * slope
        if corrected:
            state.scores = before + width * (slope + self.denoised(state, after)[1]) / 2

    def _held_back(self, state: State) -> Tensor:
        """bool [n, hiding]: the target where it is not known, to be drawn given all others."""
        found = torch.zeros(len(state.codes), self._layout.hiding, dtype=torch.bool)
        found = found.to(self._device)
        if self._layout.target is not None:
            last = self._layout.last[self._layout.target]
            found[:, self._layout.target] = ~state.kept[:, last]
        return found

    def _due(self, state: State, at: float, after: float) -> Tensor:
        """bool [n, hiding]: hidden columns that come out between two times."""
        stays = self._chance(after) / self._chance(at)
        drawn = self._uniform(len(state.codes), self._layout.hiding)
        return state.hidden[:, self._last] & (drawn >= stays)

    def _reveal(self, state: State, logits: Tensor, due: Tensor, after: float) -> None:
        """Draws what is due, one token of a row at a time, its columns in an order of their own."""
        if not self._layout.hiding:
            return
        rank = torch.where(due, self._uniform(*due.shape), NEVER)
        rows = torch.arange(len(due), device=self._device)
        while True:
            left = rank.min(1).values < NEVER
            rows, rank, logits = rows[left], rank[left], logits[left]
            if len(rows) == 0:
                return
            column = rank.argmin(1)
            self._draw(state, logits, rows, column)
            whole = ~state.hidden[rows, self._last[column]]
            done = rank.scatter(1, column[:, None], NEVER)
            rank = torch.where(whole[:, None], done, rank)
            left = rank.min(1).values < NEVER
            rows, rank = rows[left], rank[left]
            if len(rows) == 0:
                return
            logits = self._logits(state, rows, after)

    def _logits(self, state: State, rows: Tensor, t: float) -> Tensor:
        return self.denoised(state.taken(rows), t)[0]

    def _draw(self, state: State, logits: Tensor, rows: Tensor, column: Tensor) -> None:
        """The first hidden token of one column of each of `rows`."""
        first, last = self._first[column], self._last[column]
        token = torch.where(state.hidden[rows, first], first, last)
        for j in range(self._layout.tokens):
            own = torch.nonzero(token == j).flatten()
            if len(own):
                part = self.logits_of(state, logits[own], rows[own], j)
                state.codes[rows[own], j] = self.pick(part)
                state.hidden[rows[own], j] = False

    def _uniform(self, *shape: int) -> Tensor:
        return torch.from_numpy(self._rng.random(shape, dtype=np.float32)).to(self._device)

    def _normal(self, like: Tensor) -> Tensor:
        drawn = self._rng.standard_normal(tuple(like.shape), dtype=np.float32)
        return torch.from_numpy(drawn).to(self._device)
