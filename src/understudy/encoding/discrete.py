"""Columns as few codes and back: what engines that count see of a table.

A code stands for one known label, or for a run of neighbouring steps on a column's number line;
one more may stand for labels that are not known, and one for missing cells. Codes are public once
their axis is: `encode` looks at rows and belongs behind the private door, everything else is
outside. Number lines are counted in whole steps (of the Arrow type, or of the last decimal), so
integers beyond 2^53 survive and conditions are met exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.encoding.columns import from_numbers, to_numbers
from understudy.schema.domains import Domain, exactly

Codes = NDArray[np.intp]
Floats = NDArray[np.float64]
Steps = NDArray[np.int64]

FARTHEST = 1 << 62
"""Steps are kept within this of zero, so that differences fit into 64 bits."""


@dataclass(frozen=True)
class Line:
    """Whole steps of a numeric column: the last of `decimals` digits of a float, or a power of two,
    `power`.

    Integers, dates, times and decimals step by the smallest unit of their type, times `every`.
    """

    type: pa.DataType
    decimals: int | None = None
    power: int | None = None
    every: int = 1

    @property
    def fractional(self) -> bool:
        return bool(pa.types.is_floating(self.type) or pa.types.is_decimal(self.type))

    @property
    def unit(self) -> Fraction:
        """How much one step is: of the value where that is fractional, else of the type's unit."""
        if not self.fractional:
            return Fraction(self.every)
        if self.power is not None:
            return Fraction(2) ** self.power
        return Fraction(1, 10 ** (self.decimals or 0))

    def steps(self, column: pa.ChunkedArray) -> tuple[Steps, NDArray[np.bool_]]:
        """int64[n] (0 where missing) and bool[n]; NaN counts as missing, infinity is clipped."""
        numbers, missing = to_numbers(column)
        if numbers.dtype.kind == "i":
            return np.clip(numbers, -FARTHEST, FARTHEST) // self.every, missing
        if numbers.dtype.kind == "u":
            return np.minimum(numbers, np.uint64(FARTHEST)).astype(np.int64), missing
        missing = missing | np.isnan(numbers)
        with np.errstate(over="ignore"):
            scaled = np.where(missing, 0.0, numbers) / float(self.unit)
        whole = np.rint(scaled) if self.power is None else np.floor(scaled)
        return np.clip(whole, -float(FARTHEST), float(FARTHEST)).astype(np.int64), missing

    def values(self, steps: Steps, missing: NDArray[np.bool_]) -> pa.Array:
        """The Arrow array of these steps, null where missing."""
        if not self.fractional:
            return from_numbers(steps * self.every, missing, self.type)
        if self.power is not None:
            return from_numbers(steps * float(self.unit), missing, self.type)
        digits = self.decimals or 0
        return from_numbers(np.round(steps / 10.0**digits, digits), missing, self.type)

    def admits(self, domain: Domain, step: int) -> bool:
        """Whether the value at one step meets the condition."""
        return bool(domain.mask(self.values(np.array([step]), np.array([False])))[0])


@dataclass(frozen=True)
class Reach:
    """The steps that a condition admits: all of [`low`, `high`] but `without`, or `only` these."""

    low: int
    high: int
    only: Steps | None
    without: Steps


@dataclass(frozen=True)
class LabelAxis:
    """One code per label in `values`, then `other` (labels not known), then missing.

    `shares` are the known labels' own, by which a row with an unknown label gets a known one: what
    did not pass the threshold may not appear.
    """

    name: str
    values: pa.Array
    other: bool
    nullable: bool
    ordered: bool = False
    shares: Floats | None = None

    @property
    def size(self) -> int:
        return max(len(self.values) + self.other + self.nullable, 1)

    def encode(self, column: pa.ChunkedArray) -> Codes:
        found = pc.index_in(column, value_set=self.values)
        codes = pc.fill_null(found, len(self.values) if self.other else 0)
        codes = np.asarray(codes.to_numpy(), np.intp)
        if self.nullable:
            codes[column.is_null().to_numpy()] = self.size - 1
        return codes

    def with_shares(self, counts: Floats) -> LabelAxis:
        known = np.maximum(counts[: len(self.values)], 0.0)
        total = known.sum()
        return replace(self, shares=known / total if total > 0 else None)

    def admitted(self, domain: Domain) -> Floats:
        """float64[size]: for each code the share of what it stands for that meets the condition."""
        known = domain.mask(self.values).astype(np.float64) if len(self.values) else np.zeros(0)
        share = np.zeros(self.size)
        share[: len(known)] = known
        if self.other and len(known):
            share[len(known)] = known @ self._fallback()
        if self.nullable or len(self.values) == 0:
            share[-1] = float(domain.nulls)
        return share

    def decode(
        self, codes: Codes, rng: np.random.Generator, domain: Domain | None = None
    ) -> pa.Array:
        """Values in the column's type; with a condition, ones that meet it."""
        known = len(self.values)
        if known == 0:
            return pa.nulls(len(codes), self.values.type)
        codes = codes.copy()
        if self.other:
            pooled = np.flatnonzero(codes == known)
            weight = self._fallback()
            if domain is not None:
                weight = weight * domain.mask(self.values)
            if weight.sum() > 0:
                codes[pooled] = rng.choice(known, len(pooled), p=weight / weight.sum())
        return self.values.take(pa.array(codes, mask=codes >= known))

    def _fallback(self) -> Floats:
        known = len(self.values)
        return self.shares if self.shares is not None else np.full(known, 1.0 / known)


