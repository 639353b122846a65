"""The rare-event part of the internal report: thirteen lines as a table, and the quadrant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from understudy.release.report import charts
from understudy.release.report.quadrant import quadrant


def rare_section(scorecard: Mapping[str, Any]) -> dict[str, Any] | None:
    """What `rare.html.j2` shows; None where rare events were not measured."""
    card = scorecard.get("rare") or {}
    entries = [one for one in card.get("entries") or () if one.get("value") is not None]
    if not entries:
        return None
    return {
        "entries": [{**one, "drawing": _drawing(one)} for one in entries],
        "quadrant": quadrant([card["quadrant"]]) if card.get("quadrant") else None,
        "tails": (card.get("definition") or {}).get("tails") or [],
        "groups": (card.get("definition") or {}).get("groups") or [],
        "lost": scorecard.get("lost_levels") or [],
    }


def _drawing(entry: Mapping[str, Any]) -> Any:
    """The value on a line with its floor; nothing for a line without an interval."""
    if entry.get("low") is None or entry.get("high") is None or entry["low"] == entry["high"]:
        return None
    return charts.interval(
        entry["value"], entry["low"], entry["high"], floor=entry.get("floor"), good="above"
    )
