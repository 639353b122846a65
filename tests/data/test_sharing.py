"""What two units share is left out, and then no unit changes what is left of another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import given, settings

from tests.data.random_databases import BY_CLIENT, bank, banks, rows_of
from understudy.data import Dataset, read, split
from understudy.data.matching import links, pointing
from understudy.data.ownership import components, entity_of, owners, unshared
from understudy.data.roles import with_roles
from understudy.data.splitting import units_of
from understudy.schema import parse_unit


def unit_values(dataset: Dataset) -> list[int]:
    """The unit column's values, in the order of their numbers."""
    return list(dict.fromkeys(dataset.tables[str(dataset.schema.unit.table)]["id"].to_pylist()))


def without(dataset: Dataset, value: int) -> Dataset:
    """The database without one unit and without every row that it owns, alone or not."""
    found, _ = owners(dataset)
    values = unit_values(dataset)
    tables = dict(dataset.tables)
    for name, held in found.items():
        keep = np.ones(tables[name].num_rows, np.bool_)
        if value in values:
            keep[held.rows[held.units == values.index(value)]] = False
        tables[name] = tables[name].filter(pa.array(keep))
    return replace(dataset, tables=tables)


@given(banks())
@settings(max_examples=300)
def test_one_unit_less_changes_nothing_of_the_others(dataset: Dataset) -> None:
    whole = unshared(dataset)
    for value in unit_values(dataset):
        less = unshared(without(dataset, value))
        assert less.tables == without(whole, value).tables


@given(banks())
@settings(max_examples=200)
def test_what_is_left_is_a_whole_database_of_single_units(dataset: Dataset) -> None:
    found = unshared(dataset)
    held, units = owners(found)
    for name, owned in held.items():
        assert owned.rows.tolist() == list(range(found.tables[name].num_rows))
    for spec in found.schema.tables:
        for key in spec.foreign_keys:
            table, parent = found.tables[spec.name], found.tables[key.table]
            met = links(table, parent, key)
            assert set(met.child) == set(np.flatnonzero(pointing(table, key)))
            for name in key.columns:
                assert spec.column(name).nullable or table[name].null_count == 0
    assert components(found)[1] == units
    assert unshared(found).tables == found.tables


def test_a_joint_account_leaves_with_all_that_needs_it() -> None:
    rows = {
        "account": [(1, None), (2, None), (3, None)],
        "client": [(7, None), (8, 7), (9, None)],
        "disp": [(0, 7, 1), (1, 8, 1), (2, 8, 2), (3, 9, 3)],
        "card": [(0, 5), (2, 6), (3, 7)],
        "trans": [(1, None, 0, 0), (2, 3, 1, 0), (3, None, 2, 0)],
    }
    assert rows_of(unshared(bank(rows, BY_CLIENT))) == {
        "district": [],
        "account": [(2, None), (3, None)],
        "client": [(7, None), (8, None), (9, None)],
        "disp": [(2, 8, 2), (3, 9, 3)],
        "card": [(2, 6), (3, 7)],
        "trans": [(2, None, 1, 0), (3, None, 2, 0)],
    }


def berka(folder: Path, unit: str) -> Dataset:
    data = read(folder)
    schema = data.schema.model_copy(update={"unit": parse_unit(unit, data.schema)})
    return with_roles(replace(data, schema=schema))


def test_a_real_bank_loses_its_joint_accounts_where_the_client_is_protected(
    real_data: Callable[[str], Path],
) -> None:
    data = berka(real_data("berka"), "client.client_id")
    found = unshared(data)
    assert units_of(found) == units_of(data) == 5369
    assert found.tables["account"].num_rows == 4500 - 869
    assert found.tables["disp"].num_rows == 5369 - 2 * 869
    assert components(found)[1] == 5369
    by_account = berka(real_data("berka"), "account.account_id")
    assert unshared(by_account).tables == by_account.tables


def test_a_real_bank_is_parted_by_entity_with_every_key_whole(
    real_data: Callable[[str], Path],
) -> None:
    data = berka(real_data("berka"), "client.client_id")
    found = split(data, seed=1)
    parts = (found.train, found.holdout, found.reference)
    for part in parts:
        assert part.tables["district"].equals(data.tables["district"])
        for spec in part.schema.tables:
            for key in spec.foreign_keys:
                met = links(part.tables[spec.name], part.tables[key.table], key)
                assert len(met.child) == part.tables[spec.name].num_rows
    for name in entity_of(data):
        assert sum(part.tables[name].num_rows for part in parts) == data.tables[name].num_rows
    held = [len(np.unique(entity_of(part)["account"])) for part in parts]
    assert held == [3150, 900, 450]


def test_under_a_budget_each_client_flips_a_coin_and_what_two_share_is_gone(
    real_data: Callable[[str], Path],
) -> None:
    """5,369 coins of .7: beyond 4.5 standard deviations once in 150,000 (the seed is fixed)."""
    data = berka(real_data("berka"), "client.client_id")
    found = split(data, seed=1, alone=True)
    assert abs(units_of(found.train) - 0.7 * 5369) < 4.5 * np.sqrt(0.7 * 0.3 * 5369)
    accounts = [p.tables["account"].num_rows for p in (found.train, found.holdout, found.reference)]
    assert sum(accounts) == 4500 - 869
