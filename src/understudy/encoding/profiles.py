"""Profiles: one row of numbers and labels per entity, whatever hangs on it in however many tables.

A table with at most one row per entity gives its cells as they are. Of other tables a profile holds
how many rows there are; of numbers the mean, smallest, largest, latest and total; of labels the
share of the commonest levels and how many differ; of the table's order the mean and the spread of
the gaps; of identifiers how many differ. What is summed up follows from one sample (`fit`), so that
the profiles of all samples have the same columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.data.dataset import Dataset
from understudy.encoding.columns import to_numbers
from understudy.encoding.metric import is_numeric
from understudy.schema import LEARNT_KINDS, Column, Identifier, Number, Schema, Table, Unit

ENTITY = "entity"
"""The identifier of a profile's row: the number of its entity."""
TOP_LEVELS = 5
DECIMALS = 6

Rows = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Held:
    """Rows of one table that belong to entities: where they are, and to whom."""

    table: pa.Table
    owner: Rows
    entities: int


Maker = Callable[[Held], pa.Array]


@dataclass(frozen=True)
class Entry:
    """One column of a profile: from which column of which table, and how it is made."""

    column: Column
    table: str
    source: str | None
    make: Maker


@dataclass(frozen=True)
class Profiler:
    """The columns of a profile, in the order of the schema."""

    entries: tuple[Entry, ...]

    @classmethod
    def fit(cls, dataset: Dataset, entity: Mapping[str, Rows]) -> Profiler:
        """Learns which tables have one row per entity, and the commonest levels of the others.

        `entity` is the entity of each row of each table, -1 for none (`data.ownership`).
        """
        entries: list[Entry] = []
        for spec in dataset.schema.tables:
            owned = _held(dataset.tables[spec.name], entity[spec.name])
            if len(owned.owner) or not len(entity[spec.name]):
                entries += _entries(spec, owned)
        return cls(tuple(entries))

    @property
    def schema(self) -> Schema:
        columns = (Identifier(name=ENTITY, nullable=False), *(e.column for e in self.entries))
        return Schema(tables=(Table(name="profiles", columns=columns),), unit=Unit())

    def profiles(self, dataset: Dataset, entity: Mapping[str, Rows]) -> Dataset:
        """One row per entity, numbered from 0; null where an entity has nothing to sum up."""
        count = 1 + max(int(rows.max(initial=-1)) for rows in entity.values())
        names = {entry.table for entry in self.entries}
        owned = {name: _held(dataset.tables[name], entity[name], count) for name in names}
        columns = [pa.array(np.arange(count))]
        columns += [entry.make(owned[entry.table]) for entry in self.entries]
        names_out = [ENTITY, *(entry.column.name for entry in self.entries)]
        return Dataset.single(self.schema, pa.table(columns, names=names_out))

    def without(self, table: str, column: str) -> Profiler:
        """A profile that does not tell `column` of `table`."""
        kept = (e for e in self.entries if (e.table, e.source) != (table, column))
        return Profiler(tuple(kept))


def _held(table: pa.Table, entity: Rows, entities: int | None = None) -> Held:
    there = entity >= 0
    kept = table if there.all() else table.filter(pa.array(there))
    owner = entity[there].astype(np.int64)
    return Held(kept, owner, int(owner.max(initial=-1)) + 1 if entities is None else entities)


def _entries(spec: Table, owned: Held) -> Iterator[Entry]:
    counts = np.bincount(owned.owner) if len(owned.owner) else np.zeros(1, np.int64)
    keys = {*spec.primary_key, *(name for key in spec.foreign_keys for name in key.columns)}
    yield Entry(_number(f"{spec.name} rows", integer=True), spec.name, None, _count)
    single = counts.max(initial=0) <= 1
    for column in spec.columns:
        made = partial(Entry, table=spec.name, source=column.name)
        name = f"{spec.name}.{column.name}"
        if column.kind not in LEARNT_KINDS:
            if isinstance(column, Identifier) and column.name not in keys and not single:
                yield made(_number(f"{name} distinct", integer=True), make=_differ(column.name))
            continue
        if single:
            renamed = column.model_copy(update={"name": name, "nullable": True})
            yield made(renamed, make=partial(_cell, column=column.name))
        elif is_numeric(column.kind, owned.table[column.name].type):
            for what, make in _numbers(column, spec.order_by):
                yield made(_number(f"{name} {what}"), make=make)
        else:
            yield made(_number(f"{name} distinct", integer=True), make=_differ(column.name))
            for level in _commonest(owned.table[column.name]):
                share = partial(_share, column=column.name, level=level)
                yield made(_number(f"{name} = {level}"), make=share)


def _number(name: str, *, integer: bool = False) -> Number:
    return Number(name=name, integer=integer)


