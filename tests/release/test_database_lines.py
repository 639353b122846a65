"""Lines of the gate for databases, and the pages that show one."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.evaluation import small_bank
from tests.release import fake_run
from tests.release.test_report import Page
from understudy.release.database_contents import database_contents
from understudy.release.database_lines import database_lines
from understudy.release.disclosure import public_view
from understudy.release.gate import decide
from understudy.release.report import render
from understudy.release.report.schema_graph import schema_graph
from understudy.release.thresholds import DEFAULTS

SECRET = 0.8312345
REAL_ROWS = 987_123


def held(value: float, floor: float, spread: float = 0.01, **more: Any) -> dict[str, Any]:
    ends = {"low": value - spread, "high": value + spread, "floor": floor, "n": 900}
    return fake_run.measurement("x", value, floor) | ends | {"value": value} | more


def card(**changes: dict[str, Any]) -> dict[str, Any]:
    """A database that is as near as two real samples."""
    measured = {
        f"{name}_holdout": held(0.12, 0.11) for name in ("child_counts", "parent_child", "two_hop")
    }
    measured |= {name.removesuffix("_holdout"): one for name, one in measured.items()}
    measured["two_hop_worst_holdout"] = held(0.07, 0.06, meaning="largest excess; a.x × b.y")
    sequence = {
        f"{name}_visit{end}": held(0.03, 0.025)
        for name in ("lengths", "gaps", "motifs")
        for end in ("", "_holdout")
    }
    keys = [
        {"table": "visit", "columns": ["person"], "parent": "person", "values": 10, "broken": 0}
    ]
    balances = [{"table": "visit", "column": "balance", "rows": 10, "broken": 0}]
    return {
        **fake_run.scorecard(),
        "kind": "database",
        "measurements": {**fake_run.scorecard()["measurements"], **measured},
        "keys": keys,
        "identities": balances,
        "structure": [],
        "associations": [],
        "workload": [{"sql": "SELECT 1", "error": SECRET, "floor": SECRET}],
        "tables": [],
        "sequences": [
            {
                "table": "visit",
                "kind": "kind",
                "measurements": sequence,
                "statistics": [],
                "drawings": [
                    {
                        "name": "weekday",
                        "ordered": False,
                        "labels": [],
                        "real": [SECRET] * 7,
                        "synthetic": [1 / 7] * 7,
                    }
                ],
            }
        ],
        **changes,
    }


def rulings(card: dict[str, Any], *, decisive: bool = True) -> dict[str, str]:
    return {one.name: one.ruling for one in database_lines(card, DEFAULTS, decisive=decisive)}


def test_a_good_database_passes_every_line() -> None:
    assert set(rulings(card()).values()) == {"PASS"}
    assert {"keys", "balances", "children", "worst pair", "histories of visit"} <= set(
        rulings(card())
    )


def test_one_table_has_no_such_lines() -> None:
    assert database_lines(fake_run.scorecard(), DEFAULTS, decisive=True) == []


@pytest.mark.parametrize("what", ["keys", "identities"])
def test_one_broken_key_or_balance_fails_even_under_a_budget(what: str) -> None:
    found = card()
    found[what][0]["broken"] = 1
    name = {"keys": "keys", "identities": "balances"}[what]
    assert rulings(found)[name] == "FAIL"
    assert rulings(found, decisive=False)[name] == "FAIL"
    verdict = decide(found, fake_run.run()["battery"], fake_run.run()["validity"])
    assert verdict.ruling == "FAIL"


@pytest.mark.parametrize(
    ("value", "ruling"), [(0.12, "PASS"), (0.165, "INCONCLUSIVE"), (0.3, "FAIL")]
)
def test_associations_are_held_to_one_and_a_half_floors(value: float, ruling: str) -> None:
    found = card()
    found["measurements"]["parent_child_holdout"] = held(value, 0.11)
    assert rulings(found)["parents and children"] == ruling
    assert rulings(found, decisive=False)["parents and children"] == "INFO"


def test_the_worst_measure_speaks_for_a_tables_histories() -> None:
    found = card()
    found["sequences"][0]["measurements"]["gaps_visit_holdout"] = held(0.4, 0.02)
    line = database_lines(found, DEFAULTS, decisive=True)[-1]
    assert line.ruling == "FAIL"
    assert "the time between events" in line.detail


def test_too_few_entities_inform_and_never_clear() -> None:
    found = card()
    found["measurements"]["child_counts_holdout"] = held(0.12, 0.11, spread=0.08)
    assert rulings(found)["children"] == "INFO"
    found["measurements"]["child_counts_holdout"] = held(0.5, 0.11, spread=0.08)
    assert rulings(found)["children"] == "FAIL"


def test_a_pair_that_a_mean_would_hide_fails() -> None:
    found = card()
    found["measurements"]["two_hop_worst_holdout"] = held(0.3, 0.06, meaning="m; a.x × b.y")
    assert rulings(found)["worst pair"] == "FAIL"


def run() -> dict[str, Any]:
    """A finished run of a database with sentinels in every place of real aggregates."""
    data = small_bank.draw(30, 1)
    contents = database_contents(data, small_bank.draw(40, 2))
    for table in contents["tables"]:
        table["rows_real"] = REAL_ROWS
    whole = {**fake_run.run(), "scorecard": card(), "database": contents}
    verdict = decide(whole["scorecard"], whole["battery"], whole["validity"])
    return {**whole, "verdict": verdict.as_dict(), "schema": data.schema.model_dump(mode="json")}


def test_contents_hold_the_graph_and_a_few_histories_in_order() -> None:
    found = database_contents(small_bank.draw(30, 1), small_bank.draw(40, 2), seed=4)
    by_name = {table["name"]: table for table in found["tables"]}
    assert by_name["person"]["rows_real"] == 30
    assert by_name["person"]["rows_synthetic"] == 40
    assert by_name["visit"]["foreign_keys"] == [
        {"columns": ["person"], "table": "person", "references": ["id"]}
    ]
    (histories,) = found["histories"]
    assert histories["columns"][0] == "day"
    for one in (*histories["real"], *histories["synthetic"]):
        days = [row[0] for row in one]
        assert len(days) >= 2
        assert days == sorted(days)
    json.dumps(found)


@pytest.mark.parametrize("public", [True, False])
def test_the_page_is_whole_offline_and_shows_the_graph(public: bool) -> None:
    text = render(run(), public=public)
    page = Page(text)
    assert not page.open
    assert not [link for link in page.links if not link.startswith("#")]
    assert "database" in page.ids
    assert len(page.ids) == len(set(page.ids))
    assert 'class="schema"' in text
    for name in ("town", "person", "account", "visit"):
        assert f">{name}</text>" in text


def test_the_internal_page_shows_histories_side_by_side_and_the_public_one_nothing_real() -> None:
    whole = run()
    internal, public = render(whole, public=False), render(whole, public=True)
    day = whole["database"]["histories"][0]["real"][0][0][0]
    assert f"<td>{day}</td>" in internal
    assert f"{REAL_ROWS:,} real" in internal
    for secret in ("0.831", f"{REAL_ROWS:,}", f"<td>{day}</td>", "SELECT 1"):
        assert secret not in public
    kept = json.dumps(public_view(whole))
    assert "histories" not in public_view(whole)["database"]
    assert str(REAL_ROWS) not in kept
    assert "0.831" not in kept


def test_the_graph_stands_parents_to_the_left_and_survives_cycles() -> None:
    def table(name: str, *parents: str) -> dict[str, Any]:
        keys = [{"columns": ["x"], "table": one, "references": ["id"]} for one in parents]
        return {"name": name, "primary_key": ["id"], "foreign_keys": keys, "rows_synthetic": 1}

    drawn = str(schema_graph([table("c<b>", "b"), table("b", "a"), table("a")]))
    found = re.findall(r'class="level name" x="([\d.]+)" y="[\d.]+">([^<]+)</text>', drawn)
    places = {name: x for x, name in found}
    assert float(places["a"]) < float(places["b"]) < float(places["c&lt;b&gt;"])
    assert schema_graph([table("a", "b"), table("b", "a", "b")]) is not None
    assert schema_graph([table("a")]) is None
