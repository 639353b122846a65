"""Attribute inference: does the synthetic table tell more about its people than about others?

Every column in turn is the secret and the rest is known. Two attackers guess it: one trains a model
on the synthetic rows, one takes the cell of the synthetic row nearest by half of the columns. Both
are judged on members against others, because a predictive column is guessed right for anybody, and
beside the same attacker with real reference rows instead, because what any sample of the population
tells is no leak of this table.

`advantage` is the excess on members over others once the luck of the draw is taken out: what the
reference attacker guesses right on the same people serves as a control variate (Lavenberg & Welch
1981), which no leak of this table can move. The secret that gains most on one half of the people is
judged on the other half, so that the worst of many tries is not worse by chance.

Numbers are guessed right within a share of the column's usual range, never of the value itself,
which would be met by any guess of the wrong sign.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.attacks.challenge import Challenge
from understudy.attacks.halves import Halves, guesses_of_other_half
from understudy.attacks.learners import Guesses, Learnt
from understudy.attacks.membership import INFORMED, Attacker
from understudy.attacks.risk import Risk, advantage, compare, ends
from understudy.evaluation.statistics import Estimate

LEVEL = 0.05

MODELLING = Attacker(
    "all columns of the person but one, and a sample of the same population",
    INFORMED.access,
    "one model a column; seconds on a laptop",
)
COPYING = Attacker(
    "half of the columns of the person, and a sample of the same population",
    INFORMED.access,
    "one nearest-neighbour search; seconds on a laptop",
)


@dataclass(frozen=True)
class Inference:
    """One secret guessed in one way. `corrected`: the advantage's interval for all tries."""

    secret: str
    method: str
    attacker: Attacker
    risk: Risk
    from_reference: Risk
    advantage: Estimate
    corrected: Estimate
    halves: tuple[Estimate, Estimate]

    def as_dict(self) -> dict[str, Any]:
        reference = self.from_reference
        return {
            "secret": self.secret,
            "method": self.method,
            "attacker": self.attacker.as_dict(),
            **self.risk.as_dict(),
            "reference_attack": reference.attack.value,
            "reference_control": reference.control.value,
            **ends("advantage", self.advantage),
            "corrected_low": self.corrected.low,
            "corrected_high": self.corrected.high,
        }


def infer(
    challenge: Challenge, learnt: Sequence[Learnt], halves: Halves | None
) -> tuple[Inference, ...]:
    """All secrets in both ways, the largest advantage first."""
    from scipy.special import ndtri

    tries = list(_tries(challenge, learnt, halves))
    z = -float(ndtri(LEVEL / 2 / max(1, len(tries))))
    found = [_judged(challenge, *one, z) for one in tries]
    return tuple(sorted(found, key=lambda one: -one.advantage.value))


Try = tuple[str, str, Attacker, Guesses, Guesses, NDArray[np.int64]]


def _tries(challenge: Challenge, learnt: Sequence[Learnt], halves: Halves | None) -> Iterator[Try]:
    everyone = np.arange(len(challenge.unit_of))
    for one in learnt:
        there = everyone[~np.isnan(one.secret.truth)]
        guesses = (_only(guess, there) for guess in (one.synthetic, one.reference))
        yield one.secret.name, "model", MODELLING, *guesses, there  # type: ignore[misc]
    if halves is None:
        return
    for feature, made, known in guesses_of_other_half(halves, challenge):
        present = ~feature.missing("train")[halves.rows]
        there = np.flatnonzero(present)
        yield (
            feature.name,
            "nearest row",
            COPYING,
            _only(made, there),
            _only(known, there),
            halves.rows[there],
        )


def _only(guess: Guesses, rows: NDArray[np.int64]) -> Guesses:
    return Guesses(guess.right[rows], guess.loss[rows])


def _judged(
    challenge: Challenge,
    secret: str,
    method: str,
    attacker: Attacker,
    made: Guesses,
    known: Guesses,
    rows: NDArray[np.int64],
    z: float,
) -> Inference:
    member = rows < challenge.member_rows
    owner = challenge.unit_of[rows]
    units = owner[member], owner[~member]
    gain = controlled(made.right, known.right)

    def over(part: NDArray[np.bool_], z: float = 1.96) -> Estimate:
        ours, theirs = member & part, ~member & part
        return advantage(gain[ours], gain[theirs], (owner[ours], owner[theirs]), z)

    everyone, even = np.ones(len(rows), bool), owner % 2 == 0
    return Inference(
        secret,
        method,
        attacker,
        compare(made.right[member], made.right[~member], units),
        compare(known.right[member], known.right[~member], units),
        over(everyone),
        over(everyone, z),
        (over(even), over(~even)),
    )


def controlled(made: NDArray[np.bool_], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Success less what the reference attacker's success explains of it, over all people."""
    ours, theirs = made.astype(np.float64), known.astype(np.float64)
    spread = theirs.var()
    slope = float(np.cov(ours, theirs, ddof=0)[0, 1] / spread) if spread > 0 else 0.0
    return np.asarray(ours - slope * (theirs - theirs.mean()))


def worst(found: Sequence[Inference]) -> dict[str, Any]:
    """The secret that gains most on one half of the people, judged on the other half, both ways."""
    if not found:
        return {}
    picks = [max(found, key=lambda one: one.halves[half].value) for half in (0, 1)]
    judged = [pick.halves[1 - half] for half, pick in enumerate(picks)]
    value = (judged[0].value + judged[1].value) / 2
    error = float(np.hypot(*(one.value - one.low for one in judged))) / 2
    return {
        "secrets": [pick.secret for pick in picks],
        **ends("advantage", Estimate(value, value - error, value + error)),
    }
