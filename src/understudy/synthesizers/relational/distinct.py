"""Keys of several columns that no two rows share: pairs that are linked, a line and its kind."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.runtime.random import stream
from understudy.schema import Table, Unique
from understudy.synthesizers.relational.graph import Graph, Link
from understudy.synthesizers.relational.rows import NOBODY, Places, Rows

SWAPS = 20


def without_repeats(spec: Table, rows: Rows, graph: Graph, seed: int) -> None:
    """Parts rows that would bear the same key, by exchanging parents with other rows.

    Exchanging keeps every degree; rows for which nobody can be found are left out. Keys with a
    column that is made anew never repeat.
    """
    for names in _keys(spec):
        links = _links(spec, rows, graph, names)
        pointing = {column for link in links for column in link.key.columns}
        own = [name for name in names if name not in pointing]
        if not set(own) <= set(rows.cells[spec.name].column_names):
            continue
        movable = [link for link in links if link.way != "primary"]
        if movable and not any(_shares(spec, link) for link in movable):
            _exchange(movable[-1], links, own, rows, stream(seed, "distinct", spec.name))
        repeated = _repeated(rows, spec.name, links, own)
        if repeated.any():
            rows.keep(graph, spec.name, np.flatnonzero(~repeated))


def _keys(spec: Table) -> Iterable[tuple[str, ...]]:
    rules = (rule.columns for rule in spec.constraints if isinstance(rule, Unique))
    return (names for names in dict.fromkeys((spec.primary_key, *rules)) if names)


def _links(spec: Table, rows: Rows, graph: Graph, names: tuple[str, ...]) -> list[Link]:
    return [
        link
        for link in graph.links[spec.name]
        if set(link.key.columns) & set(names) and link.name in rows.parents
    ]


def _shares(spec: Table, link: Link) -> bool:
    """Whether the link must agree with others, so that not everybody may take its place."""
    if link.parent == spec.name:
        return True
    return any(set(k.columns) & set(link.key.columns) for k in spec.foreign_keys if k != link.key)


def _exchange(
    link: Link, links: list[Link], own: list[str], rows: Rows, rng: np.random.Generator
) -> None:
    places = rows.parents[link.name] = rows.parents[link.name].copy()
    for _ in range(SWAPS):
        found = _repeated(rows, link.child, links, own)
        if not found.any():
            return
        repeated, whole = np.flatnonzero(found), np.flatnonzero(~found & (places != NOBODY))
        repeated = repeated[: len(whole)]
        others = rng.choice(whole, len(repeated), replace=False)
        places[repeated], places[others] = places[others], places[repeated]


def _repeated(rows: Rows, table: str, links: list[Link], own: list[str]) -> NDArray[np.bool_]:
    """bool[rows]: an earlier row has the same key; one with an empty part is like no other."""
    parts: list[Places] = [rows.parents[link.name] for link in links]
    for name in own:
        codes = rows.cells[table][name].combine_chunks().dictionary_encode().indices
        parts.append(pc.fill_null(codes, NOBODY).to_numpy().astype(np.int64))
    joint = np.stack(parts)
    _, first = np.unique(joint, axis=1, return_index=True)
    found = np.ones(joint.shape[1], bool)
    found[first] = False
    return found & (joint != NOBODY).all(axis=0)
