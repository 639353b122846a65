from __future__ import annotations

import numpy as np
import pytest

from understudy.attacks.family import Stratum, family_test
from understudy.attacks.membership import OUTSIDER, RATES, Score, judge, power_at, powers, roc


def test_power_counts_members_above_the_setting_half():
    others = np.arange(200.0)
    members = np.concatenate([np.full(30, 1000.0), np.zeros(70)])
    power, realised = power_at(members, others, 0.01)
    assert power.value == pytest.approx(0.30)
    assert power.low < 0.30 < power.high
    assert realised == pytest.approx(0.01, abs=0.011)


def test_power_is_the_rate_when_all_scores_tie():
    power, realised = power_at(np.zeros(100), np.zeros(80), 0.05)
    assert power.value == pytest.approx(0.05)
    assert realised == pytest.approx(0.05)


def test_roc_rises_to_one_and_stays_short():
    rng = np.random.default_rng(0)
    points = np.array(roc(rng.normal(1, 1, 5000), rng.normal(0, 1, 5000)))
    assert len(points) <= 60
    assert np.all(np.diff(points, axis=0) >= 0)
    assert tuple(points[-1]) == (1.0, 1.0)


def test_powers_follow_the_threshold_rule_at_every_rate():
    rng = np.random.default_rng(2)
    scores, member = rng.normal(size=8000), np.arange(8000) < 4000
    found = judge(Score("noise", OUTSIDER, scores), member).powers
    assert [one.rate for one in found] == list(RATES)
    for one in found:
        assert one.found == power_at(scores[member], scores[~member], one.rate)[0]
        # Exact 95 % intervals of a fair coin; seed fixed, all nine hold.
        assert one.found.low <= one.rate * 1.2
        assert one.found.high >= one.rate * 0.8
    rates = [one.found.value for one in found]
    assert rates == sorted(rates)


def test_rates_that_no_half_can_set_a_threshold_for_are_left_out():
    found = powers(np.arange(300.0), np.arange(300.0))
    assert [one.rate for one in found] == [0.01, 0.02, 0.05, 0.1, 0.2, 0.5]


def test_family_test_names_the_planted_stratum():
    rng = np.random.default_rng(1)
    m = 4000
    member = np.arange(m) < m // 2
    rare = rng.random(m) < 0.2
    leaking = rng.normal(size=m) + (rare & member)
    groups = [Stratum("all", np.ones(m, bool)), Stratum("rare", rare)]
    tried = [Score("noise", OUTSIDER, rng.normal(size=m)), Score("leak", OUTSIDER, leaking)]
    found = family_test(tried, groups, member, rng, 199)
    assert found.p == pytest.approx(1 / 200)
    assert found.strongest == "AUC of leak among rare"
    quiet = [result.p for result in found.strata if result.attack == "noise"]
    assert min(quiet) > 0.05
