"""The part of a report that shows a database: graph, tables, structure, histories.

Reads `run["database"]` (see `release.database_contents`) and, in the internal report, what a card
of `evaluate_database` has under `run["scorecard"]`. The public view keeps of these only the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from understudy.release.figures import times
from understudy.release.report import charts
from understudy.release.report.schema_graph import schema_graph

MOST_ROWS = 12
WORDS = {
    "child_counts": "Children a parent has",
    "reference_loads": "Spread over reference rows",
    "pairings": "Pairs of parents",
    "empty_keys": "Empty keys",
    "parent_child": "One key apart",
    "two_hop": "Two keys apart",
    "workload_median": "SQL answers, half of them within",
    "workload_90": "SQL answers, nine in ten within",
    "lengths": "Events a history",
    "gaps": "Time between events",
    "gaps_by_kind": "Time between events of a kind",
    "ends": "Begin and end",
    "same_day": "Several on one day",
    "calendar": "Calendar",
    "autocorrelation": "Memory of numbers",
    "persistence": "Kinds repeat",
    "motifs": "Kinds in a row",
    "recurrences": "Values come again",
    "tails": "Long tails (log ratio)",
}
BETWEEN = tuple(WORDS)[:8]

Columns = Callable[[Mapping[str, Any]], list[dict[str, Any]]]


def database_section(run: Mapping[str, Any], columns: Columns) -> dict[str, Any] | None:
    """What `database.html.j2` shows; None for a single table. `columns` draws a card's columns."""
    known = run.get("database") or {}
    if not known.get("tables"):
        return None
    card = run.get("scorecard") or {}
    measured = card.get("measurements") or {}
    return {
        "graph": schema_graph(known["tables"]),
        "count": len(known["tables"]),
        "keys": card.get("keys") or [],
        "identities": card.get("identities") or [],
        "between": _measures(measured, "", BETWEEN),
        "structure": [_row(one) for one in card.get("structure") or ()],
        "associations": [_row(one) for one in (card.get("associations") or ())[:MOST_ROWS]],
        "workload": list((card.get("workload") or ())[:MOST_ROWS]),
        "tables": [_table(one, columns) for one in card.get("tables") or ()],
        "sequences": [_sequence(one) for one in card.get("sequences") or ()],
        "histories": [_histories(one) for one in known.get("histories") or ()],
    }


def _table(card: Mapping[str, Any], columns: Columns) -> dict[str, Any]:
    measured = card.get("measurements") or {}
    told = {key: measured.get(f"{key}_error") or {} for key in ("shape", "pair")}
    return {
        "name": card["name"],
        "reference": card.get("reference"),
        "rows": card.get("rows") or {},
        "shape": {**told["shape"], "ratio": _ratio(told["shape"])},
        "pair": {**told["pair"], "ratio": _ratio(told["pair"])},
        "columns": columns({"scorecard": {"columns": card.get("columns") or []}}),
    }


def _measures(
    measured: Mapping[str, Any], table: str, names: Sequence[str]
) -> list[dict[str, Any]]:
    """Against the holdout where that was measured, which has the fair floor; and against train."""
    found = []
    for name in names:
        plain = measured.get(f"{name}{table}")
        held = measured.get(f"{name}{table}_holdout")
        if held is None or held.get("value") is None:
            continue
        found.append(
            {
                "title": WORDS[name],
                "meaning": held["meaning"],
                "held": held,
                "plain": plain or {},
                "ratio": _ratio(held),
                "drawing": charts.interval(
                    held["value"], held.get("low"), held.get("high"), floor=held.get("floor")
                ),
            }
        )
    return found


def _row(card: Mapping[str, Any]) -> dict[str, Any]:
    ratio = times(card.get("holdout"), card.get("holdout_floor"))
    return {**card, "title": WORDS.get(str(card.get("measure")), ""), "ratio": ratio}


def _sequence(one: Mapping[str, Any]) -> dict[str, Any]:
    name = f"_{one['table']}"
    drawings = []
    for drawing in one.get("drawings") or ():
        bars = _labelled(drawing)
        kind = "number" if len(bars["labels"]) > 7 or drawing.get("ordered") else "category"
        drawings.append((drawing["name"], charts.histogram(drawing["name"], kind, bars)))
    return {
        "table": one["table"],
        "kind": one.get("kind"),
        "measures": _measures(one.get("measurements") or {}, name, tuple(WORDS)[8:]),
        "drawings": drawings,
        "worst": [_row(card) for card in _worst(one.get("statistics") or ())],
    }


def _labelled(drawing: Mapping[str, Any]) -> dict[str, Any]:
    """Names of the bars: weekdays by name, days and hours by number, ordered ones as they stand."""
    count = len(drawing["real"])
    labels = [str(i) for i in range(count)]
    if drawing["name"] == "weekday":
        labels = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
    elif drawing["name"] == "day of the month":
        labels = [str(i + 1) for i in range(count)]
    elif drawing.get("labels"):
        labels = list(drawing["labels"])
    return {"labels": labels, "real": drawing["real"], "synthetic": drawing["synthetic"]}


def _worst(statistics: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    known = [one for one in statistics if one.get("holdout") is not None]
    ratios = sorted(known, key=lambda one: -(one["holdout"] - (one.get("holdout_floor") or 0.0)))
    return ratios[:MOST_ROWS]


def _histories(one: Mapping[str, Any]) -> dict[str, Any]:
    """Real and synthetic entities in pairs, for two tables side by side."""
    pairs = list(zip(one["real"], one["synthetic"], strict=False))
    return {"table": one["table"], "columns": one["columns"], "pairs": pairs}


def _ratio(found: Mapping[str, Any]) -> str:
    return times(found.get("value"), found.get("floor"))
