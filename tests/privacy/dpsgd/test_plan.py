"""The plan: solved on the safe side, golden values, and what it refuses."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.errors import BudgetError, EngineError
from understudy.privacy.accountant import epsilon_of
from understudy.privacy.budget import Budget
from understudy.privacy.dpsgd import PrivacyPlan
from understudy.privacy.events import Gaussian, PoissonGaussian

GOLDEN = [  # rate, sigma, steps, epsilon at delta 1e-5
    (0.01, 1.0, 1000, 1.828),
    (0.01, 0.8, 3000, 5.242),
    (0.0064, 1.0, 4700, 2.461),
    (0.05, 2.0, 500, 2.532),
]


@pytest.mark.parametrize(("rate", "sigma", "steps", "epsilon"), GOLDEN)
def test_sigma_and_steps_of_published_plans(
    rate: float, sigma: float, steps: int, epsilon: float
) -> None:
    assert epsilon_of([PoissonGaussian(rate, sigma, steps)], 1e-5) == pytest.approx(
        epsilon, abs=0.01
    )
    size = {"units": 1_000_000, "expected_batch": round(rate * 1_000_000)}
    plan = PrivacyPlan.solve(Budget(epsilon, 1e-5), steps=steps, **size)
    assert plan.sigma == pytest.approx(sigma, rel=0.005)
    assert (plan.rate, plan.expected_batch) == (rate, rate * 1_000_000)
    long = PrivacyPlan.solve(Budget(epsilon, 1e-5), sigma=sigma, **size)
    assert long.steps == pytest.approx(steps, rel=0.01)
    for found in (plan, long):
        assert epsilon * 0.995 < epsilon_of([found.event], 1e-5) <= epsilon


@settings(max_examples=4)
@given(
    st.floats(0.3, 8),
    st.sampled_from([64, 512]),
    st.sampled_from([1, 30, 400]),
    st.floats(0.5, 0.9),
)
def test_a_plan_never_costs_more_than_is_left(
    epsilon: float, batch: int, steps: int, before: float
) -> None:
    budget = Budget(epsilon, 1e-6)
    already = [Gaussian(6.0 / (epsilon * before))]
    plan = PrivacyPlan.solve(
        budget, units=10_000, expected_batch=batch, steps=steps, already=already
    )
    assert epsilon_of([*already, plan.event], budget.delta) <= epsilon


def test_a_batch_larger_than_the_data_is_all_of_it() -> None:
    plan = PrivacyPlan.solve(Budget(3.0, 1e-6), units=50, expected_batch=256, steps=10)
    assert (plan.rate, plan.expected_batch) == (1.0, 50.0)


def test_one_of_steps_and_sigma_is_asked_for() -> None:
    for steps, sigma in ((None, None), (10, 1.0)):
        with pytest.raises(EngineError, match="Leave out the one that you want"):
            PrivacyPlan.solve(
                Budget(1.0, 1e-6), units=100, expected_batch=10, steps=steps, sigma=sigma
            )


def test_budgets_that_cannot_be_met_are_refused_with_a_remedy() -> None:
    with pytest.raises(BudgetError, match="not even one step"):
        PrivacyPlan.solve(Budget(0.1, 1e-6), units=100, expected_batch=50, sigma=0.5)
    with pytest.raises(BudgetError, match="needs a delta above zero"):
        PrivacyPlan.solve(Budget(1.0), units=100, expected_batch=50, steps=10)
    with pytest.raises(BudgetError, match="no amount of noise"):
        PrivacyPlan.solve(
            Budget(1.0, 1e-6), units=100, expected_batch=50, steps=5, already=[Gaussian(0.5)]
        )


@pytest.mark.parametrize(
    "wrong",
    [{"clip": 0.0}, {"clip": float("nan")}, {"expected_batch": 0}, {"clipping": "none"}],
    ids=str,
)
def test_nonsense_is_refused(wrong: dict[str, object]) -> None:
    fields = {"rate": 0.1, "steps": 10, "sigma": 1.0, "expected_batch": 10, **wrong}
    with pytest.raises(EngineError, match="found"):
        PrivacyPlan(**fields)  # type: ignore[arg-type]


def test_rates_above_one_are_refused() -> None:
    with pytest.raises(BudgetError, match="probability"):
        PrivacyPlan(rate=1.5, steps=10, sigma=1.0, expected_batch=10)


def test_torch_is_loaded_by_those_who_train_only() -> None:
    code = (
        "import sys; import understudy.privacy.session, understudy.privacy.audit;"
        "from understudy.privacy.dpsgd import PrivacyPlan, GaussianSum;"
        "assert 'torch' not in sys.modules;"
        "sys.modules['torch'] = None;"
        "from understudy.errors import MissingExtraError\n"
        "try:\n    from understudy.privacy.dpsgd import DPSGD\n"
        "except MissingExtraError as error: print(error)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'understudy[deep]'" in told.stdout
