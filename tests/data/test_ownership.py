"""Whose rows these are: against a walk in plain Python, and on a real bank."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.random_databases import BANK, BY_ACCOUNT, BY_CLIENT, bank, banks
from understudy.data import Dataset, read
from understudy.data.matching import links
from understudy.data.ownership import entity_of, owners, ownership
from understudy.data.roles import proposed_roles, with_roles
from understudy.schema import ForeignKey, Unit, parse_unit

CELL = st.none() | st.integers(0, 2)
PAIRS = st.lists(st.tuples(CELL, CELL), max_size=8)


@given(PAIRS, PAIRS, st.booleans())
def test_links_are_all_pairs_with_equal_and_complete_keys(
    ours: list[tuple[Any, Any]], theirs: list[tuple[Any, Any]], text: bool
) -> None:
    def table(rows: list[tuple[Any, Any]], kind: pa.DataType) -> pa.Table:
        columns = {"a": [a for a, _ in rows], "b": [b for _, b in rows]}
        return pa.table({k: pa.array(v, pa.int64()).cast(kind) for k, v in columns.items()})

    key = ForeignKey(columns=("a", "b"), table="p", references=("a", "b"))
    child = table(ours, pa.string() if text else pa.int32())
    found = links(child, table(theirs, pa.int64()), key)
    wanted = [
        (i, j)
        for i, mine in enumerate(ours)
        for j, other in enumerate(theirs)
        if mine == other and None not in mine
    ]
    assert list(zip(found.child.tolist(), found.parent.tolist(), strict=True)) == wanted


def walked(dataset: Dataset) -> dict[str, list[set[int]]]:
    """The units of every row, by following each path row by row."""
    plan = ownership(dataset.schema)
    found: dict[str, list[set[int]]] = {}
    for name, path in sorted(plan.paths.items(), key=lambda item: len(item[1])):
        rows = dataset.tables[name].to_pylist()
        if not path:
            values: list[int] = []
            for row in rows:
                values += [row["id"]] if row["id"] not in values else []
            found[name] = [{values.index(row["id"])} for row in rows]
            continue
        step = path[-1]
        (here,), (there,) = step.key.columns, step.key.references
        mine, other = (here, there) if step.down else (there, here)
        source = dataset.tables[step.source].to_pylist()
        found[name] = [
            set().union(
                *(
                    found[step.source][i]
                    for i, far in enumerate(source)
                    if far[other] == row[mine] and row[mine] is not None
                )
            )
            for row in rows
        ]
    return found


@given(banks())
def test_owners_are_those_that_the_paths_lead_to(dataset: Dataset) -> None:
    found, units = owners(dataset)
    wanted = walked(dataset)
    assert set(found) == set(wanted)
    for name, rows in wanted.items():
        pairs = [(row, unit) for row, held in enumerate(rows) for unit in sorted(held)]
        held = found[name]
        assert list(zip(held.rows.tolist(), held.units.tolist(), strict=True)) == pairs
        single = [next(iter(h)) if len(h) == 1 else -1 for h in rows]
        assert held.single(len(rows)).tolist() == single
    spec = dataset.schema.unit.table
    assert units == len(set(dataset.tables[str(spec)]["id"].to_pylist()))


@given(banks())
def test_entities_hold_together_what_keys_and_units_connect(dataset: Dataset) -> None:
    entity = entity_of(dataset)
    found, units = owners(dataset)
    of_unit = np.full(units, -1)
    for name, held in found.items():
        for row, unit in zip(held.rows, held.units, strict=True):
            assert entity[name][row] >= 0
            assert of_unit[unit] in (-1, entity[name][row])
            of_unit[unit] = entity[name][row]
    for spec in dataset.schema.tables:
        for key in spec.foreign_keys:
            if key.table in entity:
                met = links(dataset.tables[spec.name], dataset.tables[key.table], key)
                assert (entity[spec.name][met.child] == entity[key.table][met.parent]).all()
    assert sorted(set(of_unit)) == list(range(len(set(of_unit))))


def test_units_that_share_nothing_stay_apart() -> None:
    rows = {
        "account": [(1, None), (2, None), (3, None)],
        "client": [(7, None), (8, None)],
        "disp": [(0, 7, 1), (1, 7, 2), (2, 8, 3)],
        "trans": [(1, None, 0, 0), (3, None, 0, 0)],
        "card": [(None, 0)],
    }
    entity = entity_of(bank(rows))
    assert entity["account"].tolist() == [0, 0, 1]
    assert entity["client"].tolist() == [0, 1]
    assert entity["trans"].tolist() == [0, 1]
    assert entity["card"].tolist() == [-1]
    assert "district" not in entity


def test_roles_are_read_off_how_many_units_share_a_row() -> None:
    schema = BY_ACCOUNT.model_copy(
        update={"tables": tuple(t.model_copy(update={"role": None}) for t in BANK)}
    )
    rows = {
        "district": [(1,), (2,)],
        "account": [(i, 1 + i % 2) for i in range(40)],
        "client": [(i, None) for i in range(40)],
        "disp": [(i, i, i) for i in range(40)],
    }
    proposed, why = proposed_roles(bank(rows, schema))
    assert {r.table: r.role for r in why} == {"district": "reference", "client": "owned"}
    assert proposed.table("district").role == "reference"
    assert why[0].why.startswith("20.0 units share a row on average and 20 at most, by account (")
    # A merchant with a third of all units among hundreds with one is a lookup as well.
    rows["disp"] += [(40 + i, 0, i) for i in range(25)]
    _, crowded = proposed_roles(bank(rows, schema))
    assert {r.table: r.role for r in crowded}["client"] == "reference"
    declared = schema.with_table(schema.table("client").model_copy(update={"role": "owned"}))
    assert [r.table for r in proposed_roles(bank(rows, declared))[1]] == ["district"]


@pytest.mark.parametrize(
    ("unit", "several"), [("account.account_id", 0), ("client.client_id", 869)]
)
def test_a_real_bank_whose_unit_is_the_account_or_the_client(
    real_data: Callable[[str], Path], unit: str, several: int
) -> None:
    data = read(real_data("berka"))
    schema = data.schema.model_copy(update={"unit": parse_unit(unit, data.schema)})
    data = with_roles(replace(data, schema=schema))
    found, units = owners(data)
    assert ownership(data.schema).reference == {"district"}
    assert set(found) == {"account", "disp", "client", "card", "trans", "loan", "order"}
    assert units == data.tables[unit.split(".")[0]].num_rows
    single = {name: held.single(data.tables[name].num_rows) for name, held in found.items()}
    assert sum(single["account"] < 0) == several
    assert all((entity >= 0).all() for entity in entity_of(data).values())
    assert all(e.max() < 4500 for e in entity_of(data).values())


def test_a_unit_cell_that_is_empty_names_nobody() -> None:
    unit = Unit(of="entity", table="trans", column="partner")
    data = bank(
        {"account": [(1, None), (2, None)], "trans": [(1, 2, 0, 0), (1, None, 0, 0)]},
        BY_CLIENT.model_copy(update={"unit": unit}),
    )
    found, units = owners(data)
    assert units == 1
    assert found["trans"].rows.tolist() == [0]
    assert found["account"].rows.tolist() == [0]
