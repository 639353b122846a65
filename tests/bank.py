"""A small bank: branches, customers, accounts, cards and what happens on accounts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

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

DAY = np.datetime64("2024-01-01")
MONTHS = 12


def bank(customers: int = 600, seed: int = 0) -> Dataset:
    """Unit: the customer. Rich ones have more accounts; every account has a salary and spending."""
    rng = np.random.default_rng(seed)
    branch = pa.table({"branch_id": np.arange(1, 9), "region": list("NNSSSEEW")})
    rich = rng.random(customers) < 0.3
    own_branch = rng.integers(1, 9, customers)
    customer = pa.table(
        {
            "customer_id": np.arange(1000, 1000 + customers),
            "branch_id": own_branch,
            "segment": np.where(rich, "private", "retail"),
            "age": np.clip(rng.normal(50 + 8 * rich, 12, customers), 18, 90).astype(int),
        }
    )
    owner = np.repeat(np.arange(customers), 1 + (rng.random(customers) < 0.2 + 0.5 * rich))
    opened = DAY + rng.integers(0, 60, len(owner))
    account = pa.table(
        {
            "account_id": np.arange(5000, 5000 + len(owner)),
            "customer_id": 1000 + owner,
            "opened": pa.array(opened.astype("datetime64[D]")),
            "kind": np.where(rng.random(len(owner)) < 0.7, "current", "savings"),
        }
    )
    return Dataset(
        Schema(
            tables=(_branch(), _customer(), _account(), _event()),
            unit=Unit(of="entity", table="customer", column="customer_id"),
        ),
        {
            "branch": branch,
            "customer": customer,
            "account": account,
            "event": _events(rng, opened, rich[owner]),
        },
    )


def as_files(data: Dataset, folder: Path) -> Path:
    """The bank as a folder of CSV files."""
    folder.mkdir(parents=True)
    for name, table in data.tables.items():
        csv.write_csv(table, folder / f"{name}.csv")
    return folder


def _events(rng: np.random.Generator, opened: np.ndarray, rich: np.ndarray) -> pa.Table:
    account, day, kind, cents = [], [], [], []
    for i, start in enumerate(opened):
        salary = int(rng.normal(4000 if rich[i] else 2000, 300)) * 100
        for month in range(MONTHS):
            pay = np.datetime64(f"2024-{month + 1:02d}-25")
            if pay >= start:
                account.append(i), day.append(pay), kind.append("salary"), cents.append(salary)
        for _ in range(rng.poisson(6)):
            at = start + rng.integers(0, 300)
            account.append(i), day.append(at), kind.append("card")
            cents.append(int(rng.lognormal(8, 1)))
    order = np.lexsort((np.array(day), np.array(account)))
    who, amount = np.array(account)[order], np.array(cents)[order] / 100
    what, when = np.array(kind)[order], np.array(day, "datetime64[D]")[order]
    moved = np.where(what == "salary", amount, -amount)
    total = np.cumsum(np.rint(moved * 100)).astype(np.int64)
    first = np.flatnonzero(np.diff(who, prepend=-1))
    before = np.repeat(
        total[first] - np.rint(moved[first] * 100).astype(np.int64), np.diff(first, append=len(who))
    )
    by_time = np.argsort(when, kind="stable")
    table = pa.table(
        {
            "event_id": np.arange(len(who)) + 70_000,
            "account_id": 5000 + who,
            "booked": pa.array(when),
            "type": what,
            "amount": amount,
            "balance": (total - before) / 100,
        }
    )
    table = table.take(pa.array(by_time))
    return table.set_column(0, "event_id", pa.array(np.arange(len(who)) + 70_000))


def _branch() -> Table:
    return Table(
        name="branch",
        columns=(Identifier(name="branch_id", nullable=False), Category(name="region")),
        primary_key=("branch_id",),
        role="reference",
    )


def _customer() -> Table:
    return Table(
        name="customer",
        columns=(
            Identifier(name="customer_id", nullable=False),
            Identifier(name="branch_id", nullable=False),
            Category(name="segment", levels=("private", "retail"), nullable=False),
            Number(name="age", integer=True, minimum=18, maximum=90, nullable=False),
        ),
        primary_key=("customer_id",),
        foreign_keys=(
            ForeignKey(columns=("branch_id",), table="branch", references=("branch_id",)),
        ),
    )


def _account() -> Table:
    return Table(
        name="account",
        columns=(
            Identifier(name="account_id", nullable=False),
            Identifier(name="customer_id", nullable=False),
            Datetime(name="opened", nullable=False, stored="date32[day]"),
            Category(name="kind", levels=("current", "savings"), nullable=False),
        ),
        primary_key=("account_id",),
        foreign_keys=(
            ForeignKey(columns=("customer_id",), table="customer", references=("customer_id",)),
        ),
    )


def _event() -> Table:
    return Table(
        name="event",
        columns=(
            Identifier(name="event_id", nullable=False),
            Identifier(name="account_id", nullable=False),
            Datetime(name="booked", nullable=False, stored="date32[day]"),
            Category(name="type", levels=("salary", "card"), nullable=False),
            Number(name="amount", minimum=0, maximum=100_000, decimals=2, nullable=False),
            Number(name="balance", decimals=2, nullable=False),
        ),
        primary_key=("event_id",),
        foreign_keys=(
            ForeignKey(columns=("account_id",), table="account", references=("account_id",)),
        ),
        order_by="booked",
        constraints=(
            Running(
                column="balance",
                amount="amount",
                by=("account_id",),
                sign="type",
                plus=("salary",),
            ),
        ),
    )
