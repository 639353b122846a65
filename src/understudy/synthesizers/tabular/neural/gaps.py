"""Structural gaps: pairs of codes that never met in the rows, though chance would have made them.

A network gives every combination some probability. Two codes frequent enough to be expected
together in at least `EXPECTED` rows if their columns were independent, and never seen so (a husband
who is female), are taken to exclude each other: by chance alone that happens less often than once
in 20,000 pairs (e^-10). Found by looking at the rows, so only without a budget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Gaps = Mapping[tuple[int, int], NDArray[np.bool_]]
"""For pairs of tokens with gaps, in both orders, [codes of one, codes of other]: not excluded."""

EXPECTED = 10.0
ROWS = 200_000


def find_gaps(
    codes: NDArray[np.int64], sizes: Sequence[int], alone: Sequence[int]
) -> dict[tuple[int, int], NDArray[np.bool_]]:
    """The gaps between tokens that stand `alone`: places within a group mean nothing by themselves.

    `codes` is [rows, tokens].
    """
    rows = codes[:ROWS]
    counts = [np.bincount(rows[:, j], minlength=size) for j, size in enumerate(sizes)]
    found = {}
    for a, one in enumerate(alone):
        for other in alone[:a]:
            expected = np.outer(counts[one], counts[other]) / max(len(rows), 1)
            likely = expected >= EXPECTED
            if not likely.any():
                continue
            joint = rows[:, one] * sizes[other] + rows[:, other]
            met = np.bincount(joint, minlength=likely.size).reshape(likely.shape)
            open_ = ~(likely & (met == 0))
            if not open_.all():
                found[one, other] = open_
                found[other, one] = open_.T.copy()
    return found


def opened(
    chances: NDArray[Any],
    codes: NDArray[np.int64],
    token: int,
    seen: Sequence[int],
    gaps: Gaps,
) -> NDArray[Any]:
    """`chances` [rows, codes] of a token without what the tokens `seen` exclude."""
    barred = [one for one in seen if (one, token) in gaps]
    if not barred:
        return chances
    free = chances.copy()
    for one in barred:
        free *= gaps[one, token][codes[:, one]]
    total = free.sum(1, keepdims=True)
    # Where what is seen excludes everything, it is an exception itself and excludes nothing.
    return np.where(total > 0, free / np.where(total > 0, total, 1.0), chances)
