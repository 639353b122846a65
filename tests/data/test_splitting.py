"""Train, holdout and reference have no unit in common, whatever the rows hang on."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.data import Dataset, Split, infer, split
from understudy.errors import SourceError
from understudy.schema import (
    Category,
    ForeignKey,
    Identifier,
    Number,
    Schema,
    Table,
    Unit,
    one_table,
)


def _rows(owners: list[int]) -> Dataset:
    schema = one_table(
        "t",
        (Number(name="row", integer=True), Identifier(name="owner")),
        Unit(of="entity", table="t", column="owner"),
    )
    return Dataset.single(schema, pa.table({"row": range(len(owners)), "owner": owners}))


def _parts(found: Split, column: str, table: str = "t") -> list[list[int]]:
    return [
        part.tables[table][column].to_pylist()
        for part in (found.train, found.holdout, found.reference)
    ]


@given(st.integers(10, 400), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_rows_are_parted_exactly_in_the_shares_asked_and_keep_their_order(
    n: int, seed: int
) -> None:
    table = pa.table({"row": range(n)})
    parts = _parts(split(Dataset(infer({"t": table}), {"t": table}), seed=seed), "row")
    assert sorted(chain(*parts)) == list(range(n))
    assert all(part == sorted(part) for part in parts)
    assert [len(part) for part in parts] == pytest.approx([0.7 * n, 0.2 * n, 0.1 * n], abs=1)


@given(st.lists(st.integers(0, 40), min_size=60, max_size=200), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_rows_of_one_unit_stay_together(owners: list[int], seed: int) -> None:
    if len(set(owners)) < 10:
        owners = [*owners, *range(41)]
    parts = [set(part) for part in _parts(split(_rows(owners), seed=seed), "owner")]
    assert set.union(*parts) == set(owners)
    assert sum(map(len, parts)) == len(set(owners))


def test_same_seed_same_parts_other_seed_other_parts() -> None:
    data = _rows(list(range(200)))
    assert _parts(split(data, seed=1), "row") == _parts(split(data, seed=1), "row")
    assert _parts(split(data, seed=1), "row") != _parts(split(data, seed=2), "row")


def test_sides_are_fair() -> None:
    """Each of 100 rows over 400 seeds; |z| beyond 4.5 in any of them: 1 in 1,500."""
    data = _rows(list(range(100)))
    trained = np.zeros(100)
    for seed in range(400):
        trained[split(data, seed=seed).train.table["row"].to_numpy()] += 1
    assert np.abs((trained / 400 - 0.7) / np.sqrt(0.7 * 0.3 / 400)).max() < 4.5


def test_a_side_of_ones_own_does_not_move_with_the_others() -> None:
    """With `alone`, taking the last unit away changes the side of no other."""
    full = split(_rows(list(range(300))), seed=5, alone=True)
    less = split(_rows(list(range(299))), seed=5, alone=True)
    for a, b in zip(_parts(full, "row"), _parts(less, "row"), strict=True):
        assert [row for row in a if row != 299] == b


def _transfers(pairs: list[tuple[int, int]], accounts: int) -> Dataset:
    """Every transfer hangs on two accounts; an account may have a parent account."""
    account = Table(name="account", columns=(Identifier(name="id"),), primary_key=("id",))
    ends = tuple(
        ForeignKey(columns=(name,), table="account", references=("id",)) for name in ("a", "b")
    )
    transfer = Table(
        name="transfer",
        columns=(Identifier(name="a"), Identifier(name="b")),
        foreign_keys=ends,
    )
    tables = {
        "account": pa.table({"id": pa.array(range(accounts), pa.int64())}),
        "transfer": pa.table(
            {
                "a": pa.array([a for a, _ in pairs], pa.int64()),
                "b": pa.array([None if b < 0 else b for _, b in pairs], pa.int64()),
            }
        ),
    }
    return Dataset(Schema(tables=(account, transfer)), tables)


@given(st.lists(st.tuples(st.integers(0, 39), st.integers(-1, 39)), max_size=12), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_rows_that_hang_on_two_units_pull_both_to_one_side(
    pairs: list[tuple[int, int]], seed: int
) -> None:
    found = split(_transfers(pairs, 40), seed=seed)
    accounts = _parts(found, "id", "account")
    assert sorted(chain(*accounts)) == list(range(40))
    side = {account: i for i, part in enumerate(accounts) for account in part}
    for i, (a, b) in enumerate(
        zip(_parts(found, "a", "transfer"), _parts(found, "b", "transfer"), strict=True)
    ):
        assert all(side[x] == i for x in [*a, *b] if x is not None)


def test_composite_keys_hold_rows_together() -> None:
    branch = Table(
        name="branch",
        columns=(Category(name="country"), Number(name="number", integer=True)),
        primary_key=("country", "number"),
    )
    key = ForeignKey(
        columns=("country", "number"), table="branch", references=("country", "number")
    )
    sale = Table(
        name="sale",
        columns=(Category(name="country"), Number(name="number", integer=True)),
        foreign_keys=(key,),
    )
    places = [(c, n) for c in ("A", "A1") for n in range(10, 22)]
    tables = {
        "branch": pa.table({"country": [c for c, _ in places], "number": [n for _, n in places]}),
        "sale": pa.table(
            {"country": [c for c, _ in places] * 5, "number": [n for _, n in places] * 5}
        ),
    }
    found = split(Dataset(Schema(tables=(branch, sale)), tables), seed=1)
    for part in (found.train, found.holdout, found.reference):
        rows = [set(map(tuple, part.tables[t].to_pandas().to_numpy())) for t in ("branch", "sale")]
        assert rows[0] == rows[1]


def test_too_few_units_and_empty_unit_cells_are_refused() -> None:
    with pytest.raises(SourceError, match=r"too few to hold some back.*understudy fit"):
        split(_rows([1, 2, 3] * 50), seed=0)
    with pytest.raises(SourceError, match="unit column 'owner' has 1 empty cells"):
        split(_rows([*range(20), None]), seed=0)  # type: ignore[list-item]
