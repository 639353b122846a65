"""The appendix names every measure and every line, each with its null."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest

import understudy
from tests.release import fake_run
from tests.release.test_evidence import full_run
from understudy.release.report import render
from understudy.release.report.deviation import deviations
from understudy.release.report.method import LINES, NULLS, method, null_of

INFORM = {"the guarantee", "valid rows", "single columns", "the judge", "learning the rare answer"}
"""Lines without a null of their own: counts, the ledger, and what a measure of the table says."""


def test_every_line_of_the_gate_is_explained() -> None:
    lines = {line["name"] for line in full_run("model")["verdict"]["lines"]}
    assert lines - INFORM <= {name for name, _, _ in LINES}


def test_every_measurement_that_evaluation_names_has_a_null() -> None:
    """Names as they are spelled in the source: literals, and the beginnings of f-strings."""
    room = Path(understudy.__file__).parent / "evaluation"
    text = "".join(path.read_text() for path in room.glob("*.py"))
    spelled = set(re.findall(r'(?:Measurement|summary|_kept)\(\s*f?"([a-z0-9_]+?)_?["{]', text))
    assert {"shape_error", "c2st", "tstr", "levels_kept_by_answer"} <= spelled
    assert not [name for name in spelled if null_of(name) == "see meaning"]
    assert null_of("augmented_few_auc") == NULLS["augmented_few"]
    assert null_of("something new") == "see meaning"


@pytest.mark.parametrize("public", [True, False])
def test_the_page_holds_measures_nulls_and_versions(public: bool) -> None:
    text = unescape(render(fake_run.run(), public=public))
    found = method(fake_run.run())
    for one in found["measures"]:
        assert one["null"] in text
    for name, version in found["versions"].items():
        assert f"{name} {version}" in text
    assert ("every step draws from its own stream" in text) != public
    told = render(fake_run.private_run(), public=True)
    assert "Every measure, and its null" not in told
    assert "Every line of the verdict, and its null" in told


def test_a_bar_outside_the_band_is_counted_and_marked() -> None:
    bars = {
        "real": [0.5, 0.3, 0.2, 0.0],
        "synthetic": [0.52, 0.24, 0.21, 0.03],
        "floor_low": [0.48, 0.28, 0.18, 0.0],
        "floor_high": [0.53, 0.32, 0.22, 0.0],
    }
    found = deviations(bars)
    assert found is not None
    picture, outside, count = found
    assert (outside, count) == (2, 4)
    assert picture.count('class="out"') == 2
    # Three half bands below, and cut off at four above: five units of height each.
    heights = [float(h) for h in re.findall(r'class="out"[^>]*height="([\d.]+)"', picture)]
    assert heights == [15.0, 20.0]
    assert deviations({"synthetic": [0.5, 0.5]}) is None
    assert deviations({**bars, "real": [0.5]}) is None
