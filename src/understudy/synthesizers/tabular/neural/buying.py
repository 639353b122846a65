"""What a private fit buys before its training: the columns' axes, how full they are, how many rows.

All of it comes from answers to the queries of `budget.plan_columns`; what is made of the answers is
post-processing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.data import Dataset
from understudy.encoding.discrete import Axis, Floats
from understudy.encoding.private_bins import learn
from understudy.privacy.session import Private
from understudy.runtime.progress import Progress, ProgressEvent
from understudy.synthesizers.tabular.marginals.oneway import row_total, smooth
from understudy.synthesizers.tabular.neural.budget import ColumnPlan
from understudy.synthesizers.tabular.shape import Shape


@dataclass(frozen=True)
class Counted:
    """A column's axis and how many rows hold each of its codes, float64 [codes], none negative."""

    axis: Axis
    counts: Floats


def bought_columns(
    rows: Private[Dataset], shape: Shape, plan: ColumnPlan, epsilon: float, progress: Progress
) -> tuple[dict[str, Counted], float]:
    """The learnt columns by name, and the number of rows."""
    columns = shape.spec.learnt
    mechanisms = {query.name: query.mechanism for query in plan.queries}
    table = rows.map(lambda admitted: shape.forward(admitted.table))
    binned = {}
    for i, column in enumerate(columns):
        progress(ProgressEvent("fit", i, 2 * len(columns), f"column {column.name!r}"))
        type = shape.types.field(column.name).type
        binned[column.name] = learn(table, column, type, shape.known[column.name], mechanisms)
    total = row_total(list(binned.values()), epsilon)
    found = {name: Counted(column.axis, smooth(column, total)) for name, column in binned.items()}
    return found, total


def by_unit(
    codes: NDArray[np.int64], dataset: Dataset, column: str | None
) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """The rows of `codes` and a number for the unit of each; None when every row is a unit.

    Rows of a unit come in an order that is their own, so that units with equal rows are equal, and
    replay can exchange them.
    """
    if column is None:
        return codes, None
    found = dataset.table[column].combine_chunks().dictionary_encode().indices
    units = np.asarray(found.cast(pa.int64()).to_numpy(zero_copy_only=False), np.int64)
    order = np.lexsort((*codes.T, units))
    return codes[order], units[order]
