"""`low <= high`: the engine learns `low` and the gap, and a gap is never negative."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt
from numpy.typing import NDArray

from understudy.data.stored import fitted
from understudy.encoding.constraints.numbers import (
    as_integers,
    common_type,
    decimals_of,
    extremes,
    from_integers,
    is_stepped,
    raised,
    rounded,
)
from understudy.encoding.constraints.step import Domains, fresh, replaced, reshaped
from understudy.schema import Column, Duration, Inequality, Number, Table

WIDE = 70
"""Digits in which decimals are added, so that no sum of two can overflow."""


@dataclass(frozen=True)
class InequalityStep:
    """`high` becomes `gap = high - low` where both are present; `alone`, a column that exists only
    where the source needs it, keeps `high` where `low` is missing.

    `table` holds the least and the greatest `high` of the source: the way back stays within, except
    where a greater `low` demands more. `line` is the type both sides are reckoned in.
    """

    low: str
    high: str
    strict: bool
    gap: str
    alone: str | None
    line: pa.DataType
    gap_type: pa.DataType
    decimals: tuple[int | None, int | None]
    table: pa.Table = field(repr=False)
    rule: str = "inequality"

    @classmethod
    def fit(cls, rule: Inequality, table: pa.Table, spec: Table) -> InequalityStep:
        low, high = table[rule.low], table[rule.high]
        line = common_type([low.type, high.type], f"{rule.low!r} <= {rule.high!r}")
        only_high = pc.and_(pc.is_null(low), pc.is_valid(high))
        return cls(
            low=rule.low,
            high=rule.high,
            strict=rule.strict,
            gap=fresh(f"gap({rule.low}, {rule.high})", spec),
            alone=fresh(f"alone({rule.high})", spec) if pc.any(only_high).as_py() else None,
            line=line,
            gap_type=_gap_type(low, high, line),
            decimals=_decimals(low, high, line),
            table=pa.table({rule.high: extremes(high)}),
        )

    def reshape(self, spec: Table) -> Table:
        high = spec.column(self.high)
        added: list[Column] = []
        if pt.is_duration(self.gap_type):
            added.append(Duration(name=self.gap))
        else:
            whole = pt.is_integer(self.gap_type)
            digits = self.gap_type.scale if pt.is_decimal(self.gap_type) else self.decimals[0]
            added.append(
                Number(name=self.gap, integer=whole, decimals=None if whole else digits, minimum=0)
            )
        if self.alone:
            added.append(high.model_copy(update={"name": self.alone, "nullable": True}))
        return reshaped(spec, [self.high], added)

    def forward(self, table: pa.Table) -> pa.Table:
        low, high = table[self.low], table[self.high]
        added = {self.gap: self._difference(low, high)}
        if self.alone:
            nothing = pa.scalar(None, high.type)
            added[self.alone] = pc.if_else(pc.is_null(low), high, nothing)
        return replaced(table, [self.high], added)

    def backward(self, table: pa.Table) -> pa.Table:
        low = table[self.low].cast(self.line)
        low = low.combine_chunks() if isinstance(low, pa.ChunkedArray) else low
        high_type = self.table.schema.field(self.high).type
        gap = table[self.gap].combine_chunks()
        high = raised(self._sum(low, gap), high_type)
        least = self.least(low)
        if self.alone:
            alone = table[self.alone].cast(high_type).combine_chunks()
            high = pc.if_else(pc.is_null(low), alone, high)
        high = self._within_source(high)
        too_low = pc.fill_null(pc.less(high, least), False)
        high = pc.if_else(too_low, least, high)
        gone = [name for name in (self.gap, self.alone) if name]
        return replaced(table, gone, {self.high: high})

    def least(self, low: pa.Array) -> pa.Array:
        """The least `high` allowed above each `low`, in the type of `high`."""
        high_type = self.table.schema.field(self.high).type
        return raised(self._least(low.cast(self.line)), high_type)

    def translate(self, domains: Domains) -> tuple[Domains, Domains]:
        others = {name: domain for name, domain in domains.items() if name != self.high}
        return others, {name: domains[name] for name in domains if name == self.high}

    def to_json(self) -> dict[str, Any]:
        return {
            "low": self.low,
            "high": self.high,
            "strict": self.strict,
            "gap": self.gap,
            "alone": self.alone,
            "unsigned": pt.is_uint64(self.gap_type),
            "decimals": list(self.decimals),
        }

    @classmethod
    def from_json(cls, state: dict[str, Any], source: pa.Schema, table: pa.Table) -> InequalityStep:
        rest = {k: v for k, v in state.items() if k not in ("unsigned", "decimals")}
        types = [source.field(state[end]).type for end in ("low", "high")]
        line = common_type(types, "saved inequality")
        gap_type = pa.uint64() if state["unsigned"] else _plain_gap_type(line)
        one, other = state["decimals"]
        return cls(**rest, line=line, gap_type=gap_type, decimals=(one, other), table=table)

    def _difference(self, low: pa.ChunkedArray, high: pa.ChunkedArray) -> pa.Array:
        """`high - low`, exact; null where either is, or has no place on the line."""
        # No cell may end a run: whoever reads the message would know of it.
        low, high = fitted(low, self.line), fitted(high, self.line)
        missing = pc.or_(pc.is_null(low), pc.is_null(high)).to_numpy()
        if is_stepped(self.line):
            # Differences of 64-bit integers are exact modulo 2^64.
            steps = as_integers(high).view(np.uint64) - as_integers(low).view(np.uint64)
            return from_integers(steps.view(_word(self.gap_type)), missing, self.gap_type)
        if pt.is_decimal(self.line):
            wide = pa.decimal256(WIDE, self.line.scale)
            gap = fitted(pc.subtract(high.cast(wide), low.cast(wide)), self.gap_type)
            return pa.concat_arrays(gap.chunks) if gap.num_chunks else pa.array([], self.gap_type)
        start, end = (side.fill_null(0.0).to_numpy() for side in (low, high))
        return pa.array(_float_gap(start, end, self.decimals[0]), mask=missing)

    def _sum(self, low: pa.Array, gap: pa.Array) -> pa.Array:
        """`low + max(gap, 0)` on the line, held at the type's end; null where either is."""
        missing = pc.or_(pc.is_null(low), pc.is_null(gap)).to_numpy(zero_copy_only=False)
        if is_stepped(self.line):
            start = as_integers(pa.chunked_array([low]))
            steps = as_integers(pa.chunked_array([gap.cast(self.gap_type)]))
            steps = np.maximum(steps, 0).astype(np.uint64)
            room = np.uint64(_end(self.line)) - start.view(np.uint64)
            reached = (start.view(np.uint64) + np.minimum(steps, room)).view(start.dtype)
            return from_integers(reached, missing, self.line)
        if pt.is_decimal(self.line):
            wide = pa.decimal256(WIDE, self.line.scale)
            gap = gap.cast(wide)
            zero = pa.scalar(Decimal(0), wide)
            gap = pc.if_else(pc.less(gap, zero), zero, gap)
            return pc.add(low.cast(wide), gap).cast(wide)
        start = low.fill_null(0.0).to_numpy(zero_copy_only=False)
        span = gap.cast(pa.float64()).fill_null(0.0).to_numpy(zero_copy_only=False)
        reached = rounded(start + np.maximum(span, 0.0), self.decimals[1])
        return pa.array(reached, mask=missing)

    def _least(self, low: pa.Array) -> pa.Array:
        """The least that `high` may be above each `low`, on the line."""
        missing = low.is_null().to_numpy(zero_copy_only=False)
        if is_stepped(self.line):
            steps = as_integers(pa.chunked_array([low]))
            if self.strict:
                steps = np.where(steps < _end(self.line), steps + steps.dtype.type(1), steps)
            return from_integers(steps, missing, self.line)
        if pt.is_decimal(self.line):
            wide = pa.decimal256(WIDE, self.line.scale)
            low = low.cast(wide)
            return pc.add(low, _smallest(wide)).cast(wide) if self.strict else low
        start = low.fill_null(0.0).to_numpy(zero_copy_only=False)
        return pa.array(_float_least(start, self.strict, self.decimals[1]), mask=missing)

    def _within_source(self, high: pa.Array) -> pa.Array:
        least, most = self.table[self.high][0], self.table[self.high][1]
        if not least.is_valid:
            return high
        high = pc.if_else(pc.less(high, least), least, high)
        return pc.if_else(pc.greater(high, most), most, high)


