"""Replay on databases: neighbours are whole, each planted bug is caught, the engine passes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from understudy.data import Dataset
from understudy.data.integrity import check_integrity
from understudy.data.ownership import owners, unshared
from understudy.privacy.budget import Budget
from understudy.privacy.database_neighbours import without
from understudy.privacy.mechanisms import NoisyCounts
from understudy.privacy.neighbours import neighbours
from understudy.privacy.replay import replay
from understudy.privacy.replay_database import database
from understudy.privacy.session import Private
from understudy.privacy.units import bounded
from understudy.synthesizers.relational.engine import RelationalSynthesizer
from understudy.synthesizers.relational.private import thinning


@pytest.fixture(scope="module")
def small() -> Dataset:
    return database(40)


def names(dataset: Dataset) -> set[int]:
    return set(dataset.tables["person"]["person_id"].to_pylist())


def test_neighbours_are_whole_databases_that_differ_by_one_unit(small: Dataset) -> None:
    check_integrity(small)
    found = neighbours(small)
    for neighbour in found:
        check_integrity(neighbour.dataset)
        assert len(names(neighbour.dataset) ^ names(small)) == 1
        assert neighbour.dataset.tables["region"] == small.tables["region"]
        for name, table in small.tables.items():
            assert neighbour.dataset.tables[name].schema == table.schema
    told = " ".join(n.name for n in found)
    for what in ("most rows of 'payment'", "shares a row", "1,000 rows of 'payment'", "own row"):
        assert what in told


def test_with_a_unit_gone_nothing_of_the_others_changes(small: Dataset) -> None:
    """`unshared` of the neighbour is `unshared` of the whole less that unit, for every unit."""
    whole = unshared(small)
    owned, _ = owners(whole)
    ids = small.tables["person"]["person_id"].to_pylist()
    for unit, person in enumerate(ids):
        less = unshared(without(small, unit))
        keep = whole.tables["person"]["person_id"].to_pylist().index(person)
        for name, found in owned.items():
            rows = found.rows[found.units != keep]
            assert less.tables[name].equals(whole.tables[name].take(rows))


def counting(session: Any, rows: Dataset, sensitivity: float, bound: int) -> bytes:
    inside = Private(bounded(rows, {"account": 9, "holder": 9, "payment": bound}), session)
    return inside.ask(
        "payments", NoisyCounts(2.0, sensitivity), lambda d: [d.tables["payment"].num_rows]
    ).tobytes()


def test_a_declared_sensitivity_that_a_whole_unit_exceeds_is_caught(small: Dataset) -> None:
    """With 50 payments of a person at most, one of whose accounts has a hundred."""
    right = replay(lambda s, d: counting(s, d, 50.0, 50), small)
    assert right.clean
    assert right.queries[0].measured == 50
    wrong = replay(lambda s, d: counting(s, d, 1.0, 50), small)
    assert {(f.kind, f.query) for f in wrong.findings} == {("sensitivity", "payments")}


def test_rows_of_two_units_left_in_are_caught(small: Dataset) -> None:
    """A bound on holders per account instead of accounts per holder: with one of two gone, a row
    of the other comes in, and both ways of the unit's own rows go."""

    def fit(session: Any, rows: Dataset) -> bytes:
        owned, units = owners(rows)
        found = owned["account"]
        shared = np.bincount(found.rows, minlength=rows.tables["account"].num_rows) > 1
        worst = np.bincount(found.units, shared[found.rows], minlength=units)
        inside = Private(worst, session)
        return inside.ask("sharers", NoisyCounts(2.0), lambda c: [np.count_nonzero(c)]).tobytes()

    found = {(f.kind, f.query) for f in replay(fit, small).findings}
    assert found == {("sensitivity", "sharers")}


def test_a_count_that_nobody_paid_for_is_caught(small: Dataset) -> None:
    def fit(session: Any, rows: Dataset) -> dict[str, bytes]:
        paid = counting(session, rows, 50.0, 50)
        return {"paid": paid, "free": str(rows.tables["complaint"].num_rows).encode()}

    found = {(f.kind, f.query) for f in replay(fit, small).findings}
    assert ("leak", "free") in found
    assert not any(query == "paid" for _, query in found)


ENGINE = RelationalSynthesizer()
BUDGET = Budget(10.0, 1e-6)


@pytest.fixture(scope="module")
def middle() -> Dataset:
    return database(1500)


def some(dataset: Dataset) -> list[Any]:
    """A unit with most events, one that shares rows, one more with a thousand rows, and an
    empty one."""
    wanted = ("most rows of 'payment'", "shares", "1,000 rows of 'payment'", "own row", "nobody")
    found = [n for n in neighbours(dataset) if any(word in n.name for word in wanted)]
    assert len(found) >= 4
    return found


def fitted(session: Any, rows: Dataset) -> bytes:
    model = ENGINE.fit(rows, privacy=session)
    made = model.sample(20, seed=1)
    return repr([table.to_pydict() for table in made.tables.values()]).encode()


def test_the_relational_engine_passes(middle: Dataset) -> None:
    report = replay(fitted, middle, some(middle), budget=BUDGET)
    assert report.clean, report.sentences()
    asked = {line.query for line in report.queries}
    assert {"bounds, rows of a unit in payment", "payment, looks, kinds"} <= asked
    assert any(q.startswith("payment, nexts") for q in asked)


def test_thinning_that_looks_at_other_units_is_caught(
    middle: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if places were counted over all rows instead of within the unit."""
    right = thinning.thinned

    def wrong(table: Any, unit: Any, salt: Any, most: int) -> Any:
        return right(table, unit, np.full(len(salt), (table.num_rows % 7) / 7), most)

    where = "understudy.synthesizers.relational.private"
    monkeypatch.setattr(f"{where}.events.thinned", wrong)
    monkeypatch.setattr(f"{where}.tables.thinned", wrong)
    report = replay(fitted, middle, some(middle), budget=BUDGET)
    assert any(f.kind == "sensitivity" and "nexts" in f.query for f in report.findings)
