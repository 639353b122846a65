"""Who points at whom where both sides are there already: degrees kept, likeness kept.

Each row asks for a parent with certain features, drawn given all that is known of the row. Parents
are given out by those features, as often as their own counts say, exactly where that is possible
and by fewer features where it is not: sorting only, no matrix of pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.encoding.columns import to_numbers
from understudy.runtime.random import stream
from understudy.synthesizers.relational.agreement import required
from understudy.synthesizers.relational.context import context_of, described, taken
from understudy.synthesizers.relational.graph import Graph, Link
from understudy.synthesizers.relational.rows import NOBODY, Places, Rows
from understudy.synthesizers.tabular.conditional import (
    Conditional,
    Growth,
    Predictors,
    fit_conditional,
)

FEATURES = 4
BINS = 12
AGREEING = 0.2
CODES = NDArray[np.int64]


@dataclass(frozen=True)
class Feature:
    """A column of the parent by which rows ask for it, cut into groups.

    `levels` are its values where it is no number, `cuts` the edges of its groups where it is;
    `same` names a column of the row's own context that it may be equal to.
    """

    name: str
    levels: pa.Array | None
    cuts: NDArray[np.float64]
    same: str | None = None

    def codes(self, column: pa.ChunkedArray) -> CODES:
        """int64[rows] group of each cell, 0 where missing."""
        if self.levels is not None:
            import pyarrow.compute as pc

            found = pc.index_in(column, value_set=self.levels)
            return np.asarray(pc.fill_null(found, -1).to_numpy(), np.int64) + 1
        numbers, gone = to_numbers(column)
        group = np.searchsorted(self.cuts, numbers.astype(np.float64), side="right") + 1
        return np.where(gone, 0, group).astype(np.int64)


@dataclass(frozen=True)
class Pairing:
    """How rows find their parent by one link; without `features` by chance alone.

    `total` says that every row of the parent is pointed at; `loads` is how many rows point at each
    row of a reference table, which is there already, and None for other parents; `itself` says that
    in a hierarchy roots name themselves.
    """

    link: Link
    features: tuple[Feature, ...]
    context: Predictors
    conditional: Conditional | None
    total: bool
    loads: Places | None = None
    itself: bool = False

    def draw(self, rows: Rows, graph: Graph, seed: int) -> Places:
        """int64[child rows]: the parent's row of each, -1 for an empty key."""
        rng = stream(seed, "pairing", self.link.name)
        wanted, places = rows.wanted[self.link.name].copy(), self._nowhere(rows)
        counts = rows.counts[self.link.name]
        depth = rows.depths.get(self.link.name)
        if depth is not None and self.itself:
            root = np.flatnonzero(wanted & (depth == 0))
            places[root], wanted[root] = root, False
            counts = counts.copy()
            counts[root] = np.maximum(counts[root] - 1, 0)
        slots = np.flatnonzero(wanted)
        capacity = fitting(counts, len(slots), rng)
        if len(slots) == 0 or capacity.sum() == 0:
            return places
        must = self._required(rows, graph, slots, depth)
        candidates = np.repeat(np.arange(len(capacity)), capacity)
        asked, offered = self._features(rows, graph, slots, candidates, rng)
        asked = [*(mine for mine, _ in must), *asked]
        offered = [*(theirs[candidates] for _, theirs in must), *offered]
        found = given_out(asked, offered, rng, hard=len(must))
        there = found != NOBODY
        places[slots[there]] = candidates[found[there]]
        left = slots[~there]
        places[left] = anybody([(mine[~there], theirs) for mine, theirs in must], counts, rng)
        return places

    def _nowhere(self, rows: Rows) -> Places:
        return np.full(rows.size(self.link.child), NOBODY, np.int64)

    def _required(
        self, rows: Rows, graph: Graph, slots: Places, depth: Places | None
    ) -> list[tuple[CODES, CODES]]:
        """Codes of slots and parents that must be equal; the last ones always are."""
        must = [(mine[slots], theirs) for mine, theirs in required(rows, graph, self.link)]
        if depth is not None:
            must.append((depth[slots] - 1, depth))
        size = rows.size(self.link.parent)
        return [*must, (np.zeros(len(slots), np.int64), np.zeros(size, np.int64))]

    def _features(
        self,
        rows: Rows,
        graph: Graph,
        slots: Places,
        candidates: Places,
        rng: np.random.Generator,
    ) -> tuple[list[CODES], list[CODES]]:
        if self.conditional is None:
            return [], []
        around = _around(rows, graph, self.link)
        x = self.context.matrix(around.take(pa.array(slots)))
        drawn = self.conditional.table(self.conditional.draw(x, rng))
        theirs = described(rows, graph, self.link.parent, depth=1)
        asked, offered = [], []
        for feature in self.features:
            wanted = feature.codes(drawn[feature.name])
            if feature.same is not None:
                own = feature.codes(around[feature.same].take(pa.array(slots)))
                same = drawn[f"={feature.name}"].fill_null(False).to_numpy()
                wanted = np.where(same, own, wanted)
            asked.append(wanted)
            offered.append(feature.codes(theirs[feature.name])[candidates])
        return asked, offered


