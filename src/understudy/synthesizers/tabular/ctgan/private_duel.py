"""Training under a budget: DP-SGD on the critic, the only one that sees rows.

A row's loss is how much realer than itself the critic finds a row that the generator made for the
row's own label; nothing is drawn to match a label, which would not be Poisson sampling. The
critic's slope is bounded by its weights alone: after each step their spectral norms are cut to 1
(Miyato et al. 2018), where a penalty between real and made rows would need gradients of gradients.
The generator learns from the noisy critic, which is post-processing, on conditions drawn by the
bought frequencies.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from understudy.privacy.audit import Audit
from understudy.privacy.dpsgd import DPSGD, Batch, PrivacyPlan, Records
from understudy.privacy.session import Session
from understudy.runtime.progress import Progress
from understudy.runtime.random import stream
from understudy.synthesizers.tabular.ctgan.network import Critic, Generator
from understudy.synthesizers.tabular.ctgan.slots import Slots
from understudy.synthesizers.tabular.neural.averaging import Average
from understudy.synthesizers.tabular.neural.private_steps import (
    ALARMS,
    ROWS_AT_ONCE,
    canaries_of,
    require_steps,
    tell,
)
from understudy.synthesizers.tabular.neural.rows import RowTensors

BETAS = (0.5, 0.9)
MADE = 512
"""Rows of a generator's step."""
AVERAGED = 0.99
EDGE = 1e-6


def train_privately(
    generator: Generator,
    critic: Critic,
    slots: Slots,
    rows: RowTensors,
    records: Records,
    plan: PrivacyPlan,
    session: Session,
    rate: float,
    seed: int,
    progress: Progress,
) -> Audit | None:
    """Fits both in place; call it where the rows are. `seed` draws conditions, never noise.

    Returns what canaries prove of a run that was paid for. Raises `BudgetError` where a process
    that died has drawn most of the steps already.
    """
    judged = torch.optim.Adam(critic.parameters(), lr=rate, betas=BETAS)
    making = torch.optim.Adam(generator.parameters(), lr=rate, betas=BETAS)
    losses = RowLosses(generator, critic, slots, rows)
    average = Average(generator, AVERAGED)
    bound = SpectralBound(critic)
    rng = stream(seed, "ctgan", "conditions")
    canaries = canaries_of(session)
    with DPSGD(
        critic, judged, plan, session, canaries=canaries, rows_at_once=ROWS_AT_ONCE
    ) as training:
        require_steps(training, plan)
        for batch in training.batches(records):
            training.step(batch, losses)
            bound.cut()
            _generator_step(generator, critic, slots, rows, making, rng)
            average.follow(training.steps_drawn)
            tell(training.steps_drawn, plan, progress)
        average.keep()
        return training.audit(ALARMS) if canaries else None


class RowLosses:
    """One value for each private row, whose numbers come from the row's own stream."""

    def __init__(
        self, generator: Generator, critic: Critic, slots: Slots, rows: RowTensors
    ) -> None:
        self._generator, self._critic, self._slots, self._rows = generator, critic, slots, rows
        self._columns = torch.tensor(slots.columns, dtype=torch.int64)
        self._first = torch.from_numpy(np.asarray(slots.first, np.int64))

    def __call__(self, part: Batch) -> Tensor:
        """float [rows]."""
        codes, rows, generator = part.tensors[0], self._rows, self._generator
        sizes = [rows.lines, 1, generator.noise, generator.modes]
        uniform = torch.split(part.uniforms(sum(sizes)), sizes, 1)
        mode = rows.modes(codes)
        condition = self.condition(mode, uniform[1][:, 0])
        with torch.no_grad():
            outputs = generator(torch.special.ndtri(uniform[2]), condition)
            made = generator.emitted(rows, outputs, uniform[3].clamp(EDGE, 1 - EDGE))
        real = rows.dense(mode, rows.scalars(codes, uniform[0]))
        both = torch.stack((torch.cat((real, condition), 1), torch.cat((made, condition), 1)), 1)
        scores: Tensor = self._critic.layers(both)[:, :, 0]
        return scores[:, 1] - scores[:, 0]

    def condition(self, mode: Tensor, uniform: Tensor) -> Tensor:
        """float [rows, slots]: one of the row's own labels."""
        vector = torch.zeros(len(mode), self._slots.width, device=mode.device)
        if len(self._columns) == 0:
            return vector
        which = (uniform * len(self._columns)).long().cpu()
        own = mode.gather(1, self._columns[which].to(mode.device)[:, None])
        return vector.scatter_(1, self._first[which].to(mode.device)[:, None] + own, 1.0)


class SpectralBound:
    """Keeps the largest singular value of each layer's weight at 1 at most, by power iteration."""

    def __init__(self, critic: Critic) -> None:
        self._weights = [p for p in critic.parameters() if p.dim() == 2]
        self._right = [torch.ones(w.shape[1], device=w.device) for w in self._weights]

    @torch.no_grad()
    def cut(self) -> None:
        for i, weight in enumerate(self._weights):
            right = self._right[i]
            for _ in range(2):
                left = torch.nn.functional.normalize(weight @ right, dim=0)
                right = torch.nn.functional.normalize(weight.T @ left, dim=0)
            self._right[i] = right
            weight.div_(torch.linalg.vector_norm(weight @ right).clamp(min=1.0))


def _generator_step(
    generator: Generator,
    critic: Critic,
    slots: Slots,
    rows: RowTensors,
    optimizer: torch.optim.Optimizer,
    rng: np.random.Generator,
) -> None:
    """Towards what the critic finds real; touches no row."""
    device = next(generator.parameters()).device
    which, mode = slots.draw(MADE, slots.frequencies, rng)
    condition = torch.from_numpy(slots.vector(which, mode)).to(device)
    outputs = generator(torch.randn(MADE, generator.noise, device=device), condition)
    uniform = torch.rand(MADE, generator.modes, device=device).clamp(EDGE, 1 - EDGE)
    made = generator.emitted(rows, outputs, uniform)
    loss = -critic(torch.cat((made, condition), 1)).mean()
    if slots.columns:
        place = torch.from_numpy(np.array(slots.columns)[which]).to(device)
        loss = loss + generator.misses(outputs, place, torch.from_numpy(mode).to(device)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    critic.zero_grad()
