"""An attack's ROC on log axes, where the few surest guesses can be seen, with exact intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from understudy.release.figures import percent
from understudy.release.report.charts import svg

SIZE, LOWEST, LEFT, TOP = 150.0, 1e-3, 42.0, 8.0
GRID = ((0.001, ".1 %"), (0.01, "1 %"), (0.1, "10 %"), (1.0, "100 %"))


def roc(
    points: Sequence[Sequence[float]], name: str, powers: Sequence[Mapping[str, float]] = ()
) -> Markup:
    """`points` are (false, true) positive rates; `powers` true positive rates with Clopper and
    Pearson's interval at given rates of false alarms, drawn as a band with dots.
    """
    parts = [*_axes(), *_band(powers)]
    path = " ".join(f"{_x(false):.1f},{_y(true):.1f}" for false, true in points)
    parts.append(f'<polyline class="curve" points="{path}"/>')
    parts += [
        f'<circle class="dot" cx="{_x(one["fpr"]):.1f}" cy="{_y(one["tpr"]):.1f}" r="2">'
        f"<title>{_told(one)}</title></circle>"
        for one in powers
    ]
    says = f"ROC of {name} on log axes, beside the diagonal of a guess"
    if powers:
        says += f". {'; '.join(_told(one) for one in powers)}"
    return svg(LEFT + SIZE + 20, TOP + SIZE + 22, says, "".join(parts), "roc")


def _axes() -> list[str]:
    parts = []
    for rate, text in GRID:
        x, y = _x(rate), _y(rate)
        parts.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP:g}" y2="{TOP + SIZE:g}"/>'
            f'<line class="grid" x1="{LEFT:g}" x2="{LEFT + SIZE:g}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" x="{LEFT - 5:g}" y="{y + 4:.1f}" text-anchor="end">{text}</text>'
            f'<text class="tick" x="{x:.1f}" y="{TOP + SIZE + 15:g}" text-anchor="middle">{text}'
            "</text>"
        )
    parts.append(
        f'<line class="null" x1="{LEFT:g}" y1="{TOP + SIZE:g}" x2="{LEFT + SIZE:g}" y2="{TOP:g}"/>'
        f'<text class="tick" x="{LEFT + SIZE - 4:g}" y="{TOP + 0.45 * SIZE:g}" text-anchor="end">'
        "a guess</text>"
    )
    return parts


def _band(powers: Sequence[Mapping[str, float]]) -> list[str]:
    """The area between the ends of the intervals; nothing for fewer than two rates."""
    if len(powers) < 2:
        return []
    above = [f"{_x(one['fpr']):.1f},{_y(one['high']):.1f}" for one in powers]
    below = [f"{_x(one['fpr']):.1f},{_y(one['low']):.1f}" for one in reversed(powers)]
    return [f'<polygon class="band" points="{" ".join([*above, *below])}"/>']


def _told(one: Mapping[str, float]) -> str:
    return (
        f"at {percent(one['fpr'])} false alarms {percent(one['tpr'])} of members "
        f"[{percent(one['low'])}, {percent(one['high'])}]"
    )


def _x(rate: float) -> float:
    return LEFT + _at(rate)


def _y(rate: float) -> float:
    return TOP + SIZE - _at(rate)


def _at(rate: float) -> float:
    return SIZE * (1 - math.log10(max(rate, LOWEST)) / math.log10(LOWEST))
