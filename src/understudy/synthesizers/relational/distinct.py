"""Link tables whose key is the pair they link: no pair twice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from understudy.runtime.random import stream
from understudy.schema import Table
from understudy.synthesizers.relational.graph import Graph
from understudy.synthesizers.relational.rows import Rows

SWAPS = 20


def without_repeats(spec: Table, rows: Rows, graph: Graph, seed: int) -> None:
    """Parts rows that would bear the same primary key, by exchanging parents with other rows.

    Exchanging keeps every degree; rows for which nobody can be found are left out.
    """
    pointing = {name for link in graph.links[spec.name] for name in link.key.columns}
    if not spec.primary_key or not set(spec.primary_key) <= pointing:
        return
    names = [
        link.name
        for link in graph.links[spec.name]
        if set(link.key.columns) & set(spec.primary_key) and link.name in rows.parents
    ]
    movable = [link.name for link in graph.of(spec.name, "matched", "deferred")]
    movable = [name for name in movable if name in names]
    rng = stream(seed, "distinct", spec.name)
    for _ in range(SWAPS if movable else 0):
        repeated = np.flatnonzero(_repeated(rows, names))
        if len(repeated) == 0:
            return
        places = rows.parents[movable[-1]]
        others = rng.choice(len(places), len(repeated), replace=False)
        places[repeated], places[others] = places[others], places[repeated]
    repeated = _repeated(rows, names)
    if repeated.any():
        rows.keep(graph, spec.name, np.flatnonzero(~repeated))


def _repeated(rows: Rows, names: list[str]) -> NDArray[np.bool_]:
    """bool[rows]: an earlier row points at the same parents."""
    joint = np.stack([rows.parents[name] for name in names])
    _, first = np.unique(joint, axis=1, return_index=True)
    found = np.ones(joint.shape[1], bool)
    found[first] = False
    return found
