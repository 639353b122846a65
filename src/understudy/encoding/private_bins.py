"""The axes of a table's columns, learnt through the private door and paid for.

What the schema declares is public: levels, bounds, whether cells may be empty. The rest is bought,
query by query, as `queries_of` lists them before anything is spent:

* labels that are not declared: those whose noisy count passes a threshold (`StableHistogram`), then
  a count of each, of all others together and of missing cells;
* numbers: what step they are written in, how far they go (`Bounds`), then two noisy histograms.
  The first is over a public grid between the bounds, cells of equal width and cells of equal ratio,
  so that skewed columns are seen as well as even ones; the second splits every cell that holds
  enough to be split, down to single values (in the manner of PrivTree, Zhang, Xiao & Xie 2016).
  Cells that hold too little to tell from noise are joined to their neighbours.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pyarrow as pa

from understudy.encoding.discrete import FARTHEST, Axis, Floats, GridAxis, LabelAxis, Line, Steps
from understudy.encoding.known import (
    SINGLES,
    Known,
    is_numeric,
    lines_of,
    measure,
    measured,
    written,
)
from understudy.privacy.mechanisms import Bounds, NoisyCounts, StableHistogram, magnitudes
from understudy.privacy.mechanisms.histogram import LONGEST, labelled
from understudy.privacy.session import Array, Mechanism, Private
from understudy.schema import Category, Column

EVEN, RATIO = 128, 128
"""Cells of equal width and of equal ratio in the first histogram."""
PIECES, PEAK = 512, 4.0
"""At most so many pieces a cell is split into; one that exceeds its even share by so many standard
deviations of the noise is a value of its own."""
SUPPORT, FEWEST = 2.0, 10
"""Cells are told apart if they hold this many standard deviations of the noise, and rows."""
STRAY = 0.01
"""Share of a column's cells that may be written in finer steps than all others."""
FINE = 2.0**-40
"""A step of a continuous column, as a share of its range."""


@dataclass(frozen=True)
class Query:
    """One look at a column: its name, what it is for, its share of the column's budget."""

    name: str
    buys: str
    share: float
    thresholded: bool = False
    bounds: bool = False

    def mechanism(self, scale: float, sensitivity: float, delta: float) -> Mechanism:
        """With noise for `scale / sqrt(share)`: shares add up to the Gaussian of `scale`."""
        multiplier = scale / math.sqrt(self.share)
        if self.thresholded:
            return StableHistogram(multiplier, delta, sensitivity)
        if self.bounds:
            return Bounds(multiplier, sensitivity=sensitivity)
        return NoisyCounts(multiplier, sensitivity)


@dataclass(frozen=True)
class Binned:
    """A column's axis, the noisy count of each of its codes, and the variance of these."""

    axis: Axis
    counts: Floats
    variance: Floats


def queries_of(column: Column, known: Known) -> tuple[Query, ...]:
    """Everything that will be asked about a column alone, from public things only."""
    name = column.name
    count = f"{name}: counts"
    if known.labels is not None:
        return (Query(count, f"how many rows hold each label of {name}", 1.0),)
    if not is_numeric(column):
        return (
            Query(f"{name}: labels", f"the labels of {name}", 0.6, thresholded=True),
            Query(count, f"how many rows hold each label of {name}", 0.4),
        )
    found = []
    if known.line is None:
        found.append(Query(f"{name}: step", f"what steps {name} is written in", 0.05))
    if not known.bounded:
        found.append(Query(f"{name}: bounds", f"how far {name} goes", 0.15, bounds=True))
    left = 1.0 - sum(query.share for query in found)
    first = f"how many rows lie in each cell of a grid over {name}"
    if known.few:
        return (*found, Query(count, first, left))
    return (
        *found,
        Query(count, first, left / 2),
        Query(f"{name}: finer counts", f"the same with full cells of {name} split", left / 2),
    )


def learn(
    rows: Private[pa.Table],
    column: Column,
    type: pa.DataType,
    known: Known,
    mechanisms: Mapping[str, Mechanism],
) -> Binned:
    """Asks the column's queries and puts the answers together."""
    ask = _Asked(rows, column.name, mechanisms)
    if known.labels is not None or not is_numeric(column):
        return _learn_labels(ask, column, type, known)
    return _learn_grid(ask, column, type, known)


