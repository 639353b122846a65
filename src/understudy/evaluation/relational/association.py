"""Associations along foreign keys: does a child still fit its parent, and its siblings each other?

One hop: every column of a child with every column of its parent. Two hops: a child with its
grandparents; what is true of all children together (how many, the mean of a number, the commonest
level) with their parent, with their grandparents, and with the children in another table. Each pair
is the binned 2-way total variation of `pairs`: numbers at the deciles of train, missing a level.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from understudy.evaluation.pairs import Binned, by_quantiles
from understudy.evaluation.relational.comparing import Items
from understudy.evaluation.relational.database import Database, Link, Rows
from understudy.evaluation.samples import Feature
from understudy.evaluation.statistics import Floats

COMPARED = ("train", "holdout", "synthetic")
MOST_LEVELS = 30
"""Levels of a column told apart; rarer ones count as one, or their noise would drown the rest."""
MOST_COLUMNS = 12
"""Columns of a table, or aggregates of its children, that are paired."""


@dataclass(frozen=True)
class Cells:
    """A column, or an aggregate, as small codes of the rows of one table."""

    name: str
    binned: Binned


@dataclass(frozen=True)
class Associations:
    """Pairs one hop and two hops apart, made one after another as they are compared."""

    base: Database
    columns: Mapping[str, Sequence[Cells]]
    children: Mapping[Link, Sequence[Cells]]

    def one_hop(self) -> Iterator[Items]:
        for link in self.base.links:
            if link.child not in self.base.reference:
                yield from self._upwards(link.child, [link], self.columns[link.child])

    def two_hops(self) -> Iterator[Items]:
        for link in self.base.links:
            if link.child in self.base.reference:
                continue
            for further in self.base.links_of(link.parent):
                yield from self._upwards(link.child, [link, further], self.columns[link.child])
        for link, together in self.children.items():
            own = self.columns[link.parent]
            yield from _pairs(self.base, link.parent, together, own, {})
            for further in self.base.links_of(link.parent):
                yield from self._upwards(link.parent, [further], together)
        links = list(self.children)
        for i, first in enumerate(links):
            for second in links[i + 1 :]:
                if first.parent == second.parent:
                    sides = self.children[first], self.children[second]
                    yield from _pairs(self.base, first.parent, *sides, {})

    def _upwards(self, child: str, path: Sequence[Link], own: Sequence[Cells]) -> Iterator[Items]:
        """Cells of the rows of `child` with the columns of the table that `path` leads to."""
        above = {}
        for role in COMPARED:
            rows = path[0].rows[role]
            for link in path[1:]:
                rows = np.append(link.rows[role], -1)[rows]
            above[role] = rows
        yield from _pairs(self.base, child, own, self.columns[path[-1].parent], above)


def associations(base: Database) -> Associations:
    """Prepares columns and aggregates of children; self-references are pairs like others."""
    columns = {
        spec.name: [
            Cells(f"{spec.name}.{feature.name}", binned(feature))
            for feature in base.features[spec.name][:MOST_COLUMNS]
        ]
        for spec in base.schema.tables
    }
    children = {
        link: list(aggregates(base, link))[:MOST_COLUMNS]
        for link in base.links
        if link.parent not in base.reference and link.child not in base.reference
    }
    return Associations(base, columns, children)


def binned(feature: Feature) -> Binned:
    """Deciles of train, or the commonest levels and the rest as one."""
    found = by_quantiles(feature)
    if feature.numeric or found.size <= MOST_LEVELS + 2:
        return found
    codes = {role: np.minimum(rows, MOST_LEVELS + 1) for role, rows in found.codes.items()}
    return Binned(codes, MOST_LEVELS + 2)


def aggregates(base: Database, link: Link) -> Iterator[Cells]:
    """The children of each parent row: their number, mean of numbers, commonest level of others."""
    parents = {role: base.rows(role, link.parent) for role in link.rows}
    counts = {
        role: np.bincount(rows[rows >= 0], minlength=parents[role]).astype(np.float64)
        for role, rows in link.rows.items()
    }
    yield Cells(f"number of {link.child}", binned(_feature("count", counts)))
    for feature in base.features[link.child]:
        if feature.numeric:
            means = {
                role: _means(rows, feature.values[role].astype(np.float64), parents[role])
                for role, rows in link.rows.items()
            }
            cells = binned(_feature(feature.name, means))
            yield Cells(f"mean {link.child}.{feature.name}", cells)
            continue
        levels = binned(feature)
        modes = {
            role: modal(rows, levels.codes[role], parents[role], levels.size)
            for role, rows in link.rows.items()
        }
        # One code beyond the levels: the parent has no children.
        cells = Binned(modes, levels.size + 1)
        yield Cells(f"commonest {link.child}.{feature.name}", cells)


def modal(owner: Rows, codes: Rows, owners: int, size: int) -> Rows:
    """The commonest code of each owner, the lowest where several are; `size` where it has none."""
    there = owner >= 0
    keys, counts = np.unique(owner[there] * size + codes[there], return_counts=True)
    order = np.lexsort((-keys, counts, keys // size))
    last = np.flatnonzero(np.diff(keys[order] // size, append=-1))
    found = np.full(owners, size, np.int64)
    found[keys[order][last] // size] = keys[order][last] % size
    return found


def _means(owner: Rows, values: Floats, owners: int) -> Floats:
    there = (owner >= 0) & ~np.isnan(values)
    total = np.bincount(owner[there], values[there], owners)
    count = np.bincount(owner[there], minlength=owners)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _feature(name: str, values: Mapping[str, Floats]) -> Feature:
    return Feature(name, "number", True, pa.float64(), (), values)


def _pairs(
    base: Database,
    table: str,
    left: Sequence[Cells],
    right: Sequence[Cells],
    above: Mapping[str, Rows],
) -> Iterator[Items]:
    """Every cell of `left` with every one of `right`, taken at the rows `above` where given."""
    owner = {role: base.entity[role][table] for role in COMPARED}
    kept = {role: np.flatnonzero(rows >= 0) for role, rows in above.items()}
    if kept:
        owner = {role: owner[role][kept[role]] for role in COMPARED}
    for b in right:
        second = {
            role: b.binned.codes[role][above[role][kept[role]]] if kept else b.binned.codes[role]
            for role in COMPARED
        }
        for a in left:
            codes = {}
            for role in COMPARED:
                first = a.binned.codes[role][kept[role]] if kept else a.binned.codes[role]
                codes[role] = first * b.binned.size + second[role]
            yield Items(f"{a.name} × {b.name}", codes, owner, a.binned.size * b.binned.size)
