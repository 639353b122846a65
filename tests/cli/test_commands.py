"""The verbs as a user types them: machine-readable answers, standard input, plans, help."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import pyarrow.parquet as pq
import pytest

import understudy
from tests.cli.call import Shell
from tests.release import fake_run
from understudy.cli import VERBS
from understudy.cli.options import parse_balance
from understudy.errors import ConditionError
from understudy.schema.ownership import ownership
from understudy.schema.plan import load_plan


def test_version_and_help(shell: Shell) -> None:
    assert shell("--version").out == f"understudy {understudy.__version__}\n"
    page = shell("--help")
    assert page.code == 0
    assert all(verb in page.out for verb in VERBS)
    for verb in VERBS:
        answer = shell(verb, "--help")
        assert (answer.code, answer.err) == (0, ""), verb
        assert "--help" in answer.out


def test_inspect_writes_a_plan_that_run_takes(shell: Shell) -> None:
    answer = shell("inspect", "people.csv", "-o", "plan.yaml")
    assert answer.code == 0
    assert "Strategy: flat" in answer.out
    assert "values are e-mail addresses" in answer.out
    text = (shell.folder / "plan.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=plan.schema.json\n")
    assert json.loads((shell.folder / "plan.schema.json").read_text())["title"] == "Plan"
    assert "form: email" in shell("run", "plan.yaml", "--no-dp", "--plan-only").out
    assert sorted(shell.files()) == ["people.csv", "plan.schema.json", "plan.yaml"]


def test_inspect_of_a_folder_writes_keys_and_roles_for_the_unit(shell: Shell) -> None:
    folder = shell.folder / "shop"
    folder.mkdir()
    towns = "".join(f"{i},{'abc'[i % 3]}\n" for i in range(30))
    people = "".join(f"{1000 + 7 * i},{i % 30}\n" for i in range(300))
    visits = "".join(f"{1000 + 7 * (i % 300)},2024-01-{1 + i % 28:02}\n" for i in range(900))
    (folder / "town.csv").write_text("A1,size\n" + towns)
    (folder / "person.csv").write_text("person_id,town_id\n" + people)
    (folder / "visit.csv").write_text("person_id,day\n" + visits)
    answer = shell("inspect", "shop", "--unit", "person.person_id", "-o", "plan.yaml")
    assert answer.code == 0
    assert "Key:      person.town_id -> town.A1: unique in 30 rows of 'town'" in answer.out
    assert "Unit:     --unit person.person_id: 300 units, 1 tables hang off each" in answer.out
    assert "events in the order of day" in answer.out
    plan = load_plan(shell.folder / "plan.yaml")
    assert ownership(plan.data).reference == {"town"}
    assert list(ownership(plan.data).paths) == ["person", "visit"]
    wrong = shell("inspect", "shop", "--unit", "persn.person_id")
    assert (wrong.code, "Did you mean 'person.person_id'" in wrong.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        (("inspect", "people.csv", "--json"), {"schema", "strategy", "rows", "warnings"}),
        (("fit", "people.csv", "--no-dp", "-o", "m", "--seed", "1", "--json"), {"model", "seed"}),
        (("sample", "{model}", "-n", "5", "-o", "s.csv", "--json"), {"file", "rows", "columns"}),
    ],
)
def test_json_is_one_object_on_standard_output(
    shell: Shell, model: Path, words: tuple[str, ...], keys: set[str]
) -> None:
    answer = shell(*(word.replace("{model}", str(model)) for word in words))
    assert answer.code == 0
    assert keys <= set(json.loads(answer.out))
    assert answer.out.count("\n") == 1


def test_engines_are_listed(shell: Shell) -> None:
    assert "tree" in shell("engines").out
    assert "tree" in {engine["name"] for engine in json.loads(shell("engines", "--json").out)}


def test_run_and_audit_answer_with_the_verdict_in_json_and_exit_code(shell: Shell) -> None:
    codes = {"PASS": 0, "FAIL": 3, "INCONCLUSIVE": 4}
    ran = shell("run", "people.csv", "--no-dp", "--target", "income", "--seed", "1", "--json")
    found = json.loads(ran.out)
    assert ran.code == codes[found["verdict"]["ruling"]]
    assert found["folder"] == "runs/people"
    assert "fit ..." in ran.err
    made = "runs/people/synthetic/people.parquet"
    real = ("--train", "people.csv", "--holdout", "people.csv", "--synthetic", made)
    judged = shell("audit", *real, "--json", "-o", "audit")
    assert judged.code == codes[json.loads(judged.out)["verdict"]["ruling"]]
    page = (shell.folder / "audit" / "report.html").read_text(encoding="utf-8")
    again = f"understudy audit --train people.csv --holdout people.csv --synthetic {made}"
    assert f"{again} --releases data" in page
    assert 'class="masked"' in page
    assert "leaked" not in json.loads(judged.out)
    assert "leaked" not in json.loads((shell.folder / "audit" / "scorecard.json").read_text())
    assert shell("report", "runs/people").out.strip().endswith("runs/people/report.html")
    assert "verdict" in shell("report", "diff", "runs/people", "runs/people").out
    assert "verdict" in shell("report", "diff", "runs/people", "audit").out
    refused = shell("release", "audit", "--override", "because")
    assert refused.code == 2
    assert "holds no synthetic rows" in refused.err


def test_junit_and_the_released_object_are_the_gates(shell: Shell) -> None:
    words = ("--no-dp", "--seed", "1", "--releases", "model", "--junit", "out/run.xml", "--json")
    ran = shell("run", "people.csv", *words)
    found = json.loads(ran.out)
    lines = {line["name"]: line["ruling"] for line in found["verdict"]["lines"]}
    assert found["releases"] == "model"
    assert "the model itself" in lines
    assert "releases: model" in (shell.folder / "runs/people/plan.yaml").read_text()
    root = ElementTree.parse(shell.folder / "out" / "run.xml").getroot()
    assert [case.get("name") for case in root.iter("testcase")] == list(lines)
    failed = sum(ruling in ("FAIL", "INCONCLUSIVE") for ruling in lines.values())
    assert len(list(root.iter("failure"))) == failed
    made = "runs/people/synthetic/people.parquet"
    real = ("--train", "people.csv", "--holdout", "people.csv", "--synthetic", made)
    judged = shell("audit", *real, "--releases", "query", "--junit", "audit.xml")
    assert judged.code in (3, 4)
    assert "audit.xml (internal)" in judged.out
    (case,) = ElementTree.parse(shell.folder / "audit.xml").iterfind(
        ".//testcase[@name='the model itself']"
    )
    assert case[0].get("type") == "inconclusive"


def test_a_frontier_is_drawn_of_runs_and_refused_of_other_folders(shell: Shell) -> None:
    (shell.folder / "a" / "work").mkdir(parents=True)
    (shell.folder / "a" / "work" / "run.json").write_text(json.dumps(fake_run.run()))
    drawn = shell("report", "frontier", "a", "-o", "drawn/page.html")
    assert drawn.code == 0
    assert "internal" in drawn.out
    assert "Privacy and usefulness" in (shell.folder / "drawn" / "page.html").read_text("utf-8")
    for given, said in ((("a", "people.csv"), "people.csv holds no finished run"), ((), "which")):
        answer = shell("report", "frontier", *given, "-o", "other.html")
        assert answer.code == 2
        assert said in answer.err
        assert not (shell.folder / "other.html").exists()


def test_a_release_prints_the_bounds_that_the_run_was_judged_by(shell: Shell) -> None:
    shell("inspect", "people.csv", "-o", "plan.yaml")
    plan = shell.folder / "plan.yaml"
    plan.write_text(plan.read_text() + "bounds: {auc: 0.517}\n")
    shell("run", "plan.yaml", "--no-dp", "--seed", "1", "--out", "r")
    assert shell("release", "r", "--override", "seen by the board").code == 0
    paper = json.loads((shell.folder / "r" / "bundle" / "certificate.json").read_text())
    bounds = {one["name"]: one["value"] for one in paper["thresholds"]}
    assert bounds["auc"] == 0.517


@pytest.mark.parametrize("verb", ["run", "audit"])
def test_something_else_released_is_refused_at_once(shell: Shell, verb: str) -> None:
    given = {"run": ("people.csv", "--no-dp"), "audit": ("--train", "x", "--synthetic", "y")}
    before = shell.files()
    answer = shell(verb, *given[verb], "--releases", "modell")
    assert answer.code == 2
    assert "Did you mean 'model'?" in answer.err
    assert shell.files() == before


def test_a_protocol_has_no_lines_for_junit(shell: Shell) -> None:
    words = ("--train", "x", "--synthetic", "y", "--protocol", "tabsyn", "--junit", "z.xml")
    answer = shell("audit", *words)
    assert answer.code == 2
    assert "--junit" in answer.err


def test_standard_input_is_a_source(shell: Shell) -> None:
    class Piped:
        buffer = io.BytesIO((shell.folder / "people.csv").read_bytes())

    shell.monkeypatch.setattr(sys, "stdin", Piped)
    answer = shell("inspect", "-", "--json")
    assert answer.code == 0
    assert json.loads(answer.out)["rows"] == {"stdin": 60}


def test_sample_takes_conditions_and_shares(shell: Shell, model: Path) -> None:
    rows = ("sample", str(model), "-n", "40", "--seed", "1")
    assert shell(*rows, "-o", "f.parquet", "--where", "sex = 'F' AND age < 50").code == 0
    found = pq.read_table(shell.folder / "f.parquet")
    assert set(found["sex"].to_pylist()) == {"F"}
    assert max(found["age"].to_pylist()) < 50
    assert shell(*rows, "-o", "b.parquet", "--balance", "income=uniform").code == 0
    found = pq.read_table(shell.folder / "b.parquet")
    assert found["income"].to_pylist().count("high") == 20
    assert shell(*rows, "-o", "again.parquet", "--balance", "income=uniform").code == 0
    assert pq.read_table(shell.folder / "again.parquet").equals(found)


def test_a_budget_and_none_contradict_each_other(shell: Shell) -> None:
    shell("inspect", "people.csv", "-o", "plan.yaml")
    before = shell.files()
    answer = shell("run", "plan.yaml", "--no-dp", "--epsilon", "1")
    assert answer.code == 2
    assert "--epsilon and --no-dp contradict each other" in answer.err
    assert shell.files() == before


@pytest.mark.parametrize(
    ("text", "shares"),
    [
        (None, None),
        ("income=uniform", {"income": "uniform"}),
        ("income:>50K=0.5", {"income": {">50K": 0.5}}),
        ("a=b:x:y=1", {"a=b": {"x:y": 1.0}}),
    ],
)
def test_balance_is_read(text: str | None, shares: object) -> None:
    assert parse_balance(text) == shares


@pytest.mark.parametrize("text", ["income", "a=0.5", "a:b=", "a:b=1.5", "a:b=-1", "a:b=nan"])
def test_balance_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConditionError, match="write COL=uniform or COL:LEVEL=SHARE"):
        parse_balance(text)
