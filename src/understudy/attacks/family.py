"""One p value for all attacks: a permutation test of their maximum over attacks and strata.

Leaks hide in few rows, so every attack is also judged where records are most unlike the others.
Trying many attacks on many strata would find something by chance; the maximum of the standardised
statistics under permuted labels says how much. The test is exact when members and others are
exchangeable given the synthetic and reference tables (Westfall & Young 1993).

Members score higher where a table leaks. They score lower where whoever made it removed the rows
near them, which tells as much, so ranks are judged on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.attacks.challenge import Challenge
from understudy.attacks.membership import Score, power_at
from understudy.evaluation.statistics import Estimate, Floats, delong, midranks

PERMUTATIONS = 999
FEWEST_A_SIDE = 400
MARGIN = 40
"""Rows a side beyond that, as a stratum's sides are equal on average only."""
TOP_SHARES = (0.01, 0.05)
FEWEST_ON_TOP = 5
BLOCK = 111


@dataclass(frozen=True)
class Stratum:
    """Rows of the pool (boolean [m]) that an attack is judged on."""

    name: str
    rows: NDArray[np.bool_]


@dataclass(frozen=True)
class StratumResult:
    """One attack on one stratum. `p` (members score higher) and `p_lower` (they score lower) are
    corrected for all attacks, strata and sides tried.
    """

    attack: str
    stratum: str
    members: int
    others: int
    auc: Estimate
    tpr_at_5: Estimate
    p: float
    p_lower: float

    def as_dict(self) -> dict[str, Any]:
        return {
            "attack": self.attack,
            "stratum": self.stratum,
            "members": self.members,
            "others": self.others,
            "auc": self.auc.value,
            "auc_low": self.auc.low,
            "auc_high": self.auc.high,
            "tpr_at_5": self.tpr_at_5.value,
            "tpr_at_5_low": self.tpr_at_5.low,
            "tpr_at_5_high": self.tpr_at_5.high,
            "p": self.p,
            "p_lower": self.p_lower,
        }


@dataclass(frozen=True)
class Family:
    """The verdict over all attacks. `threshold`: 95 % point of the maximum under the null."""

    p: float
    strongest: str
    z: float
    threshold: float
    strata: tuple[StratumResult, ...]

    def as_dict(self) -> dict[str, Any]:
        return {
            "p": self.p,
            "strongest": self.strongest,
            "z": self.z,
            "threshold": self.threshold,
        }


def strata(
    challenge: Challenge,
    rng: np.random.Generator,
    named: Mapping[str, NDArray[np.bool_]] | None = None,
) -> list[Stratum]:
    """All units, the most outlying tenth and hundredth (each at least 400 units a side), and the
    groups that somebody `named`, as masks over the units.

    Outlierness is the mean distance to the five nearest reference rows. Ties are broken by a random
    key, since the pool lists members first and position would leak the label.
    """
    outlierness = challenge.outlierness
    m = len(outlierness)
    order = np.lexsort((rng.random(m), -outlierness))
    found = [Stratum("all", np.ones(m, bool))]
    for share, name in ((0.10, "top 10 %"), (0.01, "top 1 %")):
        size = max(int(np.ceil(share * m)), 2 * (FEWEST_A_SIDE + MARGIN))
        if size > m // 2 or size >= found[-1].rows.sum():
            continue
        rows = np.zeros(m, bool)
        rows[order[:size]] = True
        actual = size / m
        label = name if size == int(np.ceil(share * m)) else f"top {100 * actual:.1f} %"
        found.append(Stratum(f"{label} most unusual", rows))
    found += [Stratum(name, rows) for name, rows in (named or {}).items() if rows.any()]
    return found


def family_test(
    scores: Sequence[Score],
    groups: Sequence[Stratum],
    is_member: NDArray[np.bool_],
    rng: np.random.Generator,
    permutations: int = PERMUTATIONS,
) -> Family:
    """Tests every score on every stratum at once; ranks on both sides, shares on top on one."""
    names: list[tuple[str, str, str]] = []
    weights: list[Floats] = []
    for score in scores:
        for group in groups:
            for kind, weight in _statistics(score.values, group.rows):
                names.append((score.name, group.name, kind))
                weights.append(weight)
    matrix = np.stack(weights)
    spread = np.sqrt((matrix**2).sum(axis=1))
    matrix /= np.where(spread > 0, spread, 1.0)[:, None]
    m, share = len(is_member), float(is_member.mean())
    # Exact variance of a weighted sum of centred labels under permutation; the weights sum to 0.
    scale = np.sqrt(share * (1 - share) * m / (m - 1))
    labels = is_member.astype(np.float64) - share
    z = matrix @ labels / scale
    two_sided = np.array([kind == "AUC" for _, _, kind in names])
    maxima = _null_maxima(matrix, two_sided, labels, rng, permutations) / scale
    strength = np.where(two_sided, np.abs(z), z)
    best = int(np.argmax(strength))
    attack, stratum, kind = names[best]

    def corrected(value: float) -> float:
        return float((1 + (maxima >= value).sum()) / (permutations + 1))

    results = []
    for score in scores:
        for group in groups:
            own = np.array([name[:2] == (score.name, group.name) for name in names])
            higher, lower = z[own].max(), (-z[own & two_sided]).max()
            ps = corrected(higher), corrected(lower)
            results.append(_on_stratum(score, group, is_member, *ps))
    side = "" if z[best] >= 0 else ", where members score lower"
    return Family(
        corrected(strength[best]),
        f"{kind} of {attack} among {stratum}{side}",
        float(z[best]),
        float(np.quantile(maxima, 0.95)),
        tuple(results),
    )


def _statistics(values: Floats, rows: NDArray[np.bool_]) -> list[tuple[str, Floats]]:
    """Weights over the pool, each summing to zero: ranks (AUC), and membership of the very top."""
    inside = values[rows]
    count = len(inside)
    found = [("AUC", _spread_out(midranks(inside), rows))]
    for top in TOP_SHARES:
        if top * count < FEWEST_ON_TOP:
            continue
        above = inside > np.quantile(inside, 1 - top)
        if above.any():
            found.append((f"top {top:.0%}", _spread_out(above.astype(np.float64), rows)))
    return found


def _spread_out(inside: Floats, rows: NDArray[np.bool_]) -> Floats:
    weights = np.zeros(len(rows))
    weights[rows] = inside - inside.mean()
    return weights


def _null_maxima(
    matrix: Floats,
    two_sided: NDArray[np.bool_],
    labels: Floats,
    rng: np.random.Generator,
    permutations: int,
) -> Floats:
    maxima = np.empty(permutations)
    small = matrix.astype(np.float32)
    for start in range(0, permutations, BLOCK):
        count = min(BLOCK, permutations - start)
        shuffled = np.tile(labels.astype(np.float32), (count, 1))
        rng.permuted(shuffled, axis=1, out=shuffled)
        found = small @ shuffled.T
        np.abs(found, out=found, where=two_sided[:, None])
        maxima[start : start + count] = found.max(axis=0)
    return maxima


def _on_stratum(
    score: Score, group: Stratum, is_member: NDArray[np.bool_], p: float, p_lower: float
) -> StratumResult:
    members = score.values[group.rows & is_member]
    others = score.values[group.rows & ~is_member]
    if min(len(members), len(others)) < 2:
        nothing = Estimate(float("nan"), 0.0, 1.0)
        measured = nothing, nothing
    else:
        measured = delong(members, others), power_at(members, others, 0.05)[0]
    sizes = len(members), len(others)
    return StratumResult(score.name, group.name, *sizes, *measured, p, p_lower)