def given_out(
    asked: Sequence[CODES], offered: Sequence[CODES], rng: np.random.Generator, *, hard: int = 0
) -> Places:
    """For each row of `asked` a row of `offered`, no row twice; -1 where none is left.

    Rows agree on all features where they can, on all but the last where not, and so on; on the
    first `hard` ones they always agree.
    """
    size = len(asked[0])
    found = np.full(size, NOBODY, np.int64)
    open_ = rng.permutation(size)
    free = rng.permutation(len(offered[0]))
    for width in range(len(asked), max(hard, 1) - 1, -1):
        if len(open_) == 0 or len(free) == 0:
            break
        ours, theirs = _joint(asked[:width], offered[:width], open_, free)
        a, b = np.argsort(ours, kind="stable"), np.argsort(theirs, kind="stable")
        mine, yours = _meeting(ours[a], theirs[b])
        found[open_[a[mine]]] = free[b[yours]]
        open_ = np.delete(open_, a[mine])
        free = np.delete(free, b[yours])
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


def _meeting(ours: CODES, theirs: CODES) -> tuple[Places, Places]:
    """Places in two sorted arrays that pair equal values one to one."""
    ours_nth = np.arange(len(ours)) - np.searchsorted(ours, ours)
    theirs_first = np.searchsorted(theirs, ours)
    theirs_after = np.searchsorted(theirs, ours, side="right")
    pairs = ours_nth < theirs_after - theirs_first
    return np.flatnonzero(pairs), (theirs_first + ours_nth)[pairs]


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


def fit_pairing(
    link: Link, rows: Rows, graph: Graph, *, seed: int, growth: Growth, workers: int
) -> Pairing:
    """Learns by which features rows find their parent."""
    places = rows.parents[link.name]
    there = np.flatnonzero(places != NOBODY)
    total = bool((rows.counts[link.name] > 0).all())
    loads = rows.counts[link.name] if link.parent in graph.reference else None
    itself = link.child == link.parent and bool((places == np.arange(len(places))).any())
    around = _around(rows, graph, link)
    context = Predictors.fit(around)
    theirs = described(rows, graph, link.parent, depth=1)
    theirs = theirs.select([n for n in theirs.column_names if n[:1] != "#" and n])
    if len(there) < 2 * growth.leaf or theirs.num_columns == 0:
        return Pairing(link, (), context, None, total, loads, itself)
    parents = theirs.take(pa.array(places[there]))
    own = around.take(pa.array(there))
    x = context.matrix(own)
    features = _chosen(parents, own, x, seed, graph)
    if not features:
        return Pairing(link, (), context, None, total, loads, itself)
    wanted: dict[str, pa.ChunkedArray | pa.Array] = {}
    for feature in features:
        column = parents[feature.name]
        if feature.same is not None:
            same = feature.codes(column) == feature.codes(own[feature.same])
            wanted[f"={feature.name}"] = pa.array(same)
        wanted[feature.name] = column
    conditional = fit_conditional(
        x,
        pa.table(wanted),
        name=f"pairing {link.name}",
        seed=seed,
        growth=growth,
        order=tuple(wanted),
        workers=workers,
    )
    return Pairing(link, tuple(features), context, conditional, total, loads, itself)


