"""A table of which nothing shows: the rows it hangs on have none, as far as the noise lets see.

It is left empty and costs nothing. An empty table, and one whose rows all hang on two units, come
out as what they are, where learning them would make up rows from noise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from understudy.encoding.discrete import GridAxis
from understudy.encoding.private_bins import Binned
from understudy.synthesizers.relational.graph import Graph
from understudy.synthesizers.relational.rows import Rows

CLEAR = 4.0
"""Standard deviations of the noise by which rows that have some must stand out."""


@dataclass(frozen=True)
class Absent:
    """Draws no rows of table `name`, whose cells are `columns` of `types`."""

    name: str
    columns: tuple[str, ...]
    types: pa.Schema

    rows = 0.0

    def draw(self, rows: Rows, graph: Graph, size: int, seed: int) -> None:
        """Adds the empty table to `rows`; nothing hangs on it, and nobody has any of it."""
        kept = pa.schema([self.types.field(name) for name in self.columns])
        rows.cells[self.name] = kept.empty_table()
        rows.coded[self.name] = {}
        for link in graph.links[self.name]:
            rows.parents[link.name] = np.zeros(0, np.int64)
            rows.wanted[link.name] = np.zeros(0, bool)
        for link in graph.into(self.name, "primary", "matched", "deferred"):
            rows.counts[link.name] = np.zeros(0, np.int64)
        primary = graph.primary(self.name)
        if primary is not None and primary.name in rows.counts:
            rows.counts[primary.name] = np.zeros_like(rows.counts[primary.name])


def not_seen(graph: Graph, name: str, axes: Mapping[str, Mapping[str, Binned]]) -> bool:
    """Whether the noisy counts of the rows that `name` hangs on show none of it.

    Follows from answers paid for: how many rows there are, and how many of them have none.
    """
    primary = graph.primary(name)
    if primary is None:
        return False
    binned = axes[primary.parent].get(f"#{primary.name}")
    if binned is None:
        return True
    none = int(binned.axis.encode(pa.chunked_array([pa.array([0])]))[0])
    if not isinstance(binned.axis, GridAxis) or binned.axis.widths[none] > 1:
        return False
    sums = [float(column.counts.sum()) for column in axes[primary.parent].values()]
    precisions = [1.0 / float(column.variance.sum()) for column in axes[primary.parent].values()]
    everyone = float(np.dot(sums, precisions)) / sum(precisions)
    noise = math.sqrt(1.0 / sum(precisions) + float(binned.variance[none]))
    return everyone - float(binned.counts[none]) < CLEAR * noise
