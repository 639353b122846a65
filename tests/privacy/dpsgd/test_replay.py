"""Replay takes a training apart: sums are frozen and measured, all else must be equal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from understudy.data import Dataset
from understudy.privacy.dpsgd import DPSGD, Batch, PrivacyPlan, Records
from understudy.privacy.dpsgd.releases import Exact
from understudy.privacy.replay import ReplayReport, replay
from understudy.privacy.replay_example import example
from understudy.privacy.session import Session

PLAN = PrivacyPlan(rate=0.2, steps=6, sigma=1.0, expected_batch=80, clip=0.5, clipping="flat")
Change = Callable[[DPSGD, nn.Module], None]


def encoded(data: Dataset) -> Records:
    """Two columns within bounds that are public here; NaN stays to be met by the clipper."""
    table = data.table
    age = np.array(table["age"].to_pylist(), np.float64) / 100
    size = np.array(table["größe"].to_pylist(), np.float64) / 200
    return Records(torch.from_numpy(np.stack((age, size), 1)).float())


def published(change: Change | None = None, **options: Any) -> Callable[[Session, Dataset], bytes]:
    def fit(session: Session, data: Dataset) -> bytes:
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(1, 6), nn.Tanh(), nn.Linear(6, 1))
        optimizer = torch.optim.Adam(net.parameters(), lr=0.05)

        def loss(part: Batch) -> Tensor:
            x = part.tensors[0]
            noisy = net(x[:, :1] + 0.1 * part.uniforms(1))
            losses: Tensor = 20 * (noisy[:, 0] - x[:, 1]).square()
            return losses

        def work(data: Dataset) -> bytes:
            with DPSGD(net, optimizer, PLAN, session, canaries=80, **options) as trained:
                if change:
                    change(trained, net)
                for batch in trained.batches(encoded(data)):
                    trained.step(batch, loss)
                held = [p.detach().numpy().tobytes() for p in net.parameters()]
                return b"".join([*held, repr(trained.audit().as_dict()).encode()])

        return session.admit(data).map(work)._rows

    return fit


def kinds(report: ReplayReport) -> set[str]:
    return {finding.kind for finding in report.findings}


@pytest.mark.parametrize("pieces", [None, 9])
def test_a_training_passes_and_uses_its_sensitivity(pieces: int | None) -> None:
    report = replay(published(rows_at_once=pieces), example())
    assert report.sentences() == [report.sentences()[0]]
    lines = [line for line in report.queries if "step" in line.query]
    assert len(lines) == PLAN.steps
    # A removed row with a gradient beyond the clip moves a sum by just the clip.
    assert max(line.measured for line in lines) == pytest.approx(0.5, rel=2e-4)
    assert {line.declared for line in lines} == {0.5}


def unclipped(trained: DPSGD, net: nn.Module) -> None:
    trained.plan = PrivacyPlan(**{**vars(trained.plan), "clip": 5.0})


def realised_batch(trained: DPSGD, net: nn.Module) -> None:
    step = trained.step

    def divided(batch: Batch, loss: Callable[[Batch], Tensor]) -> None:
        trained.plan = PrivacyPlan(**{**vars(PLAN), "expected_batch": max(batch.rows, 1)})
        step(batch, loss)

    trained.step = divided  # type: ignore[method-assign]


def noiseless(trained: DPSGD, net: nn.Module) -> None:
    trained._sums = Exact(trained._size + 80, torch.float32)


@pytest.mark.parametrize(
    ("bug", "kind"), [(unclipped, "sensitivity"), (realised_batch, "leak"), (noiseless, "leak")]
)
def test_planted_bugs_are_found(bug: Change, kind: str) -> None:
    report = replay(published(bug), example())
    assert kind in kinds(report), report.sentences()
