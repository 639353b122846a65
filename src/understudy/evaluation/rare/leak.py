"""R11: does nearness tell rare training rows from rare held-out rows?

Four scores that use no label (nearest synthetic row; log ratio of the nearest reference row to
it; the same at the fifth; whether there is a near copy), on every tail, under one permutation test
of the largest standardised AUC, so that trying a dozen does not find something by chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.encoding.neighbours import nearest
from understudy.evaluation.rare.entry import Entry
from understudy.evaluation.rare.landscape import NEIGHBOURS, Landscape, Tail
from understudy.evaluation.statistics import (
    Estimate,
    Floats,
    clopper_pearson,
    delong,
    midranks,
    share_difference,
)

PERMUTATIONS = 499
TINY = 1e-6
NEAR = 0.1
"""A near copy is ten times nearer than the nearest reference row."""
FEWEST = 5
MOST_TAIL = 2_000
SCORES = ("nearest synthetic row", "nearest-row ratio", "neighbourhood ratio", "near copies")


def tail_leak(land: Landscape, rng: np.random.Generator) -> Entry | None:
    """AUC of the nearest-row ratio in the first tail; the p value is over all scores and tails."""
    pools = [pool for tail in land.tails if (pool := _pool(land, tail)) is not None]
    if not pools:
        return None
    p, strongest = _family(pools, rng)
    parts = tuple(_part(pool) for pool in pools)
    first = parts[0]
    return Entry(
        "R11",
        "tail leak",
        first["auc"],
        first["auc_low"],
        first["auc_high"],
        0.5,
        first["members"] + first["others"],
        f"AUC of telling rows learnt from, the {first['tail']} most unusual, apart from as unusual "
        f"rows never seen; over all scores and tails p = {p:.3g} (strongest: {strongest})",
        "near",
        parts=({"p": p, "strongest": strongest}, *parts),
    )


@dataclass(frozen=True)
class _Pool:
    """Rare rows of train (first) and of the holdout with their scores, float64 [4, rows]."""

    tail: Tail
    members: int
    scores: Floats
    near: NDArray[np.bool_]

    @property
    def is_member(self) -> NDArray[np.bool_]:
        return np.arange(self.scores.shape[1]) < self.members


def _pool(land: Landscape, tail: Tail) -> _Pool | None:
    rows = {role: land.rows(role, tail)[:MOST_TAIL] for role in ("train", "holdout")}
    if min(map(len, rows.values())) < FEWEST:
        return None
    asking = np.concatenate([land.points[role][index] for role, index in rows.items()])
    ours = nearest(asking, land.points["synthetic"], NEIGHBOURS)
    theirs = nearest(asking, land.points["reference"], NEIGHBOURS)

    def ratio(k: int) -> Floats:
        return np.log(theirs.to(k) + TINY) - np.log(ours.to(k) + TINY)

    near = ours.to(1) <= NEAR * theirs.to(1)
    scores = np.stack([-ours.to(1), ratio(1), ratio(NEIGHBOURS), near.astype(np.float64)])
    return _Pool(tail, len(rows["train"]), scores, near)


def _family(pools: list[_Pool], rng: np.random.Generator) -> tuple[float, str]:
    """p of the largest standardised rank sum under permuted labels, and which it was.

    Tails are nested but permuted on their own, which makes the maximum larger and p no smaller.
    """
    maxima = np.full(PERMUTATIONS, -np.inf)
    best, strongest = -np.inf, ""
    for pool in pools:
        ranks = np.stack([midranks(row) for row in pool.scores])
        ranks -= ranks.mean(axis=1, keepdims=True)
        spread = np.sqrt((ranks**2).sum(axis=1, keepdims=True))
        ranks /= np.where(spread > 0, spread, 1.0)
        labels = pool.is_member - pool.is_member.mean()
        found = ranks @ labels / labels.std()
        shuffled = rng.permuted(np.tile(labels, (PERMUTATIONS, 1)), axis=1)
        maxima = np.maximum(maxima, (ranks @ shuffled.T / labels.std()).max(axis=0))
        if found.max() > best:
            best = float(found.max())
            strongest = f"{SCORES[int(found.argmax())]}, {pool.tail.name}"
    return float((1 + (maxima >= best).sum()) / (PERMUTATIONS + 1)), strongest


def _part(pool: _Pool) -> dict[str, Any]:
    member = pool.is_member
    ratio = pool.scores[1]
    auc = delong(ratio[member], ratio[~member])
    power = _true_positives(ratio[member], ratio[~member])
    near = pool.near
    copied = share_difference(
        int(near[member].sum()), pool.members, int(near[~member].sum()), int((~member).sum())
    )
    return {
        "tail": pool.tail.name,
        "members": pool.members,
        "others": int((~member).sum()),
        "auc": auc.value,
        "auc_low": auc.low,
        "auc_high": auc.high,
        "tpr_at_5": power.value,
        "tpr_at_5_low": power.low,
        "tpr_at_5_high": power.high,
        "near_train": int(near[member].sum()),
        "near_holdout": int(near[~member].sum()),
        "near_difference": copied.value,
        "near_low": copied.low,
        "near_high": copied.high,
    }


def _true_positives(members: Floats, others: Floats) -> Estimate:
    """True positive rate at 5 % false positives, by the upper quantile of the held-out rows."""
    threshold = np.quantile(others, 0.95, method="higher")
    return clopper_pearson(int((members > threshold).sum()), len(members))
