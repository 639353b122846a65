"""Training without a budget: Adam on random masks, stopped by rows that were held out.

The weights kept are an average over steps, of the epoch that did best on a tenth of the rows that
no step saw. A loss that is not a number ends the training with the last good state.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from understudy.errors import EngineError
from understudy.runtime.progress import Progress, ProgressEvent
from understudy.runtime.random import stream
from understudy.synthesizers.tabular.autoregressive.masks import Masks
from understudy.synthesizers.tabular.autoregressive.network import Network

HELD_OUT = 0.1
MOST_HELD = 8_192
PATIENCE = 5
"""Epochs without a better held-out loss."""
DECAY = 0.995
WARM = 0.05
"""Share of the steps over which the rate rises."""
SMALLEST_BATCH, LARGEST_BATCH = 32, 1_024
MOST_STEPS = 20_000
LONGEST = 5.0
"""Norm that a gradient is cut to."""


@dataclass(frozen=True)
class Schedule:
    """How long, how many rows at a time, and how fast."""

    epochs: int
    batch: int | None
    rate: float
    seed: int


def held_out(rows: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The places of the rows to learn from, and of a tenth that no step sees."""
    order = stream(seed, "autoregressive", "held out").permutation(rows)
    held = min(int(HELD_OUT * rows), MOST_HELD)
    return order[held:], order[:held]


def train(
    network: Network,
    learnt: Tensor,
    valid: Tensor,
    masks: Masks,
    schedule: Schedule,
    progress: Progress,
) -> None:
    """Fits `network` in place to `learnt`, int64 [rows, tokens], for as long as `valid` gains.

    Raises `EngineError` where the first epoch fails.
    """
    device = next(network.parameters()).device
    learnt, valid = learnt.to(device), valid.to(device)
    passes = _Passes(network, masks, schedule, len(learnt))
    fixed = passes.uniform(len(valid))
    best, kept, waited = math.inf, passes.average.copy(), 0
    for epoch in range(passes.epochs):
        loss = now = passes.over(learnt)
        if not math.isfinite(loss):
            return _stopped(network, kept, epoch, schedule)
        if len(valid):
            with passes.average.inside(), torch.no_grad():
                now = float(mean_loss(network, valid, masks, fixed))
        note = f"loss {loss:.3f}" + (f", held out {now:.3f}" if len(valid) else "")
        progress(ProgressEvent("fit", epoch + 1, passes.epochs, note))
        waited = 0 if now < best else waited + 1
        if now < best:
            best, kept = now, passes.average.copy()
        if waited >= PATIENCE:
            break
    return _fill(network.parameters(), kept)


class _Passes:
    """The steps of a training, an epoch at a time."""

    def __init__(self, network: Network, masks: Masks, schedule: Schedule, rows: int) -> None:
        usual = min(max(rows // 32, SMALLEST_BATCH), LARGEST_BATCH)
        self._batch = min(schedule.batch or usual, rows)
        self._each = rows // self._batch
        self.epochs = max(1, min(schedule.epochs, MOST_STEPS // self._each))
        self.average = Average(network)
        self._network, self._masks, self._rate = network, masks, schedule.rate
        self._optimizer = torch.optim.Adam(
            network.parameters(), lr=schedule.rate, betas=(0.9, 0.99)
        )
        self._generator = torch.Generator().manual_seed(schedule.seed)
        self._step = 0

    def uniform(self, rows: int) -> Tensor:
        """Numbers for the masks of so many rows, the same on every device."""
        drawn = torch.rand(rows, self._masks.uniforms, generator=self._generator)
        return drawn.to(next(self._network.parameters()).device)

    def over(self, learnt: Tensor) -> float:
        """The mean loss of one epoch; not a number where it failed, before anything was changed."""
        rows = torch.randperm(len(learnt), generator=self._generator).to(learnt.device)
        total = 0.0
        for i in range(self._each):
            part = learnt[rows[i * self._batch : (i + 1) * self._batch]]
            loss = mean_loss(self._network, part, self._masks, self.uniform(len(part)))
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


@contextmanager
def on_threads(threads: int, seed: int) -> Iterator[None]:
    """Torch with so many threads, and its generator at a seed; both are put back."""
    before, state = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_rng_state(state)


def device_of(name: str) -> str:
    """torch's name of a device; `auto` is a GPU where there is one."""
    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"


def mean_loss(network: Network, codes: Tensor, masks: Masks, uniform: Tensor) -> Tensor:
    """The mean over rows of the loss, in nats a row."""
    seen = masks.seen(uniform)
    return (network.losses(codes, seen) * masks.weights(seen)).sum(1).mean()


def pace(done: float) -> float:
    """The rate's share of its peak after a share of the steps: a short rise, then a cosine."""
    return min(1.0, (done + 1e-4) / WARM) * 0.5 * (1 + math.cos(math.pi * done))


class Average:
    """An exponential average of a network's weights over steps."""

    def __init__(self, network: torch.nn.Module, decay: float = DECAY) -> None:
        self._decay = decay
        self._now: list[Tensor] = list(network.parameters())
        self._mean = self._copied(self._now)

    @torch.no_grad()
    def follow(self, step: int) -> None:
        decay = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._mean, self._now, 1 - decay)

    def copy(self) -> list[Tensor]:
        return self._copied(self._mean)

    def keep(self) -> None:
        """The network with the averaged weights, for good."""
        _fill(self._now, self._mean)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """The network with the averaged weights, for a while."""
        kept = self._copied(self._now)
        _fill(self._now, self._mean)
        yield
        _fill(self._now, kept)

    @staticmethod
    def _copied(tensors: list[Tensor]) -> list[Tensor]:
        return [tensor.detach().clone() for tensor in tensors]


@torch.no_grad()
def _fill(places: Iterable[Tensor], values: Iterable[Tensor]) -> None:
    for place, value in zip(places, values, strict=True):
        place.copy_(value)


def _stopped(network: Network, kept: list[Tensor], epoch: int, schedule: Schedule) -> None:
    """Back to the last good state, or an error where there is none."""
    remedy = f"Lower the rate (it is {schedule.rate:g}), or take a larger batch."
    if epoch == 0:
        raise EngineError(
            f"training failed in its first epoch: the loss is not a finite number. {remedy}"
        )
    _fill(network.parameters(), kept)
    warnings.warn(
        f"training stopped in epoch {epoch + 1}: the loss is not a finite number. The model is the "
        f"best of the epochs before. {remedy}",
        RuntimeWarning,
        stacklevel=4,
    )
