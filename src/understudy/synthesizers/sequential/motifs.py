"""Gaps between events as calendar motifs: the same day one, two, three, six, twelve months later.

Banks, pensions and rents follow the calendar, not a number of days: a gap of 31 days after the
31st of January means something else than after the 15th of March. A gap is a `code` and `days`:
days beside the day that the motif names, or the gap itself where there is no motif.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from understudy.synthesizers.sequential.clock import Calendar, Numbers, day_of

MONTHS = (1, 2, 3, 6, 12)
NONE, AGAIN, END = 0, 20, 30
"""Codes that are no months: a gap of its own, the same number of days as the gap before, and no
further event inside the window."""
SLACK = 3
"""Days by which a motif may miss: weekends and holidays."""
SHORTEST = 3
"""Gaps up to this many days repeat by chance."""

Code = NDArray[np.int64]


def anchor_of(days: Numbers) -> Numbers:
    """The day of the month that a stream keeps: its first event's, 0 for a month's last day."""
    calendar = Calendar.of(days)
    return np.where(calendar.day == calendar.length, 0.0, calendar.day)


def encode(
    previous: Numbers, following: Numbers, anchor: Numbers, last_gap: Numbers, *, calendar: bool
) -> tuple[Code, Numbers]:
    """Code and days of the gaps between days, each [rows]; `last_gap` is not-a-number at first."""
    gap = following - previous
    code = np.full(len(gap), NONE)
    days = gap.copy()
    again = (gap == last_gap) & (gap > SHORTEST)
    code[again], days[again] = AGAIN, 0.0
    if not calendar:
        return code, days
    month = Calendar.of(previous).month
    missed = np.full(len(gap), np.inf)
    for months in MONTHS:
        off = following - day_of(month + months, anchor)
        # Exactly the same number of days beats a motif that is only nearly met.
        better = (np.abs(off) <= np.where(again, 0, SLACK)) & (np.abs(off) < np.abs(missed))
        code[better], days[better], missed[better] = months, off[better], off[better]
    return code, days


def decode(
    previous: Numbers, anchor: Numbers, last_gap: Numbers, code: Code, days: Numbers
) -> Numbers:
    """The day that follows `previous`, never before it; not-a-number where the stream ends."""
    following = previous + np.maximum(days, 0.0)
    again = code == AGAIN
    # Only a gap longer than what repeats by chance comes again: a stream never stands still.
    gap = np.maximum(np.nan_to_num(last_gap, nan=0.0), SHORTEST + 1)
    following = np.where(again, previous + gap, following)
    months = (code > 0) & (code <= max(MONTHS))
    if months.any():
        month = Calendar.of(previous[months]).month + code[months]
        following[months] = day_of(month, anchor[months]) + days[months]
    return np.where(code == END, np.nan, np.maximum(following, previous))


def regular_share(previous: Numbers, following: Numbers, last_gap: Numbers) -> Numbers:
    """1.0 [rows] where the gap is a motif of `previous` itself, or the gap before within a day."""
    gap = following - previous
    hit = (np.abs(gap - last_gap) <= 1) & (gap > SHORTEST)
    anchor = anchor_of(previous)
    month = Calendar.of(previous).month
    for months in MONTHS:
        hit |= np.abs(following - day_of(month + months, anchor)) <= 1
    return hit.astype(np.float64)
