from __future__ import annotations

import numpy as np
import pytest

from understudy.attacks.best import best
from understudy.attacks.family import Stratum
from understudy.attacks.membership import OUTSIDER, Score

M = 4000
MEMBER = np.arange(M) < M // 2
ALL = [Stratum("all", np.ones(M, bool))]


def noise(count: int, rng: np.random.Generator) -> list[Score]:
    return [Score(f"noise {i}", OUTSIDER, rng.normal(size=M)) for i in range(count)]


def test_the_best_of_many_harmless_attacks_is_no_better_than_a_coin():
    """40 audits of 20 attacks that know nothing; the mean has a standard error of about .0015."""
    rng = np.random.default_rng(0)
    found = [best(noise(20, rng), ALL, MEMBER)[0].found.value for _ in range(40)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.005)


def test_a_real_attack_is_chosen_and_its_figures_are_its_own():
    rng = np.random.default_rng(1)
    tried = [*noise(10, rng), Score("leak", OUTSIDER, rng.normal(size=M) + MEMBER)]
    auc, at_1, at_5 = best(tried, ALL, MEMBER)
    assert (auc.measure, at_1.measure, at_5.measure) == ("auc", "tpr_at_1", "tpr_at_5")
    assert auc.attacks == ("leak", "leak")
    # Two normals one apart: AUC = Phi(1 / sqrt 2) = .760.
    assert auc.found.low < 0.760 < auc.found.high
    # TPR at 5 % = 1 - Phi(1.645 - 1) = .2595.
    assert at_5.found.value == pytest.approx(0.2595, abs=0.04)


def test_small_groups_are_not_judged():
    few = np.zeros(M, bool)
    few[:100] = few[-100:] = True
    found = best(noise(3, np.random.default_rng(2)), [*ALL, Stratum("few", few)], MEMBER)
    assert {one.stratum for one in found} == {"all"}
