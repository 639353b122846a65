"""When a verdict runs out: what an attacker can do grows, so a release is looked at again."""

from __future__ import annotations

from datetime import datetime, timedelta

REVIEW_DAYS = 365
REASON = (
    "Attacks get better and other data about the same people appear. Opinion 05/2014 (WP216) asks "
    "for the risk to be assessed again at regular intervals; a year is our default, not its number."
)


def review_by(created: str | None) -> str | None:
    """The ISO date after which the audit should be run again; None for a run without a date."""
    if not created:
        return None
    day = datetime.fromisoformat(created).date()
    return (day + timedelta(days=REVIEW_DAYS)).isoformat()
