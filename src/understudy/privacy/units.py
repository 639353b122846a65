"""At most so many rows of a unit: which ones depends on that unit's own rows and nothing else.

Rows beyond the bound are left out by the order of a hash of their cells. Any choice that looked
at positions, or drew from a stream shared with other units, would let one unit more or less change
which rows of the others are kept, and so break the sensitivity that every mechanism relies on.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.data import Dataset
from understudy.privacy.session import Private, Session


def bounded(dataset: Dataset, rows_per_unit: int) -> Dataset:
    """`dataset` with at most `rows_per_unit` rows of each entity; order and schema are kept.

    A dataset whose unit is the row comes back as it is. One table; rows without a unit cell have
    no unit to protect them and are left out.
    """
    unit = dataset.schema.unit
    if unit.column is None:
        return dataset
    table = dataset.table
    codes = table[unit.column].combine_chunks().dictionary_encode().indices
    known = codes.is_valid().to_numpy(zero_copy_only=False)
    unit_of = codes.fill_null(-1).to_numpy().astype(np.int64)
    sizes = np.bincount(unit_of[known], minlength=1)
    keep = known & (sizes[unit_of] <= rows_per_unit)
    crowded = np.flatnonzero(known & ~keep)
    keep[_first(crowded, unit_of[crowded], _hashes(table.take(crowded)), rows_per_unit)] = True
    return dataset.with_table(table.filter(pa.array(keep)))


def admitted(dataset: Dataset, session: Session) -> Private[Dataset]:
    """`dataset` behind the session's door, its units bounded as the session says."""
    rows = bounded(dataset, session.rows_per_unit)
    return Private(rows, session, session.rows_per_unit)


def _first(
    rows: NDArray[np.int64],
    unit_of: NDArray[np.int64],
    hashes: NDArray[np.uint64],
    most: int,
) -> NDArray[np.int64]:
    """The `most` rows of each unit whose hashes come first; equal rows are exchangeable."""
    order = np.lexsort((hashes, unit_of))
    sorted_units = unit_of[order]
    starts = np.searchsorted(sorted_units, sorted_units, side="left")
    return rows[order[np.arange(len(order)) - starts < most]]


def _hashes(table: pa.Table) -> NDArray[np.uint64]:
    """A number for each row that depends on its cells only."""
    found = np.empty(table.num_rows, np.uint64)
    for start, batch in _batches(table):
        for i, row in enumerate(zip(*(column.to_pylist() for column in batch), strict=True)):
            digest = hashlib.blake2b(repr(row).encode(), digest_size=8).digest()
            found[start + i] = int.from_bytes(digest, "little")
    return found


def _batches(table: pa.Table) -> list[tuple[int, pa.RecordBatch]]:
    batches = table.to_batches(max_chunksize=65_536)
    starts = np.cumsum([0, *(batch.num_rows for batch in batches)])
    return list(zip(starts[:-1].tolist(), batches, strict=True))
