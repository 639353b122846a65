"""Where the rare-event lines turn: by intervals, and INCONCLUSIVE only with enough rows."""

from __future__ import annotations

from typing import Any

import pytest

from understudy.release.rare_lines import rare_lines
from understudy.release.report.quadrant import quadrant
from understudy.release.report.rare_section import rare_section
from understudy.release.report.render import environment
from understudy.release.thresholds import DEFAULTS


def entry(code: str, *parts: dict[str, Any]) -> dict[str, Any]:
    return {
        "code": code,
        "name": code,
        "value": 0.5,
        "low": 0.4,
        "high": 0.6,
        "floor": 0.5,
        "n": 300,
        "meaning": "<b>",
        "parts": list(parts),
    }


def ratio(low: float, value: float, high: float, n: int = 300) -> dict[str, Any]:
    ends = {"ratio": value, "ratio_low": low, "ratio_high": high, "n": n}
    return {**ends, "tail": "top 1 %", "group": "top 1 % most unusual", "rows_needed": 900}


def leak(p: float, low: float, near: float = 0.0) -> tuple[dict[str, Any], dict[str, Any]]:
    tail = {"tail": "top 1 %", "members": 100, "others": 100, "near_low": near}
    return {"p": p}, {**tail, "auc": low + 0.05, "auc_low": low, "auc_high": low + 0.1}


def ruled(name: str, *entries: dict[str, Any], **options: Any) -> str:
    options = {"decisive": True, **options}
    lines = rare_lines({"rare": {"entries": list(entries)}}, DEFAULTS, **options)
    return next(line.ruling for line in lines if line.name == name)


@pytest.mark.parametrize(
    ("part", "ruling"),
    [
        (ratio(0.8, 1.0, 1.3), "PASS"),
        (ratio(0.3, 0.5, 0.79), "FAIL"),
        (ratio(0.76, 0.81, 0.85), "INCONCLUSIVE"),
        (ratio(0.6, 0.95, 1.4), "INFO"),
        (ratio(0.1, 0.2, 0.3, n=19), "INFO"),
    ],
)
def test_coverage_turns_at_its_bound(part: dict[str, Any], ruling: str) -> None:
    assert ruled("rare rows kept", entry("R1", part)) == ruling
    assert ruled("rare rows kept", entry("R1", part), decisive=False) == "INFO"


@pytest.mark.parametrize(
    ("part", "ruling"),
    [
        (ratio(0.7, 1.0, 1.4), "PASS"),
        (ratio(0.0, 0.3, 0.66), "FAIL"),
        (ratio(1.51, 2.0, 3.0), "FAIL"),
        (ratio(1.36, 1.45, 1.6), "INCONCLUSIVE"),
        (ratio(0.5, 1.0, 2.0), "INFO"),
    ],
)
def test_rates_turn_at_both_ends(part: dict[str, Any], ruling: str) -> None:
    assert ruled("rate of rare rows", entry("R3", part)) == ruling
    assert ruled("rate of rare rows", entry("R3", part), balanced=True) == "INFO"


def test_the_worst_group_that_can_decide_speaks() -> None:
    fine, lost, few = ratio(0.9, 1, 1.1), ratio(0, 0.1, 0.3), ratio(0.2, 1, 4)
    assert ruled("rate of rare rows", entry("R3", fine, lost, few)) == "FAIL"
    assert ruled("rate of rare rows", entry("R3", fine, few)) == "PASS"


@pytest.mark.parametrize(
    ("p", "low", "near", "ruling"),
    [
        (0.002, 0.6, 0.0, "FAIL"),
        (0.002, 0.54, 0.06, "FAIL"),
        (0.002, 0.54, 0.04, "INFO"),
        (0.02, 0.6, 0.3, "INFO"),
    ],
)
def test_a_copied_tail_needs_size_and_significance(
    p: float, low: float, near: float, ruling: str
) -> None:
    assert ruled("rare rows copied", entry("R11", *leak(p, low, near)), entry("R12")) == ruling


def test_nothing_measured_decides_nothing() -> None:
    assert {line.ruling for line in rare_lines({}, DEFAULTS, decisive=True)} == {"INFO"}


DOT = {
    "tail": "<i>top</i>",
    "coverage": 0.9,
    "coverage_low": 0.8,
    "coverage_high": 9.0,
    "leak": 0.5,
    "leak_low": 0.3,
    "leak_high": 0.6,
}


def test_the_quadrant_is_escaped_and_stays_inside() -> None:
    drawn = str(quadrant([DOT]))
    assert "<i>" not in drawn
    assert 'cx="' in drawn
    assert quadrant([{**DOT, "leak": None}]) is None


def test_the_section_draws_every_measured_line() -> None:
    card = {"rare": {"entries": [entry("R1"), {**entry("R2"), "value": None}], "quadrant": DOT}}
    found = rare_section(card)
    assert found is not None
    assert [one["code"] for one in found["entries"]] == ["R1"]
    assert found["quadrant"] is not None
    assert rare_section({}) is None


def test_the_template_escapes_what_comes_from_data() -> None:
    card = {
        "rare": {"entries": [entry("R1")], "quadrant": DOT},
        "lost_levels": [{"column": "k", "level": "<script>", "rows": 25}],
    }
    page = environment().get_template("rare.html.j2").render(rare=rare_section(card))
    assert "&lt;script&gt;" in page
    assert "<script>" not in page
    assert "<b>" not in page
    assert environment().get_template("rare.html.j2").render(rare=None).strip() == ""