@dataclass(frozen=True)
class _Asked:
    """Queries about one column, by the part of their name after the column's."""

    rows: Private[pa.Table]
    column: str
    mechanisms: Mapping[str, Mechanism]

    def has(self, part: str) -> bool:
        return f"{self.column}: {part}" in self.mechanisms

    def sigma(self, part: str) -> float:
        mechanism = self.mechanisms[f"{self.column}: {part}"]
        return float(mechanism.sigma)  # type: ignore[attr-defined]

    def answer(self, part: str, exact: Callable[[pa.ChunkedArray], Array]) -> Array:
        query, name = f"{self.column}: {part}", self.column
        return self.rows.ask(query, self.mechanisms[query], lambda table: exact(table[name]))

    def counts(self, part: str, axis: Axis) -> Floats:
        found = self.answer(part, lambda c: np.bincount(axis.encode(c), minlength=axis.size))
        return np.asarray(found, np.float64)


def _learn_labels(ask: _Asked, column: Column, type: pa.DataType, known: Known) -> Binned:
    ordered = isinstance(column, Category) and column.ordered
    if known.labels is not None:
        axis = LabelAxis(column.name, known.labels, False, column.nullable, ordered)
        spread = np.full(axis.size, ask.sigma("counts") ** 2)
        return Binned(axis, ask.counts("counts", axis), spread)
    found = ask.answer("labels", _tally)
    values = pa.array(found["label"].tolist(), pa.string()).cast(type)
    axis = LabelAxis(column.name, values, True, column.nullable)
    counts, variance = ask.counts("counts", axis), np.full(axis.size, ask.sigma("counts") ** 2)
    known_too, seen = len(values), ask.sigma("labels") ** 2
    before = found["count"].astype(np.float64)
    precision = 1 / variance[:known_too] + 1 / seen
    both = counts[:known_too] / variance[:known_too] + before / seen
    counts[:known_too], variance[:known_too] = both / precision, 1 / precision
    return Binned(axis.with_shares(counts), counts, variance)


def _tally(column: pa.ChunkedArray) -> Array:
    """`tally` of the column, counted by Arrow."""
    counts: Counter[str] = Counter()
    for entry in column.cast(pa.string()).drop_null().value_counts().to_pylist():
        counts[entry["values"][:LONGEST].rstrip("\0")] += entry["counts"]
    return labelled(list(counts), list(counts.values()))


def _learn_grid(ask: _Asked, column: Column, type: pa.DataType, known: Known) -> Binned:
    line = known.line or _line(ask, lines_of(column, type))
    span = _span(ask, line, known)
    if span is None:
        # Nothing stands out: missing where that is allowed, else nought.
        starts = np.zeros(0 if column.nullable else 1, np.int64)
        unknown = GridAxis(column.name, line, starts, 0, column.nullable)
        parts = [part for part in ("counts", "finer counts") if ask.has(part)]
        totals = [ask.counts(part, unknown) for part in parts]
        return Binned(unknown, totals[-1], np.full(1, ask.sigma(parts[-1]) ** 2))
    low, high, line = span
    axis = GridAxis(column.name, line, _grid(low, high), high, column.nullable)
    counts, variance = ask.counts("counts", axis), np.full(axis.size, ask.sigma("counts") ** 2)
    if ask.has("finer counts"):
        axis, counts, variance = _zoom(ask, axis, counts, variance)
    return _joined(axis, counts, variance)


def _line(ask: _Asked, lines: tuple[Line, ...]) -> Line:
    """The coarsest line that writes all cells but a few strays."""
    spread = ask.answer("step", lambda column: written(column, lines)).astype(np.float64)
    beyond = spread.sum() - np.cumsum(spread)
    noise = SUPPORT * ask.sigma("step") * np.sqrt(np.arange(len(lines) - 1, -1, -1))
    enough = beyond <= np.maximum(STRAY * spread.sum(), noise)
    return lines[int(np.argmax(enough))]


def _span(ask: _Asked, line: Line, known: Known) -> tuple[int, int, Line] | None:
    """First and last step, and the line with the step of a continuous column settled; None where
    nothing stands out of the noise."""
    ends = [known.low, known.high]
    if not known.bounded:
        found = ask.answer("bounds", lambda column: magnitudes(measured(line, column)))
        if len(found) == 0:
            return None
        bought = [Fraction(float(end)) * measure(line) for end in found]
        ends = [b if end is None else end for end, b in zip(ends, bought, strict=True)]
    low, high = sorted(end for end in ends if end is not None)
    if line.power is not None:
        width = max(float(high - low), 2.0**-30)
        line = Line(line.type, power=math.ceil(math.log2(width * FINE)))
    first, last = math.floor(low / line.unit), math.ceil(high / line.unit)
    if known.high is None and last > first:
        last -= 1  # a bought upper bound is the first power of two beyond the values
    return max(first, -FARTHEST), min(last, FARTHEST), line