def _gap_type(low: pa.ChunkedArray, high: pa.ChunkedArray, line: pa.DataType) -> pa.DataType:
    if not pt.is_integer(line):
        return _plain_gap_type(line)
    steps = as_integers(high.cast(line)).view(np.uint64) - as_integers(low.cast(line)).view(
        np.uint64
    )
    both = pc.and_(pc.is_valid(low), pc.is_valid(high)).to_numpy()
    return pa.uint64() if steps[both].max(initial=0) >= 1 << 63 else pa.int64()


def _plain_gap_type(line: pa.DataType) -> pa.DataType:
    if pt.is_timestamp(line) or pt.is_duration(line):
        return pa.duration(line.unit)
    if pt.is_decimal(line):
        return pa.decimal128(38, line.scale)
    return pa.float64() if pt.is_floating(line) else pa.int64()


def _decimals(
    low: pa.ChunkedArray, high: pa.ChunkedArray, line: pa.DataType
) -> tuple[int | None, int | None]:
    """Digits after the point of the gap and of `high`, where they are floats."""
    if not pt.is_floating(line):
        return None, None
    of_low, of_high = (decimals_of(end.cast(line)) for end in (low, high))
    return (None if of_low is None or of_high is None else max(of_low, of_high)), of_high


def _float_gap(
    low: NDArray[np.float64], high: NDArray[np.float64], decimals: int | None
) -> NDArray[np.float64]:
    """A gap for which `low + gap == high` in floating point, wherever there is one."""
    gap = high - low
    if decimals is not None:
        return rounded(gap, decimals)
    for direction in (np.inf, -np.inf):
        missed = low + gap < high if direction > 0 else low + gap > high
        gap = np.where(missed, np.nextafter(gap, direction), gap)
    return gap


def _float_least(
    low: NDArray[np.float64], strict: bool, decimals: int | None
) -> NDArray[np.float64]:
    above = np.nextafter(low, np.inf) if strict else low
    if decimals is None:
        return above
    # The next value on the grid of `high`'s decimals; where floats are too coarse for it, `above`.
    unit = 10.0**-decimals
    up = np.round(low, decimals)
    up = np.where(up < above, np.round(up + unit, decimals), up)
    return np.maximum(up, above)


def _word(type: pa.DataType) -> type[np.generic]:
    return np.uint64 if pt.is_uint64(type) else np.int64


def _end(line: pa.DataType) -> int:
    """The greatest number of steps the line's type holds."""
    if pt.is_date32(line):
        return (1 << 31) - 1
    return (1 << 64) - 1 if pt.is_uint64(line) else (1 << 63) - 1


def _smallest(type: pa.DataType) -> pa.Scalar:
    return pa.scalar(Decimal((0, (1,), -type.scale)), type)
