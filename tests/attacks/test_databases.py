"""Attacks on databases: copied people are convicted under any disguise, fresh ones are not.

Samples are fixed by their seeds. The family test on a fresh draw is exact, so it raises a false
alarm for five seeds in a hundred; this one is not among them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.evaluation import small_bank
from understudy.attacks import attack_database
from understudy.attacks.databases import Owned, history_copies
from understudy.data import Dataset
from understudy.encoding.profiles import ENTITY
from understudy.errors import SourceError
from understudy.evaluation.relational.database import entities, only
from understudy.release.privacy_lines import privacy_lines
from understudy.release.thresholds import DEFAULTS
from understudy.schema import Identifier, Number, Schema, Table, Unit

FAR = 77_000_000


@pytest.fixture(scope="module")
def real() -> dict[str, Dataset]:
    sizes = {"train": (600, 1), "holdout": (500, 2), "reference": (300, 3)}
    return {role: small_bank.draw(*found) for role, found in sizes.items()}


def _judged(real: dict[str, Dataset], synthetic: Dataset) -> tuple[dict[str, Any], dict[str, str]]:
    battery = attack_database(*real.values(), synthetic).as_dict()
    return battery, {line.name: line.ruling for line in privacy_lines(battery, DEFAULTS)}


def test_copied_people_under_new_keys_fail(real: dict[str, Dataset]) -> None:
    battery, rulings = _judged(real, small_bank.renamed(real["train"], FAR))
    assert rulings["copies"] == "FAIL"
    assert rulings["membership, on average"] == "FAIL"
    assert battery["family"]["p"] <= 0.001
    tests = {one["column"]: one for one in battery["copies"]["profiles"]}
    assert tests["rows of visit"]["share_train"] == 1.0
    assert tests["most rows of visit"]["share_train"] == 1.0
    assert battery["unit"] == "person.id"


def test_one_copied_person_in_twenty_fails(real: dict[str, Dataset]) -> None:
    learnt = real["train"]
    kept = np.arange(600) < 30
    few, _ = only(learnt, entities(learnt), kept)
    copied, fresh = small_bank.renamed(few, FAR), small_bank.draw(570, 9)
    tables = {
        name: table if name == "town" else pa.concat_tables([table, copied.tables[name]])
        for name, table in fresh.tables.items()
    }
    battery, rulings = _judged(real, Dataset(fresh.schema, tables))
    assert rulings["copies"] == "FAIL"
    tests = {one["column"]: one for one in battery["copies"]["profiles"]}
    assert tests["rows of visit"]["share_train"] == pytest.approx(0.05)
    assert tests["rows of visit"]["holdout"] == 0


def test_a_copied_profile_of_new_rows_fails(real: dict[str, Dataset]) -> None:
    """C13: every visit is a new row (day and amount moved), and the person is the same."""
    rng = np.random.default_rng(0)
    copied = small_bank.renamed(real["train"], FAR)
    visit = copied.tables["visit"]
    days = visit["day"].cast(pa.int32()).to_numpy() + rng.integers(1, 4, visit.num_rows)
    amount = np.round(visit["amount"].to_numpy() * rng.uniform(0.97, 1.03, visit.num_rows), 2)
    balance = visit["balance"].to_numpy() + np.round(rng.normal(0, 5, visit.num_rows), 2)
    limit = copied.tables["account"]["limit"].to_numpy()
    leak = small_bank.changed(
        copied, "visit", day=days.astype(np.int32), amount=amount, balance=balance
    )
    leak = small_bank.changed(leak, "account", limit=limit + rng.normal(0, 10, len(limit)))
    age = np.clip(leak.tables["person"]["age"].to_numpy() + rng.integers(-1, 2, 600), 18, 90)
    battery, rulings = _judged(real, small_bank.changed(leak, "person", age=age))
    tests = {one["column"]: one for one in battery["copies"]["profiles"]}
    assert tests["rows of visit"]["train"] == 0
    assert rulings["membership, on average"] == "FAIL"
    assert rulings["closeness"] in ("FAIL", "INCONCLUSIVE")
    assert battery["family"]["p"] <= 0.001


def test_histories_moved_between_rows_fail(real: dict[str, Dataset]) -> None:
    """Each person's amounts are all there, in another order: no row is a copy of one."""
    copied = small_bank.renamed(real["train"], FAR)
    visit = copied.tables["visit"]
    owner = visit["person"].to_numpy()
    order = np.lexsort((np.random.default_rng(1).random(len(owner)), owner))
    back = np.lexsort((np.arange(len(owner)), owner))
    amount = np.empty(len(owner))
    amount[back] = visit["amount"].to_numpy()[order]
    battery, rulings = _judged(real, small_bank.changed(copied, "visit", amount=amount))
    tests = {one["column"]: one for one in battery["copies"]["profiles"]}
    assert tests["visit.amount"]["share_train"] == 1.0
    assert rulings["copies"] == "FAIL"


def test_a_fresh_draw_is_not_convicted(real: dict[str, Dataset]) -> None:
    battery, rulings = _judged(real, small_bank.draw(600, 9))
    assert battery["family"]["p"] > 0.05
    assert battery["exchangeable"]["ok"]
    assert rulings["copies"] == "PASS"
    assert "FAIL" not in rulings.values()
    assert any(note.startswith("rows of visit: 1,000 of 1,000") for note in battery["notes"])
    names = {one["name"] for one in battery["attacks"]}
    assert any(name.endswith(", visit") for name in names)
    assert any(name.endswith(", account") for name in names)


def _visits(rows: dict[str, list[tuple[int, float]]]) -> Owned:
    columns = (Identifier(name=ENTITY, nullable=False), Number(name="x"))
    schema = Schema(
        tables=(Table(name="visit", columns=columns),),
        unit=Unit(of="entity", table="visit", column=ENTITY),
    )
    tables = {
        role: pa.table({ENTITY: [e for e, _ in found], "x": [x for _, x in found]})
        for role, found in rows.items()
    }
    return Owned(schema, tables)


def test_copies_of_histories_by_hand() -> None:
    owned = _visits(
        {
            "train": [(0, 1.0), (0, 2.0), (1, 3.0), (1, 4.0)],
            "holdout": [(0, 5.0), (0, 6.0)],
            "reference": [(0, 7.0), (0, 8.0)],
            # Entity 0 of train in another order; one of two rows of entity 1; nobody else.
            "synthetic": [(0, 2.0), (0, 1.0), (1, 3.0), (1, 9.0)],
        }
    )
    tests = {test.columns[0]: test for test in history_copies(owned)}
    assert (tests["visit.x"].train_hits, tests["visit.x"].train) == (1, 2)
    assert (tests["rows of visit"].train_hits, tests["rows of visit"].holdout) == (1, 2)
    # Half of the rows is not most of them.
    assert tests["most rows of visit"].train_hits == 1
    assert tests["most rows of visit"].holdout_hits == 0


def test_shared_people_are_no_control(real: dict[str, Dataset]) -> None:
    with pytest.raises(SourceError, match=r"person\.id in the holdout occur in the training data"):
        attack_database(real["train"], real["train"], real["reference"], real["train"])
