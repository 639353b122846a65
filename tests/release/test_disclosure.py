"""Under a budget nothing leaves that real rows had a part in and no budget paid for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.release import fake_run
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
    assert paper["privacy"]["statement"] == fake_run.statement()
    assert paper["assumptions"] == fake_run.statement()["assumptions"]
    assert paper["lines"] == []
    assert paper["claims"] == [run["privacy"]["sentence"]]
