"""By what name the ledger knows a dataset: a keyed hash of names, types and cells.

Keyed, because the plain hash of a small table can be found by trying tables. What does not belong
to the data is left out: how a file was chunked, dictionary encoding, bits beneath missing cells.
So the same table read from CSV or Parquet with the same types has one fingerprint; with one cell
changed, or rows in another order, it has another.
"""

from __future__ import annotations

import hmac
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from understudy.data import Dataset
from understudy.privacy.home import keyed


def fingerprint(dataset: Dataset, key: bytes) -> str:
    """64 hexadecimal digits; `key` is the ledger's."""
    digest = keyed(key, "understudy dataset fingerprint")
    for name in sorted(dataset.tables):
        table = dataset.tables[name]
        _text(digest, ["table", name, table.num_rows, table.num_columns])
        for column, values in zip(table.column_names, table.columns, strict=True):
            plain = _plain(values)
            _text(digest, ["column", column, str(plain.type)])
            _cells(digest, plain)
    return digest.hexdigest()


def _plain(values: pa.ChunkedArray) -> pa.Array:
    """One contiguous array, text and bytes in one form, without dictionaries."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
        values = values.cast(kind)
    if pa.types.is_string(kind):
        values = values.cast(pa.large_string())
    elif pa.types.is_binary(kind):
        values = values.cast(pa.large_binary())
    return pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)


def _cells(digest: hmac.HMAC, values: pa.Array) -> None:
    _bytes(digest, np.packbits(values.is_valid().to_numpy(zero_copy_only=False)))
    kind = values.type
    if pa.types.is_large_string(kind) or pa.types.is_large_binary(kind):
        filled = pc.fill_null(values.cast(pa.large_binary()), b"")
        _bytes(digest, pc.binary_length(filled).to_numpy())
        _bytes(digest, _content(filled))
    elif pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        _bytes(digest, pc.fill_null(values, pa.scalar(0).cast(kind)).to_numpy(zero_copy_only=False))
    elif pa.types.is_temporal(kind) and kind.bit_width in (32, 64):
        whole = values.view(pa.int32() if kind.bit_width == 32 else pa.int64())
        _bytes(digest, pc.fill_null(whole, 0).to_numpy())
    else:
        _text(digest, [str(cell) for cell in values.to_pylist()])


def _content(filled: pa.Array) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The bytes of all cells, one after the other."""
    _, offsets, content = filled.buffers()
    if content is None or not len(filled):
        return np.empty(0, np.uint8)
    ends = np.frombuffer(offsets, np.int64)[filled.offset : filled.offset + len(filled) + 1]
    return np.frombuffer(content, np.uint8)[ends[0] : ends[-1]]


def _text(digest: hmac.HMAC, words: list[Any]) -> None:
    digest.update(json.dumps(words).encode() + b"\n")


def _bytes(digest: hmac.HMAC, values: np.ndarray[Any, Any]) -> None:
    digest.update(np.ascontiguousarray(values).data)
