"""Training without a budget: Adam on losses a row, stopped by rows that were held out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from understudy.runtime.progress import Progress
from understudy.synthesizers.tabular.neural.averaging import Average, pace
from understudy.synthesizers.tabular.neural.epochs import run_epochs

SMALLEST_BATCH, LARGEST_BATCH = 32, 1_024
MOST_STEPS = 20_000
LONGEST = 5.0
"""Norm that a gradient is cut to."""

Losses = Callable[[Tensor, Tensor], Tensor]
"""One value for each row of codes, with that row's numbers from [0, 1)."""


@dataclass(frozen=True)
class Schedule:
    """How long, how many rows at a time, and how fast."""

    epochs: int
    patience: int
    batch: int | None
    rate: float
    seed: int


def usual_batch(rows: int) -> int:
    """A 32nd of the rows, within bounds."""
    return min(max(rows // 32, SMALLEST_BATCH), LARGEST_BATCH)


def train(
    network: torch.nn.Module,
    losses: Losses,
    uniforms: int,
    learnt: Tensor,
    valid: Tensor,
    schedule: Schedule,
    progress: Progress,
) -> None:
    """Fits `network` in place to `learnt`, int64 [rows, tokens], for as long as `valid` gains.

    `losses` takes `uniforms` random numbers a row. Raises `EngineError` where the first epoch
    fails.
    """
    device = next(network.parameters()).device
    learnt, valid = learnt.to(device), valid.to(device)
    passes = _Passes(network, losses, uniforms, schedule, len(learnt))
    fixed = passes.uniform(len(valid))
    run_epochs(
        network,
        passes.average,
        passes.epochs,
        lambda: passes.over(learnt),
        (lambda: float(losses(valid, fixed).mean())) if len(valid) else None,
        patience=schedule.patience,
        remedy=f"Lower the rate (it is {schedule.rate:g}), or take a larger batch.",
        progress=progress,
    )


class _Passes:
    """The steps of a training, an epoch at a time."""

    def __init__(
        self,
        network: torch.nn.Module,
        losses: Losses,
        uniforms: int,
        schedule: Schedule,
        rows: int,
    ) -> None:
        self._batch = min(schedule.batch or usual_batch(rows), rows)
        self._each = rows // self._batch
        self.epochs = max(1, min(schedule.epochs, MOST_STEPS // self._each))
        self.average = Average(network)
        self._network, self._losses, self._uniforms = network, losses, uniforms
        self._rate = schedule.rate
        self._optimizer = torch.optim.Adam(
            network.parameters(), lr=schedule.rate, betas=(0.9, 0.99)
        )
        self._generator = torch.Generator().manual_seed(schedule.seed)
        self._step = 0

    def uniform(self, rows: int) -> Tensor:
        """Numbers for the losses of so many rows, the same on every device."""
        drawn = torch.rand(rows, self._uniforms, generator=self._generator)
        return drawn.to(next(self._network.parameters()).device)

    def over(self, learnt: Tensor) -> float:
        """The mean loss of one epoch; not a number where it failed, before anything was changed."""
        rows = torch.randperm(len(learnt), generator=self._generator).to(learnt.device)
        total = 0.0
        for i in range(self._each):
            part = learnt[rows[i * self._batch : (i + 1) * self._batch]]
            loss = self._losses(part, self.uniform(len(part))).mean()
            self._optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            norm = torch.nn.utils.clip_grad_norm_(self._network.parameters(), LONGEST)
            if not (math.isfinite(float(norm)) and math.isfinite(float(loss.detach()))):
                return math.nan
            for group in self._optimizer.param_groups:
                group["lr"] = self._rate * pace(self._step / (self.epochs * self._each))
            self._optimizer.step()
            self._step += 1
            self.average.follow(self._step)
            total += float(loss.detach())
        return total / self._each
