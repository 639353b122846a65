"""Numbers that are copied from the context: the order that pays a loan is as large as its rate."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.encoding.columns import from_numbers, to_numbers
from understudy.synthesizers.relational.cells import Cells

LEAST = 0.02
"""Share of rows from which on a copy is believed, if it is this often beyond chance:"""
BEYOND = 5.0
FEWEST = 20
"""Distinct values that must have been copied: nobody tells a copied `1` from another."""


def flag(column: str) -> str:
    """How the column is called that says whether a cell is a copy."""
    return f"copied {column}"


def copies_in(table: pa.Table, cells: Cells, around: pa.Table) -> dict[str, str]:
    """For each number of `table` the column of the context that it is most often a copy of."""
    found: dict[str, str] = {}
    anchored = {anchor.column for anchor in cells.anchors}
    for name in table.column_names:
        if name in anchored or not _copyable(table.schema.field(name).type):
            continue
        best = LEAST
        for other in around.column_names:
            if around.schema.field(other).type != table.schema.field(name).type:
                continue
            same = equal(table[name], around[other])
            if same.mean() > best and _beyond_chance(table[name], around[other], same):
                best, found[name] = float(same.mean()), other
    return found


def equal(column: pa.ChunkedArray, other: pa.ChunkedArray) -> NDArray[np.bool_]:
    """bool[rows]: both are there and the same."""
    own, gone = to_numbers(column)
    theirs, absent = to_numbers(other)
    return np.asarray((own == theirs) & ~gone & ~absent, bool)


def with_copies(drawn: pa.Table, copies: Mapping[str, str], around: pa.Table) -> pa.Table:
    """`drawn` with copied cells taken from the context, and without the flags."""
    for name, source in copies.items():
        own, gone = to_numbers(drawn[name])
        theirs, absent = to_numbers(around[source])
        copied = np.asarray(drawn[flag(name)].fill_null(False).to_numpy(), bool) & ~absent
        kind = drawn.schema.field(name).type
        cells = from_numbers(np.where(copied, theirs, own), gone & ~copied, kind)
        drawn = drawn.set_column(drawn.column_names.index(name), name, cells)
        drawn = drawn.drop_columns([flag(name)])
    return drawn


def _copyable(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )


def _beyond_chance(
    column: pa.ChunkedArray, other: pa.ChunkedArray, same: NDArray[np.bool_]
) -> bool:
    """Whether they agree far more often than with the context in another order."""
    own, _ = to_numbers(column)
    if len(np.unique(own[same])) < FEWEST:
        return False
    shifted = pa.chunked_array([other.combine_chunks().take(pa.array(_turned(len(other))))])
    return bool(same.mean() > BEYOND * equal(column, shifted).mean())


def _turned(size: int) -> NDArray[np.int64]:
    """Rows in an order that keeps few neighbours: rows of one parent stand together."""
    return np.random.default_rng(0).permutation(size)
