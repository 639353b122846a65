"""The rare-event quadrant: tail coverage to the right, tail leak upwards, a box for the intervals.

A good table lies bottom right. Bottom left drops the tail, top right copies it, top left does both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from understudy.release.figures import compact
from understudy.release.report.charts import svg

SIZE, LEFT, TOP = 300.0, 46.0, 14.0
MOST_COVERAGE, LEAST_LEAK = 1.4, 0.4
CORNERS = (
    (0.02, 0.03, "start", "drops and copies"),
    (0.98, 0.03, "end", "copies the tail"),
    (0.02, 0.98, "start", "drops the tail"),
    (0.98, 0.98, "end", "keeps and protects"),
)


def quadrant(
    dots: Sequence[Mapping[str, Any]], *, coverage: float = 0.8, leak: float = 0.55
) -> Markup | None:
    """One dot and box per entry of a scorecard's `rare.quadrant`; None where nothing was measured.

    `coverage` and `leak` are the bounds that divide the field. Values beyond the axes are drawn at
    their ends.
    """
    known = [dot for dot in dots if all(dot.get(key) is not None for key in KEYS)]
    if not known:
        return None
    widest = max(float(dot["coverage_high"]) for dot in known)
    top = min(max(MOST_COVERAGE, widest), 2 * MOST_COVERAGE)

    def x(value: float) -> float:
        return LEFT + SIZE * min(1.0, max(0.0, value / top))

    def y(value: float) -> float:
        return TOP + SIZE * (1 - min(1.0, max(0.0, (value - LEAST_LEAK) / (1 - LEAST_LEAK))))

    parts = [
        f'<rect class="frame" x="{LEFT:g}" y="{TOP:g}" width="{SIZE:g}" height="{SIZE:g}"/>',
        f'<rect class="beyond" x="{LEFT:g}" y="{TOP:g}" width="{x(coverage) - LEFT:.1f}" '
        f'height="{SIZE:g}"/>',
        f'<rect class="beyond" x="{x(coverage):.1f}" y="{TOP:g}" '
        f'width="{LEFT + SIZE - x(coverage):.1f}" height="{y(leak) - TOP:.1f}"/>',
        f'<line class="bound" x1="{x(coverage):.1f}" x2="{x(coverage):.1f}" y1="{TOP:g}" '
        f'y2="{TOP + SIZE:g}"/>',
        f'<line class="bound" x1="{LEFT:g}" x2="{LEFT + SIZE:g}" y1="{y(leak):.1f}" '
        f'y2="{y(leak):.1f}"/>',
        f'<line class="floor" x1="{x(1):.1f}" x2="{x(1):.1f}" y1="{TOP:g}" y2="{TOP + SIZE:g}"/>',
        f'<line class="floor" x1="{LEFT:g}" x2="{LEFT + SIZE:g}" y1="{y(0.5):.1f}" '
        f'y2="{y(0.5):.1f}"/>',
    ]
    parts += _axes(x, y, top)
    for at, down, anchor, text in CORNERS:
        parts.append(
            f'<text class="tick" x="{LEFT + SIZE * at:.1f}" y="{TOP + 4 + SIZE * down:.1f}" '
            f'text-anchor="{anchor}">{text}</text>'
        )
    for dot in known:
        parts.append(
            f'<rect class="band" x="{x(dot["coverage_low"]):.1f}" y="{y(dot["leak_high"]):.1f}" '
            f'width="{x(dot["coverage_high"]) - x(dot["coverage_low"]):.1f}" '
            f'height="{y(dot["leak_low"]) - y(dot["leak_high"]):.1f}"/>'
            f'<circle class="dot" cx="{x(dot["coverage"]):.1f}" cy="{y(dot["leak"]):.1f}" r="5">'
            f"<title>{escape(dot.get('name', dot.get('tail', '')))}</title></circle>"
        )
    return svg(LEFT + SIZE + 14, TOP + SIZE + 36, _said(known), "".join(parts), "quadrant")


KEYS = ("coverage", "coverage_low", "coverage_high", "leak", "leak_low", "leak_high")


def _axes(x: Any, y: Any, top: float) -> list[str]:
    base = TOP + SIZE
    ticks = [value for value in (0.0, 0.5, 1.0, 1.5, 2.0, 2.5) if value <= top]
    parts = [
        f'<text class="tick" x="{x(value):.1f}" y="{base + 14:g}" text-anchor="middle">{value:g}'
        "</text>"
        for value in ticks
    ]
    parts += [
        f'<text class="tick" x="{LEFT - 6:g}" y="{y(value) + 4:.1f}" text-anchor="end">'
        f"{value:.1f}</text>"
        for value in (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    ]
    parts.append(
        f'<text class="tick" x="{LEFT + SIZE / 2:g}" y="{base + 31:g}" text-anchor="middle">'
        "coverage of the tail, times a real sample</text>"
        f'<text class="tick" transform="translate(12 {TOP + SIZE / 2:g}) rotate(-90)" '
        'text-anchor="middle">leak of the tail, AUC</text>'
    )
    return parts


def _said(dots: Sequence[Mapping[str, Any]]) -> str:
    found = "; ".join(
        f"{dot.get('tail', 'the tail')}: coverage {compact(dot['coverage'])} of a real sample's, "
        f"leak AUC {compact(dot['leak'])}"
        for dot in dots
    )
    return f"Rare rows, kept to the right, leaked upwards. {found}"
