"""Rows of several tables while they are looked at or made: cells, and who points at whom by place.

Keys are places in the parent's table here, real ones and made ones alike; their values come last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.data import Dataset
from understudy.data.matching import links
from understudy.synthesizers.relational.graph import Graph, Link

Places = NDArray[np.int64]
NOBODY = -1


@dataclass
class Rows:
    """`cells` per table (keys left out), per link the parent's row of each row (-1 for an empty
    key), and per link how many rows of the child each parent's row has, or is to have."""

    cells: dict[str, pa.Table] = field(default_factory=dict)
    parents: dict[str, Places] = field(default_factory=dict)
    counts: dict[str, Places] = field(default_factory=dict)
    wanted: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    """Of links still to be matched: which rows are to have a key."""
    depths: dict[str, Places] = field(default_factory=dict)
    """Of links within a table: how deep each row is to stand."""
    likeness: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    """By `~link~lookup`: whether the row to be matched is to look up what the context does."""
    coded: dict[str, dict[str, NDArray[np.intp]]] = field(default_factory=dict)
    """Under a budget: the codes of tables whose axes are known."""
    salts: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    """Under a budget: a number in [0, 1) per row, that follows from its unit alone."""
    units: dict[str, Places] = field(default_factory=dict)
    """Under a budget: the unit of each row."""
    kept: dict[str, pa.Table] = field(default_factory=dict)
    """Reference tables with all their columns: their keys stand already."""

    def size(self, table: str) -> int:
        return self.cells[table].num_rows

    def degree(self, link: Link) -> Places:
        """int64[parent rows]: how many rows point at each by `link`."""
        found = self.parents[link.name]
        return np.bincount(found[found >= 0], minlength=self.size(link.parent)).astype(np.int64)

    def keep(self, graph: Graph, table: str, kept: Places) -> None:
        """Leaves of `table` only the rows `kept`; no other table may point at it yet."""
        place = np.full(self.size(table), NOBODY, np.int64)
        place[kept] = np.arange(len(kept))
        cells = self.cells[table]
        # Arrow forgets how many rows a table without columns has when it takes some.
        bare = cells.num_columns == 0
        self.cells[table] = cells.slice(0, len(kept)) if bare else cells.take(pa.array(kept))
        for link in graph.links[table]:
            if link.parent == table and link.name in self.parents:
                found = self.parents[link.name]
                self.parents[link.name] = np.where(found == NOBODY, NOBODY, place[found])
            for held in (self.parents, self.wanted, self.depths):
                if link.name in held:
                    held[link.name] = held[link.name][kept]
        for link in graph.into(table, "primary", "matched", "deferred"):
            if link.name in self.counts:
                self.counts[link.name] = self.counts[link.name][kept]
        if table in self.coded:
            self.coded[table] = {n: codes[kept] for n, codes in self.coded[table].items()}


def ranks(group: Places) -> Places:
    """The number of earlier rows with the same value, for each row."""
    order = np.argsort(group, kind="stable")
    ordered = group[order]
    first = np.searchsorted(ordered, ordered, side="left")
    found = np.empty(len(group), np.int64)
    found[order] = np.arange(len(group)) - first
    return found


def real_rows(dataset: Dataset, graph: Graph, learnt: Mapping[str, tuple[str, ...]]) -> Rows:
    """The rows of a dataset, their keys resolved; orphans count as empty keys."""
    rows = Rows()
    for name in graph.order:
        rows.cells[name] = dataset.tables[name].select(list(learnt[name]))
        if name in graph.reference:
            rows.kept[name] = dataset.tables[name]
    for name in graph.order:
        for link in graph.links[name]:
            rows.parents[link.name] = resolved(dataset, link)
            rows.counts[link.name] = rows.degree(link)
    return rows


def resolved(dataset: Dataset, link: Link) -> Places:
    """int64[child rows]: the row of the parent that each key points at, the first of several."""
    found = links(dataset.tables[link.child], dataset.tables[link.parent], link.key)
    places = np.full(dataset.tables[link.child].num_rows, NOBODY, np.int64)
    places[found.child[::-1]] = found.parent[::-1]
    return places
