"""Training under a budget: DP-SGD for all the steps that were paid for.

Nothing is held out and nothing about the rows is looked at on the way: no loss is told, no step is
skipped, no epoch chosen. The weights kept are an average over the last steps, which is
post-processing. In a run that can be gone on with, the training is kept on disk from time to time.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from understudy.errors import BudgetError
from understudy.privacy.audit import Audit
from understudy.privacy.dpsgd import DPSGD, Batch, PrivacyPlan, Records
from understudy.privacy.ledger_session import LedgerSession
from understudy.privacy.session import Session
from understudy.runtime.progress import Progress, ProgressEvent
from understudy.synthesizers.tabular.neural.averaging import Average, pace

QUERY = "training"
TOLD = 20
"""How often progress is told and the training kept."""
DECAY = 0.98
ROWS_AT_ONCE = 4_096
CANARIES = 1_000
ALARMS = 0.001
"""A sound run is called broken once in so many."""
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
) -> Audit | None:
    """Fits `network` in place to the mean of `losses`, one a row; call it where the rows are.

    Returns what canaries prove of a run that was paid for; there are none in others.

    A run that is gone on with takes up the training where it was kept last; the steps that were
    drawn since stay drawn. Raises `BudgetError` where nothing was kept and most steps are gone.
    """
    optimizer = torch.optim.Adam(network.parameters(), lr=rate, betas=(0.9, 0.99))
    place = _kept_at(session)
    with DPSGD(
        network,
        optimizer,
        plan,
        session,
        query=QUERY,
        canaries=canaries_of(session),
        rows_at_once=ROWS_AT_ONCE,
    ) as training:
        if place is not None and place.exists():
            training.resume(place)
        else:
            require_steps(training, plan)
        average = Average(network, DECAY)
        for batch in training.batches(records):
            step = training.steps_drawn
            for group in optimizer.param_groups:
                group["lr"] = rate * pace((step - 1) / plan.steps)
            training.step(batch, losses)
            average.follow(step)
            if place is not None and step < plan.steps and due(step, plan):
                training.save(place)
            tell(step, plan, progress)
        average.keep()
        if place is None:
            return None
        training.save(place)
        return training.audit(ALARMS)


def canaries_of(session: Session) -> int:
    """How many train along: none where nothing is paid for, so that replay can repeat the run."""
    return CANARIES if isinstance(session, LedgerSession) else 0


def _kept_at(session: Session) -> Path | None:
    """A file beside the run's stored answers, which are what a run is gone on with from."""
    if not isinstance(session, LedgerSession):
        return None
    return session.store.path.with_name(f"{QUERY}.safetensors")


def require_steps(training: DPSGD, plan: PrivacyPlan) -> None:
    """Raises `BudgetError` where most steps were drawn by a process that ended."""
    if training.steps_left < LEAST_LEFT * plan.steps:
        raise BudgetError(
            f"{training.steps_drawn} of the {plan.steps} steps that this run paid for were "
            "drawn by a process that ended, and its network is lost. Start a new run."
        )


def due(step: int, plan: PrivacyPlan) -> bool:
    """Now and then: so often in a training, whatever its length."""
    return step % max(1, plan.steps // TOLD) == 0


def tell(step: int, plan: PrivacyPlan, progress: Progress) -> None:
    """Now and then, how many steps are done: a public number."""
    if due(step, plan):
        progress(ProgressEvent("fit", step, plan.steps, "steps of DP-SGD"))
