"""Training under a budget: DP-SGD for all the steps that were paid for.

Nothing is held out and nothing about the rows is looked at on the way: no loss is told, no step is
skipped, no epoch chosen. The weights kept are an average over the last steps, which is
post-processing.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from understudy.errors import BudgetError
from understudy.privacy.dpsgd import DPSGD, Batch, PrivacyPlan, Records
from understudy.privacy.session import Session
from understudy.runtime.progress import Progress, ProgressEvent
from understudy.synthesizers.tabular.neural.averaging import Average, pace

TOLD = 20
"""How often progress is told."""
DECAY = 0.98
ROWS_AT_ONCE = 4_096
LEAST_LEFT = 0.5
"""Of the steps; with fewer a network is not worth calling one."""


def train_privately(
    network: torch.nn.Module,
    losses: Callable[[Batch], Tensor],
    records: Records,
    plan: PrivacyPlan,
    session: Session,
    rate: float,
    progress: Progress,
) -> None:
    """Fits `network` in place to the mean of `losses`, one a row; call it where the rows are.

    Raises `BudgetError` where a process that died has drawn most of the steps already.
    """
    optimizer = torch.optim.Adam(network.parameters(), lr=rate, betas=(0.9, 0.99))
    average = Average(network, DECAY)
    with DPSGD(network, optimizer, plan, session, rows_at_once=ROWS_AT_ONCE) as training:
        require_steps(training, plan)
        for batch in training.batches(records):
            step = training.steps_drawn
            for group in optimizer.param_groups:
                group["lr"] = rate * pace((step - 1) / plan.steps)
            training.step(batch, losses)
            average.follow(step)
            tell(step, plan, progress)
    average.keep()


def require_steps(training: DPSGD, plan: PrivacyPlan) -> None:
    """Raises `BudgetError` where most steps were drawn by a process that ended."""
    if training.steps_left < LEAST_LEFT * plan.steps:
        raise BudgetError(
            f"{training.steps_drawn} of the {plan.steps} steps that this run paid for were "
            "drawn by a process that ended, and its network is lost. Start a new run."
        )


def tell(step: int, plan: PrivacyPlan, progress: Progress) -> None:
    """Now and then, how many steps are done: a public number."""
    if step % max(1, plan.steps // TOLD) == 0:
        progress(ProgressEvent("fit", step, plan.steps, "steps of DP-SGD"))
