"""How well may the best attack do? An upper bound for acquittal, over all attacks at once.

The best of twenty attacks is not known: the one that looks best was partly lucky, and the one that
is best may have been unlucky. But whichever it is, its own 95 % upper bound covers it in 95 % of
audits, and the largest of all attacks' upper bounds is at least as large. So no attack need be
chosen, nothing is corrected for having tried many, and the bound holds however they hang together.
It is dear where many unlike attacks all find nothing, by one to two standard errors. Choosing on
one half of the records and judging on the other, which costs less, covers the attack chosen and not
the best: at 1,000 members and one attack of thirteen with an AUC of .53, it fell below .53 in 36
audits of 100 (see tests).

The bounds of the gate are held against this; each attack's own figures stand beside it, and convict
alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.attacks.family import FEWEST_A_SIDE, Stratum
from understudy.attacks.membership import Score, flagged, threshold_at
from understudy.evaluation.statistics import Estimate, Floats, clopper_pearson, delong

Bools = NDArray[np.bool_]
ONE_SIDED = 1.645
"""Normal quantile of a one-sided 95 % bound."""


@dataclass(frozen=True)
class Best:
    """The attack with the largest upper bound. `low` and `high` are one-sided 95 % bounds each."""

    stratum: str
    measure: str
    attack: str
    found: Estimate

    def as_dict(self) -> dict[str, Any]:
        return {
            "stratum": self.stratum,
            "measure": self.measure,
            "attacks": [self.attack],
            "value": self.found.value,
            "low": self.found.low,
            "high": self.found.high,
        }


def best(tried: Sequence[Score], groups: Sequence[Stratum], is_member: Bools) -> tuple[Best, ...]:
    """AUC and power at 1 % over all units, power at 5 % in each group that is large enough."""
    found = []
    for group in groups:
        sides = group.rows & is_member, group.rows & ~is_member
        whole = bool(group.rows.all())
        if min(int(side.sum()) for side in sides) < (2 if whole else 2 * FEWEST_A_SIDE // 3):
            continue
        pairs = {score.name: tuple(score.values[side] for side in sides) for score in tried}
        if whole:
            aucs = {name: delong(*pair, z=ONE_SIDED) for name, pair in pairs.items()}
            found.append(_highest(group.name, "auc", aucs))
        for rate in (0.01, 0.05) if whole else (0.05,):
            powers = {name: power_bounds(*pair, rate) for name, pair in pairs.items()}
            found.append(_highest(group.name, f"tpr_at_{100 * rate:.0f}", powers))
    return tuple(found)


def power_bounds(members: Floats, others: Floats, rate: float) -> Estimate:
    """True positive rate at a false positive rate of `rate`, with one-sided 95 % bounds.

    The threshold is the others' upper quantile, itself a guess: where its true rate is off by a
    little, power is off by that times the slope of the ROC curve. So the members count as fewer, as
    many as give a binomial share the variance of both together.
    """
    n, m = len(members), len(others)
    share = flagged(members, *threshold_at(others, rate)) / n
    near = [flagged(members, *threshold_at(others, at)) / n for at in (rate / 2, 2 * rate)]
    slope = max(1.0, (near[1] - near[0]) / (1.5 * rate))
    binomial = max(share * (1 - share), rate * (1 - rate)) / n
    of_threshold = slope**2 * rate * (1 - rate) / m
    worth = n * binomial / (binomial + of_threshold)
    return clopper_pearson(share * worth, worth, level=0.90)


def _highest(stratum: str, measure: str, found: dict[str, Estimate]) -> Best:
    name = max(found, key=lambda attack: found[attack].high)
    return Best(stratum, measure, name, found[name])
