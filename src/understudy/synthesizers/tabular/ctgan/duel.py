"""Training without a budget: critic against generator, the epoch chosen on held-out rows.

Training by sampling, as in the paper; beside it what the reference lacks: the generator that is
kept is an average over steps, of the epoch whose rows come nearest to rows that no step saw.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from understudy.runtime.progress import Progress
from understudy.runtime.random import stream
from understudy.synthesizers.tabular.ctgan.moments import WIDEST, Moments
from understudy.synthesizers.tabular.ctgan.network import Critic, Generator, slope_penalty
from understudy.synthesizers.tabular.ctgan.slots import Finder, Slots
from understudy.synthesizers.tabular.neural.averaging import Average, pace
from understudy.synthesizers.tabular.neural.epochs import run_epochs
from understudy.synthesizers.tabular.neural.open_steps import MOST_STEPS, Schedule
from understudy.synthesizers.tabular.neural.rows import RowTensors

STEEP = 10.0
"""Weight of the slope penalty."""
BETAS = (0.5, 0.9)
DECAY = 1e-6
JUDGED = 8_192
"""Rows drawn to judge an epoch."""
AVERAGED = 0.999


def train(
    generator: Generator,
    critic: Critic,
    slots: Slots,
    rows: RowTensors,
    learnt: NDArray[np.int64],
    valid: NDArray[np.int64],
    schedule: Schedule,
    matching: float,
    progress: Progress,
) -> None:
    """Fits both in place to `learnt`, codes [rows, columns]; `valid` decides which epoch is kept,
    `matching` is the weight of the second moments.

    Raises `EngineError` where the first epoch fails.
    """
    duel = Duel(generator, critic, slots, rows, learnt, schedule, matching)
    run_epochs(
        generator,
        duel.average,
        duel.epochs,
        duel.epoch,
        duel.distance_to(valid if len(valid) else learnt),
        patience=schedule.patience,
        remedy=f"Lower the rate (it is {schedule.rate:g}), or take a larger batch.",
        progress=progress,
    )


class Duel:
    """The steps of both networks, an epoch at a time."""

    def __init__(
        self,
        generator: Generator,
        critic: Critic,
        slots: Slots,
        rows: RowTensors,
        learnt: NDArray[np.int64],
        schedule: Schedule,
        matching: float,
    ) -> None:
        self._matching = matching
        self._generator, self._critic, self._slots, self._rows = generator, critic, slots, rows
        self._device = next(generator.parameters()).device
        self._codes = torch.from_numpy(learnt).to(self._device)
        self._finder = Finder.of(slots, rows.modes(self._codes).cpu().numpy())
        self._batch = batch_of(schedule.batch, len(learnt), critic.pac)
        self._each = max(1, len(learnt) // self._batch)
        self.epochs = max(1, min(schedule.epochs, MOST_STEPS // self._each))
        self.average = Average(generator, AVERAGED)
        self._rng = stream(schedule.seed, "ctgan", "batches")
        self._optimizers = [
            torch.optim.Adam(net.parameters(), lr=schedule.rate, betas=BETAS, weight_decay=DECAY)
            for net in (generator, critic)
        ]
        self._rate = schedule.rate
        self._steps = 0
        self._moments = (
            Moments(slots.modes, rows, self._codes, self._finder)
            if matching and slots.modes.width <= WIDEST
            else None
        )

    def epoch(self) -> float:
        """The critic's mean loss over an epoch; not a number where one failed."""
        total = 0.0
        for _ in range(self._each):
            loss, aim = self._step()
            if not (math.isfinite(loss) and math.isfinite(aim)):
                return math.nan
            self._steps += 1
            self.average.follow(self._steps)
            total += loss
        return total / self._each

    def distance_to(self, codes: NDArray[np.int64]) -> Judge:
        return Judge(self._generator, self._slots, self._rows, codes, self._device)

    def _step(self) -> tuple[float, float]:
        """One step of the critic, then one of the generator, with the same made rows."""
        which, mode = self._slots.draw(self._batch, self._finder.log_shares, self._rng)
        condition = self._tensor(self._slots.vector(which, mode))
        made, outputs = self._made(condition)
        real = self._real(which, mode)
        loss = self._critic_loss(real, made.detach(), condition)
        self._move(1, loss)
        aim = -self._critic(torch.cat((made, condition), 1)).mean()
        if self._slots.columns:
            place = self._tensor(np.array(self._slots.columns)[which])
            aim = aim + self._generator.misses(outputs, place, self._tensor(mode)).mean()
        if self._moments is not None:
            aim = aim + self._matching * self._moments.gap(made)
        self._move(0, aim)
        return float(loss.detach()), float(aim.detach())

    def _real(self, which: NDArray[np.int64], mode: NDArray[np.int64]) -> Tensor:
        """Rows that hold what the vectors name."""
        codes = self._codes[self._tensor(self._finder.rows(which, mode, self._rng))]
        place = torch.rand(self._batch, self._rows.lines, device=self._device)
        return self._rows.dense(self._rows.modes(codes), self._rows.scalars(codes, place))

    def _critic_loss(self, real_row: Tensor, made: Tensor, condition: Tensor) -> Tensor:
        critic = self._critic
        real, fake = torch.cat((real_row, condition), 1), torch.cat((made, condition), 1)
        share = torch.rand(self._batch // critic.pac, 1, device=self._device)
        share = share.repeat_interleave(critic.pac, 0)
        loss = critic(fake).mean() - critic(real).mean()
        whole: Tensor = loss + STEEP * slope_penalty(critic, real, fake, share)
        return whole

    def _made(self, condition: Tensor) -> tuple[Tensor, Tensor]:
        generator = self._generator
        noise = torch.randn(len(condition), generator.noise, device=self._device)
        outputs = generator(noise, condition)
        uniform = torch.rand(len(condition), self._slots.modes.total, device=self._device)
        return generator.emitted(self._rows, outputs, uniform.clamp(1e-6, 1 - 1e-6)), outputs

    def _move(self, which: int, loss: Tensor) -> None:
        optimizer = self._optimizers[which]
        for group in optimizer.param_groups:
            group["lr"] = self._rate * pace(self._steps / (self.epochs * self._each))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    def _tensor(self, array: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(array).to(self._device)


class Judge:
    """How far rows of the generator are from some real ones: the mean total variation of the modes
    of all columns and pairs of columns."""

    def __init__(
        self,
        generator: Generator,
        slots: Slots,
        rows: RowTensors,
        codes: NDArray[np.int64],
        device: torch.device,
    ) -> None:
        self._generator, self._slots, self._device = generator, slots, device
        self._real = rows.modes(torch.from_numpy(codes).to(device)).cpu().numpy()
        rng = stream(0, "ctgan", "judge")
        which, mode = slots.draw(JUDGED, slots.frequencies, rng)
        self._condition = torch.from_numpy(slots.vector(which, mode)).to(device)
        noise = rng.standard_normal((JUDGED, generator.noise)).astype(np.float32)
        self._noise = torch.from_numpy(noise).to(device)
        gumbel = rng.gumbel(size=(JUDGED, slots.modes.total)).astype(np.float32)
        self._gumbel = torch.from_numpy(gumbel).to(device)

    def __call__(self) -> float:
        modes = self._slots.modes
        logits = self._generator(self._noise, self._condition)[:, : modes.total] + self._gumbel
        made = torch.stack([part.argmax(1) for part in logits.split(list(modes.sizes), 1)], 1)
        return mean_variation(self._real, made.cpu().numpy(), modes.sizes)


def mean_variation(
    one: NDArray[np.int64], other: NDArray[np.int64], sizes: tuple[int, ...]
) -> float:
    """The mean over columns and pairs of columns of the total variation between two tables of
    modes, [rows, columns] each."""
    found = []
    for a in range(len(sizes)):
        for b in range(a + 1):
            cells = sizes[a] * sizes[b]
            shares = [
                np.bincount(table[:, a] * sizes[b] + table[:, b], minlength=cells) / len(table)
                for table in (one, other)
            ]
            found.append(0.5 * float(np.abs(shares[0] - shares[1]).sum()))
    return float(np.mean(found))


def batch_of(asked: int | None, rows: int, pac: int) -> int:
    """Rows of a batch: 500 as in the paper, fewer where the table is small; whole packs."""
    wanted = asked or min(500, max(rows // 8, pac))
    return max(pac, wanted // pac * pac)
