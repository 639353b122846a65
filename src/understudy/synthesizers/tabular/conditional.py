"""The tree engine's core with its first columns handed in: p(columns | given), many rows at once.

Rows of other tables, earlier events and counts stand on the left as plain floats (`Predictors`);
the columns to draw follow one after the other, each from the leaves of trees over all before it.
Relational and sequential engines are made of these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.encoding.columns import (
    Codec,
    Codes,
    Levels,
    Ranks,
    fit_codec,
    from_numbers,
    to_numbers,
)
from understudy.errors import EngineError
from understudy.runtime.parallel import run_all
from understudy.runtime.random import stream
from understudy.synthesizers.tabular.cart import Floats
from understudy.synthesizers.tabular.leaves import Grove, Way, fit_grove
from understudy.synthesizers.tabular.order import by_information, classes_of, dependencies

ABSENT = np.float32(-1e30)
"""Where a predictor has no value: trees part it from all numbers with one split."""
FEWEST_PLACES, PLACES = 6, 100


@dataclass(frozen=True)
class Growth:
    """How trees are grown; see `TreeSynthesizer` for `leaf`, `trees` and `features`."""

    trees: int = 3
    leaf: int = 40
    features: float = 0.8
    grow_rows: int = 150_000


@dataclass(frozen=True)
class Predictors:
    """Columns that are there already, as the floats that trees split.

    `levels` holds the values of a category, in the order of their places; None stands for a number.
    """

    levels: Mapping[str, pa.Array | None]

    @classmethod
    def fit(cls, table: pa.Table) -> Predictors:
        """Numbers and times as they are, all else by its sorted levels."""
        return cls({name: _levels(table[name]) for name in table.column_names})

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.levels)

    def matrix(self, table: pa.Table) -> Floats:
        """float32 [rows, predictors]; `ABSENT` where missing."""
        found = np.empty((table.num_rows, len(self.levels)), np.float32)
        for j, (name, levels) in enumerate(self.levels.items()):
            found[:, j] = as_floats(table[name], levels)
        return found


def as_floats(column: pa.ChunkedArray, levels: pa.Array | None) -> Floats:
    """One predictor: places among `levels`, or the numbers themselves."""
    if levels is not None:
        codes = Levels("", levels, np.ones(len(levels), np.int64)).encode(column)
        return np.where(codes < 0, ABSENT, codes).astype(np.float32)
    if pa.types.is_null(column.type):
        return np.full(len(column), ABSENT)
    numbers, missing = to_numbers(column)
    return np.where(missing | ~np.isfinite(numbers), ABSENT, numbers).astype(np.float32)


def _levels(column: pa.ChunkedArray) -> pa.Array | None:
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_boolean(kind):
        distinct = pc.unique(column.drop_null())
        return distinct.take(pc.array_sort_indices(distinct))
    return None


@dataclass(frozen=True)
class Rows:
    """Drawn rows: `codes` per column, and the `values` of numbers that jitter moved."""

    codes: Mapping[str, Codes]
    values: Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Conditional:
    """See the module's docstring. `ways` are in drawing order; `types` are the Arrow types."""

    given: int
    types: Mapping[str, pa.DataType]
    codecs: Mapping[str, Codec]
    positions: Mapping[str, Floats]
    ways: Mapping[str, Way]
    reach: int
    steady: frozenset[str] = field(default_factory=frozenset)

    @property
    def names(self) -> tuple[str, ...]:
        """Columns as they were handed to `fit`."""
        return tuple(self.types)

    def draw(self, x: Floats, rng: np.random.Generator) -> Rows:
        """A row for each row of `x` [n, given]."""
        rows, width = len(x), len(self.ways)
        full = np.empty((rows, self.given + width), np.float32)
        full[:, : self.given] = x
        codes: dict[str, Codes] = {}
        values: dict[str, NDArray[Any]] = {}
        for j, (name, way) in enumerate(self.ways.items()):
            drawn, _ = way.draw(full[:, : self.given + j], codes, rng, None)
            codec = self.codecs[name]
            if isinstance(codec, Ranks):
                if name in self.steady:
                    values[name] = codec.values[np.maximum(drawn, 0)]
                else:
                    values[name], drawn = codec.jitter(drawn, self.reach, rng)
            codes[name] = drawn
            full[:, self.given + j] = self.positions[name][drawn]
        return Rows(codes, values)

    def column(self, rows: Rows, name: str) -> pa.Array:
        """A drawn column in its own Arrow type."""
        codec, codes, kind = self.codecs[name], rows.codes[name], self.types[name]
        if isinstance(codec, Levels):
            return codec.decode(codes, kind)
        return from_numbers(rows.values[name], codes < 0, kind)

    def table(self, rows: Rows) -> pa.Table:
        """All drawn columns, in the order in which they were handed to `fit`."""
        return pa.table({name: self.column(rows, name) for name in self.names})

    def exact(self, rows: Rows, name: str) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """A drawn number in the type of `to_numbers`, and a mask of what is missing."""
        codec, codes = self.codecs[name], rows.codes[name]
        if isinstance(codec, Ranks):
            return rows.values[name], codes < 0
        numbers, _ = to_numbers(codec.values)
        if len(numbers) == 0:
            return np.zeros(len(codes)), np.ones(len(codes), bool)
        return numbers[np.maximum(codes, 0)], codes < 0

    def numbers(self, rows: Rows, name: str) -> NDArray[np.float64]:
        """A drawn number as float64; not-a-number where missing."""
        values, missing = self.exact(rows, name)
        return np.where(missing, np.nan, values.astype(np.float64))


