"""What is known of a row before the rows that hang on it are made.

A row's own cells, how many rows point at it, the cells of the tables it looks up, the same of the
row it hangs on; and of rows made earlier for the same parent their first values and means.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.encoding.columns import from_numbers, to_numbers
from understudy.synthesizers.relational.graph import Graph, Link
from understudy.synthesizers.relational.rows import NOBODY, Places, Rows

DEPTH = 3
"""Generations a row looks back: itself, the row it hangs on, and that one's."""


def described(
    rows: Rows, graph: Graph, table: str, depth: int = DEPTH, until: Link | None = None
) -> pa.Table:
    """One row per row of `table`, columns named by their way: `account.district.region`.

    Of the rows it was matched with those by links before `until` are told.
    """
    found = {f"{table}.{name}": rows.cells[table][name] for name in rows.cells[table].column_names}
    for link in graph.into(table, "primary", "matched", "deferred"):
        if link.name in rows.counts:
            found[f"#{link.name}"] = pa.chunked_array([rows.counts[link.name]])
    for link in graph.of(table, "lookup"):
        found |= _looked_up(rows, graph, link)
    for link in graph.of(table, "matched"):
        if link == until:
            break
        if link.name in rows.parents:
            cells = rows.cells[link.parent]
            found |= {
                f"{link.name}.{link.parent}.{name}": taken(cells[name], rows.parents[link.name])
                for name in cells.column_names
            }
    primary = graph.primary(table)
    if primary is not None and depth > 1:
        above = described(rows, graph, primary.parent, depth - 1)
        places = rows.parents[primary.name]
        found |= {name: taken(above[name], places) for name in above.column_names}
    if not found:
        return pa.table({"": pa.nulls(rows.size(table), pa.float32())})
    return pa.table(found)


def context_of(rows: Rows, graph: Graph, link: Link) -> pa.Table:
    """One row per row of `link.parent`: what its children by `link` are drawn given."""
    found = described(rows, graph, link.parent)
    for other in graph.into(link.parent, "primary"):
        if other.child == link.child:
            break
        if other.name in rows.parents:
            for name, column in summary(rows, other).items():
                found = found.append_column(name, column)
    return found


def taken(column: pa.ChunkedArray, places: Places) -> pa.ChunkedArray:
    """The cells at `places`; missing where nobody is pointed at."""
    return column.take(pa.array(places, mask=places == NOBODY))


def _looked_up(rows: Rows, graph: Graph, link: Link) -> dict[str, pa.ChunkedArray]:
    places = rows.parents[link.name]
    cells = rows.cells[link.parent]
    begin = looked_up_under(graph, link)
    found: dict[str, pa.ChunkedArray] = {
        f"@{link.name}": pa.chunked_array([pa.array(places, mask=places == NOBODY)])
    }
    for name in cells.column_names:
        found[f"{begin}{name}"] = taken(cells[name], places)
    return found


def looked_up_under(graph: Graph, link: Link) -> str:
    """How the columns begin that a row looks up by `link`."""
    several = sum(other.parent == link.parent for other in graph.of(link.child, "lookup")) > 1
    return f"{link.name if several else link.child}.{link.parent}."


def summary(rows: Rows, link: Link) -> dict[str, pa.ChunkedArray]:
    """Of the children by `link` of each parent: the first one's cells, and means of numbers."""
    parents = rows.parents[link.name]
    size = rows.size(link.parent)
    there = np.flatnonzero(parents >= 0)
    first = np.full(size, NOBODY, np.int64)
    first[parents[there][::-1]] = there[::-1]
    found: dict[str, pa.ChunkedArray] = {}
    cells = rows.cells[link.child]
    for name in cells.column_names:
        column = cells[name]
        found[f"first {link.child}.{name}"] = taken(column, first)
        kind = column.type
        if pa.types.is_string(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind):
            continue
        found[f"mean {link.child}.{name}"] = pa.chunked_array([_means(column, parents, size)])
    for lookup, places in rows.parents.items():
        if lookup.startswith(f"{link.child}.") and lookup != link.name and len(places):
            found[f"first @{lookup}"] = taken(pa.chunked_array([places]), first)
    return found


def _means(column: pa.ChunkedArray, parents: Places, size: int) -> pa.Array:
    numbers, gone = to_numbers(column)
    there = (parents >= 0) & ~gone
    total: NDArray[np.float64] = np.bincount(
        parents[there], numbers[there].astype(np.float64), minlength=size
    )
    count = np.bincount(parents[there], minlength=size)
    return from_numbers(total / np.maximum(count, 1), count == 0, pa.float64())
