"""Audit statistics on ideal canaries, whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from understudy.errors import EngineError
from understudy.privacy.audit import audit, one_run_epsilon, shift_epsilon, shift_mu
from understudy.privacy.budget import Budget
from understudy.privacy.loss import gaussian_epsilon

DELTA = 1e-6
RUNS = 60

Scores = tuple[NDArray[np.float64], NDArray[np.bool_]]


def laplace_cells(epsilon: float, m: int, rng: np.random.Generator) -> Scores:
    """Each canary alone in a cell of a table whose counts have Laplace noise."""
    member = rng.random(m) < 0.5
    return member + rng.laplace(0, 1 / epsilon, m), member


def gaussian_cells(sigma: float, m: int, rng: np.random.Generator) -> Scores:
    member = rng.random(m) < 0.5
    return member + rng.normal(0, sigma, m), member


@pytest.mark.parametrize("epsilon", [1.0, 2.0, 3.0])
def test_a_thousand_ideal_canaries_prove_most_of_epsilon(epsilon: float) -> None:
    rng = np.random.default_rng(int(epsilon))
    runs = [one_run_epsilon(*laplace_cells(epsilon, 1000, rng), DELTA) for _ in range(RUNS)]
    assert np.median(runs) >= 0.8 * epsilon
    # A right bound exceeds the truth in 5 % of runs at most: 9 of 60 have a chance of .2 %.
    assert sum(bound > epsilon for bound in runs) <= 9


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 4.0])
def test_the_shift_bound_is_right_and_close_for_gaussians(epsilon: float) -> None:
    sigma = _sigma_of(epsilon)
    rng = np.random.default_rng(7)
    runs = [shift_epsilon(*gaussian_cells(sigma, 2000, rng), DELTA) for _ in range(200)]
    assert sum(bound > epsilon for bound in runs) <= 22  # 5 % of 200, chance .1 %
    mu = 1 / sigma
    usual = mu - 1.645 * math.sqrt(4 / 2000 * (1 + mu**2 / 8))
    assert np.median(runs) == pytest.approx(gaussian_epsilon(usual, DELTA), rel=0.1)


def test_sound_mechanisms_are_seldom_called_broken() -> None:
    rng = np.random.default_rng(11)
    sigma = _sigma_of(2.0)
    alarms = 0
    for _ in range(200):
        scores, member = gaussian_cells(sigma, 1000, rng)
        other = rng.normal(size=1000)
        alarms += audit({"count": scores, "other": other}, member, Budget(2.0, DELTA)).broken
    assert alarms <= 22


@pytest.mark.parametrize("factor", [0.0, 0.5])
def test_missing_noise_is_found(factor: float) -> None:
    rng = np.random.default_rng(13)
    sigma = factor * _sigma_of(2.0)
    found = 0
    for _ in range(100):
        scores, member = gaussian_cells(sigma, 1000, rng)
        found += audit({"count": scores}, member, Budget(2.0, DELTA)).broken
    assert found >= 95


def test_half_the_noise_of_a_laplace_table_is_found_without_any_assumption() -> None:
    rng = np.random.default_rng(17)
    found = 0
    for _ in range(50):
        scores, member = laplace_cells(2.0, 1000, rng)
        report = audit({"cell": scores}, member, Budget(1.0, DELTA), gaussian=False)
        assert report.gaussian is None
        found += report.broken
    assert found >= 48


def test_the_chance_of_right_guesses_is_that_of_the_theorem() -> None:
    """Twenty guesses, all right: (e^eps / (1 + e^eps))^20 = .05 without delta."""
    member = np.arange(50) >= 25
    q = 0.05 ** (1 / 20)
    bound = one_run_epsilon(np.arange(50.0), member)
    assert bound == pytest.approx(math.log(q / (1 - q)), abs=1e-6)
    assert one_run_epsilon(np.arange(50.0), member, 1e-4) < bound


@given(st.integers(0, 2**32 - 1), st.integers(40, 400))
def test_bounds_fall_with_delta_and_confidence(seed: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    scores, member = laplace_cells(3.0, m, rng)
    bound = one_run_epsilon(scores, member, 1e-6)
    assert one_run_epsilon(scores, member, 1e-3) <= bound + 1e-9
    assert one_run_epsilon(scores, member, 1e-6, confidence=0.99) <= bound
    assert one_run_epsilon(np.where(member, -1.0, 1.0), member, 1e-6) == 0


def test_scores_without_spread_are_as_far_apart_as_can_be() -> None:
    member = np.arange(100) % 2 == 0
    assert shift_mu(member.astype(float), member) == 50
    assert shift_mu(np.zeros(100), member) == 0
    assert audit({"exact": member.astype(float)}, member, Budget(1.0, DELTA)).broken


def test_too_few_canaries_are_refused() -> None:
    member = np.arange(30) < 8
    with pytest.raises(EngineError, match="Take 1,000"):
        audit({"count": member.astype(float)}, member, Budget(1.0, DELTA))
    with pytest.raises(EngineError, match="score for each canary"):
        audit({"count": np.zeros(3)}, member, Budget(1.0, DELTA))


def test_the_report_says_what_decided() -> None:
    rng = np.random.default_rng(1)
    scores, member = gaussian_cells(0.1, 500, rng)
    told = audit({"count": scores}, member, Budget(1.0, DELTA)).as_dict()
    assert told["broken"]
    assert told["because"] == "shift of count"
    assert told["canaries"] == 500
    assert told["tightness"] > 1
    assert stats.binom.sf(22, 200, 0.05) < 2e-4 * 10  # the allowance used above


def _sigma_of(epsilon: float) -> float:
    low, high = 0.01, 100.0
    for _ in range(60):
        sigma = math.sqrt(low * high)
        low, high = (sigma, high) if gaussian_epsilon(1 / sigma, DELTA) > epsilon else (low, sigma)
    return high
