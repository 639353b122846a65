"""How gate and papers write numbers: three significant digits, a dash for what is missing."""

from __future__ import annotations

import math


def compact(value: float | None) -> str:
    """`0.0341`, `1.70`, `12,345`; "–" for nothing."""
    if value is None or math.isnan(value):
        return "–"
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 100:
        return f"{value:.0f}"
    if size >= 10:
        return f"{value:.1f}"
    if size >= 1 or size == 0:
        return f"{value:.2f}"
    return f"{value:.3f}" if size >= 0.01 else f"{value:.2g}"


def percent(share: float | None, digits: int = 1) -> str:
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def times(value: float | None, floor: float | None) -> str:
    """`1.2 × floor`."""
    return "" if value is None or not floor else f"{value / floor:.1f} ×"
