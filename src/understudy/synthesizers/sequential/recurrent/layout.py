"""An event as tokens, in the order in which they are drawn.

gap, time of day, payees by recency, categories, and for each number whether it repeats an earlier
one and else which bin of its column it falls into.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from understudy.encoding.known import known_of_data
from understudy.schema import Boolean, Category, Column, Datetime, Duration, Number
from understudy.synthesizers.sequential.clock import DAY, Clock, Numbers
from understudy.synthesizers.sequential.events import Index, before_in, codes, joint
from understudy.synthesizers.tabular.neural.coding import Coding, coded
from understudy.synthesizers.tabular.neural.reading import read_columns

LABELS = 200
"""Columns with more labels are told in two stages."""
BINS = 64
LAGS = 3
"""How far back among like events a number may be repeated."""
NOBODY, FRESH, KNOWN = 0, 1, 2
"""Codes of a payee: none, a new one, and from `KNOWN` on the most recent, the one before, ..."""
RANKS = 32
"""Payees with a code of their own; one more code stands for all that lie farther back."""
QUARTER, HOUR = 900.0, 3600.0
REPEATED = 0.05
"""Share of repeats from which a number is asked about them."""
FOLLOWS = 0.995
FEWEST = 30


@dataclass(frozen=True)
class Layout:
    """Which tokens there are. `quarter` is how long a code of the time of day is, 0 without one.

    `lagged` numbers are asked whether they repeat; `owned` names for a category the payee that it
    stays with. `types` are Arrow types of all coded columns.
    """

    gap: int
    quarter: float
    payees: tuple[str, ...]
    words: tuple[str, ...]
    numbers: tuple[str, ...]
    lagged: tuple[str, ...]
    owned: Mapping[str, str]
    codings: Mapping[str, Coding]
    types: Mapping[str, pa.DataType]

    @cached_property
    def places(self) -> dict[str, tuple[int, ...]]:
        """The tokens of each part of an event."""
        found: dict[str, tuple[int, ...]] = {}
        first = 0
        for name, sizes in self._parts:
            found[name] = tuple(range(first, first + len(sizes)))
            first += len(sizes)
        return found

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Codes of each token."""
        return tuple(size for _, sizes in self._parts for size in sizes)

    @property
    def said(self) -> tuple[int, ...]:
        """The tokens of the categories."""
        return tuple(token for name in self.words for token in self.places[name])

    @property
    def recurring(self) -> tuple[int, ...]:
        """Codes of the payees, then of the tokens of the categories."""
        payees = (self.sizes[self.places[payee_part(name)][0]] for name in self.payees)
        return (*payees, *(self.sizes[token] for token in self.said))

    @property
    def counted(self) -> tuple[int, ...]:
        """The tokens of the numbers."""
        return tuple(token for name in self.numbers for token in self.places[name])

    @property
    def _parts(self) -> list[tuple[str, tuple[int, ...]]]:
        parts: list[tuple[str, tuple[int, ...]]] = [("gap", (self.gap,))]
        if self.quarter:
            parts.append(("time", (int(np.ceil(DAY / self.quarter)),)))
        parts += [(payee_part(name), (KNOWN + RANKS + 1,)) for name in self.payees]
        parts += [(name, self.codings[name].sizes) for name in self.words]
        for name in self.numbers:
            if name in self.lagged:
                parts.append((lag_part(name), (LAGS + 1,)))
            parts.append((name, self.codings[name].sizes))
        return parts


def payee_part(name: str) -> str:
    return f"payee {name}"


def lag_part(name: str) -> str:
    return f"lag {name}"


def quarter_of(clock: Clock) -> float:
    """How long a code of the time of day is."""
    if not clock.hours:
        return 0.0
    return max(QUARTER, HOUR if clock.step >= HOUR else 0.0)


def codings_of(table: pa.Table, bins: int = BINS) -> dict[str, Coding]:
    """Tokens for the columns of `table`: labels as they are, numbers in `bins` of equal weight."""
    specs = tuple(_column(field) for field in table.schema)
    known = {spec.name: known_of_data(spec, table[spec.name]) for spec in specs}
    counted = read_columns(table, specs, known)
    return {name: coded(one.axis, one.counts, bins, LABELS) for name, one in counted.items()}


def places_in(coding: Coding) -> Numbers:
    """Where each code lies on its column's quantile line, float64 [groups] in [0, 1]."""
    share = coding.margin
    return np.cumsum(share) - share / 2


def owned_by(
    words: tuple[str, ...], payees: tuple[str, ...], table: pa.Table, entity: Index
) -> dict[str, str]:
    """Categories that stay the same whenever an entity meets a payee again, and that payee."""
    found: dict[str, str] = {}
    for payee in payees:
        met = codes(table[payee])
        before = before_in(joint([entity, met], len(entity)))
        again = np.flatnonzero((before >= 0) & (met >= 0))
        if len(again) < FEWEST:
            continue
        for name in words:
            values = codes(table[name])
            if name not in found and np.mean(values[again] == values[before[again]]) >= FOLLOWS:
                found[name] = payee
    return found


def lagged_in(
    numbers: tuple[str, ...],
    words: tuple[str, ...],
    payees: tuple[str, ...],
    table: pa.Table,
    entity: Index,
) -> tuple[str, ...]:
    """Numbers that repeat the one before with the same payee and categories often enough."""
    if not numbers:
        return ()
    by = [entity, *(codes(table[n]) for n in (*words, *payees))]
    before = before_in(joint(by, len(entity)))
    row = np.flatnonzero(before >= 0)
    coded_ = {n: codes(table[n]) for n in numbers}
    same = {n: float(np.sum(c[row] == c[before[row]])) for n, c in coded_.items()}
    return tuple(n for n in numbers if same[n] >= REPEATED * len(entity))


def _column(field: pa.Field) -> Column:
    kind = field.type
    if pa.types.is_boolean(kind):
        return Boolean(name=field.name)
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return Datetime(name=field.name)
    if pa.types.is_duration(kind):
        return Duration(name=field.name)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return Number(name=field.name, integer=pa.types.is_integer(kind))
    return Category(name=field.name)
