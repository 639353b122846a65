"""The whole step: what is added, what is refused, and that nothing else is needed."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from tests.privacy.dpsgd.nets import Scaled
from tests.privacy.dpsgd.sessions import (
    BUDGET,
    PLAN,
    network,
    rows,
    seeded,
    squared,
    training,
    weights,
)
from understudy.errors import BudgetError, EngineError
from understudy.privacy.accountant import epsilon_of
from understudy.privacy.budget import Budget
from understudy.privacy.dpsgd import DPSGD, Batch, PrivacyPlan, Records
from understudy.privacy.sessions import OpenSession


def test_a_small_network_learns_under_a_budget() -> None:
    torch.manual_seed(0)
    x = torch.randn(4000, 5)
    records = Records(x, x @ torch.tensor([1.0, -2.0, 0.5, 0.0, 1.0]))
    plan = PrivacyPlan.solve(Budget(3.0, 1e-5), units=4000, expected_batch=200, steps=150)
    session = seeded(7, Budget(3.0, 1e-5))
    net = network()
    with DPSGD(net, torch.optim.Adam(net.parameters(), lr=0.03), plan, session) as trained:
        for batch in trained.batches(records):
            trained.step(batch, lambda part: squared(net, part))
        assert trained.steps_left == 0
    assert session.spent == (plan.event,)
    assert epsilon_of(session.spent, 1e-5) <= 3.0
    left = squared(net, Batch(0, records.tensors, None, np.zeros(4000, np.uint64))).mean().detach()
    assert float(left) < 0.3 * float(records.tensors[1].var())


LARGE = Budget(100.0, 1e-6)


@pytest.mark.parametrize("n", [0, 1, 300])
def test_at_zero_gradients_a_step_is_noise_of_the_planned_size(n: int) -> None:
    plan = PrivacyPlan(rate=0.5, steps=60, sigma=1.7, expected_batch=40, clip=0.3)
    net = nn.Linear(100, 50)
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    trained = DPSGD(net, optimizer, plan, seeded(budget=LARGE), rows_at_once=7)
    moves = []
    for batch in trained.batches(Records(torch.randn(n, 100))):
        before = weights(trained)
        trained.step(batch, lambda part: 0 * net(part.tensors[0]).sum(1))
        moves.append(weights(trained) - before)
    moved = torch.cat(moves).double()
    # 303,000 draws: the standard error of the deviation is .13 %.
    assert float(moved.std()) == pytest.approx(1.7 * 0.3 / 40, rel=0.01)
    assert stats.kstest((moved / moved.std()).numpy()[:20_000], "norm").pvalue > 1e-6


def test_an_empty_batch_never_reaches_the_loss() -> None:
    plan = PrivacyPlan(rate=1e-9, steps=3, sigma=1.0, expected_batch=10)
    trained = training(seeded(budget=LARGE), plan)
    before = weights(trained)

    def loss(part: Batch) -> Tensor:
        raise AssertionError("called with no rows")

    for batch in trained.batches(rows()):
        assert batch.rows == 0
        trained.step(batch, loss)
    assert trained.steps_drawn == 3
    assert not torch.equal(before, weights(trained))


@pytest.mark.parametrize("unit_of", [None, np.arange(200) // 3], ids=["rows", "units"])
def test_a_batch_in_pieces_is_the_same_batch(unit_of: np.ndarray | None) -> None:
    torch.manual_seed(1)
    x, y = torch.randn(200, 5).double(), torch.randn(200).double()
    results = []
    for pieces in (None, 200, 7, 1):
        net = network().double()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        trained = DPSGD(net, optimizer, PLAN, seeded(), rows_at_once=pieces)
        for batch in trained.batches(Records(x, y, unit_of=unit_of)):
            trained.step(batch, lambda part, net=net: squared(net, part))
        results.append(weights(trained))
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], rtol=1e-10, atol=1e-12)


def test_without_noise_the_step_is_the_mean_of_clipped_gradients_over_a_constant() -> None:
    plan = PrivacyPlan(rate=1.0, steps=1, sigma=1.0, expected_batch=10, clip=1e3, clipping="flat")
    net, twin = network(), network()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    trained = DPSGD(net, optimizer, plan, OpenSession())
    records = rows(64)
    for batch in trained.batches(records):
        trained.step(batch, lambda part: squared(net, part))
    whole = Batch(0, records.tensors, None, np.zeros(64, np.uint64))
    (squared(twin, whole).sum() / 10).backward()
    with torch.no_grad():
        for p in twin.parameters():
            p -= 0.1 * p.grad
    wanted = torch.cat([p.detach().flatten() for p in twin.parameters()])
    torch.testing.assert_close(weights(trained), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("loss", "remedy"),
    [
        (lambda net, part: squared(net, part).mean(), "reduction='none'"),
        (lambda net, part: net(part.tensors[0]), "reduction='none'"),
        (lambda net, part: squared(net, part)[1:], "reduction='none'"),
        (lambda net, part: net(part.tensors[0].reshape(-1, 1).expand(-1, 5)).view(part.rows, -1)
         .mean(1), "first axis"),
        (lambda net, part: squared(net, part) + net[0].weight.sum(), "outside of its own module"),
    ],
    ids=["scalar", "matrix", "too few", "rows folded into positions", "parameter read"],
)  # fmt: skip
def test_losses_that_hide_rows_are_refused(loss: object, remedy: str) -> None:
    trained = training(seeded())
    batch = next(trained.batches(rows()))
    with pytest.raises(EngineError, match=remedy):
        trained.step(batch, lambda part: loss(trained.module, part))  # type: ignore[operator]


def test_a_loss_that_compares_rows_is_refused() -> None:
    trained = training(seeded())

    def contrast(part: Batch) -> Tensor:
        out = trained.module(part.tensors[0])[:, 0]
        return (out - out.mean()).square()

    with pytest.raises(EngineError, match="depends on other rows"):
        trained.step(next(trained.batches(rows())), contrast)


def test_a_row_that_is_not_a_number_is_no_sign_of_comparing() -> None:
    x = torch.randn(200, 5)
    x[::2] = torch.nan
    trained = training(seeded())
    trained.step(
        next(trained.batches(Records(x, torch.randn(200)))),
        lambda part: squared(trained.module, part),
    )
    assert weights(trained).isfinite().all()


def test_gradients_of_gradients_are_refused() -> None:
    trained = training(seeded())

    def penalty(part: Batch) -> Tensor:
        x = part.tensors[0].clone().requires_grad_()
        out = trained.module(x)
        slope = torch.autograd.grad(out.sum(), x, create_graph=True)[0]
        return slope.square().sum(1)

    with pytest.raises(EngineError, match="gradients of gradients"):
        trained.step(next(trained.batches(rows())), penalty)


def test_input_gradients_inside_a_loss_do_not_count() -> None:
    """As an input of the loss they are constants; the layers' first backward pass is not booked."""
    trained, twin = training(seeded()), training(seeded())

    def loss(part: Batch) -> Tensor:
        x = part.tensors[0].clone().requires_grad_()
        torch.autograd.grad(trained.module(x).sum(), x)
        return squared(trained.module, part)

    torch.manual_seed(0)
    records = rows()
    trained.step(next(trained.batches(records)), loss)
    twin.step(next(twin.batches(records)), lambda part: squared(twin.module, part))
    torch.testing.assert_close(weights(trained), weights(twin))


