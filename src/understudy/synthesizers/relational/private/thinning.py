"""Fewer rows of a unit where that tells more: noise grows with how many, what they show does not.

Of `n` rows of a unit, `k` stand for all: every (n / k)-th, from a place that the unit's own key
sets. Which ones depends on the unit alone, so one unit more or less changes no other's.
"""

from __future__ import annotations

import math
import zlib

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.synthesizers.relational.rows import Places, ranks

FEW = 2


def fewer(bound: int) -> int:
    """How many rows of a unit that has up to `bound` its attributes are learnt from."""
    return bound if bound <= FEW else max(FEW, math.ceil(math.sqrt(bound)))


def salts(keys: pa.ChunkedArray) -> NDArray[np.float64]:
    """float64[rows] in [0, 1): a number that follows from each key alone."""
    distinct = keys.combine_chunks().dictionary_encode()
    values = distinct.dictionary.to_pylist()
    found = np.array([zlib.crc32(repr(value).encode()) / 2**32 for value in values] or [0.0])
    return found[distinct.indices.fill_null(0).to_numpy()]


def thinned(table: pa.Table, unit: Places, salt: NDArray[np.float64], most: int) -> pa.Table:
    """At most `most` rows of each unit; `unit` [rows] is a place in `salt` [units]."""
    if table.num_rows == 0:
        return table
    size = np.bincount(unit, minlength=len(salt))[unit]
    place = ranks(unit) + salt[unit]
    step = most / np.maximum(size, 1)
    kept = (size <= most) | (np.floor((place + 1) * step) > np.floor(place * step))
    return table.filter(pa.array(kept))
