"""The best attack, without the luck of having been picked.

The best of twenty harmless attacks looks dangerous by chance, so its own interval says too much.
Here the attack that does best on one half of the records is judged on the other half, and the other
way round: what an attacker would gain who learns from known cases which attack to use. The bounds
of the gate are held against this; each attack's own figures stand beside it, and convict alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.attacks.family import FEWEST_A_SIDE, Stratum
from understudy.attacks.membership import Score, flagged, threshold_at
from understudy.evaluation.statistics import Estimate, auc, clopper_pearson, delong

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Best:
    """`attacks`: what each half chose."""

    stratum: str
    measure: str
    attacks: tuple[str, str]
    found: Estimate

    def as_dict(self) -> dict[str, Any]:
        return {
            "stratum": self.stratum,
            "measure": self.measure,
            "attacks": list(self.attacks),
            "value": self.found.value,
            "low": self.found.low,
            "high": self.found.high,
        }


def best(tried: Sequence[Score], groups: Sequence[Stratum], is_member: Bools) -> tuple[Best, ...]:
    """AUC and power at 1 % over all units, power at 5 % in each group that is large enough."""
    found = []
    for group in groups:
        sides = np.flatnonzero(group.rows & is_member), np.flatnonzero(group.rows & ~is_member)
        whole = bool(group.rows.all())
        if min(map(len, sides)) < (4 if whole else 2 * FEWEST_A_SIDE // 3):
            continue
        if whole:
            found.append(_by_auc(tried, sides, group.name))
            found.append(_by_power(tried, sides, group.name, 0.01))
        found.append(_by_power(tried, sides, group.name, 0.05))
    return tuple(found)


Sides = tuple[NDArray[np.intp], NDArray[np.intp]]


def _by_auc(tried: Sequence[Score], sides: Sides, stratum: str) -> Best:
    chosen, judged = [], []
    for half in (0, 1):
        members, others = (side[half::2] for side in sides)
        pick = max(tried, key=lambda score: auc(score.values[members], score.values[others]))
        members, others = (side[1 - half :: 2] for side in sides)
        judged.append(delong(pick.values[members], pick.values[others]))
        chosen.append(pick.name)
    value = (judged[0].value + judged[1].value) / 2
    error = float(np.hypot(*(one.value - one.low for one in judged))) / 2
    interval = Estimate(value, max(0.0, value - error), min(1.0, value + error))
    return Best(stratum, "auc", (chosen[0], chosen[1]), interval)


def _by_power(tried: Sequence[Score], sides: Sides, stratum: str, rate: float) -> Best:
    chosen, hits = [], 0.0
    for half in (0, 1):
        members, others = (side[half::2] for side in sides)
        judged = sides[0][1 - half :: 2]

        def power(score: Score, rows: NDArray[np.intp], others: NDArray[np.intp] = others) -> float:
            return flagged(score.values[rows], *threshold_at(score.values[others], rate))

        pick = max(tried, key=lambda score: power(score, members))
        hits += power(pick, judged)
        chosen.append(pick.name)
    share = clopper_pearson(round(hits), len(sides[0]))
    return Best(stratum, f"tpr_at_{100 * rate:.0f}", (chosen[0], chosen[1]), share)
