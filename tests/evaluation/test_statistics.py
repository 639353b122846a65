from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from understudy.evaluation.statistics import (
    around,
    auc,
    binomial_tail,
    bootstrap_weights,
    clopper_pearson,
    delong,
    midranks,
    plain,
    resampled_auc,
    share_difference,
)

small = arrays(np.float64, st.integers(1, 30), elements=st.integers(0, 5).map(float))


def test_midranks_share_ties():
    assert midranks(np.array([10.0, 20.0, 10.0, 30.0])).tolist() == [1.5, 3.0, 1.5, 4.0]


@given(small, small)
def test_auc_counts_pairs_with_ties_half(positives, negatives):
    gap = positives[:, None] - negatives[None, :]
    by_hand = ((gap > 0) + 0.5 * (gap == 0)).mean()
    assert auc(positives, negatives) == pytest.approx(by_hand)
    assert delong(positives, negatives).value == pytest.approx(by_hand)


@given(small, small)
def test_resampled_auc_with_equal_weights_is_auc(positives, negatives):
    scores = np.concatenate([positives, negatives])
    labels = np.arange(len(scores)) < len(positives)
    found = resampled_auc(scores, labels, np.ones((1, len(scores))))
    assert found[0] == pytest.approx(auc(positives, negatives))


def test_delong_agrees_with_the_bootstrap():
    rng = np.random.default_rng(0)
    positives, negatives = rng.normal(0.7, 1, 300), rng.normal(0, 1, 200)
    found = delong(positives, negatives)
    draws = [auc(rng.choice(positives, 300), rng.choice(negatives, 200)) for _ in range(600)]
    half = (found.high - found.low) / 2
    assert half == pytest.approx(1.96 * np.std(draws), rel=0.12)


def test_delong_covers_the_truth():
    """200 samples: fewer than 182 covered has probability .01 at 95 % coverage."""
    from scipy.stats import norm

    truth = norm.cdf(0.5 / np.sqrt(2))
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        found = delong(rng.normal(0.5, 1, 150), rng.normal(0, 1, 150))
        covered += found.low <= truth <= found.high
    assert covered >= 182


def test_clopper_pearson_closed_forms():
    none = clopper_pearson(0, 10)
    assert none.low == 0.0
    assert none.high == pytest.approx(1 - 0.025 ** (1 / 10))
    assert clopper_pearson(10, 10).low == pytest.approx(0.025 ** (1 / 10))
    assert clopper_pearson(0, 0).high == 1.0


def test_sign_test_closed_forms():
    assert binomial_tail(5, 5) == pytest.approx(1 / 32)
    assert binomial_tail(10, 10) == pytest.approx(1 / 1024)
    assert binomial_tail(0, 7) == 1.0


def test_share_difference_covers_zero_for_equal_shares():
    same = share_difference(10, 100, 20, 200)
    assert same.value == 0.0
    assert same.low < 0 < same.high
    assert share_difference(90, 100, 10, 100).low > 0.6


def test_bootstrap_weights_draw_the_asked_number():
    weights = bootstrap_weights(7, 20, 3, np.random.default_rng(0))
    assert weights.shape == (3, 7)
    assert weights.sum(axis=1).tolist() == [20.0] * 3


def test_interval_is_centred_on_the_value_and_not_below_least():
    found = around(1.0, [3.0, 5.0, 4.0])
    assert found.value == 1.0
    assert found.low == 0.0
    assert found.high == pytest.approx(2.96)


def test_plain_is_json():
    mixed = {"a": np.float64("nan"), "b": (np.int64(3), 1 / 3), "c": np.array([True])}
    assert plain(mixed) == {"a": None, "b": [3, 0.333333], "c": [True]}
