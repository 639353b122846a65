"""Two runs side by side: what changed in the verdict and in every measurement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from understudy.release.figures import compact

Row = tuple[str, str, str, str]


def compare(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Row]:
    """`(what, in a, in b, change)` for the ruling, each line and each measurement.

    Takes two run dictionaries; what only one of them has stands beside a dash.
    """
    rulings = [_rulings(run) for run in (a, b)]
    rows = [
        (
            name,
            x := rulings[0].get(name, "–"),
            y := rulings[1].get(name, "–"),
            "" if x == y else "≠",
        )
        for name in dict.fromkeys((*rulings[0], *rulings[1]))
    ]
    found = [(run.get("scorecard") or {}).get("measurements") or {} for run in (a, b)]
    for name in dict.fromkeys((*found[0], *found[1])):
        one, other = ((side.get(name) or {}).get("value") for side in found)
        change = "" if one is None or other is None else f"{other - one:+.3g}"
        rows.append((name, compact(one), compact(other), change))
    return rows


def as_text(rows: list[Row], names: tuple[str, str] = ("A", "B")) -> str:
    """The rows as a table for a terminal."""
    table = [("", *names, "change"), *rows]
    widths = [max(len(row[i]) for row in table) for i in range(4)]
    return "\n".join(
        f"{row[0]:<{widths[0]}}  " + "  ".join(f"{row[i]:>{widths[i]}}" for i in (1, 2, 3))
        for row in table
    )


def _rulings(run: Mapping[str, Any]) -> dict[str, str]:
    verdict = run.get("verdict") or {}
    lines = {line["name"]: str(line["ruling"]) for line in verdict.get("lines") or ()}
    return {"verdict": str(verdict.get("ruling", "–")), **lines}
