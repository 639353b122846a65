"""Reading findings of evaluation and attacks: what is there, and which side of a bound it is on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from understudy.contracts import Line, Ruling


def against(low: float, high: float, bound: float) -> Ruling:
    """Small is good: the whole interval must lie on one side of the bound."""
    if low > bound:
        return "FAIL"
    return "PASS" if high <= bound else "INCONCLUSIVE"


def unmeasured(name: str, what: str) -> Line:
    return Line(name, "INCONCLUSIVE", f"{what} was not measured.", "privacy")


def complete(found: Sequence[Mapping[str, Any]], measure: str) -> list[Mapping[str, Any]]:
    """Findings that carry the measure with its interval."""
    ends = (measure, f"{measure}_low", f"{measure}_high")
    return [one for one in found if all(number(one, end) is not None for end in ends)]


def number(source: Mapping[str, Any], key: str) -> float | None:
    value = source.get(key)
    return None if value is None or math.isnan(value) else float(value)
