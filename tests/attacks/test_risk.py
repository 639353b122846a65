from __future__ import annotations

import numpy as np
import pytest

from understudy.attacks.inference import controlled
from understudy.attacks.risk import advantage, compare
from understudy.evaluation.statistics import share_difference


def hits(count: int, trials: int) -> np.ndarray:
    return np.arange(trials) < count


def test_residual_is_the_excess_over_what_the_control_leaves_open():
    risk = compare(hits(60, 100), hits(20, 100))
    assert risk.residual.value == pytest.approx(0.4 / 0.8)
    newcombe = share_difference(60, 100, 20, 100)
    assert risk.excess == newcombe
    assert risk.residual.low == pytest.approx(newcombe.low / 0.8)


def test_a_perfect_control_leaves_nothing_to_gain():
    risk = compare(hits(100, 100), hits(100, 100))
    assert np.isnan(risk.residual.value)
    assert (risk.residual.low, risk.residual.high) == (-1.0, 1.0)


def test_tries_on_one_person_count_once():
    """Ten tries each on ten people, all alike within a person: ten tries' worth."""
    own = np.repeat(np.arange(10), 10)
    attack, control = own < 5, own < 2
    alone = compare(hits(5, 10), hits(2, 10))
    together = compare(attack, control, (own, own))
    assert together.attack.low == pytest.approx(alone.attack.low)
    assert together.excess.high == pytest.approx(alone.excess.high)
    assert together.tries == 100


def test_advantage_covers_zero_19_times_in_20():
    """400 harmless contrasts; P[more than 34 misses at 5 %] = .001."""
    rng = np.random.default_rng(0)
    misses = 0
    for _ in range(400):
        a, b = (rng.integers(-1, 2, 200).astype(float) for _ in range(2))
        own = np.arange(200)
        found = advantage(a, b, (own, own))
        misses += not found.low <= 0 <= found.high
    assert misses <= 34


def test_control_variate_takes_out_what_the_reference_explains():
    rng = np.random.default_rng(1)
    easy = rng.random(20_000) < 0.8
    made = easy ^ (rng.random(20_000) < 0.05)
    known = easy ^ (rng.random(20_000) < 0.05)
    gain = controlled(made, known)
    assert gain.mean() == pytest.approx(made.mean())
    assert gain.var() < 0.6 * made.var()
