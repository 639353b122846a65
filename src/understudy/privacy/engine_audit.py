"""Is an engine's noise as large as it says? One training with canaries, and what they prove.

Replay shows that nothing leaves around the mechanisms; this shows how much leaves through them.
The engine is trained once on a crowd and on those of two thousand canaries whose coin fell that
way, with real noise. Each canary is then scored from what came out, blind to the coins, and the
scores give a lower bound on epsilon (Steinke, Nasr & Jagielski 2023; see `audit`), printed beside
what the engine's events cost by one accountant and by a second.

Three scores: a matched filter over all noisy tables (each cell that a canary touches, less what the
crowd and a fair coin of every canary lead one to expect, weighted by how far such cells scatter);
the same less a second training of the auditor's own, on the crowd alone, which takes noise away
that is the same in every run; and how often the canary's level is among rows drawn from the model.
The first two are sums of many noises and read as Gaussian too, the third is not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from understudy.contracts import Model, Synthesizer
from understudy.data import Dataset
from understudy.errors import EngineError
from understudy.privacy.accountant import epsilon_of
from understudy.privacy.audit import Audit, audit
from understudy.privacy.budget import Budget
from understudy.privacy.canary_rows import (
    OWN,
    TARGET,
    canaries,
    crowd,
    level_of,
    one_by_one,
    schema_for,
    together,
)
from understudy.privacy.canary_session import CanarySession, Seen
from understudy.privacy.noise import Floats, NoiseStream, SecureNoise
from understudy.privacy.second_accountant import SecondOpinion, second_opinion

CANARIES = 2_000
"""Half the noise at a claim of 1 shows in 19 audits of 20, with 1,000 canaries in 15."""
BUDGET = Budget(3.0, 1e-6)
ALARMS = 0.001
"""A sound engine is called broken once in so many audits: people run them again and again."""
DRAWN = 20
"""Rows drawn from the model, per canary."""
TINY = 1e-12
FILTER, OWN_RUN, DRAWN_ROWS = "noisy tables", "noisy tables, less another run's", "rows drawn"
SLACK = 1 + 1e-9


@dataclass(frozen=True)
class EngineAudit:
    """What canaries prove of an engine, beside its claim; `second` bounds the claim otherwise."""

    subject: str
    asked: Budget
    """What the engine was told to keep within."""
    found: Audit
    second: SecondOpinion

    @property
    def overspent(self) -> bool:
        return self.found.claim.epsilon > self.asked.epsilon * SLACK

    @property
    def kept(self) -> bool:
        """False where canaries prove more than the claim, or the claim is wrong in itself."""
        wrong = self.second.contradicts(self.found.claim.epsilon)
        return not (self.found.broken or self.overspent or wrong)

    def sentences(self) -> list[str]:
        """For people: the bounds beside the claim, then what is wrong, if anything is."""
        found, claim = self.found, self.found.claim.epsilon
        shift = "" if found.gaussian is None else f" (by the shift of scores {found.gaussian:.2f})"
        told = [
            f"{self.subject}: {found.canaries:,} canaries prove epsilon >= {found.proven:.2f}"
            f"{shift}; claimed {claim:.3f} at delta {found.claim.delta:.0e}, by a second "
            f"accountant {self.second.low:.3f} to {self.second.high:.3f}."
        ]
        if found.broken:
            told.append(f"The noise is too small: {found.because} proves more than was claimed.")
        if self.overspent:
            told.append(f"The engine was to keep to epsilon {self.asked.epsilon:g} and did not.")
        if self.second.contradicts(claim):
            told.append("The two accountants disagree: the claim is below what the events cost.")
        return told if self.kept else [*told, "NOT PRIVATE as it stands."]

    def as_dict(self) -> dict[str, Any]:
        return {
            "kept": self.kept,
            "subject": self.subject,
            "asked": {"epsilon": self.asked.epsilon, "delta": self.asked.delta},
            **self.found.as_dict(),
            "second_accountant": self.second.as_dict(),
        }


def audit_engine(
    engine: Synthesizer,
    *,
    budget: Budget = BUDGET,
    count: int = CANARIES,
    alarms: float = ALARMS,
    noise: Callable[[], NoiseStream] = SecureNoise,
    subject: str = "",
) -> EngineAudit:
    """Trains `engine` with `count` canaries, each in by a fair coin, and says what they prove.

    The rows are made up (see `canary_rows`): nobody's data are touched, nothing is charged. An
    engine that has a target and was given none predicts one of their columns. A sound engine is
    called broken in a share `alarms` of audits at most. `noise` makes the streams of a training;
    tests hand in seeded ones. Raises `EngineError` for an engine that asks nothing through its
    session, and passes on what it raises itself.
    """
    schema = schema_for(count)
    engine = _aimed(engine)
    member = noise().coins(count, 0.5)
    people = crowd(schema)
    inside = together(people, canaries(schema, np.flatnonzero(member)))
    everyone = one_by_one(canaries(schema, np.arange(count)))
    watched = CanarySession(budget, noise(), [people, *everyone])
    model = engine.fit(inside, privacy=watched)
    if not watched.spent:
        raise EngineError(
            f"{subject or type(engine).__name__} asked nothing through its session, so there is "
            "nothing to audit. Look at rows through `session.admit(dataset)` only."
        )
    other = CanarySession(budget, noise(), [people])
    engine.fit(people, privacy=other)
    scores: dict[str, Floats] = {}
    if watched.seen:
        scores[FILTER] = filtered(watched.seen, count)
        scores[OWN_RUN] = filtered(watched.seen, count, other.seen)
    normal = list(scores)
    scores[DRAWN_ROWS] = _drawn(model, count)
    claim = Budget(epsilon_of(watched.spent, budget.delta), budget.delta)
    found = audit(scores, member, claim, gaussian=normal, alarms=alarms)
    opinion = second_opinion(watched.spent, budget.delta)
    return EngineAudit(subject or type(engine).__name__, budget, found, opinion)


def filtered(
    seen: Mapping[str, Seen], count: int, less: Mapping[str, Seen] | None = None
) -> Floats:
    """float64[count]: how much the answers look as if each canary were in.

    With `less`, what another run answered to the same query is taken off, and queries that it asked
    over other cells are left out.
    """
    score = np.zeros(count)
    for query, one in seen.items():
        expected = one.crowd + 0.5 * one.canaries.sum(axis=0)
        left = one.answer - expected
        if less is not None:
            again = less.get(query)
            if again is None or len(again.answer) != len(one.answer):
                continue
            left = left - (again.answer - again.crowd)
        touched = one.canaries.any(axis=0)
        if touched.any():
            spread = float(np.square(left[touched]).mean())
            score += one.canaries @ left / (spread + TINY)
    return score


def _drawn(model: Model, count: int) -> Floats:
    """How often each canary's level is among rows drawn from the model."""
    made: Dataset = model.sample(DRAWN * count, seed=1)
    place = {level_of(number): number for number in range(count)}
    found = np.zeros(count)
    for entry in made.table[OWN].value_counts().to_pylist():
        number = place.get(entry["values"])
        if number is not None:
            found[number] += entry["counts"]
    return found


def _aimed(engine: Synthesizer) -> Synthesizer:
    """The engine with the target that the rows have, so that its tables by target are tried too."""
    known: dict[str, Any] = getattr(engine, "get_params", dict)()
    if "target" not in known or known["target"] is not None:
        return engine
    aimed: Synthesizer = engine.set_params(target=TARGET)  # type: ignore[attr-defined]
    return aimed
