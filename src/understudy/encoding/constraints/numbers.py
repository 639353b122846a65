"""Differences and sums on one common, exact number line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt
from numpy.typing import NDArray

from understudy.errors import ConstraintError

MOST_DECIMALS = 12
UNITS = ("s", "ms", "us", "ns")


def common_type(types: list[pa.DataType], where: str) -> pa.DataType:
    """The Arrow type in which columns of all these types compare exactly.

    Raises ConstraintError where there is none (text, or local times beside instants).
    """
    types = [type for type in types if not pt.is_null(type)] or [pa.int64()]
    kinds = {_family(type) for type in types}
    if kinds == {"instant", "date"} or kinds == {"instant"}:
        return _common_instant(types, where)
    if kinds == {"date"}:
        return pa.date32()
    if kinds == {"duration"}:
        return pa.duration(max((type.unit for type in types), key=UNITS.index))
    if kinds <= {"integer", "decimal", "float"}:
        return _common_number(types)
    raise ConstraintError(
        f"{where}: columns of types {', '.join(map(str, types))} cannot be reckoned with together. "
        "Numbers, dates or lengths of time must stand on both sides; drop the constraint or read "
        "the columns as such."
    )


def decimals_of(column: pa.ChunkedArray) -> int | None:
    """Digits after the point that every float of the column has at most; None beyond twelve."""
    values = column.drop_null().to_numpy()
    for digits in range(MOST_DECIMALS + 1):
        # A sample settles most columns that have more digits, before all values are rounded.
        if _on_grid(values[:1000], digits) and _on_grid(values, digits):
            return digits
    return None


def extremes(column: pa.ChunkedArray) -> pa.Array:
    """The least and the greatest value, as an array of two; both null where all is null."""
    # Arrow has no minimum of durations, so theirs is taken of the steps they count.
    spans = pt.is_duration(column.type)
    found = pc.min_max(column.cast(pa.int64()) if spans else column)
    return pa.array([*found.values()]).cast(column.type)


def rounded(values: NDArray[np.float64], decimals: int | None) -> NDArray[np.float64]:
    return values if decimals is None else np.round(values, decimals)


def as_integers(column: pa.ChunkedArray) -> NDArray[Any]:
    """int64 or uint64, 0 where null: integers, days, or units of a timestamp or duration."""
    if pt.is_date32(column.type):
        column = column.cast(pa.int32())
    if pt.is_temporal(column.type):
        column = column.cast(pa.int64())
    filled = column.fill_null(0).to_numpy()
    word: type[np.generic] = np.uint64 if filled.dtype.kind == "u" else np.int64
    return np.asarray(filled, dtype=word)


def from_integers(values: NDArray[Any], missing: NDArray[np.bool_], type: pa.DataType) -> pa.Array:
    """The Arrow array that `as_integers` came from."""
    if pt.is_date32(type):
        return pa.array(values.astype(np.int32), mask=missing).cast(type)
    if pt.is_temporal(type):
        return pa.array(values.astype(np.int64), mask=missing).cast(type)
    return pa.array(values, mask=missing).cast(type)


def is_stepped(type: pa.DataType) -> bool:
    """Whether the type is counted in whole steps: integers, dates, timestamps, durations."""
    return _family(type) in ("integer", "date", "instant", "duration")


def raised(column: pa.Array, type: pa.DataType) -> pa.Array:
    """The column in a coarser type, rounded up where the type cannot hold a value exactly."""
    if column.type == type:
        return column
    if pt.is_null(type):
        return pa.nulls(len(column))
    if pt.is_date(type) and pt.is_timestamp(column.type):
        return pc.ceil_temporal(column, unit="day").cast(type)
    if pt.is_timestamp(type) and pt.is_timestamp(column.type):
        unit = {"s": "second", "ms": "millisecond", "us": "microsecond", "ns": "nanosecond"}
        return pc.ceil_temporal(column, unit=unit[type.unit]).cast(type)
    if pt.is_duration(type):
        factor = 1000 ** (UNITS.index(column.type.unit) - UNITS.index(type.unit))
        steps = column.cast(pa.int64()).to_numpy(zero_copy_only=False)
        missing = column.is_null().to_numpy(zero_copy_only=False)
        whole = -(-np.nan_to_num(steps).astype(np.int64) // factor)
        return from_integers(whole, missing, type)
    if pt.is_integer(type):
        return pc.ceil(column).cast(type)
    if pt.is_decimal(type):
        if pt.is_decimal(column.type) and column.type.scale > type.scale:
            column = pc.round(column, ndigits=type.scale, round_mode="up")
        return column.cast(type)
    return column.cast(type)


def _family(type: pa.DataType) -> str:
    if pt.is_integer(type):
        return "integer"
    if pt.is_decimal(type):
        return "decimal"
    if pt.is_floating(type):
        return "float"
    if pt.is_timestamp(type):
        return "instant"
    if pt.is_date(type):
        return "date"
    return "duration" if pt.is_duration(type) else "other"


def _common_number(types: list[pa.DataType]) -> pa.DataType:
    if any(pt.is_floating(type) for type in types):
        return pa.float64()
    scale = max((type.scale for type in types if pt.is_decimal(type)), default=0)
    if scale or any(pt.is_decimal(type) for type in types):
        return pa.decimal128(38, scale)
    unsigned = {pt.is_unsigned_integer(type) and type.bit_width == 64 for type in types}
    if unsigned == {True, False}:
        return pa.decimal128(38, 0)
    return pa.uint64() if unsigned == {True} else pa.int64()


def _common_instant(types: list[pa.DataType], where: str) -> pa.DataType:
    zones = {type.tz if pt.is_timestamp(type) else None for type in types}
    if None in zones and len(zones) > 1:
        raise ConstraintError(
            f"{where}: a column with a time zone and one without cannot be ordered. Give both a "
            "time zone, or drop the constraint."
        )
    units = [type.unit for type in types if pt.is_timestamp(type)]
    return pa.timestamp(max(units, key=UNITS.index), tz=sorted(zones, key=str)[0])


def _on_grid(values: NDArray[np.float64], digits: int) -> bool:
    return bool(np.all(np.round(values, digits) == values))
