"""`inspect`: the strategy that fits, rare groups, rules that hold, and what to mind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.data.test_sharing import berka
from understudy.data import Dataset, infer, inspect, read
from understudy.data.ownership import ownership
from understudy.schema import Dependency, Inequality, Sum

ROWS = 1200
RNG = np.random.default_rng(0)


def _dataset(**tables: dict[str, Any]) -> Dataset:
    found = {name: pa.table(columns) for name, columns in tables.items()}
    return Dataset(infer(found), found)


FLAT = {
    "x": RNG.normal(size=ROWS),
    "kind": [("a", "b", "c")[i % 3] if i else "lonely" for i in range(ROWS)],
}
DAYS = np.datetime64("2020-01-01") + RNG.integers(0, 300, ROWS)
HISTORY = {
    "customer_id": [100 + i % 60 for i in range(ROWS)],
    "day": pa.array(DAYS),
    "amount": RNG.gamma(2, size=ROWS),
}
NOTES = {"note": [f"patient number {i} came late and left early" for i in range(ROWS)]}


@pytest.mark.parametrize(
    ("tables", "strategy", "why"),
    [
        ({"t": FLAT}, "flat", "stand for themselves"),
        ({"t": HISTORY}, "sequential", "'customer_id' repeats and 'day' orders its rows"),
        ({"t": NOTES}, "text", "free text in 'note'"),
        ({"t": FLAT, "u": {"y": [1, 2, 3]}}, "relational", "2 tables joined by 0 foreign keys"),
    ],
)
def test_the_strategy_fits_the_data(tables: Any, strategy: str, why: str) -> None:
    found = inspect(_dataset(**tables))
    assert found.strategy == strategy
    assert why in found.why
    assert (found.engine == "tree") == (strategy == "flat")


def test_rare_levels_missing_cells_and_identifiers_are_listed() -> None:
    missing = [None if i % 4 == 0 else i % 7 for i in range(ROWS)]
    mails = [f"p{i}@example.com" for i in range(ROWS)]
    found = inspect(_dataset(t={**FLAT, "m": missing, "mail": mails}))
    assert [(g.column, g.level, g.rows) for g in found.rare] == [("kind", "lonely", 1)]
    assert found.missing == {"t.m": 0.25}
    assert found.identifiers == ("t.mail (email): values are e-mail addresses",)


def test_what_to_mind_is_said() -> None:
    repeated = inspect(_dataset(t={"a": [i % 5 for i in range(ROWS)]})).warnings
    assert any("100% of the rows of 't' repeat an earlier one" in said for said in repeated)
    few = inspect(_dataset(t={"a": [1.5, 2.5, 3.5]})).warnings
    assert any("'t' has 3 rows" in said for said in few)
    shared = inspect(_dataset(t=HISTORY)).warnings
    assert any("20.0 rows share a value of 'customer_id'" in said for said in shared)
    assert any("--unit customer_id" in said for said in shared)


def test_rules_that_every_row_obeys_are_proposed() -> None:
    part = RNG.integers(0, 500, ROWS)
    other = RNG.integers(0, 500, ROWS)
    level = RNG.integers(0, 5, ROWS)
    found = inspect(
        _dataset(
            t={
                "part": part,
                "other": other,
                "total": part + other,
                "low": other + 0.5,
                "high": other + 0.5 + RNG.integers(0, 9, ROWS),
                "level": [f"l{v}" for v in level],
                "group": [f"g{v // 2}" for v in level],
            }
        )
    ).proposed["t"]
    assert Sum(total="total", parts=("part", "other")) in found
    assert Inequality(low="low", high="high") in found
    assert Dependency(by=("level",), determines="group") in found
    assert not any(isinstance(r, Dependency) and r.by == ("group",) for r in found)


def test_chance_does_not_pass_for_law() -> None:
    columns = {f"n{i}": RNG.integers(0, 30, ROWS) for i in range(4)}
    labels = {f"c{i}": [f"l{v}" for v in RNG.integers(0, 4, ROWS)] for i in range(4)}
    assert inspect(_dataset(t={**columns, **labels})).proposed == {}


def test_everything_found_is_json() -> None:
    found = inspect(_dataset(t=HISTORY)).as_dict()
    assert json.loads(json.dumps(found, default=str))["strategy"] == "sequential"


def test_a_real_bank_shows_whom_it_could_protect(real_data: Callable[[str], Path]) -> None:
    found = inspect(read(real_data("berka")))
    said = {c.column: str(c) for c in found.units}
    assert list(said) == ["client.client_id", "disp.disp_id", "account.account_id", "district.A1"]
    assert said["account.account_id"] == (
        "--unit account.account_id: 4,500 units, 6 tables hang off each (card, client, disp, loan, "
        "order, trans); shared by all: district"
    )
    # 869 joint accounts with their 145 loans, 1,397 orders and 10,625 transactions.
    assert said["client.client_id"].endswith("13,036 rows hang on several units")
    assert found.keys["client.district_id -> district.A1"].startswith("unique in 77 rows")
    assert found.clocks == {"trans": "date"}
    assert found.roles == {}


def test_a_unit_that_is_named_gives_each_table_its_role(real_data: Callable[[str], Path]) -> None:
    data = berka(real_data("berka"), "account.account_id")
    bare = tuple(spec.model_copy(update={"role": None}) for spec in data.schema.tables)
    found = inspect(Dataset(data.schema.model_copy(update={"tables": bare}), data.tables))
    assert found.roles["account"] == "the unit"
    assert found.roles["trans"] == "owned, by account <- trans.account_id"
    assert found.roles["district"].startswith("reference: the same whoever is in the data (propos")
    assert ownership(found.schema).reference == {"district"}
    assert json.loads(json.dumps(found.as_dict(), default=str))["roles"] == found.roles


def test_orphans_and_tables_out_of_reach_are_told() -> None:
    people = {"person_id": [1000 + 7 * i for i in range(60)], "age": [i % 50 for i in range(60)]}
    visits = {"cost": list(range(60)), "person_id": [*people["person_id"][:59], 5]}
    orders = {"sum": list(range(60)), "person_id": people["person_id"]}
    found = inspect(_dataset(person=people, visit=visits, order=orders))
    assert any("1 of 60 rows find nothing there" in said for said in found.warnings)
    (unit,) = found.units
    assert unit.owned == ("order",)
    assert str(unit).endswith("not reached: visit")
