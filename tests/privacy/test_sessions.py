"""Sessions without the ledger answer as they should and say that they protect nobody."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from understudy.errors import BudgetError, EngineError
from understudy.privacy.budget import Budget
from understudy.privacy.events import Exponential, Gaussian
from understudy.privacy.mechanisms import (
    AboveThreshold,
    Bounds,
    Choice,
    NoisyCounts,
    NoisyTotal,
    StableHistogram,
    magnitudes,
    tally,
)
from understudy.privacy.replay_example import example
from understudy.privacy.sessions import OpenSession, SeededSession

COUNTS = np.array([[3, 0], [2**60 + 1, 7]])


def test_open_session_answers_exactly_in_the_mechanism_s_form() -> None:
    session = OpenSession()
    assert np.array_equal(session.release("counts", NoisyCounts(9.0), COUNTS), COUNTS)
    assert session.release("total", NoisyTotal(9.0), np.array([41])).tolist() == [41]
    best = session.release("best", Choice(0.1), np.array([1.0, 3.0, 2.0]))
    assert (best.tolist(), best.dtype) == ([1], np.int64)
    hit = session.release("hit", AboveThreshold(0.1, 2.0), np.array([1.0, 3.0, 2.0]))
    assert hit.tolist() == [1]
    labels = session.release("labels", StableHistogram(9.0, 1e-9), tally(["a", "b", "a"]))
    assert labels.tolist() == [("a", 2), ("b", 1)]
    bounds = session.release("bounds", Bounds(9.0), magnitudes(np.array([3.0, -5.0])))
    assert bounds.tolist() == [-8.0, 4.0]
    assert session.spent == ()
    assert not session.private


@pytest.mark.parametrize("session", [OpenSession(), SeededSession(Budget(100.0), 0)])
def test_a_name_means_one_query(session: OpenSession | SeededSession) -> None:
    first = session.release("rows", NoisyTotal(5.0), np.array([400]))
    kept = first.copy()
    first[0] = -1
    spent = session.spent
    assert session.release("rows", NoisyTotal(5.0), np.array([999])) == kept
    assert session.spent == spent
    with pytest.raises(EngineError, match="asked twice with different parameters"):
        session.release("rows", NoisyTotal(6.0), np.array([400]))


def test_seeded_session_repeats_and_keeps_its_budget() -> None:
    one, same, other = (SeededSession(Budget(1.0, 1e-6), seed) for seed in (1, 1, 2))
    mechanism = NoisyCounts(10.0)
    answers = [s.release("counts", mechanism, COUNTS) for s in (one, same, other)]
    assert np.array_equal(answers[0], answers[1])
    assert not np.array_equal(answers[0], answers[2])
    one.release("best", Choice(0.1), np.array([1.0, 2.0]))
    assert one.spent == (Gaussian(10.0), Exponential(0.1))
    with pytest.raises(BudgetError, match="does not fit"):
        one.release("more", NoisyCounts(1.0), COUNTS)
    assert one.spent == (Gaussian(10.0), Exponential(0.1))
    assert not one.private


def test_rows_stay_behind_the_door() -> None:
    @dataclass(frozen=True)
    class Door:
        session: OpenSession | SeededSession

    for session in (OpenSession(), SeededSession(Budget(5.0, 1e-6), 0)):
        rows = session.admit(example())
        assert rows.rows_per_unit == session.rows_per_unit
        assert repr(rows) == "Private(...)"
        answer = rows.map(lambda d: d.num_rows).ask("rows", NoisyTotal(1.0, 3.0), np.array)
        assert abs(int(answer) - 400) < 100
