"""How one column is drawn given the columns before it.

Two ways, one signature: `Grove` draws a donor from the leaf a row lands in (sequential CART as in
Reiter 2005, bagged and pruned), `Lookup` follows a functional dependency. Both work on codes (see
`encoding.columns`), for many rows at once; `understudy.synthesizers.tabular.boosted` redraws the
target.

Under a condition every draw also returns its weight, the share of the leaf that satisfies it: the
chance the model gives the condition at this row. Resampling rows by these weights makes `where`
exact without rejection (sequential importance resampling, Liu & Chen 1998).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from understudy.encoding.columns import Codes
from understudy.synthesizers.tabular.cart import Cart, Floats, grow, stump
from understudy.synthesizers.tabular.pruning import Rows, prune

Allowed = NDArray[np.bool_]
"""For each code whether a condition admits it; the last entry speaks for missing (code -1)."""


@dataclass(frozen=True)
class Leaves:
    """One tree and the codes of the training rows in each of its leaves, sorted by (leaf, code)."""

    tree: Cart
    donors: Codes
    starts: NDArray[np.int64]
    counts: NDArray[np.int64]
    _admitted: dict[bytes, NDArray[np.int64]] = field(default_factory=dict, repr=False)

    def draw(
        self, x: Floats, rng: np.random.Generator, allowed: Allowed | None
    ) -> tuple[Codes, NDArray[np.float64] | None]:
        """A donor for each row of `x`, and its weight when a condition is given."""
        leaf = self.tree.apply(x)
        start, count = self.starts[leaf], self.counts[leaf]
        u = _spread(leaf, self.tree.nodes, rng)
        if allowed is None:
            return self.donors[start + (u * count).astype(np.int64)], None
        seen = self._admitted_before(allowed)
        first, admitted = seen[start], seen[start + count] - seen[start]
        nth = first + np.minimum((u * admitted).astype(np.int64), np.maximum(admitted - 1, 0))
        place = np.searchsorted(seen, nth, side="right") - 1
        return self.donors[np.minimum(place, len(self.donors) - 1)], admitted / count

    def _admitted_before(self, allowed: Allowed) -> NDArray[np.int64]:
        """[donors + 1] how many donors before each place the condition admits."""
        key = allowed.tobytes()
        tally = self._admitted.get(key)
        if tally is None:
            tally = np.concatenate(([0], np.cumsum(allowed[self.donors], dtype=np.int64)))
            self._admitted.clear()
            self._admitted[key] = tally
        return tally


def _spread(leaf: NDArray[np.intp], nodes: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Uniform numbers, one a row, spread evenly within each leaf (systematic sampling).

    Rows of a leaf then draw its donors in proportion, not just on average, which halves the noise
    of every marginal and joint count. Rows take their places in random order.
    """
    rows = len(leaf)
    shuffled = rng.permutation(rows)
    small = leaf[shuffled].astype(np.uint16 if nodes < 1 << 16 else np.int64)
    order = shuffled[np.argsort(small, kind="stable")]
    counts = np.bincount(leaf, minlength=nodes)
    place = np.empty(rows)
    place[order] = np.arange(rows)
    first = np.cumsum(counts) - counts
    return (place - first[leaf] + rng.random(rows)) / counts[leaf]


@dataclass(frozen=True)
class Grove:
    """Several trees for one column; rows are shared out evenly between them."""

    trees: tuple[Leaves, ...]

    def draw(
        self, x: Floats, codes: dict[str, Codes], rng: np.random.Generator, allowed: Allowed | None
    ) -> tuple[Codes, NDArray[np.float64] | None]:
        rows = len(x)
        drawn = np.empty(rows, dtype=np.int32)
        weight = None if allowed is None else np.empty(rows)
        # Contiguous shares from a random offset: as good as a random tree per row, without copies.
        edges = np.linspace(0, rows, len(self.trees) + 1).astype(int)
        offset = int(rng.integers(len(self.trees)))
        for i in range(len(self.trees)):
            part = slice(edges[i], edges[i + 1])
            tree = self.trees[(i + offset) % len(self.trees)]
            drawn[part], part_weight = tree.draw(x[part], rng, allowed)
            if weight is not None:
                weight[part] = part_weight
        return drawn, weight


@dataclass(frozen=True)
class Lookup:
    """A column that follows from an earlier one: `table[code of by]`, -1 last for missing."""

    by: str
    table: Codes

    def draw(
        self, x: Floats, codes: dict[str, Codes], rng: np.random.Generator, allowed: Allowed | None
    ) -> tuple[Codes, NDArray[np.float64] | None]:
        drawn = self.table[codes[self.by]]
        return drawn, None if allowed is None else allowed[drawn].astype(np.float64)


Way = Grove | Lookup


def fit_grove(
    x: Floats,
    codes: Codes,
    classes: NDArray[np.int64],
    *,
    pruned: bool,
    trees: int,
    leaf: int,
    features: float,
    grow_rows: int,
    rng: np.random.Generator,
) -> Grove:
    """Grows `trees` trees for one column from the columns before it.

    Each tree is grown on a bootstrap of at most `grow_rows` rows and, if asked for, pruned on rows
    that it never saw. On large tables the donors are shared out between the trees instead of
    repeated in each, which costs a third of the memory.
    """
    rows = len(codes)
    if x.shape[1] == 0 or rows < 2 * leaf or classes.min() == classes.max():
        return Grove((_pool(stump(x.shape[1]), x, codes),))
    shared_out = rows > grow_rows
    grown = []
    for nth in range(trees):
        chosen = rng.integers(0, rows, min(rows, grow_rows))
        unseen = np.ones(rows, dtype=bool)
        unseen[chosen] = False
        others = np.flatnonzero(unseen)[:grow_rows]
        seen, fresh = (
            Rows(x[picked], classes[picked], codes[picked]) for picked in (chosen, others)
        )
        seed = int(rng.integers(2**31))
        tree = grow(seen.x, seen.classes, leaf=leaf, features=features, seed=seed)
        tree = prune(tree, seen, fresh) if pruned else tree
        mine = slice(nth, None, trees) if shared_out else slice(None)
        grown.append(_pool(tree, x[mine], codes[mine]))
    return Grove(tuple(grown))


def _pool(tree: Cart, x: Floats, codes: Codes) -> Leaves:
    """Drops the training rows down `tree` and keeps their codes by leaf."""
    leaf = tree.apply(x)
    order = np.lexsort((codes, leaf))
    counts = np.bincount(leaf, minlength=tree.nodes).astype(np.int64)
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    donors = codes[order]
    return _without_empty(Leaves(tree, donors, starts, counts))


def _without_empty(leaves: Leaves) -> Leaves:
    """A leaf without donors (possible when they are shared out) draws from the whole column."""
    is_leaf = leaves.tree.left < 0
    empty = is_leaf & (leaves.counts == 0)
    if not empty.any():
        return leaves
    starts, counts = leaves.starts.copy(), leaves.counts.copy()
    starts[empty], counts[empty] = 0, len(leaves.donors)
    return Leaves(leaves.tree, leaves.donors, starts, counts)
