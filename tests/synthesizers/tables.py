"""Small tables with every kind of column, for the contract suite."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa

from understudy.data import Dataset
from understudy.schema import (
    Boolean,
    Category,
    Datetime,
    Duration,
    Geo,
    Identifier,
    Number,
    Text,
    one_table,
)

COLUMNS = (
    Identifier(name="id", form="key"),
    Number(name="größe", integer=False),
    Number(name="huge", integer=True),
    Number(name="count", integer=True),
    Number(name="price", decimals=2),
    Category(name="stadt"),
    Category(name="many"),
    Category(name="constant"),
    Category(name="empty"),
    Boolean(name="flag"),
    Datetime(name="day"),
    Datetime(name="seen"),
    Duration(name="stay"),
    Geo(name="place", axis="point"),
    Text(name="note"),
    Category(name="label"),
)


def every_kind(rows: int = 600, seed: int = 0) -> Dataset:
    """One column of every kind, with missing cells, unicode and integers beyond 2^53."""
    rng = np.random.default_rng(seed)
    towns = ["Zürich", "São Paulo", "北京", "O'Hare", "<b>"]
    town = rng.choice(5, rows, p=[0.4, 0.3, 0.15, 0.1, 0.05])
    size = np.round(rng.normal(170 + 3 * town, 9, rows), 1)
    stamp = dt.datetime(2024, 1, 1)
    missing = rng.random(rows) < 0.1
    table = pa.table(
        {
            "id": pa.array(np.arange(rows) + 1000),
            "größe": pa.array(size, mask=missing),
            "huge": pa.array((1 << 60) + rng.integers(0, 1 << 40, rows)),
            "count": pa.array(rng.poisson(2, rows)),
            "price": pa.array([Decimal(int(v)) / 100 for v in rng.integers(100, 9999, rows)]).cast(
                pa.decimal128(9, 2)
            ),
            "stadt": pa.array([towns[t] for t in town]),
            "many": pa.array([f"code {v}" for v in rng.integers(0, 10_000, rows)]),
            "constant": pa.array(["same"] * rows),
            "empty": pa.nulls(rows, pa.string()),
            "flag": pa.array(rng.random(rows) < 0.3),
            "day": pa.array(
                [stamp.date() + dt.timedelta(int(v)) for v in rng.integers(0, 900, rows)]
            ),
            "seen": pa.array(
                [stamp + dt.timedelta(seconds=int(v)) for v in rng.integers(0, 10**7, rows)],
                mask=rng.random(rows) < 0.05,
                type=pa.timestamp("us", tz="UTC"),
            ),
            "stay": pa.array([dt.timedelta(minutes=int(v)) for v in rng.integers(1, 9999, rows)]),
            "place": pa.array([f"{47 + a:.4f},{8 + b:.4f}" for a, b in rng.random((rows, 2))]),
            "note": pa.array([f"free text {v}" for v in rng.integers(0, 10**6, rows)]),
            "label": pa.array(np.where(size + rng.normal(0, 5, rows) > 175, "tall", "short")),
        }
    )
    return Dataset.single(one_table("people", COLUMNS), table)


def single_row() -> Dataset:
    data = every_kind(2)
    return data.with_table(data.table.slice(0, 1))


def leaning(rows: int = 4000) -> Dataset:
    """b follows a, c is a's number with noise, d stands alone; a tenth of b is missing."""
    rng = np.random.default_rng(0)
    a = rng.integers(0, 4, rows)
    b = pa.array([f"b{i}" for i in a], mask=rng.random(rows) < 0.1)
    c = np.round(10.0 * a + rng.normal(0, 1, rows), 2)
    table = pa.table({"a": [f"a{i}" for i in a], "b": b, "c": c, "d": rng.integers(0, 3, rows)})
    spec = [
        Category(name="a"),
        Category(name="b"),
        Number(name="c", decimals=2),
        Number(name="d", integer=True),
    ]
    return Dataset.single(one_table("t", spec), table)
