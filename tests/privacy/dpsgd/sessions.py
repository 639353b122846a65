"""Sessions and a small training for the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from understudy.privacy.answers import AnswerStore
from understudy.privacy.budget import Budget
from understudy.privacy.dpsgd import DPSGD, Batch, PrivacyPlan, Records
from understudy.privacy.ledger import Ledger
from understudy.privacy.session import Session
from understudy.privacy.sessions import LedgerSession, SeededSession

BUDGET = Budget(10.0, 1e-6)
PLAN = PrivacyPlan(rate=0.1, steps=40, sigma=2.0, expected_batch=20)


def seeded(seed: int = 1, budget: Budget = BUDGET) -> SeededSession:
    return SeededSession(budget, seed)


def ledgered(folder: Path, run: str = "run") -> LedgerSession:
    """As a new process would open it."""
    store = AnswerStore(folder / "run.sqlite")
    return LedgerSession(BUDGET, Ledger(folder / "home"), "data", "row", run, store)


def rows(n: int = 200) -> Records:
    return Records(torch.randn(n, 5), torch.randn(n))


def network() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 1))


def squared(net: nn.Module, batch: Batch) -> Tensor:
    x, y = batch.tensors
    losses: Tensor = (net(x)[:, 0] - y).square()
    return losses


def training(session: Session, plan: PrivacyPlan = PLAN, **options: Any) -> DPSGD:
    net = network()
    return DPSGD(net, torch.optim.Adam(net.parameters(), lr=0.01), plan, session, **options)


def weights(trained: DPSGD) -> Tensor:
    return torch.cat([p.detach().flatten() for p in trained.module.parameters()])
