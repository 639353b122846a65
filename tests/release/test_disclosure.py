"""Under a budget nothing leaves that real rows had a part in and no budget paid for."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from tests.release import fake_run
from understudy.privacy.statement import recompute
from understudy.release.bundle import build
from understudy.release.disclosure import RULINGS, public_view


def numbers(found: Any) -> set[float]:
    """Every number in a JSON tree."""
    if isinstance(found, dict):
        return set().union(*map(numbers, found.values()))
    if isinstance(found, list | tuple):
        return set().union(*map(numbers, found))
    if isinstance(found, bool) or not isinstance(found, int | float):
        return set()
    return {float(found)}


def test_the_public_view_of_a_private_run_carries_no_finding() -> None:
    run = fake_run.private_run()
    view = public_view(run)
    assert not {"scorecard", "battery"} & set(view)
    assert view["verdict"] == {"ruling": "PASS", "because": RULINGS["PASS"]}
    findings = numbers([run["scorecard"], run["battery"], run["split"], run["source"]])
    paid = numbers([run["privacy"], run["preview"], run["engine"], fake_run.ROWS])
    trivial = {0.0, 1.0, 2.0, 3.0, 10.0}
    assert numbers(view) & findings <= paid | trivial


def test_changing_every_unpaid_number_changes_no_byte_of_the_bundle(tmp_path: Path) -> None:
    run = fake_run.private_run()
    other = json.loads(json.dumps(run))
    for part in ("scorecard", "battery", "split"):
        other[part] = doubled(other[part])
    other["source"]["rows"] = 7
    other["leaked"] = {"attack": "x", "records": [{"place": 1, "cells": [{"real": "Ann"}]}]}
    for line in other["verdict"]["lines"]:
        line.update(value=None, detail="something else", ruling="INFO")
    for name, contents in (("a", run), ("b", other)):
        build(tmp_path / name, fake_run.synthetic(), contents)
    a, b = tmp_path / "a", tmp_path / "b"
    files = [file for file in a.rglob("*") if file.is_file()]
    assert len(files) >= 4
    for file in files:
        assert file.read_bytes() == (b / file.relative_to(a)).read_bytes()


def doubled(found: Any) -> Any:
    if isinstance(found, dict):
        return {key: doubled(value) for key, value in found.items()}
    if isinstance(found, list):
        return [doubled(value) for value in found]
    return found * 2 if isinstance(found, int | float) and not isinstance(found, bool) else found


def test_the_certificate_holds_the_statement_and_its_assumptions(tmp_path: Path) -> None:
    run = fake_run.private_run()
    build(tmp_path / "bundle", fake_run.synthetic(), run)
    paper = json.loads((tmp_path / "bundle" / "certificate.json").read_text())
    stated = paper["privacy"]["statement"]
    assert recompute(stated) == recompute(fake_run.statement())
    assert [event["query"] for event in stated["events"]] == ["age, 1-way"]
    assert paper["assumptions"] == fake_run.statement()["assumptions"]
    assert paper["lines"] == []
    assert paper["claims"] == [run["privacy"]["sentence"]]


def test_two_certificates_do_not_tell_whether_the_source_was_changed_between_them(
    tmp_path: Path,
) -> None:
    """What the ledger recognised, and all that follows from it, stays in the house."""
    texts = []
    for name, dataset, entry in (("a", "ab" * 32, 2), ("b", "cd" * 32, 70)):
        run = copy.deepcopy(fake_run.private_run())
        stated = run["privacy"]["statement"]
        stated |= {"dataset": dataset, "all_runs": {"spent": entry / 10, "cap": 10.0}}
        stated["events"][0] |= {"entry": entry, "hash": dataset, "time": str(entry)}
        run["source"]["fingerprint"] = dataset
        build(tmp_path / name, fake_run.synthetic(), run)
        places = ("certificate.json", "card.md", "report.html")
        texts.append([(tmp_path / name / place).read_text() for place in places])
    assert texts[0] == texts[1]
