"""Under a histogram: how far each bar lies from the real one, in units of the real-vs-real band.

In a tall histogram the band is thinner than a pixel. Here it is the grey strip in the middle, and a
bar that leaves it differs by more than a second real sample would, 95 times in 100.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from understudy.release.report.charts import svg

WIDTH, HEIGHT, FARTHEST = 320.0, 40.0, 4.0
"""Bars are cut off at `FARTHEST` bands."""


def deviations(data: Mapping[str, Any]) -> tuple[Markup, int, int] | None:
    """The drawing, how many bars lie outside the band, and of how many; None without a band."""
    layers = [data.get(key) or () for key in ("real", "synthetic", "floor_low", "floor_high")]
    if not layers[0] or len({len(layer) for layer in layers}) != 1:
        return None
    found = [_bands(*bar) for bar in zip(*layers, strict=True)]
    outside = sum(abs(one) > 1 for one in found)
    says = f"{outside} of {len(found)} bars lie outside the band of real samples"
    return svg(WIDTH, HEIGHT, says, "".join(_drawn(found)), "deviation"), outside, len(found)


def _bands(real: float | None, made: float | None, low: float | None, high: float | None) -> float:
    """The gap over the half of the band on its side; far outside where the band has no width."""
    if real is None or made is None or low is None or high is None:
        return 0.0
    gap = made - real
    room = max(high - real, 0.0) if gap > 0 else max(real - low, 0.0)
    if gap == 0:
        return 0.0
    return gap / room if room > 0 else FARTHEST * (1 if gap > 0 else -1)


def _drawn(found: Sequence[float]) -> list[str]:
    middle, step = HEIGHT / 2, WIDTH / len(found)
    unit = middle / FARTHEST
    parts = [
        f'<rect class="band" x="0" y="{middle - unit:.1f}" width="{WIDTH:g}" '
        f'height="{2 * unit:.1f}"/>'
    ]
    for i, one in enumerate(found):
        far = max(-FARTHEST, min(FARTHEST, one)) * unit
        kind = "out" if abs(one) > 1 else "syn"
        parts.append(
            f'<rect class="{kind}" x="{i * step + 0.5:.1f}" y="{middle - max(far, 0.0):.1f}" '
            f'width="{max(0.8, step - 1):.1f}" height="{max(0.6, abs(far)):.1f}"/>'
        )
    parts.append(f'<line class="axis" x1="0" x2="{WIDTH:g}" y1="{middle:g}" y2="{middle:g}"/>')
    return parts
