"""Training under a budget: DP-SGD on random masks, for all the steps that were paid for.

Nothing is held out and nothing about the rows is looked at on the way: no loss is told, no step is
skipped, no epoch chosen. The weights kept are an average over the last steps, which is
post-processing.
"""

from __future__ import annotations

import torch
from torch import Tensor

from understudy.errors import BudgetError
from understudy.privacy.dpsgd import DPSGD, Batch, PrivacyPlan, Records
from understudy.privacy.session import Session
from understudy.runtime.progress import Progress, ProgressEvent
from understudy.synthesizers.tabular.autoregressive.masks import Masks
from understudy.synthesizers.tabular.autoregressive.network import Network
from understudy.synthesizers.tabular.autoregressive.training import Average, pace

TOLD = 20
"""How often progress is told."""
DECAY = 0.98
ROWS_AT_ONCE = 4_096
LEAST_LEFT = 0.5
"""Of the steps; with fewer a network is not worth calling one."""


def train_privately(
    network: Network,
    records: Records,
    masks: Masks,
    plan: PrivacyPlan,
    session: Session,
    rate: float,
    progress: Progress,
) -> None:
    """Fits `network` in place; call it where the rows are.

    Raises `BudgetError` where a process that died has drawn most of the steps already.
    """
    optimizer = torch.optim.Adam(network.parameters(), lr=rate, betas=(0.9, 0.99))
    average = Average(network, DECAY)

    def losses(part: Batch) -> Tensor:
        codes = part.tensors[0]
        seen = masks.seen(part.uniforms(masks.uniforms))
        each: Tensor = (network.losses(codes, seen) * masks.weights(seen)).sum(1) / masks.tokens
        return each

    with DPSGD(network, optimizer, plan, session, rows_at_once=ROWS_AT_ONCE) as training:
        if training.steps_left < LEAST_LEFT * plan.steps:
            raise BudgetError(
                f"{training.steps_drawn} of the {plan.steps} steps that this run paid for were "
                "drawn by a process that ended, and its network is lost. Start a new run."
            )
        for batch in training.batches(records):
            step = training.steps_drawn
            for group in optimizer.param_groups:
                group["lr"] = rate * pace((step - 1) / plan.steps)
            training.step(batch, losses)
            average.follow(step)
            if step % max(1, plan.steps // TOLD) == 0:
                progress(ProgressEvent("fit", step, plan.steps, "steps of DP-SGD"))
    average.keep()
