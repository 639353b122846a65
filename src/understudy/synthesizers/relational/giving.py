"""Giving out parents by the features that are asked for: sorting only, no matrix of pairs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from understudy.runtime.random import stream
from understudy.synthesizers.relational.agreement import required
from understudy.synthesizers.relational.graph import Graph, Link
from understudy.synthesizers.relational.rows import NOBODY, Places, Rows, ranks
from understudy.synthesizers.tabular.cart import Floats

WAVES = 4
"""Siblings that are matched one after the other; all further ones are matched at once."""
CODES = NDArray[np.int64]
Side = tuple[CODES, NDArray[np.float64]]


def given_out(
    asked: Sequence[CODES],
    offered: Sequence[CODES],
    rng: np.random.Generator,
    *,
    hard: int = 0,
    fine: tuple[Floats, Floats] | None = None,
) -> Places:
    """For each row of `asked` a row of `offered`, no row twice; -1 where none is left.

    Rows agree on all features where they can, on all but the last where not, and so on; on the
    first `hard` ones they always agree. Among those that agree each meets who is nearest
    by `fine` and still there.
    """
    size = len(asked[0])
    found = np.full(size, NOBODY, np.int64)
    open_ = rng.permutation(size)
    free = rng.permutation(len(offered[0]))
    for width in range(len(asked), max(hard, 1) - 1, -1):
        if len(open_) == 0 or len(free) == 0:
            break
        ours, theirs = _joint(asked[:width], offered[:width], open_, free)
        values = (np.zeros(len(ours)), np.zeros(len(theirs)))
        if fine is not None:
            values = fine[0][open_].astype(np.float64), fine[1][free].astype(np.float64)
        mine, yours = nearest((ours, values[0]), (theirs, values[1]))
        found[open_[mine]] = free[yours]
        open_ = np.delete(open_, mine)
        free = np.delete(free, yours)
    return found


def anybody(
    must: Sequence[tuple[CODES, CODES]], counts: Places, rng: np.random.Generator
) -> Places:
    """A row of the parent for each slot, by chance in proportion to `counts` among those whose
    codes are equal, however often it is pointed at already; -1 where there is none."""
    size = len(must[0][0])
    every = np.arange(len(counts))
    ours, theirs = _joint([m for m, _ in must], [t for _, t in must], np.arange(size), every)
    order = np.argsort(theirs, kind="stable")
    # A little for those that nobody is to point at: they come in where there is nobody else.
    weight = np.concatenate(([0.0], np.cumsum(counts[order] + 1e-6)))
    first = np.searchsorted(theirs[order], ours)
    after = np.searchsorted(theirs[order], ours, side="right")
    u = weight[first] + rng.random(size) * (weight[after] - weight[first])
    at = np.searchsorted(weight, u, side="right") - 1
    at = np.clip(at, first, np.maximum(after - 1, first))
    return np.where(after > first, order[np.minimum(at, len(order) - 1)], NOBODY)


def agreed(rows: Rows, graph: Graph, link: Link, places: Places, seed: int) -> Places:
    """`places` with every row that points at somebody with whom its other keys do not agree moved
    to one with whom they do, in proportion to their counts; -1 where there is none."""
    must = required(rows, graph, link)
    if not must:
        return places
    wrong = np.zeros(len(places), bool)
    for mine, theirs in must:
        wrong |= (places != NOBODY) & (mine != NOBODY) & (theirs[places] != mine)
    left = np.flatnonzero(wrong)
    if len(left) == 0:
        return places
    found, rng = places.copy(), stream(seed, "pairing", link.name, "agreed")
    found[left] = anybody([(m[left], t) for m, t in must], rows.counts[link.name], rng)
    return found


def waves_of(parents: Places) -> tuple[Places, Places]:
    """In which wave each row is matched, and the sibling whose match it is given (-1 for none).

    First siblings come first, then second ones, ..., and at last those that have no sibling, who
    can take anybody.
    """
    rank = np.where(parents == NOBODY, 0, ranks(parents))
    order = np.lexsort((rank, parents))
    first = np.searchsorted(parents[order], parents)
    several = (np.bincount(parents[parents >= 0], minlength=1) > 1)[np.maximum(parents, 0)]
    alone = (parents == NOBODY) | ~several
    waves = np.where(alone, WAVES, np.minimum(rank, WAVES - 1))
    earlier = order[first + np.clip(rank - 1, 0, WAVES - 2)]
    return waves, np.where(rank == 0, NOBODY, earlier)


def _joint(
    asked: Sequence[CODES], offered: Sequence[CODES], ours: Places, theirs: Places
) -> tuple[CODES, CODES]:
    """One code for all features together, the same on both sides."""
    both = np.zeros(len(ours) + len(theirs), np.int64)
    for wanted, there in zip(asked, offered, strict=True):
        codes = np.concatenate((wanted[ours], there[theirs]))
        _, codes = np.unique(codes, return_inverse=True)
        _, both = np.unique(both * (int(codes.max()) + 1) + codes, return_inverse=True)
    return both[: len(ours)], both[len(ours) :]


def nearest(ours: Side, theirs: Side) -> tuple[Places, Places]:
    """Places in two lists of (group, value) that pair members of one group one to one, as many as
    there can be; those of the smaller side take the nearest of the larger, in order."""
    a, b = (np.lexsort((value, group)) for group, value in (ours, theirs))
    left, right = (ours[0][a], ours[1][a]), (theirs[0][b], theirs[1][b])
    # Each group is walked from its smaller side.
    i = np.flatnonzero(_size(left[0], right[0]) >= _size(left[0], left[0]))
    j = np.flatnonzero(_size(right[0], left[0]) > _size(right[0], right[0]))
    to_right = _seek((left[0][i], left[1][i]), right)
    to_left = _seek((right[0][j], right[1][j]), left)
    return a[np.concatenate((i, to_left))], b[np.concatenate((to_right, j))]


def _size(of: CODES, among: CODES) -> Places:
    """How often each of `of` stands in the sorted `among`."""
    return np.searchsorted(among, of, side="right") - np.searchsorted(among, of)


def _seek(seekers: Side, there: Side) -> Places:
    """The place each seeker takes, near its value, no place twice; both sorted, and of each group
    there are at least as many places as seekers."""
    group, value = seekers
    count = len(group)
    order = np.lexsort((np.r_[value, there[1]], np.r_[group, there[0]]))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    target = np.searchsorted(rank[count:], rank[:count])
    start, end = (np.searchsorted(there[0], group, side=side) for side in ("left", "right"))
    below, above = np.maximum(target - 1, start), np.minimum(target, end - 1)
    closer = value - there[1][below] < there[1][above] - value if count else np.zeros(0, bool)
    target = np.where(closer, below, above)
    # Nobody before the one that stands before him, and room for those that follow.
    nth = np.arange(count)
    step = 2 * (len(order) + 1)
    ordinal = np.cumsum(np.r_[0, group[1:] != group[:-1]])[:count] * step
    pushed = np.maximum.accumulate(target - nth + ordinal) - ordinal + nth
    following = np.searchsorted(group, group, side="right") - nth
    return np.minimum(pushed, end - following)


def fitting(counts: Places, slots: int, rng: np.random.Generator) -> Places:
    """`counts` with as many ones more or less, by chance in proportion, as there are slots.

    Where nobody is pointed at twice, nobody is twice as long as there are others.
    """
    missing = slots - int(counts.sum())
    if missing == 0 or len(counts) == 0:
        return counts
    free = np.flatnonzero(counts == 0)
    if 0 < missing <= len(free) and counts.max() == 1:
        found = counts.copy()
        found[rng.choice(free, missing, replace=False)] = 1
        return found
    weights = counts if counts.sum() > 0 else np.ones(len(counts), np.int64)
    if missing > 0:
        extra = rng.multinomial(missing, weights / weights.sum())
        return counts + extra
    taken_away = rng.choice(np.repeat(np.arange(len(counts)), counts), -missing, replace=False)
    return counts - np.bincount(taken_away, minlength=len(counts))
