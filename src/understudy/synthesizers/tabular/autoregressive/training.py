"""Training without a budget: Adam on random masks, stopped by rows that were held out.

The weights kept are an average over steps, of the epoch that did best on a tenth of the rows that
no step saw. A loss that is not a number ends the training with the last good state.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
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


def train(
    network: Network,
    codes: Tensor,
    masks: Masks,
    schedule: Schedule,
    progress: Progress,
) -> None:
    """Fits `network` in place to int64 [rows, tokens]."""
    device = next(network.parameters()).device
    rng = stream(schedule.seed, "autoregressive", "held out")
    order = torch.from_numpy(rng.permutation(len(codes)))
    held = min(int(HELD_OUT * len(codes)), MOST_HELD)
    valid, learnt = codes[order[:held]].to(device), codes[order[held:]].to(device)
    generator = torch.Generator().manual_seed(schedule.seed)
    fixed = torch.rand(held, masks.uniforms, generator=generator).to(device)
    batch = schedule.batch or min(max(len(learnt) // 64, SMALLEST_BATCH), LARGEST_BATCH)
    batch = min(batch, len(learnt))
    each = len(learnt) // batch
    epochs = max(1, min(schedule.epochs, MOST_STEPS // each))
    optimizer = torch.optim.Adam(network.parameters(), lr=schedule.rate, betas=(0.9, 0.99))
    average = Average(network)
    best, kept, waited, step = math.inf, average.copy(), 0, 0
    for epoch in range(epochs):
        rows = torch.randperm(len(learnt), generator=generator)
        total = 0.0
        for i in range(each):
            for group in optimizer.param_groups:
                group["lr"] = schedule.rate * pace(step / (epochs * each))
            part = learnt[rows[i * batch : (i + 1) * batch].to(device)]
            uniform = torch.rand(len(part), masks.uniforms, generator=generator).to(device)
            loss = mean_loss(network, part, masks, uniform)
            optimizer.zero_grad()
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(network.parameters(), LONGEST)
            if not math.isfinite(float(norm)) or not math.isfinite(float(loss.detach())):
                _stopped(network, kept, epoch, schedule)
                return
            optimizer.step()
            step += 1
            average.follow(step)
            total += float(loss.detach())
        now = total / each
        if held:
            with average.inside(), torch.no_grad():
                now = float(mean_loss(network, valid, masks, fixed))
        note = f"loss {total / each:.3f}" + (f", held out {now:.3f}" if held else "")
        progress(ProgressEvent("fit", epoch + 1, epochs, note))
        if now < best:
            best, kept, waited = now, average.copy(), 0
        else:
            waited += 1
        if waited >= PATIENCE:
            break
    _fill(list(network.parameters()), kept)


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
        self._now = list(network.parameters())
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
def _fill(places: list[Tensor], values: list[Tensor]) -> None:
    for place, value in zip(places, values, strict=True):
        place.copy_(value)


def _stopped(network: Network, kept: list[Tensor], epoch: int, schedule: Schedule) -> None:
    """Back to the last good state, or an error where there is none."""
    remedy = f"Lower the rate (it is {schedule.rate:g}), or take a larger batch."
    if epoch == 0:
        raise EngineError(
            f"training failed in its first epoch: the loss is not a finite number. {remedy}"
        )
    _fill(list(network.parameters()), kept)
    warnings.warn(
        f"training stopped in epoch {epoch + 1}: the loss is not a finite number. The model is the "
        f"best of the epochs before. {remedy}",
        RuntimeWarning,
        stacklevel=4,
    )
