"""What is public of a column beyond its kind: its labels, the step it is written in, its bounds.

The schema declares it, or it must be bought (see `private_bins`); without a privacy budget it is
read off the data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt
from numpy.typing import NDArray

from understudy.encoding.discrete import Line
from understudy.errors import ColumnError, ConstraintError
from understudy.schema import Boolean, Category, Column, Geo, Number, Range, Table
from understudy.schema.domains import PER_SECOND, exactly

DIGITS = 10
"""Floats with so many decimals or more are taken as continuous."""
SINGLES = 1024
"""A number line of at most so many steps gets a code for each at first."""
LIMITS = {"latitude": (-90, 90), "longitude": (-180, 180)}
TIMES = (86_400, 3_600, 60, 1)


@dataclass(frozen=True)
class Known:
    """What is public of one column; None where it must be bought.

    `low` and `high` are exact: values of floats and decimals, units of the Arrow type of all else.
    """

    labels: pa.Array | None = None
    line: Line | None = None
    low: Fraction | None = None
    high: Fraction | None = None

    @property
    def bounded(self) -> bool:
        return self.low is not None and self.high is not None

    @property
    def few(self) -> bool:
        """Whether declared bounds leave so few steps that one histogram shows each."""
        if self.low is None or self.high is None or self.line is None:
            return False
        return self.line.power is None and (self.high - self.low) / self.line.unit < SINGLES


def is_numeric(column: Column) -> bool:
    return column.kind in ("number", "datetime", "duration", "geo")


def lines_of(column: Column, type: pa.DataType) -> tuple[Line, ...]:
    """Number lines for a column, the coarsest first; the last one writes any value.

    Floats by decimals, times from days down to the type's own unit.
    """
    whole = isinstance(column, Number) and column.integer
    if pt.is_floating(type):
        if whole:
            return (Line(type, decimals=0),)
        return (*(Line(type, decimals=d) for d in range(DIGITS)), Line(type, power=0))
    if pt.is_decimal(type):
        return (Line(type, decimals=type.scale),)
    if not (pt.is_timestamp(type) or pt.is_duration(type)):
        return (Line(type),)
    per_second = PER_SECOND[type.unit]
    steps = [seconds * per_second for seconds in TIMES]
    steps += [per_second // part for part in PER_SECOND.values() if 1 < part <= per_second]
    return tuple(Line(type, every=every) for every in steps)


def written(column: pa.ChunkedArray, lines: tuple[Line, ...]) -> NDArray[np.int64]:
    """int64[lines]: how many cells are written in the steps of each line, and of none before it."""
    present = column.drop_null()
    if pt.is_floating(present.type):
        present = present.filter(pc.is_finite(present))
    first = np.full(len(present), len(lines) - 1)
    for place in reversed(range(len(lines) - 1)):
        first[_fits(present, lines[place])] = place
    return np.bincount(first, minlength=len(lines)).astype(np.int64)


def known_of_schema(column: Column, spec: Table, type: pa.DataType) -> Known:
    """What the schema declares, ranges among the constraints included."""
    if isinstance(column, Boolean):
        return Known(labels=pa.array([False, True]).cast(type))
    if pt.is_null(type):
        return Known(labels=pa.nulls(0, type))
    if not is_numeric(column):
        levels = column.levels if isinstance(column, Category) else None
        return Known(labels=None if levels is None else _labels(column.name, levels, type))
    low = high = None
    lines = lines_of(column, type)
    line = lines[0] if len(lines) == 1 else None
    if isinstance(column, Number):
        low, high = _exact(column.minimum, type), _exact(column.maximum, type)
        if pt.is_floating(type) and column.decimals is not None and line is None:
            line = lines[min(column.decimals, DIGITS)]
    if isinstance(column, Geo) and column.axis in LIMITS:
        low, high = map(Fraction, LIMITS[column.axis])
    for rule in spec.constraints:
        if isinstance(rule, Range) and rule.column == column.name:
            low = max(_given(low, _exact(rule.minimum, type)), default=None)
            high = min(_given(high, _exact(rule.maximum, type)), default=None)
    return Known(line=line, low=low, high=high)


def known_of_data(column: Column, values: pa.ChunkedArray) -> Known:
    """All of it, read off the data: for runs that keep no budget."""
    present = values.drop_null()
    if pt.is_floating(values.type):
        present = present.filter(pc.is_finite(present))
    if not is_numeric(column) or len(present) == 0:
        found = pc.unique(present)
        return Known(labels=found.take(pc.array_sort_indices(found)))
    lines = lines_of(column, values.type)
    line = lines[int(np.flatnonzero(written(present, lines))[-1])]
    ends = measured(line, present)
    low, high = (Fraction(end.item()) * measure(line) for end in (ends.min(), ends.max()))
    return Known(line=line, low=low, high=high)


def measured(line: Line, column: pa.ChunkedArray) -> NDArray[np.generic]:
    """What bounds are counted over: values of floats, steps of everything else."""
    if pt.is_floating(line.type):
        return np.asarray(column.drop_null().to_numpy(), np.float64)
    steps, missing = line.steps(column)
    return np.asarray(steps[~missing])


def measure(line: Line) -> Fraction:
    """How much one of `measured` is."""
    return Fraction(1) if pt.is_floating(line.type) else line.unit


def _labels(name: str, levels: tuple[object, ...], type: pa.DataType) -> pa.Array:
    """Declared levels in the column's type, text where that is how the column is stored."""
    texts = pt.is_string(type) or pt.is_large_string(type)
    try:
        return pa.array([str(level) if texts else level for level in levels], type)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ColumnError(
            f"the levels that the plan declares for column {name!r} are not of its type {type}: "
            f"{error}. Write them as the column holds them, or leave them out."
        ) from None


def _fits(present: pa.ChunkedArray, line: Line) -> NDArray[np.bool_]:
    """Whether each cell lies on a step of the line."""
    if not pt.is_floating(line.type):
        return np.asarray(present.cast(pa.int64()).to_numpy() % line.every == 0)
    values = present.to_numpy().astype(np.float64)
    digits = line.decimals or 0
    with np.errstate(over="ignore", invalid="ignore"):
        apart = np.abs(np.round(values, digits) - values)
    return np.asarray(apart <= 1e-9 * np.maximum(10.0**-digits, 1e-6 * np.abs(values)))


def _exact(end: float | str | None, type: pa.DataType) -> Fraction | None:
    """A declared bound: a value of floats and decimals, units of the type of all else."""
    if end is None:
        return None
    if not isinstance(end, str):
        return Fraction(repr(end)) if math.isfinite(end) else None
    at = exactly(datetime.fromisoformat(end), type)
    if not isinstance(at, Fraction):
        raise ConstraintError(
            f"the bound {end!r} is a date, but the column it bounds is of type {type}. Correct the "
            "range in the plan."
        )
    return at


def _given(*ends: Fraction | None) -> list[Fraction]:
    return [end for end in ends if end is not None]
