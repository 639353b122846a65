"""How a column's cells are stored: Arrow types by the names that plans use (`int64`, `double`).

A plan's word on it is public. So under a budget every cell is read as this type by itself, and no
cell can change how the others are read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

    from understudy.schema.columns import Column

ZONED = re.compile(r"timestamp\[(s|ms|us|ns), tz=(.+)\]")
DECIMAL = re.compile(r"decimal(128|256)\((\d+), (-?\d+)\)")
ALIASES = (
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
    *("double", "string", "bool", "null", "date32[day]", "time64[us]", "time64[ns]"),
    *(f"{kind}[{unit}]" for kind in ("timestamp", "duration") for unit in ("s", "ms", "us", "ns")),
)


def arrow_type(name: str) -> pa.DataType:
    """The type that Arrow prints as `name`; `ValueError` for one that no column of ours has."""
    import pyarrow as pa

    if name in ALIASES:
        return pa.type_for_alias(name)
    if zoned := ZONED.fullmatch(name):
        return pa.timestamp(zoned[1], zoned[2])
    if found := DECIMAL.fullmatch(name):
        make = pa.decimal128 if found[1] == "128" else pa.decimal256
        try:
            return make(int(found[2]), int(found[3]))
        except pa.ArrowInvalid as error:
            raise ValueError(f"{name} is no type: {error}") from None
    raise ValueError(
        f"no type {name!r}. Cells are stored as one of {', '.join(ALIASES)}, "
        "timestamp[us, tz=UTC] or decimal128(10, 2)"
    )


def stored_type(column: Column) -> pa.DataType:
    """The type a column's cells are read as: from the plan alone, whatever the cells say.

    What the plan says of the kind comes first: a number is never stored as text, a category never
    as truth values, and a date with a `format` is a date.
    """
    import pyarrow as pa
    import pyarrow.types as pt

    said = arrow_type(column.stored) if column.stored else None
    if column.kind == "datetime" and column.format:
        return pa.timestamp("us") if "%H" in column.format else pa.date32()
    flags = said is not None and column.kind == "category" and pt.is_boolean(said)
    words = said is not None and column.kind == "number" and pt.is_string(said)
    if said is not None and not flags and not words:
        return said
    if column.kind == "number":
        return pa.int64() if column.integer else pa.float64()
    if column.kind == "geo" and column.axis != "point":
        return pa.float64()
    defaults = {
        "boolean": pa.bool_(),
        "datetime": pa.timestamp("us"),
        "duration": pa.duration("us"),
    }
    return defaults.get(column.kind, pa.string())
