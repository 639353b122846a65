"""The privacy statement says what the ledger says, and can be computed again from itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import understudy
from understudy.errors import FormatError
from understudy.privacy.accountant import epsilon_of
from understudy.privacy.answers import AnswerStore
from understudy.privacy.audit import audit
from understudy.privacy.budget import Budget
from understudy.privacy.events import Exponential, Gaussian, Laplace
from understudy.privacy.ledger import Ledger
from understudy.privacy.ledger_session import LedgerSession
from understudy.privacy.mechanisms import Choice, NoisyCounts, NoisyTotal
from understudy.privacy.statement import recompute, statement

DATA = "a1" * 32


@pytest.fixture
def session(tmp_path: Path) -> Iterator[LedgerSession]:
    with Ledger(tmp_path / "home") as ledger:
        store = AnswerStore(tmp_path / "run.sqlite")
        made = LedgerSession(Budget(2.0, 1e-6), ledger, DATA, "customer", "run 1", store)
        made.reserve_plan([Gaussian(8.0), Gaussian(8.0), Exponential(0.05)])
        made.release("rows", NoisyTotal(50.0), np.array([1000]))
        made.release("age", NoisyCounts(8.0), np.array([1, 2, 3]))
        made.release("pair", Choice(0.05), np.array([1.0, 2.0]))
        ledger.reserve(DATA, "customer", "run 2", "x", Gaussian(3.0), budget=Budget(3.0, 1e-6))
        yield made
        store.close()


def test_the_statement_agrees_with_its_own_events(session: LedgerSession) -> None:
    stated = json.loads(json.dumps(statement(session, {"income": "the plan"}), allow_nan=False))
    events = [Gaussian(8.0), Gaussian(8.0), Exponential(0.05), Laplace(50.0)]
    assert stated["epsilon"] == epsilon_of(events, 1e-6)
    again = recompute(stated)
    assert again == Budget(stated["epsilon"], stated["delta"])
    assert Budget(**stated["budget"]).covers(again)
    for point in stated["curve"]:
        assert point["epsilon"] == epsilon_of(events, point["delta"])


def test_the_statement_names_who_what_and_how(session: LedgerSession) -> None:
    stated = statement(session, {"categories of income": "declared in the plan"})
    assert stated["unit"] == "customer"
    assert stated["relation"] == "add or remove one unit"
    assert stated["rows_per_unit"] == 1
    assert stated["public"] == [{"what": "categories of income", "from": "declared in the plan"}]
    assert stated["accountant"]["method"] == "pld"
    assert stated["accountant"]["dp_accounting"].count(".") == 2
    assert stated["accountant"]["understudy"] == understudy.__version__
    assert [line["query"] for line in stated["events"]] == ["rows", "age", "pair", None]
    assert [line["fpr"] for line in stated["tpr_at_fpr"]] == [0.001, 0.01, 0.05, 0.10]
    assert all(line["tpr"] >= line["fpr"] for line in stated["tpr_at_fpr"])
    assert set(stated["all_runs"]["by_run"]) == {"run 1", "run 2"}
    assert "seed" not in json.dumps({k: v for k, v in stated.items() if k != "assumptions"})
    told = " ".join(stated["assumptions"])
    for part in ("Names, kinds", "decision to release", "floating point", "holds the ledger"):
        assert part in told


def test_every_line_points_at_the_entry_that_proves_it(session: LedgerSession) -> None:
    entries = {e.number: e for e in session.ledger.entries()}
    for line in statement(session, {})["events"]:
        entry = entries[line["entry"]]
        assert entry.hash == line["hash"]
        assert entry.run == "run 1"
        assert line["query"] is None or entry.query == line["query"]


def test_a_statement_made_cheaper_is_found_by_recomputing(session: LedgerSession) -> None:
    stated = statement(session, {})
    stated["epsilon"] /= 2
    assert not Budget(stated["epsilon"], stated["delta"]).covers(recompute(stated))


def test_a_run_without_entries_has_nothing_to_state(session: LedgerSession) -> None:
    session.run = "run 9"
    with pytest.raises(FormatError, match="no entry in the ledger"):
        statement(session, {})


def test_a_statement_of_a_newer_version_is_a_polite_error(session: LedgerSession) -> None:
    with pytest.raises(FormatError, match="Update understudy"):
        recompute({**statement(session, {}), "format": 7})


def test_a_second_accountant_and_what_canaries_proved_are_stated(session: LedgerSession) -> None:
    stated = statement(session, {})
    assert stated["audit"] is None
    second = stated["second_accountant"]
    assert second["low"] <= stated["epsilon"] <= second["high"]
    member = np.arange(1000) % 2 == 0
    scores = {"count": member + np.random.default_rng(0).normal(0, 8.0, 1000)}
    tried = statement(session, {}, audit(scores, member, Budget(2.0, 1e-6)))["audit"]
    assert tried["canaries"] == 1000
    assert tried["sure"] <= tried["gaussian"]
    assert json.dumps(tried)
