"""Points written `latitude,longitude` become two numbers and come back as one text.

Kept whole, a point would be a category with a level per place, and every generated row would sit
on somebody's exact coordinates.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from understudy.schema import Geo, Table

AXES = ("latitude", "longitude")


def split_points(table: pa.Table, spec: Table) -> tuple[pa.Table, Table]:
    """Replaces each `point` column by its two axes, in place."""
    columns, arrays, names = [], [], []
    for column in spec.columns:
        if not (isinstance(column, Geo) and column.axis == "point"):
            columns.append(column)
            names.append(column.name)
            arrays.append(table[column.name])
            continue
        parts = pc.split_pattern(table[column.name], ",")
        for i, axis in enumerate(AXES):
            name = _axis_name(column.name, axis)
            columns.append(Geo(name=name, axis=axis, nullable=column.nullable))
            names.append(name)
            arrays.append(pc.utf8_trim_whitespace(pc.list_element(parts, i)).cast(pa.float64()))
    if len(columns) == len(spec.columns):
        return table, spec
    return pa.table(arrays, names=names), spec.model_copy(update={"columns": tuple(columns)})


def join_points(table: pa.Table, spec: Table, types: pa.Schema) -> pa.Table:
    """The inverse of `split_points`: columns and types of `spec` and `types`."""
    if tuple(table.column_names) == spec.column_names:
        return table
    arrays = []
    for column in spec.columns:
        if isinstance(column, Geo) and column.axis == "point":
            axes = [table[_axis_name(column.name, axis)].cast(pa.string()) for axis in AXES]
            arrays.append(
                pc.binary_join_element_wise(*axes, ",").cast(types.field(column.name).type)
            )
        else:
            arrays.append(table[column.name])
    return pa.table(arrays, names=list(spec.column_names))


def _axis_name(column: str, axis: str) -> str:
    return f"{column} ({axis})"
