"""Keys of one table that share a column: the rows they point at must agree on it.

`(tenant, customer)` and `(tenant, product)` of an order name one tenant. Whichever key is settled
first decides, and the others choose among rows whose value of the column has the same origin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from understudy.errors import EngineError
from understudy.synthesizers.relational.graph import Graph, Link
from understudy.synthesizers.relational.rows import NOBODY, Places, Rows

SETTLED = {"primary": 0, "lookup": 1, "matched": 2, "deferred": 3}
VALUES = "values"


@dataclass(frozen=True)
class Origin:
    """Where the cells of a key's column come from: rows of `source`, whose keys are made at last,
    or with `VALUES` what a reference table holds. One cell a row, missing for an empty key."""

    source: str
    cells: pa.ChunkedArray

    def codes(self, other: Origin) -> tuple[Places, Places]:
        """The cells of both as numbers that are equal where the cells are; -1 where missing."""
        distinct = pc.unique(self.cells.drop_null())
        ours, theirs = (
            pc.fill_null(pc.index_in(cells, value_set=distinct), NOBODY)
            for cells in (self.cells, other.cells)
        )
        return ours.to_numpy().astype(np.int64), theirs.to_numpy().astype(np.int64)


def refuse_disagreement(graph: Graph) -> None:
    """`EngineError` for keys that share a column no table of their own stands behind."""
    for table, links in graph.links.items():
        for link in links:
            for name, target in zip(link.key.columns, link.key.references, strict=True):
                sources = {_source(graph, link.parent, target)}
                sources |= {
                    _source(graph, other.parent, _target(other, name))
                    for other in links
                    if other != link and name in other.key.columns
                }
                itself = link.parent == table and sources == {f"{table}.{name}"}
                if len(sources) > 1 or (itself and name == target):
                    raise EngineError(
                        f"column {name!r} of table {table!r} is part of several keys, and what it "
                        f"names stands in no table of its own ({', '.join(sorted(sources))}). Add "
                        f"a table that lists the values of {name!r} and let these tables point at "
                        "it, or drop one of the keys from the plan."
                    )


def required(rows: Rows, graph: Graph, link: Link) -> list[tuple[Places, Places]]:
    """For each column that keys settled before `link` have too: codes [child rows] and
    [parent rows] that must be equal; -1 on the left where those keys are empty."""
    found = []
    for name in link.key.columns:
        earlier = [
            other
            for other in graph.links[link.child]
            if name in other.key.columns and _when(graph, other) < _when(graph, link)
        ]
        if not earlier:
            continue
        earlier.sort(key=lambda other: _when(graph, other))
        theirs = origin(rows, graph, link.parent, _target(link, name))
        found.append(_pointed(rows, graph, earlier, name).codes(theirs))
    return found


def origin(rows: Rows, graph: Graph, table: str, column: str) -> Origin:
    """Where the cells of `column`, which is part of a key of `table`, come from."""
    if table in graph.reference:
        return Origin(VALUES, rows.kept[table][column].cast(pa.string()))
    pointing = _pointing(graph, table, column)
    if pointing:
        return _pointed(rows, graph, pointing, column)
    return Origin(f"{table}.{column}", pa.chunked_array([np.arange(rows.size(table))]))


def _pointed(rows: Rows, graph: Graph, links: list[Link], column: str) -> Origin:
    """The origin of a column that several links may give; the first that is not empty does."""
    source, cells = "", None
    for link in links:
        if link.name not in rows.parents:
            continue
        above = origin(rows, graph, link.parent, _target(link, column))
        places = rows.parents[link.name]
        own = above.cells.take(pa.array(places, mask=places == NOBODY))
        source, cells = above.source, own if cells is None else pc.coalesce(cells, own)
    assert cells is not None
    return Origin(source, cells)


def _source(graph: Graph, table: str, column: str) -> str:
    if table in graph.reference:
        return VALUES
    links = _pointing(graph, table, column)
    if not links:
        return f"{table}.{column}"
    return _source(graph, links[0].parent, _target(links[0], column))


def _pointing(graph: Graph, table: str, column: str) -> list[Link]:
    """Links of `table` that give `column`, earliest first; one onto itself gives nothing new."""
    return [
        link
        for link in sorted(graph.links[table], key=lambda x: _when(graph, x))
        if column in link.key.columns
        and not (link.parent == table and _target(link, column) == column)
    ]


def _target(link: Link, column: str) -> str:
    return link.key.references[link.key.columns.index(column)]


def _when(graph: Graph, link: Link) -> tuple[int, int, bool, int]:
    """In which order the links of a table are settled."""
    late = graph.order.index(link.parent) if link.way == "deferred" else 0
    return SETTLED[link.way], late, link.nullable, link.place