def _grid(low: int, high: int) -> Steps:
    """Starts of the first cells: every step, or `EVEN` cells of equal width and as many of equal
    ratio on each side of zero."""
    if high - low < SINGLES:
        return np.arange(low, high + 1, dtype=np.int64)
    starts = {low + (high - low + 1) * i // EVEN for i in range(EVEN)}
    octaves = [1 << k for k in range(FARTHEST.bit_length())]
    sides = [
        (s, o) for s in (1, -1) for o in octaves if low < s * o <= high or low < 2 * s * o <= high
    ]
    each = max(RATIO // max(len(sides), 1), 1)
    for sign, octave in sides:
        pieces = min(each, octave)
        for i in range(pieces):
            at = octave + octave * i // pieces
            starts.add(at if sign > 0 else 1 - at)
    starts |= {0, 1}
    return np.array(sorted(s for s in starts if low <= s <= high), np.int64)


def _zoom(
    ask: _Asked, axis: GridAxis, counts: Floats, variance: Floats
) -> tuple[GridAxis, Floats, Floats]:
    """Splits full cells, down to single values, and counts again.

    Pieces are as many as are needed to find a value that many rows share; where none stands out
    they are put together again into as many as the noise lets tell apart.
    """
    sigma = ask.sigma("finer counts")
    widths, held = axis.widths, counts[: len(axis.starts)]
    enough = max(SUPPORT * sigma, FEWEST)
    blocks = np.minimum(np.clip(held / enough, 1, PIECES).astype(np.int64), widths)
    pieces = np.where(held >= 2 * enough, np.minimum(widths, PIECES), 1)
    starts = np.concatenate([_cut(*cell) for cell in zip(axis.starts, widths, pieces, strict=True)])
    finer = GridAxis(axis.name, axis.line, starts, axis.last, axis.nullable)
    found = ask.counts("finer counts", finer)
    if axis.nullable:
        blocks, pieces = np.append(blocks, 1), np.append(pieces, 1)
    parent = np.repeat(np.arange(axis.size), pieces)
    sums, noise = np.bincount(parent, found), pieces * sigma**2
    total = (counts / variance + sums / noise) / (1 / variance + 1 / noise)
    even = (total / pieces)[parent]
    found = found + ((total - sums) / pieces)[parent]
    alone = (found - even >= PEAK * sigma) & (pieces > 1)[parent]
    place = np.arange(len(parent)) - (np.cumsum(pieces) - pieces)[parent]
    block = place * blocks[parent] // pieces[parent]
    changed = (np.diff(parent, prepend=-1) > 0) | (np.diff(block, prepend=-1) != 0)
    kept = np.flatnonzero(changed | alone | np.roll(alone, 1))
    spread = np.diff(np.append(kept, len(parent))) * sigma**2
    counts = np.add.reduceat(found, kept)
    starts = starts[kept[: len(kept) - axis.nullable]]
    return GridAxis(axis.name, axis.line, starts, axis.last, axis.nullable), counts, spread


def _cut(start: int, width: int, pieces: int) -> Steps:
    """Where `pieces` even pieces of a run of steps begin."""
    first, steps, many = int(start), int(width), int(pieces)
    return np.array([first + steps * i // many for i in range(many)], np.int64)


def _joined(axis: GridAxis, counts: Floats, variance: Floats) -> Binned:
    """Neighbouring cells joined until they hold `SUPPORT` deviations of the noise.

    Cells left over at the end are parted where their noisy sum is largest, so that a bound bought
    too high does not spread the last values over nothing.
    """
    size = len(axis.starts)
    least = np.maximum(SUPPORT * np.sqrt(variance), FEWEST)
    kept: list[int] = []
    filled, noise, complete = 0.0, 0.0, True
    for place in range(size):
        enough = bool(counts[place] >= least[place])
        if complete or enough or filled >= max(SUPPORT * math.sqrt(noise), FEWEST):
            kept.append(place)
            filled, noise = 0.0, 0.0
        filled, noise, complete = filled + counts[place], noise + variance[place], enough
    tail = kept[-1] + 1 + int(np.argmax(np.cumsum(counts[kept[-1] : size])))
    if tail < size:
        kept.append(tail)
    starts = np.array(kept)
    sums = np.add.reduceat(counts[:size], starts)
    spread = np.add.reduceat(variance[:size], starts)
    if axis.nullable:
        sums, spread = np.append(sums, counts[size]), np.append(spread, variance[size])
    joined = GridAxis(axis.name, axis.line, axis.starts[starts], axis.last, axis.nullable)
    return Binned(joined, sums, spread)
