"""Mechanisms against closed forms. Noise is seeded, so a test that passes once passes always; the
thresholds would let a correct mechanism fail for one seed in a million."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from understudy.errors import BudgetError, EngineError
from understudy.privacy.events import (
    Approximate,
    Exponential,
    Gaussian,
    Laplace,
)
from understudy.privacy.mechanisms import (
    AboveThreshold,
    Bounds,
    Choice,
    NoisyCounts,
    NoisyTotal,
    PermuteAndFlip,
    Quantiles,
    StableHistogram,
)
from understudy.privacy.mechanisms.values import LARGEST, LARGEST_SCALE
from understudy.privacy.noise import FARTHEST, SeededNoise

FALSE_ALARM = 1e-6
DRAWS = 20_000


def times(mechanism: Any, exact: np.ndarray, draws: int = DRAWS, seed: int = 0) -> np.ndarray:
    """The first number of many answers."""
    noise = SeededNoise(seed)
    return np.array([mechanism.release(exact, noise)[0] for _ in range(draws)])


def matches(found: np.ndarray, expected: np.ndarray) -> bool:
    """Whether counts fit probabilities, chi-square."""
    return bool(stats.chisquare(found, expected * found.sum()).pvalue > FALSE_ALARM)


# Counts and totals


def test_counts_get_gaussian_noise_of_the_declared_size() -> None:
    mechanism = NoisyCounts(3.0, sensitivity=2.0)
    noise = mechanism.release(np.zeros((500, 400), np.int64), SeededNoise(1))
    assert noise.dtype == np.int64
    assert noise.shape == (500, 400)
    edges = np.arange(-18, 19)
    expected = np.diff(stats.norm.cdf([-np.inf, *(edges + 0.5), np.inf], scale=6.0))
    found = np.bincount(np.clip(noise.ravel(), -18, 19) + 18, minlength=38)
    assert matches(found, expected)
    assert mechanism.event == Gaussian(3.0)
    assert mechanism.sigma == 6.0


def test_total_gets_rounded_laplace_noise() -> None:
    noise = NoisyTotal(2.0, sensitivity=1.5).release(np.zeros(200_000, np.int64), SeededNoise(1))
    edges = np.arange(-12, 13)
    expected = np.diff(stats.laplace.cdf([-np.inf, *(edges + 0.5), np.inf], scale=3.0))
    assert matches(np.bincount(np.clip(noise, -12, 13) + 12, minlength=26), expected)
    assert NoisyTotal(2.0, 1.5).event == Laplace(2.0)


@given(st.integers(-LARGEST, LARGEST))
def test_no_bit_of_a_large_count_is_lost(count: int) -> None:
    exact = np.array([count], np.int64)
    for mechanism in (NoisyCounts(1e-3), NoisyTotal(1e-3)):
        assert mechanism.release(exact, SeededNoise(0))[0] == count
        assert mechanism.noiseless(exact)[0] == count


def test_counts_and_noise_cannot_overflow() -> None:
    ends = np.array([np.iinfo(np.int64).max, np.iinfo(np.int64).min])
    for make in (NoisyCounts, NoisyTotal):
        high, low = make(LARGEST_SCALE).release(ends, SeededNoise(0)).tolist()
        assert abs(high - LARGEST) < 46 * LARGEST_SCALE
        assert abs(low + LARGEST) < 46 * LARGEST_SCALE
        assert make(1e-3).release(np.array([2**64 - 1], np.uint64), SeededNoise(0))[0] == LARGEST
        with pytest.raises(BudgetError, match="64 bits"):
            make(LARGEST_SCALE, sensitivity=2.0)
    assert FARTHEST * LARGEST_SCALE + LARGEST < 2**63


def test_nan_and_infinity_are_zero_and_fractions_refused() -> None:
    exact = np.array([np.nan, np.inf, -np.inf, 5.0])
    assert NoisyCounts(1e-3).release(exact, SeededNoise(0)).tolist() == [0, 0, 0, 5]
    assert NoisyTotal(1e-3).noiseless(exact).tolist() == [0, 0, 0, 5]
    assert Choice(100.0).release(exact, SeededNoise(0)).tolist() == [3]
    with pytest.raises(EngineError, match="fractions"):
        NoisyCounts(1.0).release(np.array([0.5]), SeededNoise(0))
    with pytest.raises(EngineError, match="whole numbers"):
        NoisyCounts(1.0).release(np.array(["a"]), SeededNoise(0))


def test_distances() -> None:
    one, other = np.array([2**60 + 1, 5]), np.array([2**60 - 2, 9])
    assert NoisyCounts(1.0).distance(one, other) == 5.0
    assert NoisyTotal(1.0).distance(one, other) == 7.0
    assert Choice(1.0).distance(one / 1.0, other / 1.0) == 4.0
    assert AboveThreshold(1.0, 0.0).distance(one[1:], other[1:]) == 4.0
    for mechanism in (NoisyCounts(1.0), NoisyTotal(1.0), Choice(1.0), PermuteAndFlip(1.0)):
        assert mechanism.distance(one, other[:1]) == math.inf


# Choices


def test_choice_follows_the_exponential_mechanism() -> None:
    scores = np.array([0.0, 3.0, 5.0, 5.5])
    odds = np.exp(0.8 * scores / (2 * 1.5))
    found = np.bincount(times(Choice(0.8, 1.5), scores), minlength=4)
    assert matches(found, odds / odds.sum())
    assert Choice(0.8, 1.5).event == Exponential(0.8)


def test_permute_and_flip_follows_its_paper() -> None:
    scores = np.array([0.0, 3.0, 5.0, 5.5])
    found = np.bincount(times(PermuteAndFlip(0.8, 1.5), scores), minlength=4)
    assert matches(found, permute_and_flip(scores, 0.8, 1.5))
    assert PermuteAndFlip(0.8, 1.5).event == Approximate(0.8)


def permute_and_flip(scores: np.ndarray, epsilon: float, sensitivity: float) -> np.ndarray:
    """McKenna & Sheldon's algorithm 1, summed over all orders."""
    taken = np.exp(epsilon * (scores - scores.max()) / (2 * sensitivity))
    chance = np.zeros(len(scores))
    orders = list(itertools.permutations(range(len(scores))))
    for order in orders:
        left = 1.0
        for candidate in order:
            chance[candidate] += left * taken[candidate] / len(orders)
            left *= 1 - taken[candidate]
    return chance


