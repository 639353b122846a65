"""Runs as dots: the right figures, at the right places, on one offline page."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest

from tests.release import fake_run
from tests.release.test_report import Page
from understudy.errors import RunFolderError
from understudy.release.privacy_lines import AVERAGE
from understudy.release.report.frontier import Value, dots, drawing, page


def runs() -> dict[str, dict[str, Any]]:
    worse = copy.deepcopy(fake_run.run())
    worse["scorecard"]["utility"][0] |= {"trained_on_synthetic": 0.69, "low": -0.25, "high": -0.21}
    return {"runs/good": fake_run.run(), "runs/worse <b>": worse, "runs/dp": fake_run.private_run()}


def test_the_figures_are_those_of_the_run() -> None:
    good, worse, private = dots(runs())
    assert good.useful is not None
    assert good.useful.value == pytest.approx(0.91 / 0.92)
    assert good.useful.low == pytest.approx(0.90 / 0.92)
    assert good.useful.high == pytest.approx(1.0)
    line = next(x for x in runs()["runs/good"]["verdict"]["lines"] if x["name"] == AVERAGE)
    assert good.attack == Value(line["value"], line["low"], line["high"])
    assert good.epsilon is None
    assert private.epsilon == Value(0.97, 0.97, 0.97)
    assert worse.model == "boosted trees, auc of age, source people"


def test_better_is_higher_and_more_leak_is_further_right() -> None:
    several = runs()
    for line in several["runs/dp"]["verdict"]["lines"]:
        if line["name"] == AVERAGE:
            line.update(value=0.7, low=0.68, high=0.72)
    picture = drawing(dots(several), "attack", "AUC")
    assert picture is not None
    places = re.findall(r'<circle class="[\w-]+" cx="([\d.]+)" cy="([\d.]+)"', picture)
    (good, worse, private) = [(float(x), float(y)) for x, y in places]
    assert good[1] < worse[1]  # pixels count downwards
    assert good[0] == worse[0] < private[0]


def test_the_page_is_offline_escaped_and_internal() -> None:
    text = page(runs())
    found = Page(text)
    assert found.open == []
    assert all(link.startswith("#") and link[1:] in found.ids for link in found.links)
    assert text.count('class="frontier"') == 2  # by attack, and by epsilon for the one that has it
    assert "INTERNAL" in text
    assert "runs/worse <b>" not in text
    assert "runs/worse &lt;b&gt;" in text


def test_without_a_target_there_is_nothing_to_draw() -> None:
    bare = fake_run.run()
    bare["scorecard"]["utility"] = []
    with pytest.raises(RunFolderError, match=r"none of a has a target.*--target"):
        page({"a": bare})
    told = page({"a": bare, "b": fake_run.run()})
    assert "not measured" in told
    assert told.count('class="frontier"') == 1


def test_a_score_of_nothing_has_no_ratio() -> None:
    run = fake_run.run()
    run["scorecard"]["utility"][0]["trained_on_real"] = 0.0
    assert dots({"a": run, "b": fake_run.run()})[0].useful is None