def test_a_buffer_that_keeps_private_values_is_refused() -> None:
    class Running(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(5, 1)
            self.register_buffer("mean", torch.zeros(5))

        def forward(self, x: Tensor) -> Tensor:
            self.mean.mul_(0.9).add_(0.1 * x.mean(0))  # type: ignore[operator]
            result: Tensor = self.inner(x - self.mean)
            return result

    net = Running()
    trained = DPSGD(net, torch.optim.SGD(net.parameters(), lr=0.1), PLAN, seeded())
    with pytest.raises(EngineError, match="keep no statistics"):
        trained.step(next(trained.batches(rows())), lambda part: squared(net, part))


def test_a_batch_is_used_once_and_only_the_last() -> None:
    trained = training(seeded())
    batches = trained.batches(rows())
    first, second = next(batches), next(batches)
    with pytest.raises(EngineError, match="drawn last, once"):
        trained.step(first, lambda part: squared(trained.module, part))
    trained.step(second, lambda part: squared(trained.module, part))
    with pytest.raises(EngineError, match="drawn last, once"):
        trained.step(second, lambda part: squared(trained.module, part))


def test_the_optimizer_moves_exactly_the_network() -> None:
    net = network()
    for parameters in (net[0].parameters(), [*net.parameters(), nn.Parameter(torch.zeros(1))]):
        with pytest.raises(EngineError, match="trainable parameters and no others"):
            DPSGD(net, torch.optim.SGD(parameters, lr=0.1), PLAN, seeded())


def test_frozen_parameters_stay_and_get_no_noise() -> None:
    net = network()
    net[0].requires_grad_(False)
    before = net[0].weight.clone()
    trained = DPSGD(net, torch.optim.SGD(net[2].parameters(), lr=0.1), PLAN, seeded())
    trained.step(next(trained.batches(rows())), lambda part: squared(net, part))
    assert torch.equal(net[0].weight, before)
    assert net[0].weight.grad is None
    net[2].requires_grad_(False)
    with pytest.raises(EngineError, match="nothing to train"):
        DPSGD(net, trained.optimizer, PLAN, seeded())


def test_a_session_that_cannot_pay_refuses_before_the_first_step() -> None:
    with pytest.raises(BudgetError, match="does not fit"):
        training(seeded(budget=Budget(0.01, 1e-6)))


def test_no_step_is_drawn_that_was_not_paid_for() -> None:
    trained = training(seeded())
    records = rows()
    for batch in trained.batches(records):
        trained.step(batch, lambda part: squared(trained.module, part))
    assert trained.steps_drawn == PLAN.steps
    assert list(trained.batches(records)) == []
    with pytest.raises(BudgetError, match="were drawn"):
        trained._paid.draw()


def test_secure_noise_is_never_the_same_and_seeded_noise_always_is() -> None:
    def run(session: object) -> Tensor:
        torch.manual_seed(0)
        trained = training(session)  # type: ignore[arg-type]
        for batch in trained.batches(rows()):
            trained.step(batch, lambda part: squared(trained.module, part))
        return weights(trained)

    assert torch.equal(run(seeded(3)), run(seeded(3)))
    assert not torch.equal(run(seeded(3)), run(seeded(4)))


def test_mixed_precision_sums_in_single() -> None:
    net = nn.Sequential(nn.Linear(5, 8), nn.LayerNorm(8), nn.Linear(8, 1)).bfloat16()
    trained = DPSGD(net, torch.optim.SGD(net.parameters(), lr=0.1), PLAN, seeded())
    x, y = torch.randn(200, 5).bfloat16(), torch.randn(200).bfloat16()
    trained.step(next(trained.batches(Records(x, y))), lambda part: squared(net, part))
    assert trained._sums.begin().dtype == torch.float32
    assert all(p.grad is not None and p.grad.dtype == torch.bfloat16 for p in net.parameters())


def test_dropout_is_fine_in_known_layers_and_refused_in_others() -> None:
    known = nn.Sequential(nn.Linear(5, 8), nn.Dropout(0.5), nn.Linear(8, 1))
    trained = DPSGD(known, torch.optim.SGD(known.parameters(), lr=0.1), PLAN, seeded())
    trained.step(next(trained.batches(rows())), lambda part: squared(known, part))
    unknown = Scaled()
    unknown.inner = nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.5))  # type: ignore[assignment]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = DPSGD(unknown, torch.optim.SGD(unknown.parameters(), lr=0.1), PLAN, seeded())
    batch = next(other.batches(Records(torch.randn(200, 6))))
    with pytest.raises(EngineError, match="cannot be made row by row"):
        other.step(batch, lambda part: unknown(part.tensors[0]).sum(1))


def test_budget_of_the_session_is_that_of_the_training() -> None:
    session = seeded()
    training(session)
    assert session.spent == (PLAN.event,)
    assert epsilon_of(session.spent, BUDGET.delta) <= BUDGET.epsilon
