"""What time it is: a clock column as whole days and what is left of the day, and the calendar.

A number as a clock has no calendar: its "day" is the number itself, in its own unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.encoding.columns import from_numbers, to_numbers
from understudy.errors import EngineError

Numbers = NDArray[np.float64]
DAY = 86_400.0
TICKS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


@dataclass(frozen=True)
class Clock:
    """`kind` says how the column `name` counts; `unit` is a timestamp's; `whole` numbers are
    integers. `step` is the smallest second that occurs (1, 60, ...).
    """

    name: str
    kind: Literal["date", "timestamp", "number"]
    unit: str = "s"
    whole: bool = True
    step: float = 1.0

    @classmethod
    def fit(cls, name: str, column: pa.ChunkedArray) -> Clock:
        """Raises `EngineError` where `column` orders nothing, or has no value in some rows."""
        if column.null_count:
            raise EngineError(
                f"clock {name!r} is missing in {column.null_count:,} of {len(column):,} rows, so "
                "these have no place in their history. Drop them, or order by another column."
            )
        kind = column.type
        if pa.types.is_date(kind):
            return cls(name, "date")
        if pa.types.is_timestamp(kind):
            clock = cls(name, "timestamp", unit=kind.unit)
            seconds = clock.read(column)[1]
            steps = [s for s in (3600.0, 60.0, 1.0) if np.all(seconds % s == 0)]
            return cls(name, "timestamp", unit=kind.unit, step=steps[0] if steps else 0.0)
        if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            numbers, _ = to_numbers(column)
            return cls(name, "number", whole=bool(np.all(numbers == np.floor(numbers))))
        raise EngineError(
            f"column {name!r} of type {kind} cannot be a clock: a date, a timestamp or a number "
            "orders rows in time."
        )

    @property
    def calendar(self) -> bool:
        """Whether months and weekdays mean something."""
        return self.kind != "number"

    @property
    def hours(self) -> bool:
        """Whether events have a time of day."""
        return self.kind == "timestamp"

    def read(self, column: pa.ChunkedArray) -> tuple[Numbers, Numbers]:
        """Days since 1970 (or the number itself) and seconds of the day, each float64 [rows]."""
        if pa.types.is_date64(column.type):
            column = column.cast(pa.date32())
        numbers, missing = to_numbers(column)
        if pa.types.is_timestamp(column.type):
            ticks = TICKS[column.type.unit]
            seconds, rest = np.divmod(numbers, ticks)
            days, seconds = np.divmod(seconds, int(DAY))
            found = days.astype(np.float64), seconds + rest / ticks
        else:
            found = numbers.astype(np.float64), np.zeros(len(numbers))
        return np.where(missing, np.nan, found[0]), found[1]

    def write(self, days: Numbers, seconds: Numbers, type: pa.DataType) -> pa.Array:
        """The column that `read` came from."""
        present = np.zeros(len(days), bool)
        if self.kind == "timestamp":
            ticks = TICKS[self.unit]
            whole = np.floor(seconds)
            numbers: NDArray[Any] = (days.astype(np.int64) * int(DAY) + whole.astype(np.int64)) * (
                ticks
            ) + np.rint((seconds - whole) * ticks).astype(np.int64)
        else:
            numbers = days.astype(np.int64) if self.whole else days
        if pa.types.is_date64(type):
            return from_numbers(numbers, present, pa.date32()).cast(type)
        return from_numbers(numbers, present, type)


@dataclass(frozen=True)
class Calendar:
    """The days of `days`, float64 [rows] since 1970, on the calendar."""

    month: Numbers
    """Months since 1970."""
    day: Numbers
    """Of the month, from 1."""
    length: Numbers
    """Of the month, in days."""
    weekday: Numbers
    """0 is Monday."""

    @classmethod
    def of(cls, days: Numbers) -> Calendar:
        dates = days.astype("datetime64[D]")
        months = dates.astype("datetime64[M]")
        first = months.astype("datetime64[D]")
        following = (months + 1).astype("datetime64[D]")
        return cls(
            months.astype(np.float64),
            (dates - first).astype(np.float64) + 1,
            (following - first).astype(np.float64),
            (days + 3) % 7,
        )


def day_of(month: Numbers, day: Numbers) -> Numbers:
    """The `day` of `month` (months since 1970), clamped at its end; day 0 is the month's last."""
    months = month.astype(np.int64).astype("datetime64[M]")
    first = months.astype("datetime64[D]").astype(np.float64)
    length = (months + 1).astype("datetime64[D]").astype(np.float64) - first
    wanted = np.where(day == 0, length, np.minimum(day, length))
    return first + wanted - 1
