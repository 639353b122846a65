"""Canaries in a training: sound ones pass, each sabotage is found."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from tests.privacy.dpsgd.sessions import network, rows, seeded, squared, training, weights
from understudy.errors import EngineError
from understudy.privacy.accountant import epsilon_of
from understudy.privacy.budget import Budget
from understudy.privacy.dpsgd import DPSGD, PrivacyPlan

PLAN = PrivacyPlan(rate=0.1, steps=150, sigma=1.5, expected_batch=20)
LARGE = Budget(100.0, 1e-5)
COUNT = 1000
Sabotage = Callable[[DPSGD, pytest.MonkeyPatch], None]


def trained(seed: int, sabotage: Callable[[DPSGD], None] | None = None) -> DPSGD:
    net = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    made = DPSGD(net, optimizer, PLAN, seeded(seed, LARGE), canaries=COUNT)
    if sabotage:
        sabotage(made)
    for batch in made.batches(rows()):
        made.step(batch, lambda part: squared(net, part))
    return made


def no_noise(made: DPSGD) -> None:
    made._sums._noise._deviation = 0.0  # type: ignore[attr-defined]


def half_the_noise(made: DPSGD) -> None:
    made._sums._noise._deviation /= 2  # type: ignore[attr-defined]


def unclipped(made: DPSGD) -> None:
    made.plan = PrivacyPlan(**{**vars(PLAN), "clip": 1e6, "clipping": "flat"})


def reused_noise(made: DPSGD) -> None:
    vector = made._sums._noise._make()  # type: ignore[attr-defined]
    made._sums._noise._make = lambda: vector.copy()  # type: ignore[attr-defined]


def twice_the_rate(made: DPSGD) -> None:
    made._paid.plan = PrivacyPlan(**{**vars(PLAN), "rate": 0.2})


@pytest.mark.parametrize(
    "sabotage", [no_noise, half_the_noise, unclipped, reused_noise, twice_the_rate]
)
def test_each_sabotage_is_found(sabotage: Callable[[DPSGD], None]) -> None:
    # At 1,000 canaries the weakest of them is found in 99 % of runs; the seeds are fixed.
    found = [trained(seed, sabotage).audit() for seed in range(3)]
    assert all(audit.broken for audit in found), found


def test_a_sound_training_is_not_called_broken_and_its_bound_is_useful() -> None:
    claimed = epsilon_of([PLAN.event], LARGE.delta)
    for seed in range(3):
        found = trained(seed).audit()
        assert found.claim.epsilon == pytest.approx(claimed)
        assert not found.broken
        assert found.proven < claimed
        assert found.gaussian is not None
        assert 0.5 < found.gaussian / claimed < 1.05


def test_canaries_change_nothing_but_the_noise_drawn() -> None:
    """The network sees the same rows; canaries have coordinates of their own."""
    plain, watched = training(seeded(budget=LARGE)), training(seeded(budget=LARGE), canaries=50)
    sizes = [len(made._sums.begin()) for made in (plain, watched)]
    assert sizes == [len(weights(plain)), len(weights(plain)) + 50]
    batch = next(watched.batches(rows()))
    rest = watched._noisy_sum(batch, lambda part: squared(watched.module, part))
    assert len(rest) == sizes[0]


def test_a_canary_adds_no_more_than_the_clip() -> None:
    made = DPSGD(
        net := nn.Linear(5, 1),
        torch.optim.SGD(net.parameters(), lr=0.1),
        PrivacyPlan(rate=1.0, steps=1, sigma=1.0, expected_batch=1, clip=0.25),
        seeded(budget=LARGE),
        canaries=40,
    )
    sums = torch.zeros(6 + 40)
    made._sums.begin = lambda: sums  # type: ignore[method-assign]
    for batch in made.batches(rows(3)):
        made.step(batch, lambda part: net(part.tensors[0])[:, 0])
    added = sums[6:]
    member = torch.from_numpy(made._canaries.member)
    assert (added[~member] == 0).all()
    assert ((added[member] > 0.248) & (added[member] < 0.25)).all()


def test_an_audit_needs_canaries_and_steps() -> None:
    for made in (training(seeded()), training(seeded(), canaries=40)):
        with pytest.raises(EngineError, match="nothing to audit yet"):
            made.audit()
