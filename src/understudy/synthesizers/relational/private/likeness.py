"""Keys matched under a budget: by the lookups that both sides share, else by chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from understudy.runtime.random import stream
from understudy.synthesizers.relational.context import described, taken
from understudy.synthesizers.relational.graph import Graph, Link
from understudy.synthesizers.relational.pairing import fitting, given_out
from understudy.synthesizers.relational.private.flat import likeness
from understudy.synthesizers.relational.rows import NOBODY, Places, Rows

OTHER = -2


@dataclass(frozen=True)
class Likeness:
    """How rows find their parent by `link`; `total` says that every parent is pointed at."""

    link: Link
    total: bool

    def draw(self, rows: Rows, graph: Graph, seed: int) -> Places:
        """int64[child rows]: the parent's row of each, -1 for an empty key."""
        rng = stream(seed, "pairing", self.link.name)
        slots = np.flatnonzero(rows.wanted[self.link.name])
        places = np.full(rows.size(self.link.child), NOBODY, np.int64)
        if (
            self.link.child == self.link.parent
        ):  # earlier rows only, so that nothing runs in circles
            places[slots] = (rng.random(len(slots)) * slots).astype(np.int64)
            places[slots[slots == 0]] = NOBODY
            return places
        capacity = fitting(rows.counts[self.link.name], len(slots), rng)
        if len(slots) == 0 or capacity.sum() == 0:
            return places
        candidates = np.repeat(np.arange(len(capacity)), capacity)
        asked = [np.zeros(len(slots), np.int64)]
        offered = [np.zeros(len(candidates), np.int64)]
        for mine, theirs in likeness(graph, self.link):
            same = rows.likeness[f"~{self.link.name}~{theirs}"][slots]
            own = self._own(rows, graph, mine)[slots]
            asked.append(np.where(same, own, OTHER))
            offered.append(rows.parents[theirs][candidates])
        found = given_out(asked, offered, rng)
        there = found != NOBODY
        places[slots[there]] = candidates[found[there]]
        return places

    def _own(self, rows: Rows, graph: Graph, column: str) -> Places:
        primary = graph.primary(self.link.child)
        assert primary is not None
        above = described(rows, graph, primary.parent)[column]
        found = taken(above, rows.parents[primary.name])
        return np.asarray(found.fill_null(NOBODY).to_numpy(), np.int64)
