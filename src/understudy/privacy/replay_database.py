"""A database to replay an engine on: everything that keys and histories can do to a unit's rows."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa

from understudy.data import Dataset
from understudy.runtime.random import stream
from understudy.schema import (
    Category,
    Datetime,
    ForeignKey,
    Identifier,
    Number,
    Schema,
    Table,
    Unit,
)

PEOPLE = 1_500
FIRST = dt.date(2020, 1, 1)


def database(people: int = PEOPLE) -> Dataset:
    """So many people (20 at least), and public regions. The unit is a person.

    They hold one or two accounts, some of these together; payments from accounts have a clock;
    complaints may be about what one holds.
    """
    rng = stream(0, "replay", "database")
    accounts = np.repeat(np.arange(people), rng.integers(1, 3, people))
    shared = people // 25
    holder = np.append(accounts, rng.integers(0, people, shared))
    account = np.append(np.arange(len(accounts)), rng.choice(len(accounts), shared, False))
    tables = {
        "region": pa.table({"region_id": np.arange(4), "area": ["n", "s", "n", "w"]}),
        "person": _people(rng, people),
        "account": _accounts(rng, len(accounts)),
        "holder": pa.table(
            {
                "holder_id": np.arange(len(holder)) + 50_000,
                "person_id": holder + 100,
                "account_id": account + 10_000,
                "part": np.array(["owner", "user"])[(np.arange(len(holder)) >= len(accounts)) * 1],
            }
        ),
        "payment": _payments(rng, len(accounts)),
        "complaint": _complaints(rng, holder),
    }
    return Dataset(SCHEMA, tables)


def _people(rng: np.random.Generator, size: int) -> pa.Table:
    income = np.round(np.exp(rng.normal(8, 0.5, size)), 2)
    income[17] = 9e8
    job = np.array(["baker", "nurse", "smith"])[rng.integers(0, 3, size)].astype(object)
    job[3] = "lion tamer"
    return pa.table(
        {
            "person_id": np.arange(size) + 100,
            "region_id": pa.array(rng.integers(0, 4, size), mask=rng.random(size) < 0.1),
            "job": pa.array(job.tolist()),
            "income": pa.array(income, mask=rng.random(size) < 0.1),
        }
    )


def _accounts(rng: np.random.Generator, size: int) -> pa.Table:
    opened = [FIRST + dt.timedelta(int(day)) for day in rng.integers(0, 300, size)]
    return pa.table({"account_id": np.arange(size) + 10_000, "opened": pa.array(opened)})


def _payments(rng: np.random.Generator, accounts: int) -> pa.Table:
    """None from some accounts, and a hundred from one."""
    each = rng.integers(0, 8, accounts)
    each[5] = 100
    size = int(each.sum())
    day = [FIRST + dt.timedelta(int(d)) for d in rng.integers(300, 1000, size)]
    sort = np.array(["rent", "wage"])[rng.integers(0, 2, size)]
    return pa.table(
        {
            "payment_id": np.arange(size) + 90_000,
            "account_id": np.repeat(np.arange(accounts), each) + 10_000,
            "day": pa.array(day),
            "sort": pa.array(sort),
            "amount": pa.array(np.round(np.exp(rng.normal(4, 1, size)), 2)),
        }
    )


def _complaints(rng: np.random.Generator, holder: np.ndarray) -> pa.Table:
    """Of a person, some about one of that person's holdings."""
    size = len(holder) // 2
    about = rng.choice(len(holder), size, False)
    return pa.table(
        {
            "complaint_id": np.arange(size),
            "person_id": holder[about] + 100,
            "holder_id": pa.array(about + 50_000, mask=rng.random(size) < 0.3),
            "days": rng.integers(0, 60, size),
        }
    )


def _key(*columns: str, table: str) -> ForeignKey:
    return ForeignKey(columns=columns, table=table, references=columns)


SCHEMA = Schema(
    tables=(
        Table(
            name="region",
            columns=(Identifier(name="region_id", nullable=False), Category(name="area")),
            primary_key=("region_id",),
            role="reference",
        ),
        Table(
            name="person",
            columns=(
                Identifier(name="person_id", nullable=False),
                Identifier(name="region_id"),
                Category(name="job"),
                Number(name="income"),
            ),
            primary_key=("person_id",),
            foreign_keys=(_key("region_id", table="region"),),
        ),
        Table(
            name="account",
            columns=(
                Identifier(name="account_id", nullable=False),
                Datetime(name="opened", nullable=False),
            ),
            primary_key=("account_id",),
            role="owned",
        ),
        Table(
            name="holder",
            columns=(
                Identifier(name="holder_id", nullable=False),
                Identifier(name="person_id", nullable=False),
                Identifier(name="account_id", nullable=False),
                Category(name="part", levels=("owner", "user"), nullable=False),
            ),
            primary_key=("holder_id",),
            foreign_keys=(_key("person_id", table="person"), _key("account_id", table="account")),
        ),
        Table(
            name="payment",
            columns=(
                Identifier(name="payment_id", nullable=False),
                Identifier(name="account_id", nullable=False),
                Datetime(name="day", nullable=False),
                Category(name="sort"),
                Number(name="amount"),
            ),
            primary_key=("payment_id",),
            foreign_keys=(_key("account_id", table="account"),),
            order_by="day",
        ),
        Table(
            name="complaint",
            columns=(
                Identifier(name="complaint_id", nullable=False),
                Identifier(name="person_id", nullable=False),
                Identifier(name="holder_id"),
                Number(name="days", integer=True, nullable=False),
            ),
            primary_key=("complaint_id",),
            foreign_keys=(_key("person_id", table="person"), _key("holder_id", table="holder")),
        ),
    ),
    unit=Unit(of="entity", table="person", column="person_id"),
)