@pytest.mark.parametrize("mechanism", [Choice(1.0), PermuteAndFlip(1.0)])
def test_huge_scores_do_not_overflow(mechanism: Any) -> None:
    scores = np.array([-1e308, 1e300, 1e305, -5.0])
    assert (times(mechanism, scores, 100) == 2).all()
    assert mechanism.noiseless(scores).tolist() == [2]
    with pytest.raises(EngineError, match="no candidates"):
        mechanism.release(np.array([]), SeededNoise(0))


# Sparse vector


def test_sparse_vector_stops_where_it_should() -> None:
    sure = AboveThreshold(1.0, threshold=500.0)
    assert sure.release(np.array([0, 10, 1000, 2000.0]), SeededNoise(0)).tolist() == [2]
    assert sure.release(np.array([0, 10.0]), SeededNoise(0)).tolist() == []
    assert sure.noiseless(np.array([0, 500.0])).tolist() == [1]
    assert sure.event == Approximate(1.0)


def test_sparse_vector_chances_and_privacy() -> None:
    """Chances of each outcome, integrated numerically: the code fits them, and they are private."""
    mechanism = AboveThreshold(1.0, threshold=2.0, sensitivity=1.0)
    exact = np.array([0.0, 3.0, 1.0])
    noise = SeededNoise(3)
    found = Counter(tuple(mechanism.release(exact, noise).tolist()) for _ in range(DRAWS))
    expected = first_hits(mechanism, exact)
    counts = np.array([found[(0,)], found[(1,)], found[(2,)], found[()]])
    assert matches(counts, expected)
    for move in itertools.product((-1.0, 0.0, 1.0), repeat=3):
        loss = np.abs(np.log(first_hits(mechanism, exact + move) / expected))
        assert loss.max() <= 1.0 + 1e-6


def first_hits(mechanism: AboveThreshold, exact: np.ndarray) -> np.ndarray:
    of_threshold, of_queries = mechanism.scales
    bar = np.linspace(-60, 60, 200_001)
    weight = stats.laplace.pdf(bar, scale=of_threshold) * (bar[1] - bar[0])
    reach = stats.laplace.sf(mechanism.threshold + bar[:, None] - exact, scale=of_queries)
    missed = np.cumprod(1 - reach, axis=1)
    before = np.column_stack((np.ones(len(bar)), missed[:, :-1]))
    hits = (weight[:, None] * before * reach).sum(axis=0)
    chance = np.append(hits, (weight * missed[:, -1]).sum())
    return chance / chance.sum()


def test_sparse_vector_shares_its_budget_best() -> None:
    of_threshold, of_queries = AboveThreshold(0.7, 0.0, 3.0).scales
    shares = np.linspace(0.01, 0.69, 10_000)
    variances = (3.0 / shares) ** 2 + (2 * 3.0 / (0.7 - shares)) ** 2
    assert 3.0 / of_threshold + 6.0 / of_queries == pytest.approx(0.7)
    assert of_threshold**2 + of_queries**2 == pytest.approx(variances.min(), rel=1e-6)


# All of them


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_parameters_that_promise_nothing_are_refused(value: float) -> None:
    for make in (NoisyCounts, NoisyTotal, Choice, PermuteAndFlip, Bounds):
        with pytest.raises(BudgetError, match="positive"):
            make(value)
        with pytest.raises(BudgetError, match="positive"):
            make(1.0, sensitivity=value)
    with pytest.raises(BudgetError, match="positive"):
        AboveThreshold(value, 0.0)
    with pytest.raises(BudgetError, match="positive"):
        Quantiles(value, (0.5,), 0.0, 1.0)
    with pytest.raises(BudgetError, match="delta"):
        StableHistogram(1.0, value)


def test_other_parameters_are_refused_too() -> None:
    with pytest.raises(BudgetError, match="finite number"):
        AboveThreshold(1.0, math.nan)
    for wanted in ((), (0.5, 0.5), (0.0, 0.5), (0.5, 1.0), (0.7, 0.2)):
        with pytest.raises(BudgetError, match="increasing"):
            Quantiles(1.0, wanted, 0.0, 1.0)
    for low, high in ((1.0, 1.0), (2.0, 1.0), (0.0, math.inf), (math.nan, 1.0)):
        with pytest.raises(BudgetError, match="bounds"):
            Quantiles(1.0, (0.5,), low, high)
    with pytest.raises(BudgetError, match="between 0 and 1"):
        Bounds(1.0, failure=1.0)
