"""How columns move together: squares of associations and of pair errors, and the worst pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from understudy.release.figures import times
from understudy.release.report import charts

MOST_SQUARES = 40
"""Columns drawn in a square; the ones with the largest differences."""


def pair_squares(card: Mapping[str, Any]) -> dict[str, Any] | None:
    """Correlation squares, and pair error over its floor, for the columns with the worst pairs."""
    related, pairs = card.get("correlations") or {}, card.get("pairs") or {}
    names = list(related.get("columns") or ())
    if len(names) < 2:
        return None
    real, synthetic = related["real"], related["synthetic"]
    gap = [
        [_minus(a, b) for a, b in zip(x, y, strict=True)]
        for x, y in zip(synthetic, real, strict=True)
    ]
    keep = sorted(_worst(gap)[:MOST_SQUARES])

    def square(values: Sequence[Sequence[float | None]]) -> list[list[float | None]]:
        return [[values[i][j] for j in keep] for i in keep]

    kept = [names[i] for i in keep]
    drawings = [
        ("Real", charts.heatmap(kept, square(real), "Association between real columns")),
        ("Synthetic", charts.heatmap(kept, square(synthetic), "Between synthetic columns")),
        ("Difference ×4", charts.heatmap(kept, square(gap), "Synthetic less real", top=0.25)),
    ]
    return {
        "drawings": drawings,
        "names": kept,
        "left_out": len(names) - len(kept),
        "pairs": _pair_map(pairs),
        "worst": _worst_pairs(pairs, related),
    }


def _pair_map(pairs: Mapping[str, Any]) -> Markup | None:
    """How many floors beyond the floor each pair lies; full colour at three floors."""
    names, error, floor = (pairs.get(key) or [] for key in ("columns", "error", "floor"))
    if len(names) < 2:
        return None
    excess = [
        [None if e is None or not f else max(0.0, e / f - 1) for e, f in zip(es, fs, strict=True)]
        for es, fs in zip(error, floor, strict=True)
    ]
    keep = sorted(_worst(excess)[:MOST_SQUARES])
    values = [[excess[i][j] for j in keep] for i in keep]
    return charts.heatmap([names[i] for i in keep], values, "Pair error beyond its floor", top=2.0)


def _worst_pairs(pairs: Mapping[str, Any], related: Mapping[str, Any]) -> list[dict[str, Any]]:
    names = list(pairs.get("columns") or ())
    place = {name: i for i, name in enumerate(related["columns"])}
    found = []
    for i, one in enumerate(names):
        for j in range(i):
            error, floor = pairs["error"][i][j], pairs["floor"][i][j]
            if error is None or one not in place or names[j] not in place:
                continue
            at = (place[one], place[names[j]])
            found.append(
                {
                    "columns": (names[j], one),
                    "error": error,
                    "floor": floor,
                    "ratio": times(error, floor),
                    "real": related["real"][at[0]][at[1]],
                    "synthetic": related["synthetic"][at[0]][at[1]],
                }
            )
    return sorted(found, key=lambda pair: -pair["error"])[:10]


def _worst(matrix: Sequence[Sequence[float | None]]) -> list[int]:
    """Rows of a square matrix, the one with the largest cell first."""
    peak = [max((abs(x) for x in row if x is not None), default=0.0) for row in matrix]
    return sorted(range(len(peak)), key=lambda i: -peak[i])


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b
