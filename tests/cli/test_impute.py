"""`understudy impute`: missing cells filled, all others left, engines that cannot refused."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.cli.call import Shell
from understudy.data import read
from understudy.synthesizers.registry import create


def cells(file: str) -> list[dict[str, str]]:
    return list(csv.DictReader(Path(file).read_text().splitlines()))


@pytest.mark.parametrize("engine", ["autoregressive", "tabdiff"])
def test_impute_fills_what_is_missing_and_nothing_else(shell: Shell, engine: str) -> None:
    data = read("people.csv")
    create(engine, epochs=2, width=8, dim=2).fit(data).save(Path("filler"))
    rows = cells("people.csv")
    rows[0]["age"], rows[3]["sex"], rows[4]["mail"] = "", "", ""
    with Path("holes.csv").open("w") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    answer = shell("impute", "filler", "holes.csv", "-o", "whole.csv", "--seed", "1", "--json")
    assert answer.code == 0, answer.err
    told = json.loads(answer.out)
    assert (told["rows"], told["filled"], told["missing"]) == (60, 2, 1)
    made = cells("whole.csv")
    assert made[0]["age"].isdigit()
    assert made[3]["sex"] in ("F", "M")
    assert made[4]["mail"] == ""
    made[0]["age"], made[3]["sex"] = "", ""
    assert made == rows


def test_engines_that_cannot_fill_say_which_can(shell: Shell, model: Path) -> None:
    answer = shell("impute", str(model), "people.csv", "-o", "whole.csv")
    assert answer.code == 2
    assert "--engine autoregressive" in answer.err
    assert "tabdiff" in answer.err
    assert not Path("whole.csv").exists()
