"""Bounds on a unit's rows over several tables: held, whole, and nobody else's business."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.random_databases import NAMES, bank, banks, rows_of
from tests.data.test_sharing import berka, unit_values, without
from understudy.data import Dataset
from understudy.data.matching import links, pointing
from understudy.data.ownership import owners, unshared
from understudy.privacy.units import RowsPerUnit, bounded
from understudy.privacy.units import rows_of as bound_of

BOUNDS = st.integers(1, 3) | st.dictionaries(st.sampled_from(NAMES[1:]), st.integers(1, 3))


def ordered(dataset: Dataset) -> Dataset:
    """The same database, its transactions ordered by day."""
    trans = dataset.schema.table("trans").model_copy(update={"order_by": "day"})
    return replace(dataset, schema=dataset.schema.with_table(trans))


DATABASES = banks() | banks().map(ordered)


@given(DATABASES, BOUNDS)
@settings(max_examples=300)
def test_one_unit_less_changes_no_row_of_another(dataset: Dataset, most: RowsPerUnit) -> None:
    whole = bounded(dataset, most)
    for value in unit_values(dataset):
        less = bounded(without(dataset, value), most)
        assert less.tables == without(whole, value).tables


@given(banks(whole=True).map(ordered), BOUNDS, st.randoms())
@settings(max_examples=150)
def test_the_order_of_the_rows_decides_nothing(
    dataset: Dataset, most: RowsPerUnit, random: object
) -> None:
    tables = {}
    for name, table in dataset.tables.items():
        random.shuffle(order := list(range(table.num_rows)))  # type: ignore[attr-defined]
        tables[name] = table.take(pa.array(order, pa.int64()))
    assert rows_of(bounded(replace(dataset, tables=tables), most)) == rows_of(
        bounded(dataset, most)
    )


@given(DATABASES, BOUNDS)
@settings(max_examples=200)
def test_bounds_hold_in_every_table_and_every_key_too(dataset: Dataset, most: RowsPerUnit) -> None:
    found = bounded(dataset, most)
    for name, owned in owners(found)[0].items():
        assert owned.rows.tolist() == list(range(found.tables[name].num_rows))
        assert np.bincount(owned.units, minlength=1).max() <= bound_of(most, name)
    for spec in found.schema.tables:
        for key in spec.foreign_keys:
            table = found.tables[spec.name]
            met = links(table, found.tables[key.table], key)
            assert set(met.child) == set(np.flatnonzero(pointing(table, key)))
    assert bounded(dataset, 99).tables == unshared(dataset).tables


def test_children_of_a_row_that_goes_are_gone_before_they_count() -> None:
    """Of two clients one stays; the bound of disp and card is filled from that one's."""
    rows = {
        "account": [(1, None)],
        "client": [(7, None), (8, None)],
        "disp": [(10 * c + i, c, 1) for c in (7, 8) for i in range(3)],
        "card": [(10 * c + i, i) for c in (7, 8) for i in range(3)],
    }
    found = rows_of(bounded(bank(rows), {"account": 1, "client": 1, "disp": 2, "card": 2}))
    ((client, _),) = found["client"]
    assert [c for _, c, _ in found["disp"]] == [client, client]
    assert {disp for disp, _ in found["card"]} <= {disp for disp, _, _ in found["disp"]}
    assert len(found["card"]) == 2
    # One disp is kept, so one client is still named, and the other goes.
    found = rows_of(bounded(bank(rows), {"client": 2, "disp": 1}))
    assert [c for c, _ in found["client"]] == [c for _, c, _ in found["disp"]]


def test_events_are_kept_from_the_first_on() -> None:
    trans = [(1, None, day, tag) for day in (3, 1, 2, 0, 2) for tag in range(2)]
    data = ordered(bank({"account": [(1, None)], "trans": trans}))
    found = rows_of(bounded(data, {"trans": 5}))["trans"]
    assert [row[2] for row in found] == [0, 0, 1, 1, 2]


def test_one_entity_with_a_million_events_is_bounded_within_seconds() -> None:
    days = np.random.default_rng(0).permutation(1_000_000)
    data = ordered(bank({"account": [(1, None), (2, None)], "trans": [(2, None, 0, 0)]}))
    many = pa.table(
        {
            "account": pa.array(np.ones(len(days), np.int64)),
            "partner": pa.nulls(len(days), pa.int64()),
            "day": days,
            "tag": days % 7,
        }
    )
    tables = {**data.tables, "trans": pa.concat_tables([data.tables["trans"], many])}
    start = time.process_time()
    found = bounded(replace(data, tables=tables), {"trans": 1000}).tables["trans"]
    assert time.process_time() - start < 20
    assert found.num_rows == 1001
    assert sorted(found["day"].to_pylist()[1:]) == list(range(1000))


@pytest.mark.parametrize("unit", ["account.account_id", "client.client_id"])
def test_a_real_bank_within_bounds(real_data: Callable[[str], Path], unit: str) -> None:
    data = berka(real_data("berka"), unit)
    most = {"trans": 40, "order": 3, "disp": 2, "client": 2}
    found = bounded(data, most)
    owned, units = owners(found)
    assert units == data.tables[unit.split(".")[0]].num_rows
    held = np.bincount(owned["trans"].units)
    assert held.max() == 40
    full = np.bincount(owners(unshared(data))[0]["trans"].units, minlength=len(held))
    assert held.sum() == np.minimum(full, 40).sum()
