"""The three risks of Opinion 05/2014 (WP216) as lines: singling out, linkability, inference.

Each is what an attack gains on people learnt from over the same attack on strangers, never a bare
rate of success: a predictive column is guessed right for anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from understudy.contracts import Line
from understudy.release.figures import percent
from understudy.release.findings import against, complete, number, unmeasured
from understudy.release.thresholds import Thresholds

SINGLING_OUT, LINKABILITY, INFERENCE = "singling out", "linkability", "inference"


def guideline_lines(battery: Mapping[str, Any], bounds: Thresholds) -> list[Line]:
    """No lines for the findings of a version that did not ask these questions."""
    if "singling_out" not in battery:
        return []
    return [
        _singling_out(battery, bounds),
        _linkability(battery, bounds),
        _inference(battery, bounds),
    ]


def _singling_out(battery: Mapping[str, Any], bounds: Thresholds) -> Line:
    named = {"one_column": "one column", "many_columns": "several columns"}
    found = [
        {**risk, "what": what}
        for key, what in named.items()
        if (risk := battery["singling_out"].get(key))
    ]
    found = [dict(one) for one in complete(found, "residual")]
    if not found:
        return unmeasured(SINGLING_OUT, "Whether predicates single people out")
    surest = max(found, key=lambda one: one["residual_low"])
    highest = max(found, key=lambda one: one["residual_high"])
    ruling = against(surest["residual_low"], highest["residual_high"], bounds.singling_out)
    shown = surest if ruling == "FAIL" else highest
    said = (
        f"Of {shown['tries']:,} predicates about {shown['what']}, read off the synthetic table, "
        f"{percent(shown['attack'])} hold for just one person learnt from and "
        f"{percent(shown['control'])} for just one stranger"
    )
    return _line(SINGLING_OUT, ruling, said, shown, "residual", bounds.singling_out)


def _linkability(battery: Mapping[str, Any], bounds: Thresholds) -> Line:
    found = battery.get("linkability") or {}
    if not complete([found], "residual"):
        if battery.get("attacks"):
            detail = "With a single column of distance there are no two halves to link."
            return Line(LINKABILITY, "INFO", detail, "privacy")
        return unmeasured(LINKABILITY, "Whether two halves of a record can be linked")
    ruling = against(found["residual_low"], found["residual_high"], bounds.linkability)
    said = (
        f"The synthetic table links the two halves of {percent(found['attack'])} of records learnt "
        f"from and of {percent(found['control'])} of strangers' (halves of two different people: "
        f"{percent(found['chance'])})"
    )
    return _line(LINKABILITY, ruling, said, found, "residual", bounds.linkability)


def _inference(battery: Mapping[str, Any], bounds: Thresholds) -> Line:
    """One secret convicts when its interval, widened for all tries, is beyond the bound; else the
    secret that gains most on one half of the people is judged on the other half.
    """
    tries = complete(battery.get("inference") or (), "advantage")
    worst = battery.get("inference_worst") or {}
    if not tries or number(worst, "advantage_high") is None:
        return unmeasured(INFERENCE, "Whether secrets of people can be inferred")
    surest = max(tries, key=lambda one: one["corrected_low"])
    if surest["corrected_low"] > bounds.inference:
        said = (
            f"In {len(tries)} tries to guess a column from the others, one gains beyond doubt: "
            f"{_guess(surest)}"
        )
        return _line(INFERENCE, "FAIL", said, surest, "advantage", bounds.inference)
    ruling = against(worst["advantage_low"], worst["advantage_high"], bounds.inference)
    said = (
        f"In {len(tries)} tries to guess a column from the others, the one that gains most on half "
        "of the people was judged on the other half, both ways round"
    )
    line = _line(INFERENCE, ruling, said, worst, "advantage", bounds.inference)
    largest = max(tries, key=lambda one: one["advantage"])
    beside = (
        f" Over all people the largest gain of a single try is {_points(largest['advantage'])} "
        f"points: {_guess(largest)}. The largest of {len(tries)} tries is partly luck, so the "
        "ruling rests on the halves."
    )
    return replace(line, detail=line.detail + beside)


def _guess(one: Mapping[str, Any]) -> str:
    """A try in words. Its gain is a little off the difference of the two rates, since what an
    attacker with real rows guesses on the same people is taken out."""
    return (
        f"{one['secret']!r} ({one['method']}), right for {percent(one['attack'])} of people learnt "
        f"from and {percent(one['control'])} of strangers before the luck of the draw is taken out"
    )


def _line(
    name: str, ruling: Any, said: str, found: Mapping[str, Any], measure: str, bound: float
) -> Line:
    value, low, high = (found[measure + end] for end in ("", "_low", "_high"))
    gain = f"a gain of {_points(value)} points [{_points(low)}, {_points(high)}]"
    detail = {
        "PASS": f"{said}; {gain}, within the bound of {_points(bound)}.",
        "FAIL": f"{said}; {gain}, beyond the bound of {_points(bound)}.",
        "INCONCLUSIVE": f"{said}; {gain}: one of up to {_points(high)} cannot be excluded.",
    }[ruling]
    return Line(name, ruling, detail, "privacy", value, low, high, bound, 0.0)


def _points(share: float) -> str:
    return f"{100 * share:.1f}"
