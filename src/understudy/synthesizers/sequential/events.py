"""What histories are learnt from, and the same rows in the order of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.errors import ColumnError, EngineError
from understudy.schema.constraints import Running
from understudy.synthesizers.sequential.clock import Clock, Numbers

Index = NDArray[np.int64]


@dataclass(frozen=True)
class Events:
    """Rows of many histories.

    `table` has no keys that others make (primary key, the entity's); `entity` [rows] points into
    `context`, which holds one row and at least one column for each entity, those without events
    too. `clock` orders the rows: a date, a timestamp or a number. No event lies before the context
    column `start`. `running` columns are worked out, `payees` are identifiers that come back within
    a history: accounts paid to, shops, devices.
    """

    table: pa.Table
    entity: Index
    context: pa.Table
    clock: str
    start: str | None = None
    running: tuple[Running, ...] = ()
    payees: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.clock not in self.table.column_names:
            raise ColumnError.unknown(self.clock, self.table.column_names, where="clock")
        if self.start is not None and self.start not in self.context.column_names:
            raise ColumnError.unknown(self.start, self.context.column_names, where="start")
        for name in self.payees:
            if name not in self.table.column_names:
                raise ColumnError.unknown(name, self.table.column_names, where="payees")
        if len(self.entity) != self.table.num_rows:
            raise EngineError(
                f"{len(self.entity):,} entities are given for {self.table.num_rows:,} events; one "
                "a row is needed."
            )
        if self.table.num_rows == 0:
            raise EngineError("there are no events to learn histories from.")
        if self.context.num_columns == 0 or self.entity.max() >= self.context.num_rows:
            raise EngineError(
                "the context needs a column, and a row for each entity that the events name; it "
                f"has {self.context.num_rows:,} rows and the events name "
                f"{int(self.entity.max()) + 1:,}."
            )


@dataclass(frozen=True)
class Arranged:
    """The rows by entity and time: `table` sorted, and its clock as days and seconds, [rows]."""

    table: pa.Table
    entity: Index
    day: Numbers
    second: Numbers

    @classmethod
    def of(cls, events: Events, clock: Clock) -> Arranged:
        """Rows of one entity and moment stay in the order in which they came."""
        day, second = clock.read(events.table[clock.name])
        order = np.lexsort((second, day, events.entity))
        table = events.table.take(pa.array(order)).combine_chunks()
        return cls(table, events.entity[order], day[order], second[order])


def joint(columns: Sequence[NDArray[np.int64]], rows: int) -> Index:
    """One code [rows] for each combination of `columns`' codes, from 0, in no particular order."""
    found = np.zeros(rows, np.int64)
    for codes in columns:
        found = found * (int(codes.max(initial=0)) + 2) + codes + 1
        found = np.unique(found, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return found


def codes(column: pa.ChunkedArray) -> Index:
    """Places [rows] of the values among the distinct ones; -1 where missing."""
    encoded = pc.dictionary_encode(column.combine_chunks())
    found = encoded.indices if isinstance(encoded, pa.DictionaryArray) else encoded
    return np.asarray(pc.fill_null(found, -1).to_numpy(zero_copy_only=False), dtype=np.int64)


def position_in(group: Index) -> Index:
    """How many rows of the same group stand before each row [rows]."""
    order = np.argsort(group, kind="stable")
    ranked = group[order]
    first = np.r_[True, ranked[1:] != ranked[:-1]] if len(ranked) else np.zeros(0, bool)
    place = np.arange(len(group))
    found = np.empty(len(group), np.int64)
    found[order] = place - np.maximum.accumulate(np.where(first, place, 0))
    return found


def before_in(group: Index) -> Index:
    """The row before each row in its group [rows]; -1 for a group's first."""
    order = np.argsort(group, kind="stable")
    ranked = group[order]
    found = np.full(len(group), -1, np.int64)
    same = ranked[1:] == ranked[:-1]
    found[order[1:][same]] = order[:-1][same]
    return found
