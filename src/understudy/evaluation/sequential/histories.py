"""Event histories: the rows of a table with a clock, entity by entity in the order of time.

A history belongs to the row that the table's first foreign key to an owned table points at (the
account of a transaction), or to the entity itself where there is none. Events at the same time
stand as they do in the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.encoding.columns import to_numbers
from understudy.encoding.metric import is_numeric
from understudy.evaluation.relational.association import binned
from understudy.evaluation.relational.database import Database, Rows
from understudy.evaluation.samples import Feature
from understudy.evaluation.statistics import Floats
from understudy.schema import Table

COMPARED = ("train", "holdout", "synthetic")
PER_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
DAY = 86_400.0
MOST_LEVELS = 20
"""Levels of a column that may say what kind of event a row is."""


@dataclass(frozen=True)
class Histories:
    """Events per role in order: their rows, histories, entities and times.

    `times` are days since 1970 where the clock is a date or an instant, else its numbers.
    """

    spec: Table
    calendar: bool
    hours: bool
    rows: Mapping[str, Rows]
    history: Mapping[str, Rows]
    entity: Mapping[str, Rows]
    times: Mapping[str, Floats]
    features: Mapping[str, Feature]
    values: Mapping[str, Mapping[str, Rows]]
    """Codes of the identifiers that are no keys (-1: missing), role by role, in table order."""

    @property
    def name(self) -> str:
        return self.spec.name

    def after(self, role: str, lag: int = 1) -> NDArray[np.bool_]:
        """Whether the event `lag` places before is of the same history, bool [events]."""
        history = self.history[role]
        found = np.zeros(len(history), bool)
        found[lag:] = history[lag:] == history[:-lag]
        return found

    def gaps(self, role: str) -> Floats:
        """Time since the event before; NaN for the first of a history."""
        times = self.times[role]
        found = np.full(len(times), np.nan)
        found[1:] = np.diff(times)
        return np.where(self.after(role), found, np.nan)

    @property
    def numbers(self) -> list[Feature]:
        """Numeric columns other than the clock."""
        return [f for f in self.features.values() if f.numeric and f.name != self.spec.order_by]

    @property
    def kind(self) -> Feature | None:
        """The column of few levels that tells most about an event, by its entropy in train."""
        found = [
            f for f in self.features.values() if not f.numeric and 2 <= len(f.levels) <= MOST_LEVELS
        ]
        return max(found, key=_entropy, default=None)

    def at(self, feature: Feature, role: str) -> NDArray[np.generic]:
        """A column's values in the order of the events."""
        return feature.values[role][self.rows[role]]

    def kinds(self, role: str) -> Rows:
        """The kind of each event as a code below `kind_count`; zeros where there is no such
        column."""
        feature = self.kind
        if feature is None:
            return np.zeros(len(self.rows[role]), np.int64)
        return binned(feature).codes[role][self.rows[role]]

    @property
    def kind_count(self) -> int:
        return 1 if self.kind is None else binned(self.kind).size


def histories(base: Database) -> list[Histories]:
    """One per owned table with a clock that is a line of numbers or dates."""
    found = []
    for spec in base.schema.tables:
        if spec.order_by is None or spec.name in base.reference:
            continue
        clock = base.data["train"].tables[spec.name].schema.field(spec.order_by).type
        if is_numeric(spec.column(spec.order_by).kind, clock):
            found.append(_histories(base, spec, clock))
    return found


def _histories(base: Database, spec: Table, clock: pa.DataType) -> Histories:
    owned = [link for link in base.links_of(spec.name) if link.parent not in base.reference]
    rows, history, entity, times = {}, {}, {}, {}
    for role in COMPARED:
        whose = base.entity[role][spec.name]
        of = owned[0].rows[role] if owned else whose
        numbers, missing = to_numbers(base.data[role].tables[spec.name][spec.order_by])
        when = np.where(missing, np.nan, numbers.astype(np.float64)) / _units_a_day(clock)
        order = np.lexsort((when, of))
        order = order[(of[order] >= 0) & ~np.isnan(when[order])]
        rows[role], history[role] = order, of[order]
        entity[role], times[role] = whose[order], when[order]
    keys = {*spec.primary_key, *(name for key in spec.foreign_keys for name in key.columns)}
    named = [c.name for c in spec.columns if c.kind == "identifier" and c.name not in keys]
    return Histories(
        spec,
        pa.types.is_date(clock) or pa.types.is_timestamp(clock),
        pa.types.is_timestamp(clock) and _has_hours(times["train"]),
        rows,
        history,
        entity,
        times,
        {feature.name: feature for feature in base.features[spec.name]},
        {name: _codes(base, spec.name, name) for name in named},
    )


def _codes(base: Database, table: str, column: str) -> dict[str, Rows]:
    found = {}
    for role in COMPARED:
        coded = base.data[role].tables[table][column].combine_chunks().dictionary_encode()
        found[role] = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return found


def _units_a_day(clock: pa.DataType) -> float:
    if pa.types.is_date32(clock):
        return 1.0
    if pa.types.is_date64(clock):
        return DAY * 1e3
    if pa.types.is_timestamp(clock) or pa.types.is_duration(clock):
        return DAY * PER_SECOND[clock.unit]
    return 1.0


def _has_hours(times: Floats) -> bool:
    return bool((times % 1.0 != 0).any())


def _entropy(feature: Feature) -> float:
    counts = np.bincount(feature.values["train"].astype(np.int64))
    shares = counts[counts > 0] / max(1, counts.sum())
    return float(-(shares * np.log(shares)).sum())
