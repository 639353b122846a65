"""Columns to codes and back: `decode(encode(x)) == x` for every value seen in training.

Two code spaces, chosen per column:

* `Levels`: a code is the index of a distinct value; -1 is missing. Categories, booleans and numbers
  with few distinct values.
* `Ranks`: a code is the index of a distinct value in the column's order statistics, with the
  multiplicity of each kept, so that neighbourhoods are counted in people and not in units of the
  column. Numbers, dates and durations with many distinct values; -1 is missing.

Values are held in the source's own integer or float type, so integers beyond 2^53 survive.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

MISSING = -1
FEW_VALUES = 32
"""Numbers with at most this many distinct values are levels."""
KNOT = 10
"""The quantile line runs through every tenth distinct value."""
HEAVY = 20
"""A value that this many rows share is a point mass: it points at nobody and stays as it is."""

Codes = NDArray[np.int32]


@dataclass(frozen=True)
class Levels:
    """Distinct values `values` (Arrow, sorted) with training counts; code = index."""

    name: str
    values: pa.Array
    counts: NDArray[np.int64]

    @property
    def size(self) -> int:
        return len(self.values)

    def encode(self, column: pa.ChunkedArray) -> Codes:
        """int32[n]; -1 where missing or not seen in training."""
        found = pc.index_in(column, value_set=self.values)
        return _to_codes(found)

    def decode(self, codes: Codes, type: pa.DataType) -> pa.Array:
        if self.size == 0:
            return pa.nulls(len(codes), type)
        return self.values.take(pa.array(codes, mask=codes < 0)).cast(type)


@dataclass(frozen=True)
class QuantileLine:
    """Knots (codes) and their places among the order statistics; `start` and `end` say, for each
    code of the column, which knots its own segment begins and ends at.
    """

    knots: NDArray[np.int64]
    places: NDArray[np.float64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]


@dataclass(frozen=True)
class Ranks:
    """Order statistics of a numeric column: sorted distinct `values` and their multiplicities.

    `values` is int64, uint64 or float64 and holds what `to_numbers` makes of the Arrow column;
    `heavy` marks point masses, which no smoothing may spread or feed.
    """

    name: str
    values: NDArray[np.generic]
    counts: NDArray[np.int64]
    heavy: NDArray[np.bool_]
    decimals: int | None

    @property
    def size(self) -> int:
        return len(self.values)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Position of each distinct value's first copy among the order statistics."""
        return np.concatenate(([0], np.cumsum(self.counts)[:-1]))

    @cached_property
    def line(self) -> QuantileLine:
        """The column's quantile line through every `KNOT`-th light value of each segment."""
        light = np.flatnonzero(~self.heavy)
        segment_of = np.cumsum(self.heavy)
        segment = segment_of[light]
        begins = np.diff(segment, prepend=-1) > 0
        ends = np.diff(segment, append=segment[-1] + 1) > 0
        place = np.arange(len(light))
        place = place - np.maximum.accumulate(np.where(begins, place, 0))
        chosen = (place % KNOT == 0) | ends
        # A segment of one value gets it twice, so that every segment has a line.
        knots = np.repeat(light[chosen], np.where(begins & ends, 2, 1)[chosen])
        owner = segment_of[knots]
        start = np.searchsorted(owner, segment_of, side="left")
        end = np.searchsorted(owner, segment_of, side="right") - 1
        most = len(knots) - 1
        return QuantileLine(
            knots, self.middle[knots], np.clip(start, 0, most), np.clip(end, 0, most)
        )

    @cached_property
    def middle(self) -> NDArray[np.float64]:
        """Middle position of each distinct value among the order statistics."""
        return self.starts + (self.counts - 1) / 2

    @cached_property
    def block_of(self) -> Codes:
        """Code of the value at each position of the order statistics."""
        return np.repeat(np.arange(self.size, dtype=np.int32), self.counts)

    @cached_property
    def segment(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First and last position of the run of light values around each value."""
        last = self.starts + self.counts - 1
        previous = np.where(self.heavy, last + 1, 0)
        first_light = np.maximum.accumulate(previous)
        following = np.where(self.heavy, self.starts - 1, last[-1])
        last_light = np.minimum.accumulate(following[::-1])[::-1]
        return first_light, last_light

    def encode(self, column: pa.ChunkedArray) -> Codes:
        """int32[n]: index of the nearest value at or below; -1 where missing."""
        numbers, missing = to_numbers(column)
        codes = np.searchsorted(self.values, numbers, side="right").astype(np.int32) - 1
        np.maximum(codes, 0, out=codes)
        codes[missing] = MISSING
        return codes

    def decode(self, codes: Codes, type: pa.DataType) -> pa.Array:
        if self.size == 0:
            return pa.nulls(len(codes), type)
        return from_numbers(self.values[np.maximum(codes, 0)], codes < 0, type)

    def jitter(
        self, codes: Codes, reach: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.generic], Codes]:
        """Moves light values by up to `reach` positions along the empirical quantile line.

        The line runs through every tenth distinct value only: through each of them it would be
        steepest right at training values, and they would come out more often than values of
        people never seen.

        The move reflects at point masses and at both ends, so nothing piles up there, and its size
        is counted in the column's global order statistics, so sparse tails stay sparse and dense
        parts stay dense (never between neighbours inside one leaf, which fills gaps).

        Returns the new values (rounded to the column's decimals) and their codes.
        """
        if self.heavy.all():
            return self.values[np.maximum(codes, 0)], codes
        safe = np.maximum(codes, 0)
        first, last = (edge[safe] for edge in self.segment)
        spread = self.starts[safe] + rng.random(len(codes)) * self.counts[safe] - 0.5
        position = spread + rng.uniform(-reach, reach, len(codes))
        position = _reflect(position, first, last)
        at = self.block_of[np.rint(position).astype(np.int64)]
        line = self.line
        start, end = line.start[safe], line.end[safe]
        position = np.clip(position, line.places[start], line.places[end])
        below = np.searchsorted(line.places, position, side="right") - 1
        below = np.clip(below, start, end - 1)
        width = line.places[below + 1] - line.places[below]
        share = (position - line.places[below]) / np.maximum(width, 1e-9)
        low, high = self.values[line.knots[below]], self.values[line.knots[below + 1]]
        moved = _between(low, high, share, self.decimals)
        still = self.heavy[safe] | (codes < 0)
        moved = np.where(still, self.values[safe], moved)
        return moved, np.where(still, codes, at).astype(np.int32)


Codec = Levels | Ranks


def fit_codec(name: str, column: pa.ChunkedArray, *, numeric: bool) -> Codec:
    """`Ranks` for numeric columns with many values, else `Levels`."""
    present = column.drop_null()
    if not numeric or pc.count_distinct(present).as_py() <= FEW_VALUES:
        return _fit_levels(name, present)
    numbers, _ = to_numbers(present)
    values, counts = np.unique(numbers, return_counts=True)
    heavy = counts >= HEAVY
    return Ranks(name, values, counts, heavy, _decimals(values))


def to_numbers(column: pa.ChunkedArray | pa.Array) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """Exact numbers (int64, uint64 or float64; 0 where missing) and a mask of missing cells."""
    missing = (
        column.is_null().to_numpy(zero_copy_only=False)
        if isinstance(column, pa.Array)
        else column.is_null().to_numpy()
    )
    kind = column.type
    if pa.types.is_date32(kind):
        column = column.cast(pa.int32())
    elif pa.types.is_temporal(kind):
        column = column.cast(pa.int64())
    elif pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    filled = column.fill_null(False if pa.types.is_boolean(kind) else 0)
    numbers = (
        filled.to_numpy(zero_copy_only=False) if isinstance(filled, pa.Array) else filled.to_numpy()
    )
    if numbers.dtype.kind == "i":
        return numbers.astype(np.int64), missing
    if numbers.dtype.kind == "u":
        return numbers.astype(np.uint64), missing
    return numbers.astype(np.float64), missing


def from_numbers(
    numbers: NDArray[np.generic], missing: NDArray[np.bool_], type: pa.DataType
) -> pa.Array:
    """The Arrow column that `to_numbers` came from."""
    if pa.types.is_date32(type):
        return pa.array(numbers.astype(np.int32), mask=missing).cast(type)
    if pa.types.is_temporal(type):
        return pa.array(numbers.astype(np.int64), mask=missing).cast(type)
    if pa.types.is_decimal(type):
        exact = pc.round(pa.array(numbers.astype(np.float64), mask=missing), ndigits=type.scale)
        return exact.cast(type, safe=False)
    return pa.array(numbers, mask=missing).cast(type, safe=False)


def _fit_levels(name: str, present: pa.ChunkedArray) -> Levels:
    if len(present) == 0:
        return Levels(name, pa.array([], present.type), np.zeros(0, np.int64))
    tally = pc.value_counts(present.combine_chunks())
    values, counts = tally.field("values"), tally.field("counts").to_numpy()
    order = pc.array_sort_indices(values)
    return Levels(name, values.take(order), counts[order.to_numpy()].astype(np.int64))


def _to_codes(found: pa.ChunkedArray) -> Codes:
    return np.asarray(pc.fill_null(found, MISSING).to_numpy(), dtype=np.int32)


def _decimals(values: NDArray[np.generic]) -> int | None:
    """Digits after the point that all values share; None when more than nine."""
    if values.dtype.kind in "iu":
        return 0
    for digits in range(10):
        with np.errstate(over="ignore", invalid="ignore"):
            rounded = np.round(values, digits)
        if np.all(np.abs(rounded - values) <= 1e-9 * np.maximum(1.0, np.abs(values))):
            return digits
    return None


def _reflect(
    position: NDArray[np.float64], first: NDArray[np.int64], last: NDArray[np.int64]
) -> NDArray[np.float64]:
    position = np.where(position < first, 2 * first - position, position)
    position = np.where(position > last, 2 * last - position, position)
    return np.clip(position, first, last)


def _between(
    low: NDArray[np.generic],
    high: NDArray[np.generic],
    share: NDArray[np.float64],
    decimals: int | None,
) -> NDArray[np.generic]:
    """`low + share * (high - low)`, in integers exactly where the values are integers."""
    if low.dtype.kind in "iu":
        step = np.rint((high - low).astype(np.float64) * share)
        return low + step.astype(low.dtype)
    mixed = low + (high - low) * share
    return mixed if decimals is None else np.round(mixed, decimals)
