from __future__ import annotations

import numpy as np
import pytest

from understudy.attacks import attack
from understudy.attacks.challenge import set_up
from understudy.attacks.entities import by_unit, profile_copies, profiles
from understudy.attacks.membership import OUTSIDER, Score
from understudy.selfcheck.tables import histories

ROLES = ("train", "holdout", "reference", "synthetic")


def tables_of(audited) -> dict:
    return {role: data.table for role, data in zip(ROLES, audited, strict=True)}


def test_a_copied_history_is_seen_by_person_and_not_by_row():
    rng = np.random.default_rng(0)
    by_row = attack(*histories(250, rng, by_entity=False), seed=1)
    assert by_row.copies.exact.train_hits == 0
    assert by_row.profiles == ()
    assert by_row.family.p > 0.01
    by_person = attack(*histories(250, rng, by_entity=True), seed=1).as_dict()
    assert by_person["unit"] == "person"
    amounts = next(p for p in by_person["copies"]["profiles"] if p["column"] == "amount")
    assert (amounts["train"], amounts["holdout"]) == (250, 0)
    assert by_person["family"]["p"] == pytest.approx(0.001)
    assert "profile" in by_person["family"]["strongest"]


def test_whole_people_are_drawn_and_carry_the_label():
    audited = histories(100, np.random.default_rng(1), by_entity=True)
    challenge = set_up(tables_of(audited), audited.train.schema, np.random.default_rng(2))
    assert challenge.by_entity
    assert len(challenge.is_member) == 200
    assert np.bincount(challenge.unit_of).tolist() == [8] * 200
    owners = challenge.pool["person"].to_numpy()
    assert all(len(set(owners[challenge.unit_of == u])) == 1 for u in (0, 99, 100, 199))


def test_row_scores_become_mean_and_largest_of_a_person():
    audited = histories(40, np.random.default_rng(3), by_entity=True)
    challenge = set_up(tables_of(audited), audited.train.schema, np.random.default_rng(4))
    values = np.arange(len(challenge.unit_of), dtype=float)
    mean, largest = by_unit(challenge, [Score("s", OUTSIDER, values)])
    assert mean.values.tolist() == [8 * u + 4.5 for u in range(80)]
    assert largest.values.tolist() == [8.0 * u + 8 for u in range(80)]


def test_multisets_are_compared_without_their_order():
    audited = histories(30, np.random.default_rng(5), by_entity=True)
    found = {t.columns[0]: t for t in profile_copies(tables_of(audited), audited.train.schema)}
    assert found["amount"].train_hits == 30
    assert found["amount"].holdout_hits == 0
    assert found["hour"].train_hits == 0


def test_a_profile_is_one_row_per_person():
    audited = histories(20, np.random.default_rng(6), by_entity=True)
    table = audited.train.table
    found = profiles(table, "person", audited.train.schema.table(), {"kind": ["a"]})
    assert found.num_rows == 20
    amounts = table["amount"].to_numpy().reshape(20, 8)
    assert found["amount q0.0"].to_pylist() == amounts.min(axis=1).tolist()
    assert found["amount q1.0"].to_pylist() == amounts.max(axis=1).tolist()
    kinds = table["kind"].to_numpy().reshape(20, 8)
    assert found["kind level 0"].to_pylist() == (kinds == "a").mean(axis=1).tolist()
