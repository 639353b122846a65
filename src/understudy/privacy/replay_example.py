"""Rows to replay an engine on: mixed kinds with all that trips code up, made by code."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa

from understudy.data import Dataset
from understudy.runtime.random import stream
from understudy.schema import (
    Boolean,
    Category,
    Datetime,
    Identifier,
    Number,
    Text,
    one_table,
)

ROWS = 400
COLUMNS = (
    Identifier(name="id"),
    Number(name="age", integer=True),
    Number(name="größe"),
    Number(name="account", integer=True),
    Category(name="stadt"),
    Category(name="grade"),
    Boolean(name="member"),
    Datetime(name="joined"),
    Text(name="note"),
)


def example() -> Dataset:
    """Nulls, one of them alone in its column, unicode, a level held once, integers beyond 2^53, and
    one number far from all others."""
    rng = stream(0, "replay", "example")
    towns = np.array(["Zürich", "São Paulo", "北京", "O'Hare"])[rng.integers(0, 4, ROWS)].tolist()
    towns[17] = "Nowhere-on-Sea"
    size = np.round(rng.normal(170, 9, ROWS), 1)
    size[23] = 1e6
    grades = np.array(["a", "b", "c"])[rng.integers(0, 3, ROWS)].tolist()
    grades[5] = None
    first = dt.date(2020, 1, 1)
    table = pa.table(
        {
            "id": pa.array(np.arange(1000, 1000 + ROWS)),
            "age": pa.array(rng.integers(18, 91, ROWS)),
            "größe": pa.array(size, mask=rng.random(ROWS) < 0.1),
            "account": pa.array((1 << 60) + rng.integers(0, 1 << 30, ROWS)),
            "stadt": pa.array(towns),
            "grade": pa.array(grades),
            "member": pa.array(rng.random(ROWS) < 0.3),
            "joined": pa.array([first + dt.timedelta(int(d)) for d in rng.integers(0, 900, ROWS)]),
            "note": pa.array([f"note {n}" for n in rng.integers(0, 1000, ROWS)]),
        }
    )
    return Dataset.single(one_table("people", COLUMNS), table)
