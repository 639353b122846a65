"""Cells read one by one, as the type that the plan says: the reading that a budget can cover.

Whatever one cell holds, the others are read as they would be without it. A cell that does not fit
its type is missing, and no error tells of it.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from understudy.data.dates import is_time, parsed_alone
from understudy.errors import SourceError
from understudy.schema import Column, Datetime
from understudy.schema.storage import stored_type


def read_alone(values: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    """`values` in the type that the plan gives `column`, missing where a cell does not fit it."""
    kind = stored_type(column)
    _refuse_other(values.type, kind, column)
    if isinstance(column, Datetime) and column.format and not is_time(values.type):
        return parsed_alone(fitted(values, pa.string()), column.format)
    return fitted(values, kind)


def _refuse_other(found: pa.DataType, kind: pa.DataType, column: Column) -> None:
    """Raises for a source whose own type may have followed from its cells.

    One missing cell makes a frame's whole numbers floating, and then all are spelled otherwise.
    Text, whole numbers, truth values and nothing at all say what each cell says.
    """
    plain = (pa.types.is_string, pa.types.is_integer, pa.types.is_boolean, pa.types.is_null)
    if found != kind and not any(is_plain(found) for is_plain in plain):
        raise SourceError(
            f"column {column.name!r} comes as {found}, and the plan has it as {kind}. Under a "
            "budget cells are not turned from one into the other, as the type may have followed "
            f"from one of them: write the column as {kind} in the source, or say `stored: {found}` "
            "in the plan if everybody may know."
        )


def fitted(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """`values` cast cell by cell; what has no counterpart in `kind`, and NaN, is missing."""
    if values.type != kind:
        values = pa.chunked_array([_fitted(values, kind)], kind)
    if pa.types.is_floating(kind):
        return pc.if_else(pc.is_finite(values), values, pa.scalar(None, kind))
    return values


def _fitted(values: pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    if pa.types.is_null(kind) or pa.types.is_null(values.type):
        return pa.nulls(len(values), kind)
    whole = pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)
    try:
        return whole.cast(kind)
    except pa.ArrowNotImplementedError:
        return pa.nulls(len(whole), kind)
    except pa.ArrowInvalid:
        distinct = whole.dictionary_encode()
        return _halves(distinct.dictionary, kind).take(distinct.indices)


def _halves(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Casts what can be cast in few calls, however few cells do not fit."""
    try:
        return values.cast(kind)
    except pa.ArrowInvalid:
        if len(values) == 1:
            return pa.nulls(1, kind)
        middle = len(values) // 2
        return pa.concat_arrays([_halves(values[:middle], kind), _halves(values[middle:], kind)])
