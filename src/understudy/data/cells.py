"""Cells of any source in one spelling per Arrow type, and the checks every table passes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import pyarrow as pa

from understudy.errors import SourceError

WHOLE = r"^-?(0|[1-9]\d{0,17})$"
DECIMAL = r"^-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$"
DECIMAL_COMMA = r"^-?\d+(,\d+)?$"


def tidy(table: pa.Table, nulls: Sequence[str] = ()) -> pa.Table:
    """Plain types, strings without outer blanks, doubles without NaN; `nulls` are missing."""
    import pyarrow.compute as pc

    columns = []
    for column in table.columns:
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        column = column.cast(_plain(column.type))
        if pa.types.is_string(column.type):
            column = _tidy_text(column, nulls)
        elif pa.types.is_floating(column.type):
            column = pc.if_else(pc.is_finite(column), column, pa.scalar(None, pa.float64()))
        columns.append(column)
    return pa.table(columns, names=table.column_names)


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type that holds as much and that Parquet gives back as it was."""
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_floating(kind):
        return pa.float64()
    if pa.types.is_time32(kind):
        return pa.time64("us")
    if pa.types.is_date64(kind):
        return pa.date32()
    if pa.types.is_timestamp(kind) and kind.unit == "s":
        return pa.timestamp("ms", kind.tz)
    if pa.types.is_decimal(kind) and kind.bit_width < 128:
        return pa.decimal128(kind.precision, kind.scale)
    return kind


def _tidy_text(column: pa.ChunkedArray, nulls: Sequence[str]) -> pa.ChunkedArray:
    import pyarrow.compute as pc

    column = pc.utf8_trim_whitespace(column)
    if not nulls:
        return column
    missing = pc.is_in(column, value_set=pa.array(list(nulls), pa.string()))
    return pc.if_else(missing, pa.scalar(None, pa.string()), column)


def spelled_numbers(column: pa.ChunkedArray, *, comma: bool = False) -> pa.ChunkedArray:
    """Numbers that blanks or a decimal comma kept from being read as such (` 39`, `2,50`)."""
    import pyarrow.compute as pc

    present = column.drop_null()
    if len(present) == 0 or not pa.types.is_string(column.type):
        return column
    if pc.all(pc.match_substring_regex(present, WHOLE)).as_py():
        return column.cast(pa.int64())
    if comma and pc.all(pc.match_substring_regex(present, DECIMAL_COMMA)).as_py():
        column = pc.replace_substring(column, ",", ".")
        present = column.drop_null()
    if pc.all(pc.match_substring_regex(present, DECIMAL)).as_py():
        digits = pc.max(pc.utf8_length(pc.replace_substring_regex(present, r"[-.]", ""))).as_py()
        return column.cast(pa.float64()) if digits <= 17 else column
    return column


def commas_as_points(table: pa.Table, declared: Mapping[str, pa.DataType]) -> pa.Table:
    """Decimal commas in the columns that are declared to be decimals, each cell by itself."""
    import pyarrow.compute as pc

    for place, name in enumerate(table.column_names):
        kind = declared.get(name)
        if kind is None or not (pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
            continue
        column = table.column(place)
        german = pc.match_substring_regex(column, DECIMAL_COMMA)
        column = pc.if_else(german, pc.replace_substring(column, ",", "."), column)
        table = table.set_column(place, name, column)
    return table


def refuse_repeats(names: Sequence[str], where: str) -> None:
    """`SourceError` when two columns have the same name."""
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        shown = ", ".join(repr(name) for name in repeated[:5])
        raise SourceError(f"{where} has columns of the same name: {shown}. Rename them.")


def refuse_empty(table: pa.Table, where: str, *, rowless: bool = False) -> None:
    """`SourceError` for a table without columns, or without rows unless it may be `rowless`."""
    if table.num_columns == 0:
        raise SourceError(f"{where} has no columns. It needs a name for each and rows.")
    if table.num_rows == 0 and not rowless:
        raise SourceError(f"{where} has a header and no rows.")
