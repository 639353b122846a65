"""The demo: people recovered from records, caught without a guarantee, protected with one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from understudy.cli import main
from understudy.cli.demo import records


def test_runs_of_equal_years_are_people() -> None:
    data = records()
    assert data.num_rows == 20_190
    _, years = np.unique(data.table["person"].to_pylist(), return_counts=True)
    assert len(years) == 5_294
    # The study enrolled people for three years or for five.
    assert np.isin(years, [3, 5]).mean() > 0.8


def test_two_acts_two_verdicts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["understudy", "demo", "--out", str(tmp_path / "demo"), "--json"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as stopped:
        main()
    assert not stopped.value.code
    acts = json.loads(capsys.readouterr().out)
    without, protected = acts["without"], acts["with"]
    assert without["verdict"]["ruling"] == "FAIL"
    assert not (tmp_path / "demo" / "without" / "bundle").exists()
    statement = protected["privacy"]["statement"]
    assert statement["unit"] == "person"
    assert statement["rows_per_unit"] == 5
    assert statement["epsilon"] <= 3
    rulings = {line["name"]: line["ruling"] for line in protected["verdict"]["lines"]}
    assert rulings["the guarantee"] == "PASS"
    assert (tmp_path / "demo" / "with" / "report.html").is_file()
