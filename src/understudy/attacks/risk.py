"""Success against people learnt from, beside success against people never seen.

A predictive column is guessed right for anybody, so a rate of success says nothing by itself. What
counts is how much better an attack does on members than on others (the control), as the share of
what chance leaves open: `(attack - control) / (1 - control)` (Giomi et al. 2023, Anonymeter,
arXiv:2211.10459). Both rates come as shares of so many tries, their difference with Newcombe's
interval. Tries that hang on one unit are one piece of evidence, so the numbers of tries are reduced
by the design effect (Kish 1965).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.evaluation.statistics import Estimate, Floats, clopper_pearson, share_difference

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Risk:
    """Shares of tries that succeed on members (`attack`) and on others (`control`)."""

    attack: Estimate
    control: Estimate
    tries: int
    excess: Estimate

    @property
    def residual(self) -> Estimate:
        """The excess as a share of what the control leaves open."""
        room = 1 - self.control.value
        if not room > 0:
            return Estimate(float("nan"), -1.0, 1.0)
        low, high = (max(-1.0, min(1.0, end / room)) for end in (self.excess.low, self.excess.high))
        return Estimate(self.excess.value / room, low, high)

    def as_dict(self) -> dict[str, Any]:
        return {
            "tries": self.tries,
            **ends("attack", self.attack),
            **ends("control", self.control),
            **ends("excess", self.excess),
            **ends("residual", self.residual),
        }


def ends(name: str, estimate: Estimate) -> dict[str, float]:
    """`estimate` as three keys of a JSON object."""
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def compare(
    attack: Bools, control: Bools, units: Sequence[NDArray[np.int64]] | None = None
) -> Risk:
    """Risk from single tries; `units` say on whom each try of either side hangs."""
    owners = units if units is not None else (np.arange(len(attack)), np.arange(len(control)))
    sides = [_effective(hits, owner) for hits, owner in zip((attack, control), owners, strict=True)]
    (hits_a, n_a), (hits_c, n_c) = sides
    return Risk(
        clopper_pearson(hits_a, n_a),
        clopper_pearson(hits_c, n_c),
        len(attack),
        share_difference(hits_a, n_a, hits_c, n_c),
    )


def _effective(hits: Bools, owner: NDArray[np.int64]) -> tuple[int, int]:
    """Hits and tries worth as much as independent ones."""
    if len(hits) == 0:
        return 0, 0
    share = float(hits.mean())
    simple = len(hits) * share * (1 - share)
    sums = np.bincount(owner, hits - share)
    effect = max(1.0, float((sums**2).sum()) / simple) if simple > 0 else 1.0
    tries = max(1, round(len(hits) / effect))
    return round(share * tries), tries


def advantage(
    gain_members: Floats,
    gain_others: Floats,
    units: tuple[NDArray[np.int64], NDArray[np.int64]],
    z: float = 1.96,
) -> Estimate:
    """Difference of two means with `z` standard errors, clustered by unit."""
    value = float(gain_members.mean() - gain_others.mean())
    variance = 0.0
    for gain, owner in zip((gain_members, gain_others), units, strict=True):
        sums = np.bincount(owner, gain - gain.mean())
        variance += float((sums**2).sum()) / len(gain) ** 2
    # Rule of three: no disagreement at all among n people still leaves about 3 / n.
    error = max(z * float(np.sqrt(variance)), 3.0 / min(len(gain_members), len(gain_others)))
    return Estimate(value, value - error, value + error)
