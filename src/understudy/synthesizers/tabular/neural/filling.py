"""Missing cells filled by an engine that draws them given the cells that are there.

A cell that is there stays as it is; one that the model cannot read (a label it never met) is taken
as not seen. Identifiers and free text are never made up here, and stay missing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.data import Dataset
from understudy.encoding.constraints import violations
from understudy.encoding.discrete import Axis, LabelAxis
from understudy.errors import ColumnError
from understudy.schema.domains import Domain
from understudy.synthesizers.tabular.assembly import Assembly

PRESENT = Domain()
"""Anything but missing."""


def filled(assembly: Assembly, dataset: Dataset, draw: Callable[[pa.Table], pa.Table]) -> Dataset:
    """`dataset` with its missing cells drawn; every other cell is as it was.

    `draw` takes rows of the learnt table and gives them back without missing cells, as far as it
    can make them. A row in which what was drawn would break a declared constraint keeps its missing
    cells. Raises `ColumnError` for columns or types that are not those learnt.
    """
    table = as_learnt(assembly, dataset)
    made = assembly.backward(draw(assembly.forward(table)))
    arrays = []
    for name in table.column_names:
        gone = table[name].is_null()
        arrays.append(
            pc.if_else(gone, made[name], table[name]) if name in made.column_names else table[name]
        )
    whole = pa.table(arrays, schema=table.schema)
    broken = np.zeros(table.num_rows, bool)
    for rule in assembly.schema.table().constraints:
        broken |= violations(rule, whole, whole) & ~violations(rule, table, whole)
    if broken.any():
        keep = pa.array(broken)
        arrays = [pc.if_else(keep, table[name], whole[name]) for name in table.column_names]
        whole = pa.table(arrays, schema=table.schema)
    return Dataset(dataset.schema, {dataset.schema.table().name: whole})


def as_learnt(assembly: Assembly, dataset: Dataset) -> pa.Table:
    """The dataset's table with the columns and types that were learnt."""
    types = assembly.types
    if set(dataset.table.column_names) != set(types.names):
        raise ColumnError(
            f"the model knows the columns {', '.join(types.names)}; the data has "
            f"{', '.join(dataset.table.column_names)}. Give it the same columns."
        )
    arrays = []
    for field in types:
        try:
            arrays.append(dataset.table[field.name].cast(field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise ColumnError(
                f"column {field.name!r} was learnt as {field.type}, and the data's cannot be read "
                f"as that: {error}"
            ) from None
    return pa.table(arrays, schema=types)


def readable(axis: Axis, column: pa.ChunkedArray) -> NDArray[np.bool_]:
    """bool[n]: the cells that hold a value which the axis knows."""
    if isinstance(axis, LabelAxis):
        known = pc.is_in(column, value_set=axis.values) if len(axis.values) else None
        if known is None:
            return np.zeros(len(column), bool)
        return np.asarray(known.to_numpy(), bool) & ~missing(column)
    _, gone = axis.line.steps(column)
    return ~gone & bool(len(axis.starts))


def missing(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    """bool[n]: the cells that hold nothing."""
    return np.asarray(column.is_null().to_numpy(), bool)
