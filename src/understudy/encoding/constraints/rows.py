"""Rows as exact integer codes, null equal to null: what grouping by several columns needs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Codes = NDArray[np.int64]


def column_codes(column: pa.ChunkedArray, levels: pa.Array | None = None) -> tuple[Codes, pa.Array]:
    """int64[n] and the levels they index; null is the code after the last level.

    With `levels` given, a value that is not among them is -1.
    """
    if levels is None:
        levels = pc.unique(column).drop_null()
        levels = levels.take(pc.array_sort_indices(levels))
    found = pc.fill_null(pc.index_in(column, value_set=levels), -1)
    codes = found.to_numpy().astype(np.int64)
    codes[pc.is_null(column).to_numpy()] = len(levels)
    return codes, levels


def joint_codes(codes: Sequence[Codes], sizes: Sequence[int]) -> Codes:
    """One code per row, equal exactly where all columns' codes are equal, in 0..groups-1."""
    joint, groups = codes[0], sizes[0]
    for more, size in zip(codes[1:], sizes[1:], strict=True):
        if groups * size >= 1 << 62:
            joint = _dense(joint)
            groups = int(joint.max(initial=0)) + 1
        joint = joint * size + more
        groups *= size
    return _dense(joint)


def row_codes(table: pa.Table, columns: Sequence[str]) -> Codes:
    """int64[n]: rows with the same code agree on all `columns` (null equals null)."""
    pairs = [column_codes(table[name]) for name in columns]
    return joint_codes([codes for codes, _ in pairs], [len(levels) + 1 for _, levels in pairs])


def first_rows(codes: Codes) -> NDArray[np.int64]:
    """The first row of each code, in the order of the codes; codes are 0..groups-1, all in use."""
    first = np.empty(int(codes.max(initial=-1)) + 1, dtype=np.int64)
    # Of several assignments to one place the last stays, so the rows go in backwards.
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    return first


def find_rows(table: pa.Table, columns: Sequence[str], among: pa.Table) -> NDArray[np.int64]:
    """int64[n]: the row of `among` that agrees on all `columns`, -1 where none does.

    `among` has no two rows that agree.
    """
    wanted, known, sizes = [], [], []
    for name in columns:
        codes, levels = column_codes(among[name])
        known.append(codes)
        wanted.append(column_codes(table[name].cast(among[name].type), levels)[0])
        sizes.append(len(levels) + 1)
    unseen = np.any([codes < 0 for codes in wanted], axis=0)
    wanted = [np.maximum(codes, 0) for codes in wanted]
    together = [np.concatenate(pair) for pair in zip(known, wanted, strict=True)]
    joint = joint_codes(together, sizes)
    row_of = np.full(int(joint.max(initial=-1)) + 1, -1, dtype=np.int64)
    row_of[joint[: among.num_rows]] = np.arange(among.num_rows)
    return np.where(unseen, -1, row_of[joint[among.num_rows :]])


def _dense(codes: Codes) -> Codes:
    """The codes renumbered 0..groups-1 in their order; hashed, since sorting all rows is slow."""
    column = pa.array(codes)
    known = np.sort(pc.unique(column).to_numpy())
    found = pc.index_in(column, value_set=pa.array(known))
    return np.asarray(found.to_numpy(), dtype=np.int64)