@dataclass(frozen=True)
class GridAxis:
    """One code per run of steps, the i-th from `starts[i]` to the next start, the last to `last`;
    then missing. Values beyond the ends belong to the outermost runs.
    """

    name: str
    line: Line
    starts: Steps
    last: int
    nullable: bool
    ordered: bool = True

    @property
    def size(self) -> int:
        return max(len(self.starts) + self.nullable, 1)

    @property
    def widths(self) -> Steps:
        """Steps in each run."""
        return np.diff(np.append(self.starts, self.last + 1))

    def ends(self) -> pa.Array:
        """The least and the greatest value."""
        return self.line.values(np.array([self.starts[0], self.last]), np.zeros(2, bool))

    def encode(self, column: pa.ChunkedArray) -> Codes:
        if len(self.starts) == 0:
            return np.zeros(len(column), np.intp)
        steps, missing = self.line.steps(column)
        codes = np.maximum(np.searchsorted(self.starts, steps, side="right") - 1, 0)
        codes[missing] = self.size - 1 if self.nullable else 0
        return codes

    def admitted(self, domain: Domain) -> Floats:
        """float64[size]: the share of each run's steps that meet the condition."""
        share = np.zeros(self.size)
        if len(self.starts):
            _, _, count = self._within(self.reach(domain))
            share[: len(count)] = count / self.widths
        if self.nullable or len(self.starts) == 0:
            share[-1] = float(domain.nulls)
        return share

    def decode(
        self, codes: Codes, rng: np.random.Generator, domain: Domain | None = None
    ) -> pa.Array:
        """Values spread evenly over each run; with a condition, over what it admits."""
        if len(self.starts) == 0:
            return pa.nulls(len(codes), self.line.type)
        missing = codes >= len(self.starts)
        codes = np.where(missing, 0, codes)
        share = rng.random(len(codes))
        if domain is None:
            steps = self.starts[codes] + (share * self.widths[codes]).astype(np.int64)
            return self.line.values(steps, missing)
        reach = self.reach(domain)
        first, without, count = self._within(reach)
        nth = np.minimum((share * count[codes]).astype(np.int64), np.maximum(count[codes] - 1, 0))
        if reach.only is not None:
            place = np.minimum(first[codes] + nth, max(len(reach.only) - 1, 0))
            steps = reach.only[place] if len(reach.only) else self.starts[codes]
            return self.line.values(steps, missing)
        steps = first[codes] + nth
        for step in without:
            steps += (steps >= step) & (step >= first[codes])
        return self.line.values(steps, missing)

    def reach(self, domain: Domain) -> Reach:
        """The condition in steps; exact, because every end is tried on the values themselves."""
        low, high = int(self.starts[0]), self.last
        nothing = np.zeros(0, np.int64)
        if not domain.values:
            return Reach(low, high, nothing, nothing)
        self.line.admits(domain, low)  # raises where the condition is of another sort
        near = self._near(domain.excluded if domain.allowed is None else domain.allowed, low, high)
        if domain.allowed is not None:
            only = np.array([s for s in near if self.line.admits(domain, s)], np.int64)
            return Reach(low, high, only, nothing)
        interval = replace(domain, excluded=frozenset())
        first, last = _interval(self.line, interval, low, high)
        out = np.array([s for s in near if not self.line.admits(domain, s)], np.int64)
        out = out[(out >= first) & (out <= last)]
        return Reach(first, last, None, out)

    def _near(self, values: frozenset[object], low: int, high: int) -> list[int]:
        """Steps at and beside the listed values, in order."""
        found: set[int] = set()
        for value in values:
            at = exactly(value, self.line.type)  # type: ignore[arg-type]
            if isinstance(at, float):
                at = Fraction(at)
            elif isinstance(at, Fraction) and pa.types.is_decimal(self.line.type):
                at = at / 10**self.line.type.scale
            if isinstance(at, Fraction):
                at = at / self.line.unit
                found.update(range(math.floor(at) - 1, math.floor(at) + 3))
        return sorted(step for step in found if low <= step <= high)

    def _within(self, reach: Reach) -> tuple[Steps, Steps, Steps]:
        """For each run its first admitted step (or place in `only`), the steps left out of all
        runs, and how many it admits."""
        ends = self.starts + self.widths - 1
        if reach.only is not None:
            first = np.searchsorted(reach.only, self.starts)
            count = np.searchsorted(reach.only, ends, side="right") - first
            return first.astype(np.int64), reach.without, count.astype(np.int64)
        first = np.maximum(self.starts, reach.low)
        count = np.maximum(np.minimum(ends, reach.high) - first + 1, 0)
        skipped = np.searchsorted(reach.without, ends, side="right")
        skipped = skipped - np.searchsorted(reach.without, first)
        return first, reach.without, np.maximum(count - np.maximum(skipped, 0), 0)


Axis = LabelAxis | GridAxis


def _interval(line: Line, domain: Domain, low: int, high: int) -> tuple[int, int]:
    """The admitted steps of an interval condition; (1, 0)-like when there are none."""
    below = replace(domain, high=None, high_open=False)
    above = replace(domain, low=None, low_open=False)
    first = _first(lambda step: line.admits(below, step), low, high)
    last = _first(lambda step: not line.admits(above, step), low, high) - 1
    return first, last


def _first(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The first step in [low, high] where a condition that stays true becomes so, or high + 1."""
    least, most = low, high + 1
    while least < most:
        middle = (least + most) // 2
        if holds(middle):
            most = middle
        else:
            least = middle + 1
    return least
