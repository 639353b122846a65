"""The one metric space of all audits: rows as points whose squared distance reads like Gower's.

Fitted on the reference sample only, so it knows nothing of who was a member.

* numbers, dates, durations: `(x - q01) / (q99 - q01)`, clipped to +-3: a unit is the usual range;
* missing numbers: the middle of the column, plus a 0/1 coordinate;
* categories: one-hot times `1/sqrt(2)`, so that a mismatch adds exactly 1 to squared distance;
  missing is a level, levels the reference never saw share one;
* categories with more than `MANY_LEVELS` levels: the `TOP_LEVELS` commonest are one-hot, the others
  share `BUCKETS` hashed coordinates (two rare levels in one bucket count as equal);
* constant columns carry no distance and are dropped; identifiers and text are left out and said.

Outliers dominate this space and vanish in its second version, `ranks=True`, where numbers are their
quantile ranks in the reference. Audits use both.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.encoding.columns import to_numbers
from understudy.schema import LEARNT_KINDS, Table

CLIP = 3.0
MANY_LEVELS = 200
TOP_LEVELS = 100
BUCKETS = 64
NUMERIC_KINDS = ("number", "datetime", "duration", "geo")

Points = NDArray[np.float32]


def is_numeric(kind: str, type: pa.DataType) -> bool:
    """Whether a column is a line of numbers: its kind says so and its values are no strings."""
    return kind in NUMERIC_KINDS and not (
        pa.types.is_string(type) or pa.types.is_large_string(type) or pa.types.is_null(type)
    )


@dataclass(frozen=True)
class NumberAxis:
    """A number on one coordinate, and whether it is missing on a second where that varies."""

    name: str
    low: float
    scale: float
    middle: float
    missing_varies: bool
    order: NDArray[np.float64] | None
    """Sorted reference values when the axis measures ranks."""

    @property
    def width(self) -> int:
        return 1 + self.missing_varies

    def place(self, column: pa.ChunkedArray, out: Points) -> None:
        """Writes float32 [n, width] into `out`."""
        numbers, missing = to_numbers(column)
        values = numbers.astype(np.float64)
        if self.order is None:
            position = np.clip((values - self.low) / self.scale, -CLIP, CLIP)
        else:
            position = _midrank(values, self.order)
        out[:, 0] = np.where(missing, self.middle, position)
        if self.missing_varies:
            out[:, 1] = missing


@dataclass(frozen=True)
class CategoryAxis:
    """A category on `width` one-hot coordinates: missing, unknown or hashed, then the levels."""

    name: str
    levels: pa.Array
    buckets: int

    @property
    def width(self) -> int:
        return 1 + self.buckets + len(self.levels)

    def place(self, column: pa.ChunkedArray, out: Points) -> None:
        """Writes float32 [n, width] into `out`."""
        out[:] = 0.0
        out[np.arange(len(column)), self._slots(column)] = np.sqrt(0.5)

    def _slots(self, column: pa.ChunkedArray) -> NDArray[np.int64]:
        """The coordinate of each row, found once per distinct value."""
        coded = column.combine_chunks().dictionary_encode()
        if isinstance(coded, pa.ChunkedArray):
            coded = coded.combine_chunks()
        known = pc.fill_null(pc.index_in(coded.dictionary, value_set=self.levels), -1)
        known = known.to_numpy(zero_copy_only=False).astype(np.int64)
        slots = known + 1 + self.buckets
        for i in np.flatnonzero(known < 0):
            text = str(coded.dictionary[int(i)].as_py())
            slots[i] = 1 + zlib.crc32(text.encode()) % self.buckets
        codes = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)
        return np.where(codes < 0, 0, np.append(slots, 0)[codes])


@dataclass(frozen=True)
class MetricSpace:
    """Axes fitted on a reference sample. `left_out`: which columns carry no distance, and why."""

    axes: tuple[NumberAxis | CategoryAxis, ...]
    left_out: tuple[str, ...]

    @classmethod
    def fit(cls, reference: pa.Table, spec: Table, *, ranks: bool = False) -> MetricSpace:
        """Learns scales and levels from `reference`, a sample the engine never saw."""
        axes: list[NumberAxis | CategoryAxis] = []
        left_out: list[str] = []
        for column in spec.columns:
            if column.kind not in LEARNT_KINDS:
                left_out.append(f"column {column.name!r}: {column.kind}, carries no distance")
                continue
            values = reference[column.name]
            numeric = is_numeric(column.kind, values.type)
            axis = (
                _number_axis(column.name, values, ranks)
                if numeric
                else _category_axis(column.name, values)
            )
            if axis is None:
                left_out.append(f"column {column.name!r}: constant in the reference")
                continue
            axes.append(axis)
            if isinstance(axis, CategoryAxis) and axis.buckets > 1:
                left_out.append(
                    f"column {column.name!r}: levels beyond the {TOP_LEVELS} commonest share "
                    f"{BUCKETS} hashed coordinates"
                )
        return cls(tuple(axes), tuple(left_out))

    @property
    def width(self) -> int:
        return sum(axis.width for axis in self.axes)

    def transform(self, table: pa.Table) -> Points:
        """float32 [rows, width], contiguous. Columns the space does not know are ignored."""
        points = np.empty((table.num_rows, self.width), np.float32)
        start = 0
        for axis in self.axes:
            axis.place(table[axis.name], points[:, start : start + axis.width])
            start += axis.width
        return points


def _number_axis(name: str, column: pa.ChunkedArray, ranks: bool) -> NumberAxis | None:
    numbers, missing = to_numbers(column)
    order = np.sort(numbers[~missing].astype(np.float64))
    varies = bool(missing.any()) and not missing.all()
    if len(order) == 0 or (order[0] == order[-1] and not varies):
        return None
    low, high = np.quantile(order, [0.01, 0.99])
    # A column that is one value in 98 % of rows still has a range to be measured by.
    scale = (high - low) or (order[-1] - order[0]) or 1.0
    median = float(np.median(order))
    middle = 0.5 if ranks else float(np.clip((median - low) / scale, -CLIP, CLIP))
    return NumberAxis(name, float(low), float(scale), middle, varies, order if ranks else None)


def _category_axis(name: str, column: pa.ChunkedArray) -> CategoryAxis | None:
    present = column.drop_null()
    if len(present) == 0:
        return None
    tally = pc.value_counts(present.combine_chunks())
    counts = tally.field("counts").to_numpy()
    if len(counts) == 1 and column.null_count == 0:
        return None
    levels = tally.field("values")
    if len(counts) <= MANY_LEVELS:
        return CategoryAxis(name, levels, buckets=1)
    commonest = np.argsort(-counts, kind="stable")[:TOP_LEVELS]
    return CategoryAxis(name, levels.take(pa.array(commonest)), buckets=BUCKETS)


def _midrank(values: NDArray[np.float64], order: NDArray[np.float64]) -> NDArray[np.float64]:
    below = np.searchsorted(order, values, side="left")
    through = np.searchsorted(order, values, side="right")
    return (below + through) / (2.0 * len(order))
