"""Privacy against usefulness over several runs: one dot a run, its intervals as a cross.

Usefulness is the score of the best model when trained on synthetic rows, as a share of its score
when trained on real ones. Privacy is what the best attack reached in each run and, for runs under a
budget, the epsilon spent. The figures of the audit were not paid for, so the page is internal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from understudy.errors import RunFolderError
from understudy.release.figures import compact, percent
from understudy.release.findings import number
from understudy.release.privacy_lines import AVERAGE
from understudy.release.report.charts import svg

WIDTH, HEIGHT = 520.0, 300.0
LEFT, RIGHT, TOP, BASE = 60.0, 504.0, 16.0, 254.0
ROOM = 0.08
"""Of the range of the values, left free at both ends of an axis."""


@dataclass(frozen=True)
class Value:
    """A figure with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Dot:
    """One run; None where it was not measured or, for epsilon, where there is no budget."""

    name: str
    engine: str
    ruling: str
    model: str
    useful: Value | None
    attack: Value | None
    epsilon: Value | None


def dots(runs: Mapping[str, Mapping[str, Any]]) -> list[Dot]:
    """One per run of `runs`, which are run dictionaries by the name they were called with.

    Raises `RunFolderError` where no run says how useful its rows are.
    """
    found = [_dot(name, run) for name, run in runs.items()]
    if not any(dot.useful and (dot.attack or dot.epsilon) for dot in found):
        raise RunFolderError(
            f"nothing to draw: none of {', '.join(runs)} has a target that a model was trained "
            "for. Run with --target, so that usefulness is measured."
        )
    return found


def page(runs: Mapping[str, Mapping[str, Any]]) -> str:
    """One HTML page with nothing to load."""
    from understudy.release.report.render import environment

    found = dots(runs)
    drawn = [
        ("By the best attack", drawing(found, "attack", "AUC of the best attack (a coin: .5)")),
        ("By the budget", drawing(found, "epsilon", "epsilon spent (logarithmic)", log=True)),
    ]
    maps = [(title, picture) for title, picture in drawn if picture is not None]
    template = environment().get_template("frontier.html.j2")
    return template.render(dots=found, maps=maps, models=sorted({dot.model for dot in found}))


def drawing(found: Sequence[Dot], across: str, label: str, *, log: bool = False) -> Markup | None:
    """`across` is "attack" or "epsilon"; None where fewer than one run has both figures."""
    known = [
        (place, dot, getattr(dot, across), dot.useful)
        for place, dot in enumerate(found, 1)
        if getattr(dot, across) is not None and dot.useful is not None
    ]
    if not known:
        return None
    scale: Callable[[float], float] = math.log10 if log else float
    x = _axis([scale(end) for _, _, a, _ in known for end in (a.low, a.high)], LEFT, RIGHT)
    y = _axis([end for _, _, _, u in known for end in (u.low, u.high, 1.0)], BASE, TOP)
    parts = _frame(label, y(1.0))
    for value in _ends([a.value for _, _, a, _ in known]):
        parts.append(_tick(x(scale(value)), BASE + 16, "middle", compact(value)))
    for value in _ends([1.0, *(u.value for _, _, _, u in known)]):
        parts.append(_tick(LEFT - 6, y(value) + 4, "end", percent(value)))
    for place, dot, a, u in known:
        ends = x(scale(a.low)), x(scale(a.high)), y(u.low), y(u.high)
        parts.append(_cross(place, dot, (x(scale(a.value)), y(u.value)), ends))
    told = "; ".join(
        f"{place}, {dot.name}: {compact(a.value)} across, {percent(u.value)} useful"
        for place, dot, a, u in known
    )
    return svg(WIDTH, HEIGHT, f"{label} against usefulness. {told}", "".join(parts), "frontier")


def _dot(name: str, run: Mapping[str, Any]) -> Dot:
    results = [
        one
        for one in (run.get("scorecard") or {}).get("utility") or ()
        if all(number(one, k) is not None for k in ("trained_on_real", "low", "high"))
        and one["trained_on_real"] > 0
    ]
    useful, model = None, "not measured"
    if results:
        best = max(results, key=lambda one: one["trained_on_real"])
        real = best["trained_on_real"]
        low, high = 1 + best["low"] / real, 1 + best["high"] / real
        useful = Value(best["trained_on_synthetic"] / real, low, high)
        target, source = run["scorecard"].get("target"), (run.get("source") or {}).get("name")
        model = f"{best['model']}, {best['metric']} of {target}, source {source}"
    verdict = run.get("verdict") or {}
    line: Mapping[str, Any] = next(
        (x for x in verdict.get("lines") or () if x["name"] == AVERAGE), {}
    )
    ends = [number(line, key) for key in ("value", "low", "high")]
    attack = None if None in ends else Value(*(float(end) for end in ends if end is not None))
    stated = (run.get("privacy") or {}).get("statement")
    epsilon = Value(*[float(stated["epsilon"])] * 3) if stated else None
    engine = str((run.get("engine") or {}).get("name", "unknown"))
    return Dot(name, engine, str(verdict.get("ruling", "–")), model, useful, attack, epsilon)


def _axis(values: Sequence[float], start: float, stop: float) -> Callable[[float], float]:
    low, high = min(values), max(values)
    room = ROOM * (high - low or abs(high) or 1.0)
    low, high = low - room, high + room
    return lambda value: start + (stop - start) * (value - low) / (high - low)


def _frame(label: str, real: float) -> list[str]:
    """The field, the line at which synthetic rows are as useful as real ones, and the names."""
    return [
        f'<rect class="frame" x="{LEFT:g}" y="{TOP:g}" width="{RIGHT - LEFT:g}" '
        f'height="{BASE - TOP:g}"/>',
        f'<line class="floor" x1="{LEFT:g}" x2="{RIGHT:g}" y1="{real:.1f}" y2="{real:.1f}"/>',
        f'<text class="tick" x="{(LEFT + RIGHT) / 2:g}" y="{BASE + 36:g}" text-anchor="middle">'
        f"{escape(label)}; better to the left</text>",
        f'<text class="tick" transform="translate(12 {(TOP + BASE) / 2:g}) rotate(-90)" '
        'text-anchor="middle">usefulness, of real rows</text>',
    ]


def _cross(
    place: int, dot: Dot, at: tuple[float, float], ends: tuple[float, float, float, float]
) -> str:
    left, right, down, up = ends
    kind = {"PASS": "real-dot", "FAIL": "syn-dot"}.get(dot.ruling, "dot")
    return (
        f'<line class="ci" x1="{left:.1f}" x2="{right:.1f}" y1="{at[1]:.1f}" y2="{at[1]:.1f}"/>'
        f'<line class="ci" x1="{at[0]:.1f}" x2="{at[0]:.1f}" y1="{down:.1f}" y2="{up:.1f}"/>'
        f'<circle class="{kind}" cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="6">'
        f"<title>{escape(dot.name)}: {escape(dot.ruling)}</title></circle>"
        f'<text class="level" x="{at[0] + 9:.1f}" y="{at[1] - 8:.1f}">{place}</text>'
    )


def _tick(x: float, y: float, anchor: str, text: str) -> str:
    return f'<text class="tick" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'


def _ends(values: Sequence[float]) -> list[float]:
    """The ends of what was found, and nothing that was not."""
    return sorted({min(values), max(values)})
