"""Planted tables of other shapes: few categories, an account number, a history per person, dirt."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from understudy.data.dataset import Dataset
from understudy.schema import Boolean, Category, Identifier, Number, Schema, Unit, one_table
from understudy.selfcheck.population import Rows, Samples


class Audited(NamedTuple):
    """What an audit takes."""

    train: Dataset
    holdout: Dataset
    reference: Dataset
    synthetic: Dataset


def with_rows(real: Samples, made: Rows) -> Audited:
    return Audited(*(rows.dataset() for rows in (real.train, real.holdout, real.reference, made)))


def few_categories(n: int, rng: np.random.Generator) -> Audited:
    """C10: 288 combinations, a bootstrap of the training rows; every row is common."""
    sizes = (2, 2, 3, 4, 3, 2)
    schema = one_table("few", [Category(name=f"c{j}") for j in range(len(sizes))])

    def draw() -> pa.Table:
        columns = {}
        for j, size in enumerate(sizes):
            weights = np.arange(1, size + 1) / np.arange(1, size + 1).sum()
            columns[f"c{j}"] = pa.array([f"v{v}" for v in rng.choice(size, n, p=weights)])
        return pa.table(columns)

    train, holdout, reference = (Dataset.single(schema, draw()) for _ in range(3))
    made = train.with_table(train.table.take(pa.array(rng.integers(0, n, n))))
    return Audited(train, holdout, reference, made)


def account_numbers(real: Samples, made: Rows, rng: np.random.Generator) -> Audited:
    """C12: one column of account numbers, 2 % of the synthetic ones taken from training rows."""
    schema = one_table("accounts", [*SCHEMA_COLUMNS, Category(name="account")])
    sides = {}
    for role, rows in zip(
        Audited._fields, (real.train, real.holdout, real.reference, made), strict=True
    ):
        account = np.array([f"{role[0]}-{i:06d}" for i in range(len(rows))], object)
        sides[role] = (rows.dataset().table, account)
    table, account = sides["synthetic"]
    places = rng.choice(len(account), len(account) // 50, replace=False)
    account[places] = sides["train"][1][: len(places)]
    sides["synthetic"] = (table, account)
    return Audited(
        *(
            Dataset.single(schema, table.append_column("account", pa.array(account)))
            for table, account in sides.values()
        )
    )


def histories(people: int, rng: np.random.Generator, *, by_entity: bool) -> Audited:
    """C13: eight payments a person; synthetic people keep somebody's amounts, all else is new."""
    columns = [
        Identifier(name="person"),
        Number(name="amount", integer=True),
        Number(name="day", integer=True),
        Number(name="hour"),
        Category(name="kind"),
    ]
    unit = Unit(of="entity", table="payments", column="person") if by_entity else Unit()
    schema: Schema = one_table("payments", columns).model_copy(update={"unit": unit})

    def draw(prefix: str, amounts: np.ndarray | None = None) -> pa.Table:
        rows = 8 * people
        taste = np.repeat(rng.integers(1, 26, people), 8)
        fresh = taste + rng.integers(0, 15, rows)
        return pa.table(
            {
                "person": pa.array(np.repeat([f"{prefix}{i}" for i in range(people)], 8)),
                "amount": pa.array(fresh if amounts is None else amounts),
                "day": pa.array(rng.integers(0, 365, rows)),
                "hour": pa.array(24 * rng.random(rows)),
                "kind": pa.array(rng.choice(list("abcdef"), rows)),
            }
        )

    real = [draw(prefix) for prefix in "thr"]
    kept = real[0]["amount"].to_numpy().reshape(people, 8)[rng.permutation(people)]
    made = draw("s", rng.permuted(kept, axis=1).ravel())
    return Audited(*(Dataset.single(schema, table) for table in (*real, made)))


def predictive(real: Samples, made: Rows) -> Audited:
    """C18: a flag that the other columns tell (the sign of the first number), no leak."""
    columns = [Boolean(name="flag"), *SCHEMA_COLUMNS[1:]]
    schema = one_table("flags", columns)

    def flagged(rows: Rows) -> Dataset:
        table = rows.dataset().table.drop_columns(["x0"])
        flag = pa.array(rows.numbers[:, 0] > 0)
        return Dataset.single(schema, table.add_column(0, "flag", flag))

    return Audited(*(flagged(rows) for rows in (real.train, real.holdout, real.reference, made)))


def balances(n: int, rng: np.random.Generator) -> Audited:
    """C19: a balance around zero that nothing predicts, no leak."""
    schema = one_table(
        "accounts", [Number(name="balance"), Number(name="age"), Category(name="branch")]
    )

    def draw() -> Dataset:
        return Dataset.single(
            schema,
            pa.table(
                {
                    "balance": pa.array(np.round(1000 * rng.normal(size=n), 2)),
                    "age": pa.array(np.round(rng.uniform(18, 90, n), 1)),
                    "branch": pa.array(rng.choice(list("abcdefgh"), n)),
                }
            ),
        )

    return Audited(*(draw() for _ in range(4)))


def dirt(n: int, rng: np.random.Generator) -> Audited:
    """C20: missing cells everywhere, a constant, repeated rows, a key of its own per row."""
    schema = one_table(
        "dirt",
        [
            Identifier(name="key"),
            Number(name="constant"),
            Number(name="mostly missing"),
            Number(name="number"),
            Category(name="level"),
        ],
    )

    def draw(prefix: str) -> Dataset:
        number = np.round(rng.normal(size=n), 1)
        return Dataset.single(
            schema,
            pa.table(
                {
                    "key": pa.array([f"{prefix}{i}" for i in range(n)]),
                    "constant": pa.array(np.ones(n)),
                    "mostly missing": pa.array(rng.normal(size=n), mask=rng.random(n) < 0.97),
                    "number": pa.array(number, mask=rng.random(n) < 0.5),
                    "level": pa.array(rng.choice(["a", "b"], n), mask=rng.random(n) < 0.5),
                }
            ),
        )

    return Audited(*(draw(prefix) for prefix in "thrs"))


SCHEMA_COLUMNS = [
    *(Number(name=f"x{i}") for i in range(10)),
    *(Category(name=f"c{j}") for j in range(5)),
]
