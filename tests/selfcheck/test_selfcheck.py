"""The selfcheck must miss nothing on planted tables, and must itself notice a miss."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from understudy.selfcheck import BUDGET_CASES, CASES, selfcheck
from understudy.selfcheck import generators as g
from understudy.selfcheck.population import draw, samples

BY_CODE = {case.code: case for case in CASES}


def test_codes_are_unique_and_the_fast_subset_has_both_sorts():
    assert len(BY_CODE) == len(CASES)
    fast = [case for case in CASES if case.fast]
    assert {ruling for case in fast for ruling in case.expected} == {
        "PASS", "FAIL", "INCONCLUSIVE"
    }  # fmt: skip


def test_three_cases_come_out_as_planted():
    cases = [BY_CODE[code] for code in ("C1", "C11", "C5a")]
    found = list(selfcheck(rows=1000, cases=cases))
    assert [outcome.ok for outcome in found] == [True] * 3
    assert found[0].as_dict()["line"] == "copies"


def test_trainers_that_cheat_are_found_out_and_the_sound_one_is_not():
    """Noise is seeded, so this passes or fails for good; each audit errs once in a thousand."""
    found = list(selfcheck(rows=100, cases=BUDGET_CASES))
    assert {outcome.case.code for outcome in found if outcome.ok} == {
        "C14a", "C14b", "C14c", "C14d", "C14f", "C15"
    }  # fmt: skip
    assert [outcome.ruling for outcome in found].count("PASS") == 1
    wrong = replace(BUDGET_CASES[0], expected=("PASS",))
    (outcome,) = selfcheck(rows=100, cases=[wrong])
    assert not outcome.ok


def test_a_wrong_verdict_is_a_miss():
    wrong = replace(BY_CODE["C4"], expected=("PASS",))
    (outcome,) = selfcheck(rows=1000, cases=[wrong])
    assert not outcome.ok
    assert outcome.ruling == "FAIL"
    assert any("FAIL for PASS" in miss for miss in outcome.misses)


@pytest.fixture(scope="module")
def real():
    return samples(2000, np.random.default_rng(0))


def test_a_bootstrap_repeats_1_less_1_over_e_of_the_rows(real):
    made = g.memoriser(real, np.random.default_rng(1))
    assert len(np.unique(made.numbers[:, 0])) == pytest.approx(2000 * (1 - np.exp(-1)), rel=0.03)


def test_planted_rows_stand_where_they_are_planted(real):
    rng = np.random.default_rng(2)
    train = set(real.train.numbers[:, 0].tolist())

    def copied(generator) -> int:
        return sum(value in train for value in generator(real, rng).numbers[:, 0].tolist())

    assert copied(g.oracle) == 0
    assert copied(g.outliers_only) == 10
    assert copied(g.verbatim(0.01)) == 20
    assert copied(g.jitter_2) == 0


def test_the_tail_is_dropped_where_it_says_so(real):
    made = g.without_tail(real, np.random.default_rng(3))
    assert len(made) == 2000
    full = g.outlierness(real.holdout, real.reference)
    kept = g.outlierness(made, real.reference)
    assert np.quantile(kept, 0.999) < np.quantile(full, 0.995)


def test_one_row_in_a_hundred_is_far_out():
    rows = draw(50_000, np.random.default_rng(4))
    spread = np.quantile(np.abs(rows.numbers), 0.9, axis=0)
    far = (np.abs(rows.numbers) > 5 * spread).any(axis=1)
    assert 0.003 < far.mean() < 0.01
