"""The tables that benchmarks measure on; real ones are read in place and never copied here."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from understudy.data import Dataset, read

FOLDER = Path(os.environ.get("UNDERSTUDY_TABLES", Path(__file__).parents[2] / "shared" / "data"))


class Task(NamedTuple):
    """A train and a test table and the column to predict."""

    name: str
    train: Dataset
    test: Dataset
    target: str


def task(name: str) -> Task:
    """`adult`, `default`, `shoppers` or `beijing`, in their published splits."""
    folder = FOLDER / name
    columns = json.loads((folder / "columns.json").read_text())
    train = read(folder / "train.csv.gz", name=name)
    test = read(folder / "test.csv.gz", name=name, schema=train.schema)
    target = train.table.column_names[columns["target_col_idx"][0]]
    return Task(name, train, test, target)


def million(rows: int = 1_000_000, seed: int = 0) -> pa.Table:
    """Adult grown to `rows` x 20: resampled, blurred, with five columns that lean on it.

    A made column each for a timestamp, an amount, a code of 1,000 levels, a decimal with missing
    cells and a flag.
    """
    rng = np.random.default_rng(seed)
    adult = task("adult").train.table
    table = adult.take(pa.array(rng.integers(0, adult.num_rows, rows)))
    weight = table["fnlwgt"].to_numpy() + rng.integers(-500, 500, rows)
    table = table.set_column(table.column_names.index("fnlwgt"), "fnlwgt", pa.array(weight))
    age = table["age"].to_numpy()
    hours = table["hours.per.week"].to_numpy()
    amount = np.round(np.exp(rng.normal(3 + age / 50, 1.0)), 2)
    seen = np.datetime64("2024-01-01", "us") + rng.integers(0, 366 * 86_400, rows) * 1_000_000
    branch = np.minimum(rng.geometric(0.004, rows), 1000) + 7 * (age > 50)
    rate = np.round(rng.beta(2, 5, rows) * hours, 3)
    table = table.append_column("seen", pa.array(seen))
    table = table.append_column("amount", pa.array(amount))
    table = table.append_column("branch", pa.array([f"B{b:04d}" for b in branch]))
    table = table.append_column("rate", pa.array(rate, mask=rng.random(rows) < 0.1))
    return table.append_column("active", pa.array(rng.random(rows) < hours / 99))
