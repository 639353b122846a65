"""Splits that fresh rows do not confirm are taken back: reduced-error pruning (Quinlan 1987).

A tree grown to small leaves goes on splitting where there is nothing left to learn. Such a leaf is
the neighbourhood of a few training rows and not a conditional distribution: a number of many values
drawn from it carries those rows' own values along, which is what membership attacks find. Every
tree is grown on a bootstrap, so the rows it never saw are at hand to ask whether a split predicts
better than none. Columns of few values are not pruned: their cells point at nobody, and rare levels
would be lost (decision 8).

Predictions are distributions, so they are judged by a proper score, the ranked probability score
(Gneiting & Raftery 2007). It cannot see below the width of a quantile class, so a split also stays
if it lowers the squared error of the mean code.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from understudy.encoding.columns import Codes
from understudy.synthesizers.tabular.cart import LEAF, Cart, Floats

Scores = NDArray[np.float64]


class Rows(NamedTuple):
    """Predictors [n, p], classes and codes [n] of some training rows."""

    x: Floats
    classes: NDArray[np.int64]
    codes: Codes


def prune(tree: Cart, seen: Rows, fresh: Rows) -> Cart:
    """`tree`, grown on `seen`, without the splits that do not pay on `fresh`."""
    if tree.nodes == 1 or len(fresh.codes) == 0:
        return tree
    levels = _levels(tree)
    width = int(max(seen.classes.max(), fresh.classes.max())) + 1
    learnt, found = (_tally(tree, levels, rows, width) for rows in (seen, fresh))
    size, rows = learnt.sum(axis=1), found.sum(axis=1)
    below, under = learnt.cumsum(axis=1) / size[:, None], found.cumsum(axis=1)
    mean = _sums(tree, levels, seen) / size
    # Both scores leave out a term that depends on the fresh rows alone: it is the same for a node
    # and for its children together.
    ranked = rows * (below**2).sum(axis=1) - 2 * (under * below).sum(axis=1)
    squared = rows * mean**2 - 2 * mean * _sums(tree, levels, fresh)
    kept = _paying(tree, levels, ranked) | _paying(tree, levels, squared)
    return _with_only(tree, kept)


def _levels(tree: Cart) -> list[NDArray[np.intp]]:
    """Inner nodes by depth, deepest first."""
    found = []
    level = np.zeros(1, dtype=np.intp)
    while True:
        level = level[tree.left[level] != LEAF]
        if len(level) == 0:
            return found[::-1]
        found.append(level)
        level = np.concatenate((tree.left[level], tree.right[level])).astype(np.intp)


def _tally(tree: Cart, levels: list[NDArray[np.intp]], rows: Rows, width: int) -> Scores:
    """[nodes, classes] rows of each class that pass through each node."""
    cell = tree.apply(rows.x) * width + rows.classes
    counts = np.bincount(cell, minlength=tree.nodes * width).reshape(tree.nodes, width)
    return _upward(tree, levels, counts.astype(np.float64))


def _sums(tree: Cart, levels: list[NDArray[np.intp]], rows: Rows) -> Scores:
    """[nodes] sum of the codes that pass through each node."""
    return _upward(tree, levels, np.bincount(tree.apply(rows.x), rows.codes, tree.nodes))


def _upward(tree: Cart, levels: list[NDArray[np.intp]], values: Scores) -> Scores:
    for level in levels:
        values[level] = values[tree.left[level]] + values[tree.right[level]]
    return values


def _paying(tree: Cart, levels: list[NDArray[np.intp]], score: Scores) -> NDArray[np.bool_]:
    """Inner nodes whose subtree, pruned itself, scores below the node as a leaf."""
    best = score.copy()
    paying = np.zeros(tree.nodes, dtype=bool)
    for level in levels:
        below = best[tree.left[level]] + best[tree.right[level]]
        paying[level] = below < score[level]
        best[level] = np.minimum(below, score[level])
    return paying


def _with_only(tree: Cart, inner: NDArray[np.bool_]) -> Cart:
    """The tree whose inner nodes are those of `inner` that the root reaches through such nodes."""
    left, right = np.where(inner, tree.left, LEAF), np.where(inner, tree.right, LEAF)
    kept = np.zeros(tree.nodes, dtype=bool)
    level = np.zeros(1, dtype=np.intp)
    while len(level):
        kept[level] = True
        level = level[left[level] != LEAF]
        level = np.concatenate((left[level], right[level])).astype(np.intp)
    # One entry more, so that LEAF = -1 stays LEAF.
    place = np.append(np.cumsum(kept) - 1, LEAF).astype(np.int32)
    return Cart(
        left=place[left[kept]],
        right=place[right[kept]],
        feature=tree.feature[kept],
        threshold=tree.threshold[kept],
        width=tree.width,
    )
