"""Membership inference: can an attacker tell who was in the training data?

Three scores, in the linear and in the rank space, none of which uses a label: `-d1(x, S)` for an
attacker who holds only the synthetic table; `log d1(x, R) - log d1(x, S)` and the same with the
fifth neighbour, density ratios, for one who also holds a reference sample. Power at low false
positive rates is measured with the threshold from one half of the non-members and the false
positive rate realised on the other half.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.attacks.challenge import Challenge
from understudy.evaluation.statistics import Estimate, Floats, clopper_pearson, delong

TINY = 1e-6
"""Added to distances before their logarithm."""
ROC_POINTS = 60


@dataclass(frozen=True)
class Attacker:
    """Who attacks: what is known beforehand, what is seen of the release, what it takes."""

    knows: str
    access: str
    cost: str

    def as_dict(self) -> dict[str, str]:
        return {"knows": self.knows, "access": self.access, "cost": self.cost}


OUTSIDER = Attacker(
    "the full record of the person looked for",
    "the synthetic table",
    "one nearest-neighbour search; seconds on a laptop",
)
INFORMED = Attacker(
    "the full record of the person looked for, and a sample of the same population",
    "the synthetic table",
    "two nearest-neighbour searches; seconds on a laptop",
)


@dataclass(frozen=True)
class Score:
    """An attack before it is judged: one number per pooled row, higher says member."""

    name: str
    attacker: Attacker
    values: Floats


@dataclass(frozen=True)
class Membership:
    """An attack judged on all challenged rows."""

    name: str
    attacker: Attacker
    auc: Estimate
    tpr_at_1: Estimate
    realised_fpr: float
    roc: tuple[tuple[float, float], ...]

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "attacker": self.attacker.as_dict(),
            "auc": self.auc.value,
            "auc_low": self.auc.low,
            "auc_high": self.auc.high,
            "tpr_at_1": self.tpr_at_1.value,
            "tpr_at_1_low": self.tpr_at_1.low,
            "tpr_at_1_high": self.tpr_at_1.high,
            "realised_fpr": self.realised_fpr,
            "roc": self.roc,
            "stratum": "all",
        }


def scores(challenge: Challenge) -> Iterator[Score]:
    """Every attack's scores of the pooled rows."""
    for space, found in (("values", challenge.values), ("ranks", challenge.ranks)):
        ours, theirs = found.to_synthetic, found.to_reference
        yield Score(f"nearest synthetic row ({space})", OUTSIDER, -ours.to(1))
        for k, name in ((1, "nearest-row ratio"), (5, "neighbourhood ratio")):
            ratio = np.log(theirs.to(k) + TINY) - np.log(ours.to(k) + TINY)
            yield Score(f"{name} ({space})", INFORMED, ratio)


def judge(score: Score, is_member: NDArray[np.bool_]) -> Membership:
    """AUC and power of one attack over all challenged rows."""
    members, others = score.values[is_member], score.values[~is_member]
    power, realised = power_at(members, others, 0.01)
    return Membership(
        score.name, score.attacker, delong(members, others), power, realised, roc(members, others)
    )


def power_at(members: Floats, others: Floats, rate: float) -> tuple[Estimate, float]:
    """True positive rate at a false positive rate of `rate`, with its exact 95 % interval, and the
    false positive rate realised on the non-members that did not set the threshold.

    Every second non-member sets the threshold, their upper `rate` quantile. Of rows that tie with
    it the share is flagged that exhausts `rate`, so that crowded scores keep the rate asked for.
    """
    setting, checking = others[::2], others[1::2]
    threshold = np.quantile(setting, 1 - rate, method="higher")
    room = rate * len(setting) - (setting > threshold).sum()
    share = min(1.0, max(0.0, room / (setting == threshold).sum()))

    def flagged(scores: Floats) -> float:
        return float((scores > threshold).sum() + share * (scores == threshold).sum())

    realised = flagged(checking) / len(checking) if len(checking) else float("nan")
    return clopper_pearson(round(flagged(members)), len(members)), realised


def roc(members: Floats, others: Floats) -> tuple[tuple[float, float], ...]:
    """(false, true) positive rates, at most `ROC_POINTS`, spaced evenly in the log of the first."""
    falls = np.sort(others)
    wanted = np.geomspace(1 / len(others), 1.0, ROC_POINTS - 1)
    allowed = np.unique(np.minimum((wanted * len(others)).astype(int), len(others) - 1))
    thresholds = falls[len(others) - 1 - allowed]
    rise = np.sort(members)
    true = 1 - np.searchsorted(rise, thresholds, side="right") / len(members)
    false = 1 - np.searchsorted(falls, thresholds, side="right") / len(others)
    points = [(float(f), float(t)) for f, t in zip(false, true, strict=True)]
    return (*points, (1.0, 1.0))
