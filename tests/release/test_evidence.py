"""Every heading points to lines that exist or says why not; nothing unpaid enters."""

from __future__ import annotations

from typing import Any

import pytest

from tests.release import fake_run
from understudy.release.card import card
from understudy.release.certificate import certificate
from understudy.release.disclosure import public_view
from understudy.release.evidence import evidence
from understudy.release.gate import decide
from understudy.release.report import render
from understudy.release.review import review_by

GAIN = {
    f"{name}{end}": value
    for name in ("residual", "advantage")
    for end, value in (("", 0.0), ("_low", -0.02), ("_high", 0.02))
}
RISK = {"tries": 900, "attack": 0.2, "control": 0.2, "chance": 0.01, **GAIN}
SECRET = {"secret": "age", "method": "model", "corrected_low": -0.03}
INSIDE = {"name": "likelihood", "auc": 0.9, "auc_low": 0.88, "auc_high": 0.92, "tpr_at_1": 0.4}


def full_run(releases: str = "data") -> dict[str, Any]:
    """The made-up run with the three risks of WP216 and, where it leaves, a look inside."""
    run = fake_run.run()
    run["battery"] |= {
        "singling_out": {"one_column": RISK, "many_columns": RISK},
        "linkability": RISK,
        "inference": [{**RISK, **SECRET}],
        "inference_worst": {"secrets": ["age", "age"], **GAIN},
        "white_box": {"attacks": [INSIDE]},
    }
    run["releases"] = releases
    verdict = decide(run["scorecard"], run["battery"], run["validity"], released=releases)
    run["verdict"] = verdict.as_dict()
    return run


def headings(run: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = evidence(public_view(run))
    return {one["clause"]: one for part in found for one in part["headings"]}


def test_the_guidelines_are_there_under_their_own_names() -> None:
    sources = [part["source"] for part in evidence(public_view(full_run()))]
    for name, source in zip(("WP216", "27559:2022", "800-226", "law"), sources, strict=True):
        assert name in source
    clauses = set(headings(full_run()))
    assert {"singling out", "linkability", "inference", "periodic reassessment"} <= clauses
    assert {"7.3.2 maximum risk", "7.3.2 average risk", "9 governance"} <= clauses
    assert {"epsilon", "neighbouring relation", "floating point", "audit lower bound"} <= clauses
    assert "India, DPDPA 2023, section 8(5)" in clauses


@pytest.mark.parametrize("releases", ["data", "model", "query"])
def test_lines_that_are_pointed_to_exist_with_that_ruling(releases: str) -> None:
    run = full_run(releases)
    rulings = {line["name"]: line["ruling"] for line in run["verdict"]["lines"]}
    pointed = [one for heading in headings(run).values() for one in heading.get("lines", ())]
    assert len(pointed) >= 12
    for one in pointed:
        assert rulings[one["line"]] == one["ruling"]


def test_what_was_not_measured_is_not_assessed_and_says_why() -> None:
    run = fake_run.run()  # a battery of a version without the three risks
    for clause in ("singling out", "linkability", "inference"):
        assert headings(run)[clause]["status"] == "not assessed"
    for heading in headings({"verdict": {"ruling": "FAIL", "lines": []}}).values():
        assert heading["says"]
    assert "ledger" not in headings(run)["epsilon"]["says"]
    assert headings(run)["epsilon"]["status"] == "not assessed"


def test_the_model_is_assessed_only_where_it_leaves() -> None:
    clause = "EDPB Opinion 28/2024, the model"
    assert headings(full_run("data"))[clause]["status"] == "not assessed"
    found = headings(full_run("model"))[clause]
    assert found["lines"] == ({"line": "the model itself", "ruling": "FAIL"},)
    assert full_run("model")["verdict"]["ruling"] == "FAIL"


def test_a_budget_answers_from_the_statement_and_tells_no_ruling_of_a_line() -> None:
    found = headings(fake_run.private_run())
    assert found["epsilon"]["figures"] == {"epsilon": 0.97}
    assert found["7.3.2 maximum risk"]["figures"]["tpr_at_fpr"] == [
        {"fpr": 0.01, "tpr": 0.021},
        {"fpr": 0.05, "tpr": 0.1},
    ]
    assert found["singling out"]["status"] == "judged inside"
    assert found["audit lower bound"]["status"] == "not assessed"
    assert not [one for one in found.values() if one.get("lines")]


def test_the_law_part_concludes_nothing() -> None:
    (part,) = [p for p in evidence(public_view(full_run())) if "law" in p["source"]]
    assert "no legal conclusion" in part["note"]
    said = " ".join(one["says"] for one in part["headings"]).lower()
    assert not [
        word for word in ("complies", "compliant", "is anonymous", "lawful") if word in said
    ]


def test_a_verdict_runs_out_after_a_year() -> None:
    assert review_by("2026-11-24T23:59:59+00:00") == "2027-11-24"
    assert review_by("2027-11-24T00:00:00Z") == "2028-11-23"  # across a leap day: 365 days
    assert review_by(None) is None
    run = fake_run.run()
    assert certificate(run, [])["review"]["by"] == "2027-11-24"
    for paper in (card(run, []), render(run, public=True), render(run, public=False)):
        assert "2027-11-24" in paper


@pytest.mark.parametrize(
    ("releases", "words"),
    [
        ("data", "the rows of this table alone"),
        ("model", "the rows and the model that made them"),
        ("query", "answers of the model"),
    ],
)
def test_every_paper_names_what_is_released(releases: str, words: str) -> None:
    for run in (full_run(releases), {**fake_run.private_run(), "releases": releases}):
        paper = certificate(run, [])
        assert paper["released"]["what"] == releases
        for text in (
            paper["released"]["means"],
            card(run, []),
            render(run, public=True),
            render(run, public=False),
        ):
            assert words in text
