"""A small world of towns, people, their accounts and visits, drawn as often as wanted.

People hang on towns (a reference table), accounts and visits on people; visits have a clock and a
running balance. Spending follows age, and the rent comes back every month, so that there is
something to lose along keys and in time.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from understudy.data import Dataset
from understudy.schema import (
    Category,
    Datetime,
    ForeignKey,
    Identifier,
    Number,
    Running,
    Schema,
    Table,
    Unit,
)

TOWNS = 12
KINDS = np.array(["food", "rent", "pay"])


def _key(column: str, table: str) -> tuple[ForeignKey, ...]:
    return (ForeignKey(columns=(column,), table=table, references=("id",)),)


SCHEMA = Schema(
    tables=(
        Table(
            name="town",
            columns=(Identifier(name="id"), Category(name="region")),
            primary_key=("id",),
            role="reference",
        ),
        Table(
            name="person",
            columns=(
                Identifier(name="id"),
                Identifier(name="town"),
                Number(name="age", integer=True),
                Category(name="job"),
            ),
            primary_key=("id",),
            foreign_keys=_key("town", "town"),
            role="owned",
        ),
        Table(
            name="account",
            columns=(Identifier(name="id"), Identifier(name="person"), Number(name="limit")),
            primary_key=("id",),
            foreign_keys=_key("person", "person"),
        ),
        Table(
            name="visit",
            columns=(
                Identifier(name="id"),
                Identifier(name="person"),
                Datetime(name="day"),
                Category(name="kind"),
                Number(name="amount", decimals=2),
                Number(name="balance", decimals=2),
            ),
            primary_key=("id",),
            foreign_keys=_key("person", "person"),
            order_by="day",
            constraints=(
                Running(
                    column="balance", amount="amount", by=("person",), sign="kind", plus=("pay",)
                ),
            ),
        ),
    ),
    unit=Unit(of="entity", table="person", column="id"),
)


def draw(people: int, seed: int, *, visits: float = 8.0) -> Dataset:
    """A fresh sample of the world; keys of different seeds differ."""
    rng = np.random.default_rng(seed)
    first = seed * 10_000_000
    age = rng.integers(18, 90, people)
    town = rng.integers(TOWNS, size=people)
    job = np.where(age > 65, "retired", np.where(rng.random(people) < 0.3, "clerk", "worker"))
    ids = first + np.arange(people)
    accounts = rng.poisson(1.2, people)
    holder = np.repeat(np.arange(people), accounts)
    count = 2 + rng.poisson(visits, people)
    who = np.repeat(np.arange(people), count)
    start = np.cumsum(count) - count
    place = np.arange(len(who)) - start[who]
    day = rng.integers(0, 60, people)[who] + 30 * (place // 3) + 4 * (place % 3)
    day += rng.integers(0, 3, len(who))
    kind = KINDS[place % 3]
    rent = np.round(200 + 5.0 * age + rng.normal(0, 40, people), 2)
    spent = np.round(rng.lognormal(2.5 + age[who] / 60, 0.5), 2)
    amount = np.where(kind == "rent", rent[who], spent)
    cents = np.rint(np.where(kind == "pay", amount, -amount) * 100).astype(np.int64)
    total = np.cumsum(cents)
    before = np.concatenate([[0], total])[start]
    return Dataset(
        SCHEMA,
        {
            "town": pa.table(
                {
                    "id": pa.array(np.arange(TOWNS)),
                    "region": pa.array([("north", "south", "west")[i % 3] for i in range(TOWNS)]),
                }
            ),
            "person": pa.table(
                {"id": ids, "town": pa.array(town), "age": age, "job": pa.array(job)}
            ),
            "account": pa.table(
                {
                    "id": pa.array(first + np.arange(len(holder))),
                    "person": pa.array(ids[holder]),
                    "limit": pa.array(
                        np.round(20.0 * age[holder] + rng.exponential(200, len(holder)))
                    ),
                }
            ),
            "visit": pa.table(
                {
                    "id": pa.array(first + np.arange(len(who))),
                    "person": pa.array(ids[who]),
                    "day": pa.array(day.astype(np.int32), pa.int32()).cast(pa.date32()),
                    "kind": pa.array(kind),
                    "amount": pa.array(amount),
                    "balance": pa.array((total - before[who]) / 100),
                }
            ),
        },
    )


def changed(data: Dataset, table: str, **columns: pa.Array) -> Dataset:
    """The same database with other cells in some columns of one table."""
    found = data.tables[table]
    for name, values in columns.items():
        place = found.column_names.index(name)
        found = found.set_column(place, name, pa.array(values, found.schema.field(name).type))
    return replace(data, tables={**data.tables, table: found})


def renamed(data: Dataset, by: int) -> Dataset:
    """The same people under new keys: a copy that no key gives away."""
    person = data.tables["person"]["id"].to_numpy() + by
    copied = changed(data, "person", id=person)
    for name in ("account", "visit"):
        table = data.tables[name]
        ids, owner = (table[column].to_numpy() + by for column in ("id", "person"))
        copied = changed(copied, name, id=ids, person=owner)
    return copied
