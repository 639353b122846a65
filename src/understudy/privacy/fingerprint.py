"""By what the ledger knows a dataset: a keyed digest of the cells of each column.

What is shared by all runs must not be lost by renaming a file, reading it as a frame or declaring
another spelling of missing cells. So a digest covers what a column's cells say and nothing else:
not its name, its type, its place or the order of its rows; and a dataset is recognised by half of
its columns. Keyed, because the plain digest of a column can be found by trying columns.

What it does not recognise: other rows. A table with rows added or taken away is another dataset.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.data import Dataset
from understudy.data.stored import fitted
from understudy.privacy.home import keyed


@dataclass(frozen=True)
class Fingerprint:
    """`columns`: hexadecimal digests of those that tell one dataset from another."""

    name: str
    columns: frozenset[str]

    def same_as(self, columns: frozenset[str]) -> bool:
        """Whether half of the columns of one are columns of the other."""
        smaller = min(len(self.columns), len(columns))
        return smaller > 0 and 2 * len(self.columns & columns) >= smaller


def fingerprint(dataset: Dataset, key: bytes) -> Fingerprint:
    """The digests of all columns of all tables; `key` is the ledger's.

    Constants and running numbers are alike in many tables, so they count where there is no more.
    """
    told, all_columns = set(), set()
    for table in dataset.tables.values():
        for column in table.columns:
            digest = keyed(key, "understudy column fingerprint")
            tells = _cells(digest, column)
            all_columns.add(digest.hexdigest())
            if tells:
                told.add(digest.hexdigest())
    columns = frozenset(told or all_columns)
    name = keyed(key, "understudy dataset fingerprint")
    name.update("".join(sorted(columns)).encode())
    return Fingerprint(name.hexdigest(), columns)


def _cells(digest: hmac.HMAC, column: pa.ChunkedArray) -> bool:
    """Adds what the cells say, in sorted order; whether that tells much."""
    present = column.drop_null()
    digest.update(f"{len(column)} rows\n".encode())
    numbers = _numbers(present)
    if numbers is not None:
        numbers.sort()
        digest.update(b"numbers\n" + numbers.tobytes())
        steps = np.diff(numbers)
        return len(numbers) > 1 and bool(np.any(steps != 0)) and not bool(np.all(steps == 1))
    counted = pc.value_counts(pc.utf8_lower(_texts(present)))
    values, counts = counted.field("values"), counted.field("counts")
    order = pc.array_sort_indices(values)
    values, counts = values.take(order).cast(pa.large_binary()), counts.take(order)
    digest.update(b"words\n" + counts.to_numpy().tobytes())
    digest.update(pc.binary_length(values).to_numpy().tobytes())
    digest.update(_content(values))
    return len(values) > 1


def _content(values: pa.Array) -> bytes:
    """The bytes of all cells, one after the other; `values` must be fresh from `take`."""
    _, ends, content = values.buffers()
    last = int(np.frombuffer(ends, np.int64)[len(values)])
    return bytes(memoryview(content)[:last]) if last else b""


def _numbers(present: pa.ChunkedArray) -> NDArray[np.float64] | None:
    """Numbers, and moments as seconds; text too where all of it spells numbers or moments."""
    kind = present.type
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        moments = present.cast(pa.timestamp("us", getattr(kind, "tz", None)), safe=False)
        return np.asarray(moments.cast(pa.int64()).to_numpy(), np.float64) / 1e6
    if pa.types.is_duration(kind) or pa.types.is_time(kind):
        whole = present.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
        return np.asarray(whole.to_numpy(), np.float64)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _spelled(present)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return np.asarray(present.cast(pa.float64(), safe=False).to_numpy(), np.float64) + 0.0
    return None


def _spelled(texts: pa.ChunkedArray) -> NDArray[np.float64] | None:
    """The numbers or moments that a column of text spells, or None if the first does not."""
    if len(texts) == 0:
        return None
    for kind in (pa.float64(), pa.timestamp("us")):
        first = fitted(texts.slice(0, 1), kind)
        if first.null_count:
            continue
        values = fitted(texts, kind)
        if values.null_count == 0:
            return _numbers(values)
    return None


def _texts(present: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(present.type):
        present = present.cast(present.type.value_type)
    try:
        return present.cast(pa.large_string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        texts = [str(cell) for cell in present.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.large_string())])
