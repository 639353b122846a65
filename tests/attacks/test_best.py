"""The bound on the best attack covers it, whichever it is and however the attacks hang together."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, norm

from understudy.attacks.best import Best, best, power_bounds
from understudy.attacks.family import Stratum
from understudy.attacks.membership import OUTSIDER, Score

N = 1000
MEMBER = np.arange(2 * N) < N
ALL = [Stratum("all", np.ones(2 * N, bool))]
ATTACKS, RUNS = 13, 200
RATES = {"tpr_at_1": 0.01, "tpr_at_5": 0.05}


def attacks(aucs: list[float], rho: float, rng: np.random.Generator) -> list[Score]:
    """Normal scores with these AUCs, any two of which correlate by `rho`."""
    shared = rng.normal(size=(2 * N, 1))
    own = rng.normal(size=(2 * N, len(aucs)))
    values = np.sqrt(rho) * shared + np.sqrt(1 - rho) * own
    values[MEMBER] += np.sqrt(2) * norm.ppf(aucs)
    return [Score(str(i), OUTSIDER, values[:, i]) for i in range(len(aucs))]


def truth(one: Best, auc: float) -> float:
    """What the best attack really reaches: for normals d apart, P = Phi(d - z)."""
    if one.measure == "auc":
        return auc
    shift = np.sqrt(2) * norm.ppf(auc)
    return float(norm.sf(norm.isf(RATES[one.measure]) - shift))


ONE_KNOWS = [0.53] + [0.5] * (ATTACKS - 1)
SOME_KNOW = np.linspace(0.5, 0.56, ATTACKS).tolist()


@pytest.mark.parametrize(
    ("aucs", "rho"),
    [([0.5] * ATTACKS, 0.6), (ONE_KNOWS, 0.0), (ONE_KNOWS, 0.6), (SOME_KNOW, 0.6)],
)
def test_the_upper_bound_covers_the_best_attack_in_95_audits_of_100(
    aucs: list[float], rho: float
) -> None:
    """200 audits of 1,000 members each. A bound that covers in 95 % falls short more often than
    allowed here once in 1,000 times; the one before it, which chose an attack on half of the
    records and judged it on the other half, fell short of ONE_KNOWS in 36 % and 19 %."""
    rng = np.random.default_rng(5)
    short = dict.fromkeys(("auc", *RATES), 0)
    for _ in range(RUNS):
        for one in best(attacks(aucs, rho, rng), ALL, MEMBER):
            short[one.measure] += one.found.high < truth(one, max(aucs))
    allowed = binom.isf(0.001, RUNS, 0.05)
    assert max(short.values()) <= allowed


def test_a_single_attack_is_bounded_from_both_sides_at_95_each() -> None:
    """Not only wide enough: a bound that is too wide would never fall short."""
    rng = np.random.default_rng(6)
    above = below = 0
    for _ in range(600):
        found = power_bounds(rng.normal(size=N), rng.normal(size=N), 0.05)
        above, below = above + (found.low > 0.05), below + (found.high < 0.05)
    low, high = binom.ppf([0.001, 0.999], 600, 0.05)
    assert low / 2 <= above <= high
    assert low / 2 <= below <= high


def test_harmless_attacks_are_bounded_not_far_above_a_coin() -> None:
    """The dearest case, twenty unlike attacks that know nothing: 1.645 standard errors of .0129 and
    about 1.9 more for the largest of twenty, so .5 + .046."""
    rng = np.random.default_rng(0)
    highs = [best(attacks([0.5] * 20, 0.0, rng), ALL, MEMBER)[0].found.high for _ in range(40)]
    assert np.mean(highs) == pytest.approx(0.546, abs=0.004)


def test_a_real_attack_is_named_and_its_figures_are_its_own() -> None:
    rng = np.random.default_rng(1)
    tried = [
        *attacks([0.5] * 10, 0.0, rng),
        Score("leak", OUTSIDER, rng.normal(size=2 * N) + MEMBER),
    ]
    auc, at_1, at_5 = best(tried, ALL, MEMBER)
    assert (auc.measure, at_1.measure, at_5.measure) == ("auc", "tpr_at_1", "tpr_at_5")
    assert auc.attack == "leak"
    assert auc.as_dict()["attacks"] == ["leak"]
    # Two normals one apart: AUC = Phi(1 / sqrt 2) = .760.
    assert auc.found.low < 0.760 < auc.found.high
    # TPR at 5 % = 1 - Phi(1.645 - 1) = .2595.
    assert at_5.found.low < 0.2595 < at_5.found.high


def test_small_groups_are_not_judged() -> None:
    few = np.zeros(2 * N, bool)
    few[:100] = few[-100:] = True
    tried = attacks([0.5] * 3, 0.0, np.random.default_rng(2))
    assert {one.stratum for one in best(tried, [*ALL, Stratum("few", few)], MEMBER)} == {"all"}
