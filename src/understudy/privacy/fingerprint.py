"""By what the ledger knows a dataset: keyed digests of what its columns hold.

What is shared by all runs must not be lost by renaming a file, reading it as a frame or declaring
another spelling of missing cells. So a digest covers what cells say and nothing else: not the name
of the column, its type, its place or the order of its rows. Each column gives several, of the
values that a keyed hash puts into one of its parts, so that a value that is declared missing, or a
row more, changes one part of each column and leaves the others. Keyed, because plain digests of
columns can be found by trying columns.

What it does not recognise: tables that share fewer than half of their parts, as one with many other
rows, and cells that are spelled in two ways at once (a flag as `true` here and as `1` there).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.data import Dataset
from understudy.data.stored import fitted
from understudy.privacy.home import keyed

PARTS = 16
"""Of a column; a value belongs to one of them by its keyed hash."""
MULTIPLIER = 0x9E3779B97F4A7C15
"""The golden ratio as an odd word: neighbouring numbers are spread over all parts."""


@dataclass(frozen=True)
class Fingerprint:
    """`columns`: hexadecimal digests of the parts of columns that tell one dataset from another."""

    name: str
    columns: frozenset[str]

    def same_as(self, columns: frozenset[str]) -> bool:
        """Whether half of the parts of one are parts of the other."""
        smaller = min(len(self.columns), len(columns))
        return smaller > 0 and 2 * len(self.columns & columns) >= smaller


def fingerprint(dataset: Dataset, key: bytes) -> Fingerprint:
    """The digests of all columns of all tables; `key` is the ledger's.

    Constants and running numbers are alike in many tables, so they count where there is no more.
    """
    told: set[str] = set()
    rest: set[str] = set()
    for table in dataset.tables.values():
        for column in table.columns:
            digests, tells = _column(column, key)
            (told if tells else rest).update(digests)
    columns = frozenset(told or rest)
    name = keyed(key, "understudy dataset fingerprint")
    name.update("".join(sorted(columns)).encode())
    return Fingerprint(name.hexdigest(), columns)


def _column(column: pa.ChunkedArray, key: bytes) -> tuple[set[str], bool]:
    """Digests of the column's parts, and whether they tell much."""
    present = column.drop_null()
    numbers = _numbers(present)
    if numbers is not None:
        parts = _number_parts(numbers, key)
        steps = np.diff(np.unique(numbers))
        running = len(steps) + 1 == len(numbers) and bool(np.all(steps == 1))
        tells = len(steps) > 0 and not running
    else:
        counted = pc.value_counts(pc.utf8_lower(_texts(present)))
        parts = _word_parts(counted, key)
        tells = len(counted) > 1
    digests = set()
    for content in parts:
        digest = keyed(key, "understudy column fingerprint")
        digest.update(content)
        digests.add(digest.hexdigest())
    return digests, tells


def _number_parts(numbers: NDArray[np.float64], key: bytes) -> Iterator[bytes]:
    secret = np.uint64(int.from_bytes(hmac.digest(key, b"parts", "sha256")[:8], "little"))
    values, counts = np.unique(numbers, return_counts=True)
    mixed = (values.view(np.uint64) ^ secret) * np.uint64(MULTIPLIER)
    part = (mixed >> np.uint64(60)).astype(np.int64) % PARTS
    for i in np.unique(part):
        mine = part == i
        yield b"numbers\n" + values[mine].tobytes() + counts[mine].astype(np.int64).tobytes()


def _word_parts(counted: pa.StructArray, key: bytes) -> Iterator[bytes]:
    parts: dict[int, list[bytes]] = {}
    words, counts = counted.field("values").to_pylist(), counted.field("counts").to_pylist()
    for word, count in zip(words, counts, strict=True):
        raw = word.encode()
        place = hashlib.blake2b(raw, digest_size=1, key=key).digest()[0] % PARTS
        parts.setdefault(place, []).append(b"%d:%d:%b" % (count, len(raw), raw))
    for cells in parts.values():
        yield b"words\n" + b"\n".join(sorted(cells))


def _numbers(present: pa.ChunkedArray) -> NDArray[np.float64] | None:
    """Numbers, and moments as seconds; text too where all of it spells numbers or moments."""
    kind = present.type
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        moments = present.cast(pa.timestamp("us", getattr(kind, "tz", None)), safe=False)
        return np.asarray(moments.cast(pa.int64()).to_numpy(), np.float64) / 1e6
    if pa.types.is_duration(kind):
        return np.asarray(present.cast(pa.duration("ns")).cast(pa.int64()).to_numpy(), np.float64)
    if pa.types.is_time(kind):
        whole = present.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
        return np.asarray(whole.to_numpy(), np.float64)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _spelled(present)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return np.asarray(present.cast(pa.float64(), safe=False).to_numpy(), np.float64) + 0.0
    return None


def _spelled(texts: pa.ChunkedArray) -> NDArray[np.float64] | None:
    """The numbers or moments of a column of text, most of which spells such; else None."""
    for kind in (pa.float64(), pa.timestamp("us")):
        few = fitted(texts.slice(0, 100), kind)
        if 2 * few.null_count >= len(few):
            continue
        values = fitted(texts, kind)
        if 2 * values.null_count < len(values):
            return _numbers(values.drop_null())
    return None


def _texts(present: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(present.type):
        present = present.cast(present.type.value_type)
    try:
        return present.cast(pa.large_string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        texts = [str(cell) for cell in present.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.large_string())])
