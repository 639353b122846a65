"""Learning: histories in padded windows, their state carried from one window to the next.

The loss is the mean over entities of what a whole history costs, in nats, over the mean number of
rows of one: every entity counts with its own likelihood, whatever it is batched with.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from understudy.runtime.progress import Progress
from understudy.runtime.random import stream
from understudy.synthesizers.sequential.events import Index
from understudy.synthesizers.sequential.recurrent.gaps import Gaps
from understudy.synthesizers.sequential.recurrent.network import Batch, Network
from understudy.synthesizers.sequential.recurrent.rows import Rows
from understudy.synthesizers.tabular.neural.averaging import Average, pace
from understudy.synthesizers.tabular.neural.epochs import run_epochs

WINDOW = 100
"""Rows of a history that are learnt from at a time."""
LONGEST = 5.0
"""Norm that a gradient is cut to."""
LARGE = 256
"""Entities that are judged at a time."""


class Windows:
    """Batches of some entities' rows."""

    def __init__(self, rows: Rows, context: Index, gaps: Gaps) -> None:
        self.rows, self._gaps = rows, gaps
        self.context = torch.from_numpy(context)
        before_first = np.zeros((1, rows.tokens.shape[1]), np.int64)
        previous = np.vstack([before_first, rows.tokens[:-1] + 1])
        previous[rows.first[:-1]] = 0
        self._previous = previous

    def of(self, entities: Index) -> Iterator[Batch]:
        """The windows of `entities`, one after the other."""
        first = self.rows.first
        length = first[entities + 1] - first[entities]
        for start in range(0, int(length.max(initial=0)), WINDOW):
            time = np.arange(start, min(start + WINDOW, int(length.max())))
            spot = np.where(time < length[:, None], first[entities][:, None] + time, -1)
            yield self._batch(spot)

    def _batch(self, spot: Index) -> Batch:
        rows, gaps = self.rows, self._gaps
        row = spot[spot >= 0]
        day = rows.day[row]
        calendar = gaps.single > 0
        return Batch(
            torch.from_numpy(spot),
            torch.from_numpy(self._previous[row]),
            torch.from_numpy(rows.before[row]),
            torch.from_numpy(gaps.places(day) if calendar else _nowhere(row)),
            torch.from_numpy(rows.due[row]),
            torch.from_numpy(rows.coming[row]),
            torch.from_numpy(gaps.places(rows.then[row]) if calendar else _nowhere(row)),
            torch.from_numpy(gaps.coming(day) if calendar else _nowhere(row)),
            torch.from_numpy(gaps.beyond(day)),
            *(
                torch.from_numpy(array[row])
                for array in (
                    rows.tokens,
                    rows.learnt,
                    rows.low,
                    rows.high,
                    rows.payee_said,
                    rows.like_said,
                )
            ),
        )


def train(
    network: Network,
    windows: Windows,
    learnt: Index,
    held: Index,
    *,
    epochs: int,
    patience: int,
    batch: int,
    rate: float,
    seed: int,
    progress: Progress,
) -> None:
    """Fits `network` in place to the entities `learnt`, for as long as those `held` out gain.

    Raises `EngineError` where the first epoch fails.
    """
    passes = _Passes(network, windows, learnt, epochs, batch, rate, seed)
    run_epochs(
        network,
        passes.average,
        epochs,
        passes.over,
        (lambda: passes.judged(held)) if len(held) else None,
        patience=patience,
        remedy=f"Lower the rate (it is {rate:g}), or take a larger batch.",
        progress=progress,
    )


class _Passes:
    """The steps of a training, an epoch at a time."""

    def __init__(
        self,
        network: Network,
        windows: Windows,
        learnt: Index,
        epochs: int,
        batch: int,
        rate: float,
        seed: int,
    ) -> None:
        self.average = Average(network)
        self._network, self._windows, self._learnt = network, windows, learnt
        self._batch, self._rate, self._rng = batch, rate, stream(seed, "recurrent", "batches")
        self._steps = epochs * max(1, math.ceil(len(learnt) / batch))
        self._usual = float(np.mean(np.diff(windows.rows.first)))
        self._optimizer = torch.optim.Adam(network.parameters(), lr=rate, betas=(0.9, 0.99))
        self._step = 0

    def over(self) -> float:
        """The mean loss of one epoch; not a number where it failed, before anything was changed."""
        total, batches = 0.0, self._batches()
        self._network.train()
        for entities in batches:
            state, steady = self._start(entities)
            for window in self._windows.of(entities):
                found, state = self._network.losses(window, state, steady)
                loss = found.sum() / (self._batch * self._usual)
                if not self._moved(loss):
                    return math.nan
                total += float(loss.detach())
                # Later windows begin where this one ends, and gradients stop here.
                state = state.detach()
                _, steady = self._start(entities)
            self._step += 1
        return total / len(batches)

    def judged(self, held: Index) -> float:
        """The mean loss of held-out histories."""
        total = 0.0
        self._network.eval()
        for first in range(0, len(held), LARGE):
            entities = held[first : first + LARGE]
            state, steady = self._start(entities)
            for window in self._windows.of(entities):
                found, state = self._network.losses(window, state, steady)
                total += float(found.sum())
        return total / (len(held) * self._usual)

    def _start(self, entities: Index) -> tuple[Tensor, Tensor]:
        return self._network.start(self._windows.context[torch.from_numpy(entities)])

    def _moved(self, loss: Tensor) -> bool:
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self._network.parameters(), LONGEST)
        if not (math.isfinite(float(norm)) and math.isfinite(float(loss.detach()))):
            return False
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate * pace(min(self._step / self._steps, 1.0))
        self._optimizer.step()
        self.average.follow(self._step + 1)
        return True

    def _batches(self) -> list[Index]:
        """Entities of about the same length together, in random order."""
        length = np.diff(self._windows.rows.first)[self._learnt]
        order = np.argsort(length * np.exp(self._rng.normal(0, 0.1, len(length))), kind="stable")
        parts = [
            self._learnt[order[i : i + self._batch]] for i in range(0, len(order), self._batch)
        ]
        return [parts[i] for i in self._rng.permutation(len(parts))]


def _nowhere(row: Index) -> Index:
    return np.zeros((len(row), 1), np.int64)
