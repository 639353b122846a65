"""The explorer names the records that leaked, and its values stay out of the battery's JSON."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from tests.attacks import planted
from understudy.attacks import Battery, attack
from understudy.attacks.leaked import MOST_RECORDS
from understudy.data.dataset import Dataset
from understudy.schema import Category, Identifier, Number, Text, Unit, one_table

N = 1200


@pytest.fixture(scope="module")
def sides() -> list[planted.Rows]:
    rng = np.random.default_rng(3)
    return [planted.draw(N, rng) for _ in range(4)]


@pytest.fixture(scope="module")
def copied(sides: list[planted.Rows]) -> Battery:
    """A harmless table into which the 60 most unusual people were copied."""
    train, holdout, reference, fresh = (rows.dataset() for rows in sides)
    unusual = planted.most_outlying(sides[0], 60).dataset().table
    made = fresh.with_table(pa.concat_tables([fresh.table, unusual]))
    return attack(train, holdout, reference, made, seed=1)


def test_the_records_that_were_copied_come_first(copied: Battery) -> None:
    found = copied.leaked
    assert found is not None
    assert len(found.records) == MOST_RECORDS
    exact = [one for one in found.records if {c.agreement for c in one.cells} == {"matches"}]
    # 60 copies; the attack ranks by nearness among unusual rows, and a few may lie in the bulk.
    assert len(exact) >= 40
    assert all(one.distance == 0 for one in exact)
    assert all(one.stratum != "all" for one in exact[:10])
    assert found.right >= 40
    places = [one.place for one in found.records]
    assert places == sorted(places)
    assert all(cell.real == cell.synthetic for one in exact for cell in one.cells)
    assert not any(one.twins for one in exact)


def test_a_harmless_table_gives_a_coin_s_guesses(sides: list[planted.Rows]) -> None:
    """Of 50 guesses a coin gets 25; 40 or more would come once in 100,000 tables."""
    found = attack(*(rows.dataset() for rows in sides), seed=1).leaked
    assert found is not None
    assert found.right < 40
    assert max(one.place for one in found.records) < 2 * N


def test_the_json_of_a_battery_holds_none_of_it(copied: Battery) -> None:
    card = copied.as_dict()
    assert "leaked" not in card
    assert copied.leaked is not None
    values = {c.real for one in copied.leaked.records for c in one.cells if "." in str(c.real)}
    text = json.dumps(card)
    assert values
    assert not [value for value in values if value is not None and value in text]


def test_a_record_that_strangers_share_is_said_to_be_common() -> None:
    rng = np.random.default_rng(4)
    schema = one_table("t", [Category(name="a"), Category(name="b")])

    def side() -> Dataset:
        table = pa.table({name: rng.choice(["x", "y", None], 400) for name in "ab"})
        return Dataset.single(schema, table)

    train, holdout, reference, made = (side() for _ in range(4))
    found = attack(train, holdout, reference, made, seed=1).leaked
    assert found is not None
    held = holdout.table.to_pylist()
    for one in found.records:
        values = {cell.column: cell.real for cell in one.cells}
        assert one.twins == held.count(values) > 0


def test_near_numbers_gaps_and_identifiers() -> None:
    rng = np.random.default_rng(0)
    schema = one_table(
        "visits",
        [Identifier(name="who"), Number(name="cost"), Category(name="ward"), Text(name="note")],
    ).model_copy(update={"unit": Unit(of="entity", table="visits", column="who")})

    def side(offset: int) -> Dataset:
        who = np.repeat(np.arange(60), 3) + offset
        cost = rng.normal(100, 10, 180)
        ward = [None if i % 17 == 0 else "ABC"[i % 3] for i in range(180)]
        columns = {"who": [f"P-{w}" for w in who], "cost": cost, "ward": ward}
        return Dataset.single(schema, pa.table({**columns, "note": ["secret words"] * 180}))

    train, holdout, reference = (side(offset) for offset in (0, 1000, 2000))
    moved = pa.array(np.asarray(train.table["cost"]) + 0.1)
    made = train.with_table(train.table.set_column(1, "cost", moved))
    found = attack(train, holdout, reference, made, seed=1).leaked
    assert found is not None
    names = {cell.column for one in found.records for cell in one.cells}
    assert names == {"cost", "ward"}
    agreements = [cell.agreement for one in found.records[:10] for cell in one.cells]
    assert "near" in agreements
    assert "secret words" not in str(found)
    assert "P-" not in str(found)
