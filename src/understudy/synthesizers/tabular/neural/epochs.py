"""Training without a budget: epochs until rows that were held out gain nothing more.

The weights kept are the average over steps of the epoch that did best on rows that no step saw. A
loss that is not a number ends the training with the last good state.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from understudy.errors import EngineError
from understudy.runtime.progress import Progress, ProgressEvent
from understudy.runtime.random import stream
from understudy.synthesizers.tabular.neural.averaging import Average, fill

HELD_OUT = 0.1
MOST_HELD = 8_192


def held_out(
    rows: int, seed: int, engine: str, patience: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The places of the rows to learn from, and of a tenth that no step sees; of none where
    `patience` is 0, which has no end."""
    order = stream(seed, engine, "held out").permutation(rows)
    held = min(int(HELD_OUT * rows), MOST_HELD) if patience else 0
    return order[held:], order[:held]


def run_epochs(
    network: torch.nn.Module,
    average: Average,
    epochs: int,
    over: Callable[[], float],
    judged: Callable[[], float] | None,
    *,
    patience: int,
    remedy: str,
    progress: Progress,
) -> None:
    """Leaves in `network` the averaged weights of its best epoch.

    `over` takes the steps of one epoch and returns their mean loss, not a number where one failed
    before it changed anything. `judged` is the loss of held-out rows, of the averaged network; None
    where there are none, and then the training loss decides. After `patience` epochs without a
    better one it ends; 0 takes them all. Raises `EngineError` with `remedy`
    where the first epoch fails.
    """
    best, kept, waited = math.inf, average.copy(), 0
    for epoch in range(epochs):
        loss = now = over()
        if not math.isfinite(loss):
            return _stopped(network, kept, epoch, remedy)
        if judged is not None:
            with average.inside(), torch.no_grad():
                now = judged()
        note = f"loss {loss:.3f}" + ("" if judged is None else f", held out {now:.3f}")
        progress(ProgressEvent("fit", epoch + 1, epochs, note))
        waited = 0 if now < best else waited + 1
        if now < best:
            best, kept = now, average.copy()
        if patience and waited >= patience:
            break
    return fill(network.parameters(), kept)


def _stopped(network: torch.nn.Module, kept: list[torch.Tensor], epoch: int, remedy: str) -> None:
    """Back to the last good state, or an error where there is none."""
    if epoch == 0:
        raise EngineError(
            f"training failed in its first epoch: the loss is not a finite number. {remedy}"
        )
    fill(network.parameters(), kept)
    warnings.warn(
        f"training stopped in epoch {epoch + 1}: the loss is not a finite number. The model is the "
        f"best of the epochs before. {remedy}",
        RuntimeWarning,
        stacklevel=4,
    )
