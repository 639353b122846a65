"""The structure that is drawn with a row: what points at it, what it looks up, what it waits for.

#link   how many rows will point at it        @link   the row of a small table it looks up
?link   whether a key matched later is there   =link   that it is the one of its context
^link   how deep it stands in its own hierarchy
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.synthesizers.relational.cells import Cells
from understudy.synthesizers.relational.graph import Graph, Link, Way
from understudy.synthesizers.relational.hierarchy import depths
from understudy.synthesizers.relational.rows import NOBODY, Places, Rows

MARKS = "#@=?^~"
WAYS: tuple[Way, ...] = ("primary", "matched", "deferred")
AGREEING = 0.2
"""From this share on that a row looks up the same row as its context does, that is learnt."""
ROW = "row"
"""A column for tables that have nothing else to draw."""


def structure_of(
    table: str, rows: Rows, graph: Graph, around: pa.Table
) -> tuple[dict[str, pa.Array], dict[str, str]]:
    """Columns of structure by name, and which lookups agree with which column of the context."""
    found: dict[str, pa.Array] = {}
    agreeing: dict[str, str] = {}
    for link in graph.of(table, "lookup"):
        places = rows.parents[link.name]
        other = _agreeing(link, places, graph, around)
        if other is not None:
            agreeing[link.name] = other
            same = places == _places(around[other])
            found[f"={link.name}"] = pa.array(same)
            places = np.where(same, NOBODY, places)
        found[f"@{link.name}"] = pa.array(places, mask=places == NOBODY).cast(pa.string())
    for link in graph.of(table, "matched", "deferred"):
        places = rows.parents[link.name]
        if (places == NOBODY).any():
            found[f"?{link.name}"] = pa.array(places != NOBODY)
        depth = depths(places) if link.parent == table else None
        if depth is not None:
            found[f"^{link.name}"] = pa.array(depth)
    for link in graph.into(table, "primary", "matched", "deferred"):
        found[f"#{link.name}"] = pa.array(rows.counts[link.name])
    return found, agreeing


def _agreeing(link: Link, places: Places, graph: Graph, around: pa.Table) -> str | None:
    best: tuple[float, str] | None = None
    for links in graph.links.values():
        for other in links:
            name = f"@{other.name}"
            if other.parent != link.parent or name not in around.column_names:
                continue
            share = float(np.mean(places == _places(around[name])))
            if share >= AGREEING and (best is None or share > best[0]):
                best = (share, name)
    return None if best is None else best[1]


def _places(column: pa.ChunkedArray) -> Places:
    return np.asarray(column.fill_null(NOBODY).to_numpy(), np.int64)


def _flags(drawn: pa.Table, name: str) -> NDArray[np.bool_]:
    if name not in drawn.column_names:
        return np.ones(drawn.num_rows, bool)
    return np.asarray(drawn[name].fill_null(False).to_numpy(), bool)


def settle(
    table: str,
    cells: Cells,
    agreeing: Mapping[str, str],
    rows: Rows,
    graph: Graph,
    drawn: pa.Table,
    around: pa.Table,
    kept: Sequence[str] = (),
) -> None:
    """Splits what was drawn for `table` into cells, counts, lookups and flags of `rows`.

    Columns `kept` are cells as they are.
    """
    for link in graph.into(table, "primary", "matched", "deferred"):
        if f"#{link.name}" in drawn.column_names:
            rows.counts[link.name] = drawn[f"#{link.name}"].to_numpy().astype(np.int64)
    for link in graph.of(table, "lookup"):
        rows.parents[link.name] = _looked_up(link, agreeing, drawn, around)
    for link in graph.of(table, "matched", "deferred"):
        rows.wanted[link.name] = _flags(drawn, f"?{link.name}")
        if f"^{link.name}" in drawn.column_names:
            rows.depths[link.name] = drawn[f"^{link.name}"].to_numpy().astype(np.int64)
    marked = _marked(graph, table)
    own = [n for n in drawn.column_names if not n.startswith(marked) and n not in kept]
    own = [] if cells.space is None else own
    found = cells.backward(drawn.select(own), around)
    for name in kept:
        found = found.append_column(name, drawn[name])
    rows.cells[table] = found


def nothing(table: str, types: pa.Schema, rows: Rows, graph: Graph) -> None:
    """Adds `table` to `rows` without a row; `types` are those of its cells."""
    rows.cells[table] = types.empty_table()
    for link in graph.into(table, "primary", "matched", "deferred"):
        rows.counts[link.name] = np.zeros(0, np.int64)
    for link in graph.of(table, "primary", "lookup"):
        rows.parents[link.name] = np.zeros(0, np.int64)
    for link in graph.of(table, "matched", "deferred"):
        rows.wanted[link.name] = np.zeros(0, np.bool_)


def _marked(graph: Graph, table: str) -> tuple[str, ...]:
    """How the columns of structure of `table` begin."""
    links = (*graph.links[table], *graph.into(table, *WAYS))
    return tuple(f"{mark}{link.name}" for link in links for mark in MARKS)


def _looked_up(
    link: Link, agreeing: Mapping[str, str], drawn: pa.Table, around: pa.Table
) -> Places:
    places = _places(drawn[f"@{link.name}"].cast(pa.int64()))
    if link.name not in agreeing:
        return places
    theirs = _places(around[agreeing[link.name]])
    same = _flags(drawn, f"={link.name}")
    return np.where(same & (theirs != NOBODY), theirs, places)
