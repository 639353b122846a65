"""Dates that a source spells as text or as digits: found out, parsed, and spelled so again.

A format is believed when every distinct value is a day of the calendar in it and comes back the
same. Where day and month could be either, the day is taken to come first, and the reason says so.
"""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

from understudy.errors import SourceError
from understudy.schema import Column, Datetime, Table

SHAPES = (
    (r"\d{4}-\d{1,2}-\d{1,2}", ("%Y-%m-%d",)),
    (r"\d{4}/\d{1,2}/\d{1,2}", ("%Y/%m/%d",)),
    (r"\d{1,2}/\d{1,2}/\d{4}", ("%d/%m/%Y", "%m/%d/%Y")),
    (r"\d{1,2}/\d{1,2}/\d{2}", ("%d/%m/%y", "%m/%d/%y")),
    (r"\d{1,2}-\d{1,2}-\d{4}", ("%d-%m-%Y", "%m-%d-%Y")),
    (r"\d{1,2}\.\d{1,2}\.\d{4}", ("%d.%m.%Y",)),
    (r"\d{1,2}\.\d{1,2}\.\d{2}", ("%d.%m.%y",)),
    (r"\d{1,2} [A-Za-z]{3} \d{4}", ("%d %b %Y",)),
    (r"\d{1,2}-[A-Za-z]{3}-\d{4}", ("%d-%b-%Y",)),
)
DIGITS = ((r"\d{8}", "%Y%m%d"), (r"\d{6}", "%y%m%d"))
TIMES = (
    ("", ""),
    (r"[ T]\d{1,2}:\d{2}", "%H:%M"),
    (r"[ T]\d{1,2}:\d{2}:\d{2}", "%H:%M:%S"),
)
NAMED = re.compile(r"(^|[\W_])(date|day|datum|dob)($|[\W_])|[a-z]Date$", re.I)


def date_format(name: str, distinct: pa.Array) -> tuple[str, str] | None:
    """The strptime pattern of a column of text or whole numbers and why, or None.

    Bare digits (`19991231`, `991231`) are dates only in a column named like one, or with a time.
    """
    texts = distinct.cast(pa.string())
    first = texts[0].as_py()
    for date, time, patterns in _fitting(first, digits=bool(NAMED.search(name))):
        if not pc.all(pc.match_substring_regex(texts, f"^{date}{time}$")).as_py():
            continue
        found = [pattern for pattern in patterns if _spells(texts, pattern)]
        if found:
            other = f"; {found[1]} fits as well" if len(found) > 1 else ""
            return found[0], f"values are dates written {found[0]}{other}"
    return None


def _fitting(first: str, *, digits: bool) -> list[tuple[str, str, tuple[str, ...]]]:
    """Shapes of date and time that the first value has, with their patterns."""
    found = []
    for time, spelled in TIMES:
        shapes = SHAPES if not time and not digits else (*SHAPES, *((d, (p,)) for d, p in DIGITS))
        for date, patterns in shapes:
            if re.fullmatch(date + time, first):
                mark = ("T" if "T" in first else " ") if spelled else ""
                found.append((date, time, tuple(f"{p}{mark}{spelled}" for p in patterns)))
    return found


def _spells(texts: pa.Array, pattern: str) -> bool:
    """Whether every text is a date in `pattern` and comes back the same, zeros in front aside."""
    try:
        parsed = pc.strptime(texts, format=pattern, unit="s")
        again = pc.strftime(parsed, format=pattern)
    except pa.ArrowInvalid:
        return False
    bare = [pc.utf8_lower(pc.replace_substring_regex(x, r"\b0", "")) for x in (texts, again)]
    return bool(pc.all(pc.equal(*bare)).as_py())


def parsed(values: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    """Text or whole numbers as the dates that `column.format` says; other values as they are."""
    if not isinstance(column, Datetime) or not column.format or is_time(values.type):
        return values
    texts = values.cast(pa.string())
    try:
        found = pc.strptime(texts, format=column.format, unit="us")
    except pa.ArrowInvalid as error:
        raise SourceError(
            f"column {column.name!r} is no date written {column.format}: {error}. Change `format` "
            "or `kind` in the plan."
        ) from None
    return found if "%H" in column.format else found.cast(pa.date32())


def parsed_alone(values: pa.ChunkedArray, pattern: str) -> pa.ChunkedArray:
    """Text or whole numbers as dates in `pattern`; a cell that is none is missing."""
    found = pc.strptime(values.cast(pa.string()), pattern, "us", error_is_null=True)
    return found if "%H" in pattern else found.cast(pa.date32())


def as_spelled(table: pa.Table, spec: Table) -> pa.Table:
    """`table` with dates as text where the source had them so, in the source's spelling."""
    for column in spec.of_kind("datetime"):
        if not isinstance(column, Datetime) or not column.format:
            continue
        place = table.column_names.index(column.name)
        values = table.column(place)
        if is_time(values.type):
            moments = values.cast(pa.timestamp("s"), safe=False)
            spelled = _as_number(pc.strftime(moments, format=column.format))
            table = table.set_column(place, column.name, spelled)
    return table


def _as_number(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Bare digits as the whole numbers they are, unless one would lose the zero in front."""
    bare = pc.all(pc.match_substring_regex(texts, r"^[1-9]\d*$")).as_py()
    return texts.cast(pa.int64()) if bare else texts


def is_time(kind: pa.DataType) -> bool:
    """Whether these are days or moments already."""
    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))
