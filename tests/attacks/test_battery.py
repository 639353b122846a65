"""Planted leaks must be seen, and a fresh draw of the population must not raise an alarm.

Seeds are fixed. The family-wise p of a safe table is uniform, so a bound of .01 on it would fail
one seed in a hundred by chance; the seeds below are not among those.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.attacks import planted
from understudy.attacks import Battery, attack
from understudy.data.dataset import Dataset
from understudy.selfcheck.generators import without_neighbours
from understudy.selfcheck.population import Samples

N = 1500


@pytest.fixture(scope="module")
def real() -> dict[str, planted.Rows]:
    rng = np.random.default_rng(5)
    return {role: planted.draw(N, rng) for role in ("train", "holdout", "reference")}


def audit(real: dict[str, planted.Rows], synthetic: planted.Rows) -> Battery:
    datasets = [real[role].dataset() for role in ("train", "holdout", "reference")]
    return attack(*datasets, synthetic.dataset(), seed=1)


def best_auc(battery: Battery) -> float:
    return max(found.auc.value for found in battery.attacks)


def test_fresh_draw_passes(real):
    found = audit(real, planted.draw(N, np.random.default_rng(6)))
    assert found.exchangeable.low <= 0.5
    assert found.copies.exact.train_hits == 0
    assert found.family.p > 0.01
    # Of twenty attacks the largest 95 % bound, 3.1 standard errors of .0105 above a coin.
    assert found.best[0].found.high < 0.55
    assert found.singling_out.many_columns.residual.low < 0
    assert found.linkability.risk.residual.low < 0.01
    assert found.closeness.closer.low < 0.5 < found.closeness.closer.high


def test_bootstrap_copy_is_caught_everywhere(real):
    rng = np.random.default_rng(7)
    found = audit(real, real["train"].take(rng.integers(N, size=N)))
    # A bootstrap repeats 1 - 1/e of the rows, so the best attack's AUC is .632 + .368 / 2.
    assert found.copies.exact.train_hits == pytest.approx(0.632 * N, rel=0.05)
    assert found.copies.exact.p < 1e-6
    assert best_auc(found) == pytest.approx(0.816, abs=0.02)
    assert found.attacks[0].tpr_at_1.value > 0.55
    assert found.family.p == pytest.approx(0.001)
    assert found.closeness.closer.low > 0.9


def test_jittered_copy_is_caught_without_exact_copies(real):
    found = audit(real, planted.jittered(real["train"], 0.10, np.random.default_rng(8)))
    assert found.copies.exact.train_hits == 0
    assert found.family.p == pytest.approx(0.001)
    assert best_auc(found) > 0.65


def test_outliers_only_are_caught_by_strata_and_not_by_averages(real):
    rng = np.random.default_rng(9)
    outliers = planted.most_outlying(real["train"], N // 50)
    fresh = planted.draw(N, rng)
    leaky = fresh.put(rng.choice(N, len(outliers), replace=False), outliers)
    # Moved a little, so that no hash can find them.
    found = audit(real, planted.jittered(leaky, 0.003, rng))
    assert best_auc(found) < 0.55
    assert abs(found.closeness.closer.value - 0.5) < 0.03
    assert found.copies.exact.train_hits == 0
    assert found.family.p <= 0.005
    worst = max(found.family.strata, key=lambda s: s.auc.value)
    assert worst.stratum != "all"


def test_random_one_percent_verbatim_is_caught_by_copies(real):
    rng = np.random.default_rng(10)
    places = rng.choice(N, N // 100, replace=False)
    leaky = planted.draw(N, rng).put(places, real["train"].take(rng.integers(N, size=N // 100)))
    found = audit(real, leaky)
    assert found.copies.exact.holdout_hits == 0
    assert found.copies.exact.p < 1e-6
    assert best_auc(found) < 0.55


def test_omission_is_seen_on_the_lower_side(real):
    world = Samples(real["train"], real["holdout"], real["reference"])
    found = audit(real, without_neighbours(world, np.random.default_rng(11)))
    assert found.family.z < 0
    assert found.family.strongest.endswith("where members score lower")
    assert min(one.p_lower for one in found.family.strata) == pytest.approx(0.001)


def test_named_groups_join_as_strata(real):
    datasets = [real[role].dataset() for role in ("train", "holdout", "reference")]
    made = planted.draw(500, np.random.default_rng(13)).dataset()
    found = attack(*datasets, made, groups=["c0 = 'level 1' AND x0 > 0"], seed=1)
    named = [one for one in found.family.strata if one.stratum == "c0 = 'level 1' AND x0 > 0"]
    inside = (real["train"].levels[:, 0] == 1) & (real["train"].numbers[:, 0] > 0)
    assert {one.members for one in named} == {int(inside.sum())}


def test_family_test_keeps_its_level_on_safe_tables():
    """25 fresh safe worlds: P[more than 5 alarms at 5 %] = .001 when the test is exact."""
    alarms = 0
    rng = np.random.default_rng(12)
    for _ in range(25):
        small = [planted.draw(900, rng).dataset() for _ in range(4)]
        alarms += attack_family_only(small) <= 0.05
    assert alarms <= 5


def attack_family_only(datasets: list[Dataset]) -> float:
    from understudy.attacks.challenge import set_up
    from understudy.attacks.family import family_test, strata
    from understudy.attacks.membership import scores

    roles = ("train", "holdout", "reference", "synthetic")
    tables = {role: dataset.table for role, dataset in zip(roles, datasets, strict=True)}
    rng = np.random.default_rng(3)
    challenge = set_up(tables, planted.SCHEMA, rng)
    groups = strata(challenge, rng)
    tried = list(scores(challenge, [], rng))
    return family_test(tried, groups, challenge.is_member, rng, 199).p


def test_shifted_holdout_is_not_exchangeable(real):
    shifted = planted.Rows(real["holdout"].numbers + 1.0, real["holdout"].levels)
    datasets = [real["train"], shifted, real["reference"], real["reference"]]
    found = attack(*(rows.dataset() for rows in datasets), seed=1)
    assert found.as_dict()["exchangeable"]["ok"] is False


def test_same_seed_same_findings(real):
    few = {role: rows.take(np.arange(300)) for role, rows in real.items()}
    synthetic = few["reference"].take(np.arange(200))
    found = audit(few, synthetic).as_dict()
    assert found == audit(few, synthetic).as_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert set(found) == {
        "format", "unit", "control_rows", "exchangeable", "copies", "closeness", "attacks",
        "strata", "family", "best", "singling_out", "linkability", "inference", "inference_worst",
        "white_box", "shadow", "power", "notes",
    }  # fmt: skip
    assert 0.5 < found["power"]["smallest_auc"] < 0.7