def fit_conditional(
    x: Floats,
    table: pa.Table,
    *,
    name: str,
    seed: int,
    growth: Growth,
    order: Sequence[str] = (),
    steady: Sequence[str] = (),
    workers: int = 1,
    reach: int | None = None,
) -> Conditional:
    """Learns the columns of `table` given the predictors `x` [rows, given].

    `order` names columns to be drawn first, in that order; the others follow by mutual information.
    `steady` numbers are drawn as they are, without jitter: counts and lags, which point at nobody.
    `reach` is how many positions a number may move (see `far`; one row in 500 unless given).
    """
    if table.num_rows == 0:
        raise EngineError(f"{name}: no rows to learn from.")
    codecs: dict[str, Codec] = {}
    codes: dict[str, Codes] = {}
    for column in table.column_names:
        kind = table.schema.field(column).type
        codecs[column] = fit_codec(column, table[column], numeric=_is_number(kind))
        codes[column] = codecs[column].encode(table[column])
    ranked = _ordered(order, codecs, codes, stream(seed, name, "order"))
    positions = {n: _places(codec) for n, codec in codecs.items()}
    full = np.empty((table.num_rows, x.shape[1] + len(ranked)), np.float32)
    full[:, : x.shape[1]] = x
    for j, column in enumerate(ranked):
        full[:, x.shape[1] + j] = positions[column][codes[column]]
    determined = dependencies(ranked, codecs, codes)
    drawn = [column for column in ranked if column not in determined]
    calls = [
        (
            full[:, : x.shape[1] + ranked.index(column)],
            codes[column],
            codecs[column],
            growth,
            stream(seed, name, "column", column),
        )
        for column in drawn
    ]
    grown = dict(zip(drawn, run_all(_grow, calls, workers=workers, threads=True), strict=True))
    return Conditional(
        given=x.shape[1],
        types={n: table.schema.field(n).type for n in table.column_names},
        codecs=codecs,
        positions=positions,
        ways={n: determined[n] if n in determined else grown[n] for n in ranked},
        reach=max(FEWEST_PLACES, table.num_rows // 500) if reach is None else reach,
        steady=frozenset(steady),
    )


def far(rows: int) -> int:
    """How many positions of its order statistics a number of a person may move.

    A value's own share of what is drawn around it is one in twice as many. One in fourteen is told
    by how crowded a place is, one in two hundred hardly: small tables move further for their size.
    """
    return max(FEWEST_PLACES, rows // 500, min(PLACES, rows // 40))


def _grow(x: Floats, codes: Codes, codec: Codec, growth: Growth, rng: np.random.Generator) -> Grove:
    return fit_grove(
        x,
        codes,
        classes_of(codec, codes),
        pruned=isinstance(codec, Ranks),
        trees=growth.trees,
        leaf=growth.leaf,
        features=growth.features,
        grow_rows=growth.grow_rows,
        rng=rng,
    )


def _ordered(
    first: Sequence[str],
    codecs: dict[str, Codec],
    codes: dict[str, Codes],
    rng: np.random.Generator,
) -> list[str]:
    rest = {n: c for n, c in codecs.items() if n not in first}
    if not rest:
        return list(first)
    return [*first, *by_information(rest, {n: codes[n] for n in rest}, None, rng)]


def _places(codec: Codec) -> Floats:
    """Code -> place on the axis that trees split; missing (last entry) at the low end."""
    place = codec.middle if isinstance(codec, Ranks) else np.arange(codec.size)
    return np.concatenate((place, [-1])).astype(np.float32)


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or (pa.types.is_temporal(kind))
    )
