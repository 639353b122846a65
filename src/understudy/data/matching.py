"""Which parent rows a foreign key's cells name: codes instead of cells, whatever the key's width.

A key with an empty cell points nowhere, as SQL has it. Where a parent's key repeats, a child hangs
on every row that bears it: which of them came first must decide nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.schema import ForeignKey

Ints = NDArray[np.int64]
NOWHERE = -1
"""Code of a key without a counterpart: an orphan's, or one with an empty cell."""


@dataclass(frozen=True)
class Links:
    """Pairs of row numbers, sorted by child; int64 [links] each."""

    child: Ints
    parent: Ints

    def down(self) -> tuple[Ints, Ints]:
        return self.parent, self.child

    def up(self) -> tuple[Ints, Ints]:
        return self.child, self.parent


def links(child: pa.Table, parent: pa.Table, key: ForeignKey) -> Links:
    """Every pair of a child row and a parent row that its key names."""
    ours, theirs = codes(child, parent, key)
    known = np.flatnonzero(ours != NOWHERE)
    order = np.argsort(theirs, kind="stable")
    placed = theirs[order]
    first = np.searchsorted(placed, ours[known], side="left")
    last = np.searchsorted(placed, ours[known], side="right")
    which, at = spans(first, last)
    return Links(known[which], order[at])


def codes(child: pa.Table, parent: pa.Table, key: ForeignKey) -> tuple[Ints, Ints]:
    """Numbers of the keys of both tables, equal where the keys are; int64 [rows] each."""
    ours = np.zeros(child.num_rows, np.int64)
    theirs = np.zeros(parent.num_rows, np.int64)
    for name, reference in zip(key.columns, key.references, strict=True):
        here, there = _column(child[name], parent[reference])
        size = int(there.max(initial=NOWHERE)) + 1
        ours, theirs = _joined(ours, here, size), _joined(theirs, there, size)
        distinct = np.unique(theirs[theirs != NOWHERE])
        ours, theirs = _dense(ours, distinct), _dense(theirs, distinct)
    return ours, theirs


def pointing(table: pa.Table, key: ForeignKey) -> NDArray[np.bool_]:
    """Whether each row's key points somewhere: none of its cells is empty; bool [rows]."""
    found = np.ones(table.num_rows, np.bool_)
    for name in key.columns:
        found &= table[name].is_valid().to_numpy()
    return found


def emptied(table: pa.Table, columns: tuple[str, ...], rows: NDArray[np.bool_]) -> pa.Table:
    """`table` with the cells of `columns` missing in the rows where `rows` is true."""
    if not rows.any():
        return table
    for name in columns:
        place = table.column_names.index(name)
        values = table.column(place)
        gaps = pc.if_else(pa.array(rows), pa.scalar(None, values.type), values)
        table = table.set_column(place, name, gaps)
    return table


def spans(first: Ints, last: Ints) -> tuple[Ints, Ints]:
    """The members of the ranges [first, last): which range each is of, and the member."""
    sizes = last - first
    which = np.repeat(np.arange(len(sizes)), sizes)
    ends = np.cumsum(sizes)
    return which, np.arange(len(which)) - np.repeat(ends - sizes, sizes) + np.repeat(first, sizes)


def _column(child: pa.ChunkedArray, parent: pa.ChunkedArray) -> tuple[Ints, Ints]:
    if child.type != parent.type:
        child, parent = child.cast(pa.string()), parent.cast(pa.string())
    distinct = parent.unique().drop_null()
    found = (pc.index_in(values, value_set=distinct) for values in (child, parent))
    here, there = (x.fill_null(NOWHERE).to_numpy().astype(np.int64) for x in found)
    return here, there


def _joined(a: Ints, b: Ints, size: int) -> Ints:
    return np.where((a == NOWHERE) | (b == NOWHERE), NOWHERE, a * size + b)


def _dense(values: Ints, distinct: Ints) -> Ints:
    if len(distinct) == 0:
        return np.full(len(values), NOWHERE, np.int64)
    at = np.minimum(np.searchsorted(distinct, values), len(distinct) - 1)
    return np.where(distinct[at] == values, at, NOWHERE)