def _numbers(column: Column, order: str | None) -> Iterator[tuple[str, Maker]]:
    name = column.name
    for what in ("mean", "smallest", "largest"):
        yield what, partial(_number_of, column=name, what=what)
    if name == order:
        yield "mean gap", partial(_gaps, column=name, what="mean")
        yield "spread of gaps", partial(_gaps, column=name, what="spread")
        return
    if column.kind in ("number", "duration"):
        yield "total", partial(_number_of, column=name, what="total")
    if order is not None:
        yield "latest", partial(_latest, column=name, order=order)


def _differ(column: str) -> Maker:
    return partial(_distinct, column=column)


def _count(owned: Held) -> pa.Array:
    return pa.array(np.bincount(owned.owner, minlength=owned.entities))


def _cell(owned: Held, *, column: str) -> pa.Array:
    """The cell of an entity's first row."""
    place = np.full(owned.entities, -1, np.int64)
    place[owned.owner[::-1]] = np.arange(len(owned.owner))[::-1]
    cells = owned.table[column].combine_chunks()
    return cells.take(pa.array(place, mask=place < 0))


def _number_of(owned: Held, *, column: str, what: str) -> pa.Array:
    values, owner = _present(owned, column)
    count = np.bincount(owner, minlength=owned.entities)
    if what in ("mean", "total"):
        total = np.bincount(owner, values, owned.entities)
        return _or_null(total if what == "total" else total / np.maximum(count, 1), count)
    ranked = values[np.lexsort((values, owner))]
    ends = np.cumsum(count)
    at = ends - count if what == "smallest" else ends - 1
    return _or_null(_at(ranked, at), count)


def _latest(owned: Held, *, column: str, order: str) -> pa.Array:
    """The value of the last row by `order`; rows of equal order stand as in the table."""
    numbers, missing = to_numbers(owned.table[column])
    values = np.where(missing, np.nan, numbers.astype(np.float64))
    rows = _by_time(owned, order)
    count = np.bincount(owned.owner, minlength=owned.entities)
    return _or_null(_at(values[rows], np.cumsum(count) - 1), count)


def _gaps(owned: Held, *, column: str, what: str) -> pa.Array:
    """Mean and standard deviation of the steps between an entity's rows in time."""
    times, owner = _present(owned, column)
    rows = np.lexsort((times, owner))
    steps, same = np.diff(times[rows]), owner[rows][1:] == owner[rows][:-1]
    held, steps = owner[rows][1:][same], steps[same]
    count = np.bincount(held, minlength=owned.entities)
    mean = np.bincount(held, steps, owned.entities) / np.maximum(count, 1)
    if what == "mean":
        return _or_null(mean, count)
    around = np.bincount(held, (steps - mean[held]) ** 2, owned.entities)
    return _or_null(np.sqrt(around / np.maximum(count, 1)), count)


def _share(owned: Held, *, column: str, level: object) -> pa.Array:
    cells = owned.table[column]
    met = pc.fill_null(pc.equal(cells, pa.scalar(level, cells.type)), False).to_numpy()
    count = np.bincount(owned.owner, minlength=owned.entities)
    total = np.bincount(owned.owner, met.astype(np.float64), owned.entities)
    return _or_null(total / np.maximum(count, 1), count)


def _distinct(owned: Held, *, column: str) -> pa.Array:
    """How many values other than missing an entity has."""
    coded = owned.table[column].combine_chunks().dictionary_encode()
    codes = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    there = codes >= 0
    pairs = np.unique(owned.owner[there] * (len(coded.dictionary) + 1) + codes[there])
    found = pairs // (len(coded.dictionary) + 1)
    return pa.array(np.bincount(found, minlength=owned.entities))


def _by_time(owned: Held, order: str) -> Rows:
    times, _ = to_numbers(owned.table[order])
    return np.lexsort((times, owned.owner))


def _present(owned: Held, column: str) -> tuple[Floats, Rows]:
    numbers, missing = to_numbers(owned.table[column])
    return numbers.astype(np.float64)[~missing], owned.owner[~missing]


def _at(values: Floats, places: Rows) -> Floats:
    if not len(values):
        return np.zeros(len(places))
    return values[np.clip(places, 0, len(values) - 1)]


def _or_null(values: Floats, count: Rows) -> pa.Array:
    """Rounded, so that the same rows in another order sum up to the same number."""
    return pa.array(np.round(values, DECIMALS), mask=(count == 0) | np.isnan(values))


def _commonest(column: pa.ChunkedArray) -> list[object]:
    tally = pc.value_counts(column.drop_null().combine_chunks())
    order = np.argsort(-tally.field("counts").to_numpy(), kind="stable")[:TOP_LEVELS]
    levels: list[object] = tally.field("values").take(pa.array(order)).to_pylist()
    return levels
