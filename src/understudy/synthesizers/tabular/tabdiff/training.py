"""Training without a budget: Adam on noised rows, stopped by rows that were held out."""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from understudy.runtime.progress import Progress
from understudy.synthesizers.tabular.neural.averaging import Average, pace
from understudy.synthesizers.tabular.neural.epochs import run_epochs
from understudy.synthesizers.tabular.tabdiff.losses import Rows, row_losses, uniforms_of
from understudy.synthesizers.tabular.tabdiff.network import Network

SMALLEST_BATCH = 32
LONGEST = 5.0
"""Norm that a gradient is cut to."""
JUDGED = 4
"""How often each held-out row is noised where it judges an epoch; always by the same numbers."""


@dataclass(frozen=True)
class Course:
    """How long, how many rows at a time, how fast; `fade` is how far the scores' share of the loss
    falls on the way, 1 in the paper."""

    epochs: int
    batch: int
    rate: float
    patience: int
    fade: float
    seed: int
    half: bool = False


def train(network: Network, learnt: Rows, valid: Rows, course: Course, progress: Progress) -> None:
    """Fits `network` in place to the rows `learnt`, for as long as the rows `valid` gain.

    Raises `EngineError` where the first epoch fails.
    """
    if not network.layout.tokens + network.layout.scores:
        return  # every column holds one value
    device = next(network.parameters()).device
    passes = _Passes(network, course, Rows(*(part.to(device) for part in learnt)))
    held = Rows(*(part.to(device).repeat_interleave(JUDGED, 0) for part in valid))
    fixed = passes.uniform(len(held.codes))
    run_epochs(
        network,
        passes.average,
        course.epochs,
        passes.over,
        (lambda: _judged(network, held, fixed)) if len(held.codes) else None,
        patience=course.patience,
        remedy=f"Lower the rate (it is {course.rate:g}), or take a larger batch.",
        progress=progress,
    )


class _Passes:
    """The steps of a training, an epoch at a time."""

    def __init__(self, network: Network, course: Course, rows: Rows) -> None:
        count = len(rows.codes)
        self._batch = min(course.batch, count)
        self._each = max(count // self._batch, 1)
        self._steps = course.epochs * self._each
        self.average = Average(network)
        self._network, self._course, self._rows = network, course, rows
        self._optimizer = torch.optim.Adam(network.parameters(), lr=course.rate, betas=(0.9, 0.99))
        self._generator = torch.Generator().manual_seed(course.seed)
        self._step = 0

    def uniform(self, rows: int) -> Tensor:
        """Numbers for the noise of so many rows, their times spread evenly; the same on every
        device."""
        drawn = torch.rand(rows, uniforms_of(self._network.layout), generator=self._generator)
        if rows:
            drawn[:, 0] = (drawn[0, 0] + torch.arange(rows) / rows) % 1.0
        return drawn.to(self._rows.codes.device)

    def over(self) -> float:
        """The mean loss of one epoch; not a number where it failed, before anything was changed."""
        device = self._rows.codes.device
        order = torch.randperm(len(self._rows.codes), generator=self._generator).to(device)
        total = 0.0
        for i in range(self._each):
            rows = order[i * self._batch : (i + 1) * self._batch]
            done = self._step / self._steps
            part = Rows(*(tensor[rows] for tensor in self._rows))
            with torch.autocast("cuda", torch.bfloat16) if self._course.half else nullcontext():
                tokens, scores = row_losses(self._network, part, self.uniform(len(rows)))
                loss = (tokens + (1 - self._course.fade * done) * scores).mean()
            self._optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            norm = torch.nn.utils.clip_grad_norm_(self._network.parameters(), LONGEST)
            told = float(loss.detach())
            if not (math.isfinite(float(norm)) and math.isfinite(told)):
                return math.nan
            for group in self._optimizer.param_groups:
                group["lr"] = self._course.rate * pace(done)
            self._optimizer.step()
            self._step += 1
            self.average.follow(self._step)
            total += told
        return total / self._each


def _judged(network: Network, rows: Rows, uniform: Tensor) -> float:
    tokens, scores = row_losses(network, rows, uniform)
    return float((tokens + scores).mean())
