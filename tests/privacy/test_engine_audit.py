"""Canaries find an engine whose noise is not what it says, and leave one alone whose noise is."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
import pytest

from understudy.contracts import Synthesizer
from understudy.errors import EngineError
from understudy.privacy.budget import Budget
from understudy.privacy.canary_rows import (
    ROWS_EACH,
    TARGET,
    canaries,
    crowd,
    one_by_one,
    schema_for,
    together,
)
from understudy.privacy.canary_session import CanarySession
from understudy.privacy.engine_audit import EngineAudit, audit_engine
from understudy.privacy.noise import SeededNoise
from understudy.selfcheck import trainers
from understudy.synthesizers.tabular.marginals import MarginalSynthesizer

RUNS = 4
Change = Callable[[Synthesizer], Synthesizer]


def audited(change: Change, seed: int, *, alarms: float = 0.05, **options: Any) -> EngineAudit:
    """An audit whose coins and noise follow from the seed."""
    seeds = count(1_000 * seed)
    engine = change(MarginalSynthesizer(target=TARGET))
    return audit_engine(engine, alarms=alarms, noise=lambda: SeededNoise(next(seeds)), **options)


@pytest.mark.parametrize(
    "change", [trainers.without_noise, trainers.half_the_noise, trainers.unbounded]
)
def test_too_little_noise_is_found(change: Change) -> None:
    """Found in 100 of 100 runs of `benchmarks/dp_audit.py`; here with the stern level of the
    command, so that less than that shows."""
    assert not any(audited(change, seed, alarms=0.001).kept for seed in range(RUNS))


def test_noise_of_a_known_seed_is_found_by_a_run_of_the_auditors_own() -> None:
    found = audited(trainers.known_seed, 0, alarms=0.001)
    assert not found.kept
    assert "less another run's" in found.found.because
    # All 800 guesses right, the most that 2,000 canaries can prove: see the theorem's closed form.
    assert found.found.proven == pytest.approx(5.58, abs=0.01)


def test_a_sound_engine_is_seldom_called_broken_and_canaries_prove_much_of_its_claim() -> None:
    """At 5 % false alarms allowed, more than 2 of 8 runs have a chance of .6 %; the seeds are
    fixed."""
    found = [audited(trainers.sound, seed) for seed in range(8)]
    assert sum(not one.kept for one in found) <= 2
    assert np.median([one.found.gaussian for one in found]) >= 0.6 * 3.0
    for one in found:
        assert one.found.claim.epsilon == pytest.approx(3.0, rel=1e-3)
        assert one.second.low <= one.found.claim.epsilon <= one.second.high


def test_real_noise_is_drawn_when_nobody_hands_in_a_stream() -> None:
    """A false alarm here has a chance of one in a thousand."""
    first, second = (audit_engine(MarginalSynthesizer(), count=300) for _ in range(2))
    assert first.kept
    assert first.found.as_dict() != second.found.as_dict()


def test_a_unit_is_held_to_its_rows_and_only_sabotage_lets_more_in() -> None:
    schema = schema_for(20)
    everyone = canaries(schema, np.arange(20))
    assert everyone.num_rows == 20 * ROWS_EACH
    inside = together(crowd(schema), everyone)
    session = CanarySession(Budget(1.0, 1e-6), SeededNoise(0), one_by_one(everyone))
    admitted = session.admit(inside)._rows
    assert admitted.num_rows == crowd(schema).num_rows + 20
    every = session.watched(inside, lambda rows: rows)._rows
    assert every.num_rows == inside.num_rows


def test_an_engine_that_spends_more_than_it_was_given_is_not_kept() -> None:
    class Spendthrift:
        def fit(self, dataset: Any, *, privacy: Any = None) -> Any:
            privacy.budget = Budget(6.0, 1e-6)
            return MarginalSynthesizer().fit(dataset, privacy=privacy)

    found = audit_engine(Spendthrift(), count=100)
    assert found.overspent
    assert not found.kept
    assert any("was to keep to epsilon 3" in sentence for sentence in found.sentences())


def test_an_engine_that_goes_round_the_session_cannot_be_audited() -> None:
    class Thief:
        def fit(self, dataset: Any, *, privacy: Any = None) -> Any:
            return MarginalSynthesizer().fit(dataset)

    with pytest.raises(EngineError, match="nothing through its session"):
        audit_engine(Thief(), count=40)


def test_what_is_told_holds_bound_claim_and_second_opinion() -> None:
    found = audited(trainers.half_the_noise, 1)
    told = found.as_dict()
    assert told["kept"] is False
    assert told["claim"]["epsilon"] == pytest.approx(3.0, rel=1e-3)
    assert set(told["second_accountant"]) == {"low", "high"}
    assert "NOT PRIVATE" in found.sentences()[-1]