def _around(rows: Rows, graph: Graph, link: Link) -> pa.Table:
    """All that is known of a row before its parent by `link` is: its cells and its context."""
    found = described(rows, graph, link.child, depth=1)
    primary = graph.primary(link.child)
    if primary is not None and primary.name != link.name:
        above = context_of(rows, graph, primary)
        places = rows.parents[primary.name]
        for name in above.column_names:
            if name and name not in found.column_names:
                found = found.append_column(name, taken(above[name], places))
    return found


def _chosen(
    parents: pa.Table, own: pa.Table, x: NDArray[np.float32], seed: int, graph: Graph
) -> list[Feature]:
    """The parent's columns that depend most on what is known of the row, strongest first."""
    looks_up = {f"@{link.name}": link.parent for links in graph.links.values() for link in links}
    scored = []
    for name in parents.column_names:
        feature = _feature(name, parents[name])
        if feature is None:
            continue
        same, share = _equal_to(feature, parents, own, looks_up)
        gain = share if same is not None else _dependence(feature.codes(parents[name]), x, seed)
        scored.append((gain, Feature(name, feature.levels, feature.cuts, same)))
    scored.sort(key=lambda pair: -pair[0])
    return [feature for gain, feature in scored[:FEATURES] if gain > 0]


def _feature(name: str, column: pa.ChunkedArray) -> Feature | None:
    import pyarrow.compute as pc

    kind = column.type
    if name[:1] == "@" or pa.types.is_string(kind) or pa.types.is_boolean(kind):
        levels = pc.unique(column.drop_null())
        return Feature(name, levels, np.zeros(0)) if 1 < len(levels) <= 500 else None
    if pa.types.is_null(kind):
        return None
    numbers, gone = to_numbers(column)
    there = numbers[~gone].astype(np.float64)
    if len(there) == 0:
        return None
    cuts = np.unique(np.quantile(there, np.linspace(0, 1, BINS + 1)[1:-1]))
    return Feature(name, None, cuts)


def _equal_to(
    feature: Feature, parents: pa.Table, own: pa.Table, looks_up: Mapping[str, str]
) -> tuple[str | None, float]:
    """The row's own column that the parent's equals most often, if often enough."""
    if feature.name[:1] != "@":
        return None, 0.0
    theirs = feature.codes(parents[feature.name])
    best, share = None, AGREEING
    for name in own.column_names:
        if looks_up.get(name) != looks_up[feature.name]:
            continue
        equal = float(np.mean((feature.codes(own[name]) == theirs) & (theirs > 0)))
        by_chance = float(np.sum((np.bincount(theirs) / len(theirs)) ** 2))
        if equal > max(share, 3 * by_chance):
            best, share = name, equal
    return best, share


def _dependence(codes: CODES, x: NDArray[np.float32], seed: int) -> float:
    """How much better than by chance a small tree tells the group, on rows it has not seen."""
    from sklearn.tree import DecisionTreeClassifier

    rng = stream(seed, "pairing", "dependence")
    picked = rng.permutation(len(codes))[:10_000]
    half = len(picked) // 2
    if half < 50:
        return 0.0
    tree = DecisionTreeClassifier(max_leaf_nodes=32, min_samples_leaf=20, random_state=0)
    tree.fit(x[picked[:half]], codes[picked[:half]])
    told = float(np.mean(tree.predict(x[picked[half:]]) == codes[picked[half:]]))
    usual = float(np.max(np.bincount(codes[picked[half:]])) / half)
    gain = told - usual
    return gain if gain > 2 * np.sqrt(0.25 / half) else 0.0
