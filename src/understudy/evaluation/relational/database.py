"""The four samples of a database, coded alike, with the parent and the entity of every row.

An entity is whatever hangs together on protected units (`data.ownership.entity_of`); rows of
reference tables, which are whole in every sample, belong to none. A sample with more rows than are
compared keeps whole entities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.data.dataset import Dataset
from understudy.data.matching import links
from understudy.data.ownership import entity_of
from understudy.errors import SourceError
from understudy.evaluation.samples import ROLES, Feature, align, collect
from understudy.runtime.random import stream
from understudy.schema import ForeignKey, Schema, Table, Unit

MOST_ROWS = 100_000
"""Rows of a sample's largest table that are compared; more would sharpen nothing."""

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Link:
    """One foreign key: the row of `parent` that each row of `child` points at, -1 for none."""

    child: str
    parent: str
    key: ForeignKey
    rows: Mapping[str, Rows]

    @property
    def name(self) -> str:
        return f"{self.child}.{'+'.join(self.key.columns)} -> {self.parent}"


@dataclass(frozen=True)
class Database:
    """All samples: tables, entities (numbered from 0), links, and columns in common codes."""

    schema: Schema
    data: Mapping[str, Dataset]
    entity: Mapping[str, Mapping[str, Rows]]
    """role -> table -> entity of each row, -1 in reference tables."""
    entities: Mapping[str, int]
    links: tuple[Link, ...]
    features: Mapping[str, tuple[Feature, ...]]
    reference: frozenset[str]
    notes: tuple[str, ...]

    def table(self, name: str) -> Table:
        return self.schema.table(name)

    def rows(self, role: str, table: str) -> int:
        return int(self.data[role].tables[table].num_rows)

    @property
    def owned(self) -> tuple[str, ...]:
        """Tables whose rows belong to entities, in the order of the schema."""
        return tuple(t.name for t in self.schema.tables if t.name not in self.reference)

    def links_of(self, child: str) -> tuple[Link, ...]:
        return tuple(link for link in self.links if link.child == child)


def database(
    train: Dataset, holdout: Dataset, reference: Dataset, synthetic: Dataset, *, seed: int
) -> Database:
    """Codes four datasets of one schema; raises `SourceError` where no entity can be told."""
    schema = train.schema
    notes: list[str] = []
    data: dict[str, Dataset] = {}
    entity: dict[str, dict[str, Rows]] = {}
    for role, given in zip(ROLES, (train, holdout, reference, synthetic), strict=True):
        aligned = Dataset(
            schema,
            {t.name: align(given.tables[t.name], train.tables[t.name]) for t in schema.tables},
        )
        data[role], entity[role] = _capped(aligned, entities(aligned), role, seed, notes)
    without = frozenset(t.name for t in schema.tables if t.name not in entity_of(train))
    if len(without) == len(schema.tables):
        raise SourceError(
            "no table has rows that belong to an entity, so real samples cannot be parted by "
            "entity. Name the unit: --unit TABLE.COLUMN."
        )
    return Database(
        schema,
        data,
        entity,
        {role: count(found) for role, found in entity.items()},
        _links(data, schema),
        {t.name: coded(t, data) for t in schema.tables},
        without,
        tuple(notes),
    )


def coded(spec: Table, data: Mapping[str, Dataset]) -> tuple[Feature, ...]:
    """The learnt columns of one table in codes that all samples share, rows in their order."""
    bare = spec.model_copy(update={"foreign_keys": ()})
    schema = Schema(tables=(bare,), unit=Unit())
    parts = (Dataset.single(schema, data[role].tables[spec.name]) for role in ROLES)
    return collect(*parts, seed=0, most=None).features


def entities(data: Dataset) -> dict[str, Rows]:
    """The entity of each row of every table, numbered from 0; -1 for rows that have none."""
    found = entity_of(data)
    rows = {name: np.full(table.num_rows, -1) for name, table in data.tables.items()}
    return numbered({**rows, **found})


def count(entity: Mapping[str, Rows]) -> int:
    """Entities of a sample numbered from 0."""
    return 1 + max(int(rows.max(initial=-1)) for rows in entity.values())


def numbered(entity: Mapping[str, Rows]) -> dict[str, Rows]:
    """Entities renumbered from 0 without gaps, in the order of their numbers."""
    known = np.unique(np.concatenate([rows[rows >= 0] for rows in entity.values()]))
    return {
        name: np.where(rows < 0, -1, np.searchsorted(known, rows)) for name, rows in entity.items()
    }


def only(
    data: Dataset, entity: Mapping[str, Rows], kept: NDArray[np.bool_]
) -> tuple[Dataset, dict[str, Rows]]:
    """Rows of the entities that `kept` (bool [entities]) marks, and whole reference tables."""
    known = np.append(kept, True)  # rows without an entity stay
    chosen = {name: known[rows] for name, rows in entity.items()}
    tables = {name: data.tables[name].filter(pa.array(mask)) for name, mask in chosen.items()}
    return Dataset(data.schema, tables), numbered(
        {name: entity[name][mask] for name, mask in chosen.items()}
    )


def parent_rows(child: pa.Table, parent: pa.Table, key: ForeignKey) -> Rows:
    """The (first) row of `parent` that each row of `child` points at; -1 for none."""
    found = links(child, parent, key)
    rows = np.full(child.num_rows, -1, np.int64)
    rows[found.child[::-1]] = found.parent[::-1]
    return rows


def _links(data: Mapping[str, Dataset], schema: Schema) -> tuple[Link, ...]:
    return tuple(
        Link(
            spec.name,
            key.table,
            key,
            {
                role: parent_rows(found.tables[spec.name], found.tables[key.table], key)
                for role, found in data.items()
            },
        )
        for spec in schema.tables
        for key in spec.foreign_keys
    )


def _capped(
    data: Dataset, entity: dict[str, Rows], role: str, seed: int, notes: list[str]
) -> tuple[Dataset, dict[str, Rows]]:
    """Fewer entities, drawn at random, where the largest table has too many rows."""
    owned = {name: rows for name, rows in entity.items() if (rows >= 0).any()}
    largest = max((len(rows) for rows in owned.values()), default=0)
    if largest <= MOST_ROWS:
        return data, entity
    units = count(entity)
    share = MOST_ROWS / largest
    kept = np.zeros(units, bool)
    rng = stream(seed, "database", "entities", role)
    kept[rng.permutation(units)[: max(1, int(share * units))]] = True
    notes.append(f"{role}: {int(kept.sum()):,} of {units:,} entities compared")
    return only(data, entity, kept)
