"""All measures of a database's event histories, table by table."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from understudy.contracts import Measurement
from understudy.evaluation.relational.comparing import Draws, Items, Statistic, compare
from understudy.evaluation.relational.database import Database, Rows
from understudy.evaluation.sequential import marks, timing
from understudy.evaluation.sequential.histories import Histories, histories
from understudy.evaluation.statistics import Floats

Made = Callable[[Histories], Statistic | Iterable[Statistic]]

MEASURES: tuple[tuple[str, Made, str], ...] = (
    ("lengths", timing.lengths, "Kolmogorov-Smirnov distance of the number of events a history"),
    ("gaps", timing.gaps, "Kolmogorov-Smirnov distance of the time between events"),
    ("gaps_by_kind", timing.gaps_by_kind, "the same between events of one kind, mean over kinds"),
    ("ends", timing.ends, "Kolmogorov-Smirnov distance of when histories begin and end"),
    ("same_day", timing.same_day, "difference in the share of events on the day of another"),
    ("calendar", timing.calendar, "total variation over days of the month, weekdays and hours"),
    ("autocorrelation", marks.autocorrelation, "difference of numbers' autocorrelation, 1 to 3"),
    ("persistence", marks.persistence, "difference in how often kinds repeat, 1 to 3 events on"),
    ("motifs", marks.motifs, "total variation over runs of two and three kinds of events"),
    ("recurrences", marks.recurrences, "total variation of new, monthly and otherwise met values"),
    ("tails", marks.tails, "log ratio of how often numbers lie beyond 90, 99 and 99.9 % points"),
)
DRAWN = ("events a history", "day of the month", "weekday", "hour", "time between events")
MOST_BARS = 40


@dataclass(frozen=True)
class Sequences:
    """One table's histories: measurements, a card per statistic, and what can be drawn."""

    table: str
    kind: str | None
    measurements: tuple[Measurement, ...]
    statistics: tuple[dict[str, Any], ...]
    drawings: tuple[dict[str, Any], ...]

    def as_dict(self) -> dict[str, Any]:
        return {
            "table": self.table,
            "kind": self.kind,
            "measurements": {one.name: one.as_dict() for one in self.measurements},
            "statistics": self.statistics,
            "drawings": self.drawings,
        }


def sequences(base: Database, draws: Draws) -> list[Sequences]:
    """Measures of every table with a clock; empty where there is none."""
    return [_of(found, draws) for found in histories(base) if _enough(found)]


def _enough(found: Histories) -> bool:
    return all(len(found.rows[role]) for role in found.rows)


def _of(found: Histories, draws: Draws) -> Sequences:
    measurements: list[Measurement] = []
    cards: list[dict[str, Any]] = []
    drawings: list[dict[str, Any]] = []
    for name, make, meaning in MEASURES:
        made = make(found)
        several = list(made) if isinstance(made, Iterable) else [made]
        compared = compare(several, draws)
        measurements += compared.measured(f"{name}_{found.name}", f"{found.name}: {meaning}")
        cards += [{"measure": name, **card} for card in compared.cards()]
        drawings += [_drawing(one, draws) for one in several if one.name in DRAWN]  # type: ignore[arg-type]
    kind = found.kind.name if found.kind is not None else None
    return Sequences(found.name, kind, tuple(measurements), tuple(cards), tuple(drawings))


def _drawing(one: Items, draws: Draws) -> dict[str, Any]:
    """Shares of train and synthetic; ordered cells in at most `MOST_BARS` bars of equal width."""
    shares = {role: one.of(role, draws.everyone[role]) for role in ("train", "synthetic")}
    labels: list[str] = []
    if one.points is not None:
        bar, labels = _bars(one.points, shares["train"])
        shares = {role: np.bincount(bar, found, len(labels)) for role, found in shares.items()}
    return {
        "name": one.name,
        "ordered": one.ordered,
        "labels": labels,
        "real": shares["train"].tolist(),
        "synthetic": shares["synthetic"].tolist(),
    }


def _bars(points: Floats, shares: Floats) -> tuple[Rows, list[str]]:
    """The bar of each point, up to the 99 % point of `shares`; the last bar is open."""
    end = points[min(len(points) - 1, int(np.searchsorted(np.cumsum(shares), 0.99)))]
    inside = points[points <= end]
    if len(inside) <= MOST_BARS:
        return np.searchsorted(inside, points).clip(0, len(inside) - 1), [
            f"{x:.4g}" for x in inside
        ]
    edges = np.linspace(points[0], end, MOST_BARS + 1)
    bar = (np.searchsorted(edges, points, side="right") - 1).clip(0, MOST_BARS - 1)
    return bar, [f"{a:.4g} to {b:.4g}" for a, b in pairwise(edges)]
