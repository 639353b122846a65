"""The values a condition leaves to a column, as data: a set, an interval, null or not.

Values are Python's exact ones: `int`, `Decimal`, `str`, `bool`, `datetime` (dates are midnight) and
`timedelta`. A mask compares them in the column's own Arrow type: a bound that the type cannot hold
(2.5 in integers, 10:30 in dates) is moved to the next value it can, so nothing is ever rounded
into or out of the condition.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from understudy.errors import ConditionError

if TYPE_CHECKING:
    import pyarrow as pa

Value = bool | int | float | Decimal | str | datetime | timedelta

EPOCH = datetime(1970, 1, 1)
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


@dataclass(frozen=True)
class Domain:
    """What a column may hold: the values in `allowed` (None: any) that are not in `excluded` and
    lie between `low` and `high`; null only if `nulls`, anything but null only if `values`.
    """

    allowed: frozenset[Any] | None = None
    excluded: frozenset[Any] = frozenset()
    low: Any = None
    high: Any = None
    low_open: bool = False
    high_open: bool = False
    nulls: bool = False
    values: bool = True

    @property
    def has_interval(self) -> bool:
        return self.low is not None or self.high is not None

    @property
    def is_empty(self) -> bool:
        """True only when nothing, not even null, can meet the condition."""
        if self.nulls:
            return False
        if not self.values:
            return True
        if self.allowed is not None:
            return not any(self.admits(value) for value in self.allowed)
        if self.low is None or self.high is None or self.low < self.high:
            return False
        open_end = self.low_open or self.high_open or self.low in self.excluded
        return bool(self.low > self.high or open_end)

    def admits(self, value: Value | None) -> bool:
        """Whether one value (None: null) meets the condition."""
        if value is None:
            return self.nulls
        if not self.values or value in self.excluded:
            return False
        if self.allowed is not None and value not in self.allowed:
            return False
        if self.low is not None and (value < self.low or (self.low_open and value == self.low)):
            return False
        above = self.high is not None and (
            value > self.high or (self.high_open and value == self.high)
        )
        return not above

    def intersect(self, other: Domain) -> Domain:
        """What meets both conditions."""
        allowed = self.allowed
        if other.allowed is not None:
            allowed = other.allowed if allowed is None else allowed & other.allowed
        low, low_open = _tighter(self.low, self.low_open, other.low, other.low_open, up=True)
        high, high_open = _tighter(self.high, self.high_open, other.high, other.high_open, up=False)
        return Domain(
            allowed=allowed,
            excluded=self.excluded | other.excluded,
            low=low,
            high=high,
            low_open=low_open,
            high_open=high_open,
            nulls=self.nulls and other.nulls,
            values=self.values and other.values,
        )

    def on_integers(self) -> Domain:
        """The same condition for a column of whole numbers, its ends closed whole numbers."""
        low, high = self.low, self.high
        if low is not None:
            low = math.floor(low) + 1 if self.low_open else math.ceil(low)
        if high is not None:
            high = math.ceil(high) - 1 if self.high_open else math.floor(high)
        return replace(self, low=low, high=high, low_open=False, high_open=False)

    def mask(self, array: pa.Array | pa.ChunkedArray) -> NDArray[np.bool_]:
        """bool[n]: the rows that meet the condition. A comparison never selects null.

        Raises ConditionError where the condition's values are of another sort than the column's.
        """
        import pyarrow.compute as pc

        column = _plain(array, self)
        present = _bools(pc.is_valid(column))
        if not present.any():
            return np.full(len(column), self.nulls)
        selected = present & self.values
        if self.values and not present.all():
            # Null cells never compare: fill them so that every comparison below is a plain bool.
            column = column.fill_null(_any_value(column.type))
        if self.values:
            for met in self._comparisons(column):
                selected &= met
        return selected | ~present if self.nulls else selected

    def _comparisons(self, column: pa.ChunkedArray) -> Iterable[NDArray[np.bool_]]:
        """One bool[n] for each part of the condition; `column` is without nulls."""
        if self.allowed is not None:
            yield _is_in(column, self.allowed)
        if self.excluded:
            yield ~_is_in(column, self.excluded)
        if self.low is not None:
            yield _beyond(column, self.low, up=True, open=self.low_open)
        if self.high is not None:
            yield _beyond(column, self.high, up=False, open=self.high_open)

    def describe(self, column: str) -> str:
        """Readable SQL, such as `age > 60 AND age <= 80`."""
        name = column if column.isidentifier() else '"' + column.replace('"', '""') + '"'
        if not self.values:
            return f"{name} IS NULL" if self.nulls else "FALSE"
        parts = []
        if self.allowed is not None:
            parts.append(_list(name, "=", "IN", self.allowed))
        if self.low is not None:
            parts.append(f"{name} {'>' if self.low_open else '>='} {literal(self.low)}")
        if self.high is not None:
            parts.append(f"{name} {'<' if self.high_open else '<='} {literal(self.high)}")
        if self.excluded:
            parts.append(_list(name, "<>", "NOT IN", self.excluded))
        if not parts:
            return "TRUE" if self.nulls else f"{name} IS NOT NULL"
        text = " AND ".join(parts)
        return f"({text} OR {name} IS NULL)" if self.nulls else text


def literal(value: Value) -> str:
    """One value as SQL writes it."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, datetime):
        whole_day = value.time() == datetime.min.time()
        return f"'{value.date() if whole_day else value.isoformat(sep=' ')}'"
    if isinstance(value, timedelta):
        seconds = Decimal(value // timedelta(microseconds=1)) / 10**6
        return f"INTERVAL '{seconds:f}' SECOND"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def exactly(value: Value, type: pa.DataType) -> Fraction | float | str | bool | None:
    """The value in units of an Arrow type: exact, whether or not the type can hold it.

    Integers, decimals, dates, timestamps and durations give a Fraction of the type's smallest
    step; floats a float; text and booleans themselves; None where the value is of another sort.
    """
    import pyarrow.types as pt

    number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    if pt.is_boolean(type):
        return value if isinstance(value, bool) else None
    if pt.is_string(type) or pt.is_large_string(type):
        return value if isinstance(value, str) else None
    if pt.is_floating(type):
        return float(value) if number else None  # type: ignore[arg-type]
    if pt.is_integer(type):
        return Fraction(value) if number else None  # type: ignore[arg-type]
    if pt.is_decimal(type):
        return Fraction(value) * 10**type.scale if number else None  # type: ignore[arg-type]
    if pt.is_duration(type) and isinstance(value, timedelta):
        return _microseconds(value) * PER_SECOND[type.unit] / 10**6
    if not isinstance(value, datetime):
        return None
    if pt.is_timestamp(type):
        since = _instant(value, type.tz) - EPOCH
        return _microseconds(since) * PER_SECOND[type.unit] / 10**6
    if pt.is_date(type):
        day = 1 if pt.is_date32(type) else 86_400_000
        return _microseconds(value - EPOCH) * day / (86_400 * 10**6)
    return None


def _tighter(
    one: Any, one_open: bool, other: Any, other_open: bool, *, up: bool
) -> tuple[Any, bool]:
    if one is None or other is None:
        return (other, other_open) if one is None else (one, one_open)
    if one == other:
        return one, one_open or other_open
    return (one, one_open) if (one > other) == up else (other, other_open)


def _plain(array: pa.Array | pa.ChunkedArray, domain: Domain) -> pa.ChunkedArray:
    """One chunked column, dictionaries decoded; text compared with dates is read as ISO dates."""
    import pyarrow as pa

    column = array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    probe = [domain.low, domain.high, *(domain.allowed or ()), *domain.excluded]
    if pa.types.is_string(column.type) and any(isinstance(value, datetime) for value in probe):
        column = column.cast(pa.timestamp("us"))
    return column


def _is_in(column: pa.ChunkedArray, values: frozenset[Any]) -> NDArray[np.bool_]:
    import pyarrow as pa
    import pyarrow.compute as pc

    known = [_located(value, column.type) for value in values]
    if isinstance(next(iter(known), None), Fraction):
        whole = [int(v) for v in known if v.denominator == 1 and _holds(int(v), column.type)]
        value_set = pa.chunked_array([_from_steps(whole, column.type)])
    else:
        value_set = pa.array(known, column.type)
    return _bools(pc.is_in(column, value_set=value_set))


def _beyond(column: pa.ChunkedArray, bound: Value, *, up: bool, open: bool) -> NDArray[np.bool_]:
    """Cells above (`up`) or below the bound, the bound itself included unless `open`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    at: Any = _located(bound, column.type)
    if isinstance(at, Fraction):
        step = _first_inside(at, up=up, open=open)
        open = False
        if not _holds(step, column.type):
            return np.full(len(column), (step < 0) == up)
        scalar = _from_steps([step], column.type)[0]
    else:
        scalar = pa.scalar(at, column.type)
    if up:
        return _bools(pc.greater(column, scalar) if open else pc.greater_equal(column, scalar))
    return _bools(pc.less(column, scalar) if open else pc.less_equal(column, scalar))


def bound_in(value: Value, type: pa.DataType, *, up: bool) -> pa.Scalar | None:
    """The least (`up`) or greatest value of the type within a closed bound; None: no value of the
    type lies beyond the bound, or all do."""
    import pyarrow as pa

    at: Any = _located(value, type)
    if not isinstance(at, Fraction):
        return pa.scalar(at, type)
    step = _first_inside(at, up=up, open=False)
    return _from_steps([step], type)[0] if _holds(step, type) else None


def _first_inside(at: Fraction, *, up: bool, open: bool) -> int:
    """The first whole step within a bound, so that only closed comparisons of one type remain."""
    if up:
        return math.floor(at) + 1 if open else math.ceil(at)
    return math.ceil(at) - 1 if open else math.floor(at)


def _located(value: Value, type: pa.DataType) -> Any:
    at = exactly(value, type)
    if at is None:
        raise ConditionError(
            f"{literal(value)} cannot be compared with a column of type {type}. Write text in "
            "single quotes, numbers without quotes, dates as 'YYYY-MM-DD', booleans as TRUE or "
            "FALSE."
        )
    return at


def _holds(step: int, type: pa.DataType) -> bool:
    """Whether the type can hold this many of its smallest steps."""
    import pyarrow.types as pt

    if pt.is_decimal(type):
        return bool(abs(step) < 10**type.precision)
    if pt.is_unsigned_integer(type):
        return 0 <= step < 1 << int(type.bit_width)
    half = 1 << (int(type.bit_width) - 1)
    return -half <= step < half


def _from_steps(steps: list[int], type: pa.DataType) -> pa.Array:
    """Arrow array of the type from whole numbers of its smallest step."""
    import pyarrow as pa

    if pa.types.is_decimal(type):
        sign = [(int(step < 0), tuple(map(int, str(abs(step)))), -type.scale) for step in steps]
        return pa.array([Decimal(parts) for parts in sign], type)
    if pa.types.is_integer(type):
        return pa.array(steps, type)
    width = pa.int32() if type.bit_width == 32 else pa.int64()
    return pa.array(steps, width).cast(type)


def _instant(value: datetime, tz: str | None) -> datetime:
    """UTC wall time of a local time in the column's time zone."""
    if tz is None or tz.upper() == "UTC":
        return value
    zone = datetime.strptime(tz, "%z").tzinfo if tz[0] in "+-" else ZoneInfo(tz)
    return value.replace(tzinfo=zone).astimezone(timezone.utc).replace(tzinfo=None)  # noqa: UP017


def _microseconds(span: timedelta) -> Fraction:
    return Fraction(span // timedelta(microseconds=1))


def _any_value(type: pa.DataType) -> pa.Scalar:
    import pyarrow as pa

    if pa.types.is_string(type) or pa.types.is_large_string(type):
        return pa.scalar("", type)
    if pa.types.is_boolean(type):
        return pa.scalar(False)
    if pa.types.is_floating(type):
        return pa.scalar(0.0, type)
    return _from_steps([0], type)[0]


def _bools(found: pa.ChunkedArray) -> NDArray[np.bool_]:
    return np.asarray(found.to_numpy(), dtype=bool)


def _list(name: str, one: str, many: str, values: frozenset[Any]) -> str:
    shown = sorted((literal(value) for value in values), key=lambda text: (len(text), text))
    if len(shown) == 1:
        return f"{name} {one} {shown[0]}"
    return f"{name} {many} ({', '.join(shown)})"
