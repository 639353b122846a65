"""Does a mechanism keep its promise? Lower bounds on epsilon from canaries of one run.

Canaries are made-up units, each in or out by a coin of its own; the mechanism runs once, and each
gets a score that is meant to be higher when it was in. Whoever runs the mechanism makes them; here
are the statistics, which see scores and coins only.

`one_run_epsilon` is a proof whatever the mechanism (Steinke, Nasr & Jagielski, NeurIPS 2023): with
epsilon as claimed, more right guesses would come up in 5 % of runs at most. Its bound is loose, a
third to nine tenths of the truth, and so finds gross bugs. `shift_epsilon` reads the distance
between the two groups of scores as that of a Gaussian mechanism. It sees a few per cent, and holds
where scores are close to normal, as sums over many steps are.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.errors import EngineError
from understudy.privacy.budget import Budget
from understudy.privacy.loss import gaussian_epsilon
from understudy.privacy.noise import Floats

Mask = NDArray[np.bool_]

CONFIDENCE = 0.95
SHARE = 0.2
"""Of the canaries that are guessed to be in, and as many out; fixed before any label is seen."""
LARGEST = 60.0
"""No bound is sought above."""
LARGEST_SHIFT = 50.0


@dataclass(frozen=True)
class Audit:
    """Lower bounds on epsilon, each at 95 %, and whether they contradict the claim.

    `broken` corrects for having tried several scores and bounds: a mechanism that keeps its promise
    is called broken in 5 % of runs at most, or the share that `audit` was given. `tightness` is the
    larger bound's share of the claim.
    """

    canaries: int
    claim: Budget
    proven: float
    """By the one-run bound, of the best score."""
    gaussian: float | None
    """By the shift between groups; None where it was not asked for."""
    sure: float
    """The largest of all bounds, corrected for having tried them."""
    because: str
    """The score and bound that it comes from."""

    @property
    def broken(self) -> bool:
        return self.sure > self.claim.epsilon

    @property
    def tightness(self) -> float:
        return max(self.proven, self.gaussian or 0.0) / self.claim.epsilon

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "broken": self.broken, "tightness": self.tightness}


def audit(
    scores: Mapping[str, Floats],
    member: Mask,
    claim: Budget,
    *,
    gaussian: bool | Collection[str] = True,
    alarms: float = 1 - CONFIDENCE,
) -> Audit:
    """Compares what `scores` of canaries prove with what is claimed.

    `gaussian` says that each canary's score is close to normal, in and out alike; or names the
    scores of which that is true. A sound mechanism is called broken in a share `alarms` of runs.
    """
    _check(scores, member)
    normal = scores if gaussian is True else gaussian or ()
    tried = [("one run", name, _one_run) for name in scores]
    tried += [("shift", name, _shift) for name in scores if name in normal]
    strict = 1 - alarms / len(tried)
    found = {
        (kind, name): (
            test(scores[name], member, claim, CONFIDENCE),
            test(scores[name], member, claim, strict),
        )
        for kind, name, test in tried
    }
    best = max(found, key=lambda key: found[key][1])
    shifts = [found[key][0] for key in found if key[0] == "shift"]
    return Audit(
        len(member),
        claim,
        max(found[key][0] for key in found if key[0] == "one run"),
        max(shifts) if shifts else None,
        found[best][1],
        f"{best[0]} of {best[1]}",
    )


def one_run_epsilon(
    scores: Floats, member: Mask, delta: float = 0.0, *, confidence: float = CONFIDENCE
) -> float:
    """Epsilon is at least this, with `confidence`; higher scores are guessed to be in.

    The chance of so many right guesses at `epsilon` is P[Bin(r, e^eps / (1 + e^eps)) >= v] and a
    term for delta (their Theorem 5.2); the bound is where it reaches 1 - confidence.
    """
    m = len(scores)
    guesses = max(1, round(SHARE * m))
    order = np.argsort(scores, kind="stable")
    right = int((~member[order[:guesses]]).sum() + member[order[-guesses:]].sum())
    level = 1 - confidence

    def chance(epsilon: float) -> float:
        return _chance(2 * guesses, right, m, epsilon, delta)

    if chance(0.0) >= level:
        return 0.0
    low, high = 0.0, 1.0
    while chance(high) < level:
        low, high = high, high + 1
        if high > LARGEST:
            return LARGEST
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if chance(middle) < level else (low, middle)
    return low


def shift_mu(scores: Floats, member: Mask, *, confidence: float = CONFIDENCE) -> float:
    """The distance between the groups in standard deviations is at least this.

    The standard error of the estimate is that of Hedges & Olkin (1985, eq. 5.14).
    """
    from scipy.special import ndtri

    inside, outside = scores[member], scores[~member]
    distance = float(inside.mean() - outside.mean())
    variance = (inside.var(ddof=1) + outside.var(ddof=1)) / 2
    if variance == 0:
        return LARGEST_SHIFT if distance > 0 else 0.0
    mu = distance / math.sqrt(variance)
    error = math.sqrt(1 / len(inside) + 1 / len(outside) + mu**2 / (2 * len(scores)))
    return min(max(0.0, mu - float(ndtri(confidence)) * error), LARGEST_SHIFT)


def shift_epsilon(
    scores: Floats, member: Mask, delta: float, *, confidence: float = CONFIDENCE
) -> float:
    """The epsilon of a Gaussian mechanism whose outcomes are as far apart as `shift_mu`."""
    mu = shift_mu(scores, member, confidence=confidence)
    return gaussian_epsilon(mu, delta) if mu > 0 else 0.0


def _chance(guesses: int, right: int, m: int, epsilon: float, delta: float) -> float:
    from scipy.special import bdtr, bdtrc

    p = 1 / (1 + math.exp(-epsilon))
    direct = float(bdtrc(right - 1, guesses, p)) if right else 1.0
    if delta == 0 or right == 0:
        return min(1.0, direct)
    i = np.arange(1, right + 1)
    below = np.append(bdtr(right - 1 - i[:-1], guesses, p), 0.0)
    between = bdtr(right - 1, guesses, p) - below
    return min(1.0, direct + 2 * m * delta * float((between / i).max()))


def _one_run(scores: Floats, member: Mask, claim: Budget, confidence: float) -> float:
    return one_run_epsilon(scores, member, claim.delta, confidence=confidence)


def _shift(scores: Floats, member: Mask, claim: Budget, confidence: float) -> float:
    return shift_epsilon(scores, member, claim.delta, confidence=confidence)


def _check(scores: Mapping[str, Floats], member: Mask) -> None:
    if not scores or any(len(values) != len(member) for values in scores.values()):
        raise EngineError("an audit needs a score for each canary.")
    inside = int(member.sum())
    if min(inside, len(member) - inside) < 10:
        raise EngineError(
            f"an audit needs at least ten canaries on either side, found {inside} in and "
            f"{len(member) - inside} out. Take 1,000."
        )
