"""When events happen: how many there are, how far apart, and where in the calendar.

Kolmogorov-Smirnov distances are the same for gaps and for their logarithms, so gaps are compared as
they are.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from understudy.evaluation.relational.comparing import Items, Statistic, ordered
from understudy.evaluation.relational.database import Rows
from understudy.evaluation.sequential.histories import COMPARED, Histories
from understudy.evaluation.statistics import Floats

FEWEST_EVENTS = 50
"""Events of a kind in train below which its gaps are not compared."""


def lengths(found: Histories) -> Statistic:
    """Events per history that has any."""
    values, owner = {}, {}
    for role in COMPARED:
        _, first, counts = np.unique(found.history[role], return_index=True, return_counts=True)
        values[role], owner[role] = counts.astype(np.float64), found.entity[role][first]
    return ordered("events a history", values, owner)


def gaps(found: Histories) -> Statistic:
    """Time between an event and the one before it."""
    return ordered(
        "time between events", {role: found.gaps(role) for role in COMPARED}, found.entity
    )


def ends(found: Histories) -> list[Statistic]:
    """When histories begin and when they end."""
    first, last = {}, {}
    owners: dict[str, dict[str, Rows]] = {"first": {}, "last": {}}
    for role in COMPARED:
        starts = ~found.after(role)
        closes = np.append(starts[1:], True) if len(starts) else starts
        for mask, values, name in ((starts, first, "first"), (closes, last, "last")):
            values[role] = found.times[role][mask]
            owners[name][role] = found.entity[role][mask]
    return [
        ordered("time of the first event", first, owners["first"]),
        ordered("time of the last event", last, owners["last"]),
    ]


def gaps_by_kind(found: Histories) -> Iterator[Statistic]:
    """Time since the last event of the same kind, one statistic per common kind."""
    feature = found.kind
    if feature is None:
        return
    since = {role: _since_same(found, role) for role in COMPARED}
    for code in range(1, len(feature.levels) + 1):
        kinds = {role: found.kinds(role) == code for role in COMPARED}
        if kinds["train"].sum() < FEWEST_EVENTS:
            continue
        values = {role: np.where(kinds[role], since[role], np.nan) for role in COMPARED}
        name = f"time between {feature.name} = {feature.levels[code - 1]}"
        yield ordered(name, values, found.entity)


def _since_same(found: Histories, role: str) -> Floats:
    """Per event, the time since the last one of its kind in its history; NaN where none was."""
    kinds, history, times = found.kinds(role), found.history[role], found.times[role]
    order = np.lexsort((np.arange(len(times)), kinds, history))
    same = np.zeros(len(order), bool)
    same[1:] = (history[order][1:] == history[order][:-1]) & (kinds[order][1:] == kinds[order][:-1])
    steps = np.concatenate([[np.nan], np.diff(times[order])]) if len(order) else times
    since = np.full(len(order), np.nan)
    since[order] = np.where(same, steps, np.nan)
    return since


def same_day(found: Histories) -> Statistic:
    """Whether an event falls on the day of the one before it (at its time, without a calendar)."""
    codes, owner = {}, {}
    for role in COMPARED:
        after = found.after(role)
        when = np.floor(found.times[role]) if found.calendar else found.times[role]
        tied = np.zeros(len(when), np.int64)
        tied[1:] = when[1:] == when[:-1]
        codes[role], owner[role] = tied[after], found.entity[role][after]
    return Items("same day as the event before", codes, owner, 2)


def calendar(found: Histories) -> list[Statistic]:
    """Day of the month, weekday, last day of the month, and hour where there are hours."""
    if not found.calendar:
        return []
    parts: dict[str, dict[str, Rows]] = {}
    for role in COMPARED:
        days = np.floor(found.times[role]).astype("datetime64[D]")
        months = days.astype("datetime64[M]")
        following = (months + 1).astype("datetime64[D]")
        parts.setdefault("day of the month", {})[role] = (days - months).astype(np.int64)
        parts.setdefault("weekday", {})[role] = (days.astype(np.int64) + 3) % 7
        last = (following - days).astype(np.int64) == 1
        parts.setdefault("last day of the month", {})[role] = last.astype(np.int64)
        if found.hours:
            hour = np.floor((found.times[role] % 1.0) * 24 + 1e-9).astype(np.int64)
            parts.setdefault("hour", {})[role] = np.minimum(hour, 23)
    sizes = {"day of the month": 31, "weekday": 7, "last day of the month": 2, "hour": 24}
    return [Items(name, codes, found.entity, sizes[name]) for name, codes in parts.items()]
