"""Who points at whom where both sides are there already: degrees kept, likeness kept.

Each row asks for a parent with certain features, drawn given all that is known of the row. Parents
are given out by those features, as often as their own counts say, exactly where that is possible
and by fewer features where it is not: sorting only, no matrix of pairs. Siblings are matched one
after the other, each given whom the one before it has: the two holders of an account are a couple.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.encoding.columns import to_numbers
from understudy.runtime.random import stream
from understudy.synthesizers.relational.agreement import required
from understudy.synthesizers.relational.context import (
    context_of,
    described,
    looked_up_under,
    taken,
)
from understudy.synthesizers.relational.giving import CODES, anybody, fitting, given_out, waves_of
from understudy.synthesizers.relational.graph import Graph, Link
from understudy.synthesizers.relational.rows import NOBODY, Places, Rows
from understudy.synthesizers.tabular.cart import Floats
from understudy.synthesizers.tabular.conditional import (
    Conditional,
    Growth,
    Predictors,
    as_floats,
    fit_conditional,
)

FEATURES = 4
BINS = 12
AGREEING = 0.2


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
    in a hierarchy roots name themselves. `before` reads whom the sibling before has.
    """

    link: Link
    features: tuple[Feature, ...]
    context: Predictors
    conditional: Conditional | None
    total: bool
    loads: Places | None = None
    itself: bool = False
    before: Predictors = field(default_factory=lambda: Predictors({}))

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
        free = np.repeat(np.arange(len(capacity)), capacity)
        waves, earlier = self._siblings(rows, graph)
        for wave in np.unique(waves[slots]):
            part = np.flatnonzero(waves[slots] == wave)
            sibling = earlier[slots[part]]
            above = np.where(sibling == NOBODY, NOBODY, places[sibling])
            asked, offered, fine = self._features(rows, graph, slots[part], free, above, rng)
            asked = [*(mine[part] for mine, _ in must), *asked]
            offered = [*(theirs[free] for _, theirs in must), *offered]
            found = given_out(asked, offered, rng, hard=len(must), fine=fine)
            there = found != NOBODY
            places[slots[part[there]]] = free[found[there]]
            free = np.delete(free, found[there])
        left = np.flatnonzero(places[slots] == NOBODY)
        must = [(mine[left], theirs) for mine, theirs in must]
        places[slots[left]] = anybody(must, counts, rng)
        return places

    def _siblings(self, rows: Rows, graph: Graph) -> tuple[Places, Places]:
        """In which wave each row of the child is matched, and its sibling before (-1 for none)."""
        primary = graph.primary(self.link.child)
        size = rows.size(self.link.child)
        if primary is None or not self.before.names:
            return np.zeros(size, np.int64), np.full(size, NOBODY, np.int64)
        return waves_of(rows.parents[primary.name])

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
        free: Places,
        above: Places,
        rng: np.random.Generator,
    ) -> tuple[list[CODES], list[CODES], tuple[Floats, Floats] | None]:
        """By feature what `slots` ask for and `free` rows of the parent offer; and the strongest
        number among them, by which those that agree are ordered."""
        if self.conditional is None:
            return [], [], None
        around = _around(rows, graph, self.link, slots)
        theirs = described(rows, graph, self.link.parent, depth=1)
        x = self.context.matrix(around)
        if self.before.names:
            x = np.concatenate((x, self.before.matrix(_taken(theirs, above))), axis=1)
        drawn = self.conditional.table(self.conditional.draw(x, rng))
        asked, offered, fine = [], [], None
        for feature in self.features:
            wanted = feature.codes(drawn[feature.name])
            if feature.same is not None:
                own = feature.codes(around[feature.same])
                same = drawn[f"={feature.name}"].fill_null(False).to_numpy()
                wanted = np.where(same, own, wanted)
            asked.append(wanted)
            offered.append(feature.codes(theirs[feature.name])[free])
            if fine is None and feature.levels is None:
                there = as_floats(theirs[feature.name], None)[free]
                fine = (as_floats(drawn[feature.name], None), there)
        return asked, offered, fine


def fit_pairing(
    link: Link, rows: Rows, graph: Graph, *, seed: int, growth: Growth, workers: int
) -> Pairing:
    """Learns by which features rows find their parent."""
    places = rows.parents[link.name]
    there = np.flatnonzero(places != NOBODY)
    total = bool((rows.counts[link.name] > 0).all())
    loads = rows.counts[link.name] if link.parent in graph.reference else None
    itself = link.child == link.parent and bool((places == np.arange(len(places))).any())
    plain = Pairing(link, (), Predictors({}), None, total, loads, itself)
    everything = described(rows, graph, link.parent, depth=1)
    theirs = everything.select([n for n in everything.column_names if n[:1] != "#" and n])
    if len(there) < 2 * growth.leaf or theirs.num_columns == 0:
        return plain
    parents = _taken(theirs, places[there])
    own = _around(rows, graph, link, there)
    context = Predictors.fit(own)
    x = context.matrix(own)
    before = _before(everything, rows, graph, link)
    if before.names:
        _, earlier = waves_of(rows.parents[graph.primary(link.child).name])  # type: ignore[union-attr]
        sibling = earlier[there]
        above = _taken(everything, np.where(sibling == NOBODY, NOBODY, places[sibling]))
        x = np.concatenate((x, before.matrix(above)), axis=1)
    features = _chosen(parents, own, x, seed, graph, link)
    if not features:
        return plain
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
    return Pairing(link, tuple(features), context, conditional, total, loads, itself, before)


def _before(theirs: pa.Table, rows: Rows, graph: Graph, link: Link) -> Predictors:
    """What is read of whom the sibling before has; nothing where rows have no siblings."""
    primary = graph.primary(link.child)
    if primary is None or rows.counts[primary.name].max(initial=0) < 2:
        return Predictors({})
    return Predictors.fit(theirs.select([n for n in theirs.column_names if n and n[:1] != "#"]))


def _around(rows: Rows, graph: Graph, link: Link, picked: Places) -> pa.Table:
    """All that is known of the rows `picked` before their parents by `link` are: their cells and
    their context."""
    found = _taken(described(rows, graph, link.child, depth=1, until=link), picked)
    primary = graph.primary(link.child)
    if primary is not None and primary.name != link.name:
        above = context_of(rows, graph, primary)
        places = rows.parents[primary.name][picked]
        for name in above.column_names:
            if name and name not in found.column_names:
                found = found.append_column(name, taken(above[name], places))
    return found


def _taken(table: pa.Table, places: Places) -> pa.Table:
    return table.take(pa.array(places, mask=places == NOBODY))


def _chosen(
    parents: pa.Table, own: pa.Table, x: Floats, seed: int, graph: Graph, link: Link
) -> list[Feature]:
    """The parent's columns that depend most on what is known of the row, strongest first.

    What the parent looks up follows from the row it looks up, and is not asked for beside it.
    """
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
    told = {feature.name for gain, feature in scored if gain > 0}
    follow = tuple(
        looked_up_under(graph, up)
        for up in graph.of(link.parent, "lookup")
        if f"@{up.name}" in told
    )
    kept = [f for gain, f in scored if gain > 0 and not (follow and f.name.startswith(follow))]
    return kept[:FEATURES]


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
