"""What a database must keep that a table has not: keys, balances, structure, histories.

Keys and declared balances are validity: one that is broken fails the database, whatever its size.
Structure, associations along keys and histories are fidelity, judged against held-out entities at
equal sizes beside what training entities score there; under a privacy budget they inform.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from understudy.contracts import Line
from understudy.release.figures import compact
from understudy.release.findings import against, number
from understudy.release.thresholds import Thresholds

HOLDOUT = "_holdout"
BETWEEN = (
    ("children", "child_counts", "The number of children a parent has"),
    ("parents and children", "parent_child", "Columns of children and their parents"),
    ("two keys apart", "two_hop", "Columns two keys apart, and all children of a parent together"),
)
IN_TIME = {
    "lengths": "the number of events",
    "gaps": "the time between events",
    "gaps_by_kind": "the time between events of a kind",
    "ends": "when histories begin and end",
    "same_day": "events on one day",
    "calendar": "days of the month, weekdays and hours",
    "autocorrelation": "the memory of numbers",
    "persistence": "how kinds repeat",
    "motifs": "kinds of events in a row",
    "recurrences": "values that come again",
}
"""Measures of histories that decide; tails, of few events, are shown and do not."""


def database_lines(
    scorecard: Mapping[str, Any], bounds: Thresholds, *, decisive: bool
) -> list[Line]:
    """No lines for a scorecard of one table."""
    if scorecard.get("kind") != "database":
        return []
    measured = scorecard.get("measurements") or {}
    faithful = [
        _near(name, said, measured.get(f"{key}{HOLDOUT}") or {}, bounds)
        for name, key, said in BETWEEN
        if key in measured
    ]
    faithful += _worst(measured, bounds)
    faithful += [_histories(one, bounds) for one in scorecard.get("sequences") or ()]
    if not decisive:
        faithful = [replace(line, ruling="INFO") for line in faithful]
    return [*_valid(scorecard), *faithful]


def _valid(scorecard: Mapping[str, Any]) -> list[Line]:
    lines = [
        _exact(
            "keys",
            scorecard.get("keys") or (),
            "Every foreign key resolves and every primary key is unique",
            "keys",
        )
    ]
    balances = scorecard.get("identities") or ()
    if balances:
        lines.append(
            _exact("balances", balances, "Every declared balance adds up in every row", "rows")
        )
    return lines


def _exact(name: str, checks: Sequence[Mapping[str, Any]], kept: str, what: str) -> Line:
    """All or nothing: a database that an application runs on has no nearly valid keys."""
    if not checks:
        return Line(name, "INFO", "The database declares none.", "validity")
    broken = [one for one in checks if one["broken"]]
    values = sum(one["values"] if "values" in one else one["rows"] for one in checks)
    share = 1.0 - sum(one["broken"] for one in checks) / max(1, values)
    if not broken:
        detail = f"{kept} ({values:,} looked at)."
        return Line(name, "PASS", detail, "validity", share, share, share, 1.0, 1.0)
    worst = max(broken, key=lambda one: one["broken"])
    columns = worst.get("columns") or [worst.get("column")]
    place = f"{worst['table']}.{'+'.join(columns)}"
    more = f", and {len(broken) - 1} more checks found some" if len(broken) > 1 else ""
    detail = f"{worst['broken']:,} {what} of {place} are broken{more}."
    return Line(name, "FAIL", detail, "validity", share, share, share, 1.0, 1.0)


def _near(name: str, said: str, found: Mapping[str, Any], bounds: Thresholds) -> Line:
    """Undecided where the bound lies inside the interval and there were entities enough to settle
    it; where the interval is wider than the way from floor to bound, the line informs.
    """
    value, low, high, floor = (number(found, key) for key in ("value", "low", "high", "floor"))
    if value is None or low is None or high is None or floor is None:
        detail = f"{said} could not be compared with held-out entities."
        return Line(name, "INCONCLUSIVE", detail, "fidelity")
    bound = max(bounds.relational_ratio * floor, bounds.relational_least)
    detail = (
        f"{said}: {compact(value)} [{compact(low)}, {compact(high)}] away from held-out entities, "
        f"where training entities are {compact(floor)} away; the bound is {compact(bound)}"
    )
    ruling = against(low, high, bound)
    if ruling == "INCONCLUSIVE" and high - low > bound - floor:
        ruling = "INFO"
        detail += f", and {found['n']:,} held-out entities are too few to decide it"
    return Line(name, ruling, f"{detail}.", "fidelity", value, low, high, bound, floor)


def _worst(measured: Mapping[str, Any], bounds: Thresholds) -> list[Line]:
    """The one pair of columns that a mean over hundreds would hide."""
    found = [
        one
        for key in ("parent_child_worst", "two_hop_worst")
        if (one := measured.get(f"{key}{HOLDOUT}")) and number(one, "value") is not None
    ]
    if not found:
        return []
    one = max(found, key=lambda each: each["value"])
    value, low, high, bound = one["value"], one["low"], one["high"], bounds.relational_worst
    pair = str(one["meaning"]).rpartition("; ")[2]
    detail = (
        f"The pair of columns along the keys that is furthest off ({pair}) lies {compact(value)} "
        f"[{compact(low)}, {compact(high)}] of total variation beyond its floor; the bound is "
        f"{compact(bound)}."
    )
    ruling = against(low, high, bound)
    return [
        Line("worst pair", ruling, detail, "fidelity", value, low, high, bound, one.get("floor"))
    ]


def _histories(one: Mapping[str, Any], bounds: Thresholds) -> Line:
    """Of the measures that could be decided, the one worst against its bound speaks for all."""
    name, table = f"histories of {one['table']}", one["table"]
    measured = one.get("measurements") or {}
    found = {
        said: measured[key]
        for measure, said in IN_TIME.items()
        if (key := f"{measure}_{table}{HOLDOUT}") in measured
        and number(measured[key], "low") is not None
        and number(measured[key], "floor") is not None
    }
    if not found:
        return Line(name, "INCONCLUSIVE", "Its histories were not compared.", "fidelity")
    lines = [
        _near(name, f"The worst of {len(found)} things in histories of {table}, {said}", x, bounds)
        for said, x in found.items()
    ]
    severity = {"FAIL": 3, "INCONCLUSIVE": 2, "PASS": 1, "INFO": 0}
    return max(
        lines, key=lambda line: (severity[line.ruling], (line.value or 0.0) / (line.bound or 1.0))
    )
