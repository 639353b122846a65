"""Rhythms inside a kind: the monthly withdrawal among all the others.

Where a kind of event is itself a mixture, its regular parts are taken out as chains: events that
follow each other at exactly one month, or at a number of days that the kind prefers. A chain is a
stream of its own, and the chained and the loose events of a kind are two kinds from then on.
"""

from __future__ import annotations

import numpy as np

from understudy.synthesizers.sequential.clock import Calendar, Clock, Numbers, day_of
from understudy.synthesizers.sequential.events import Index, position_in
from understudy.synthesizers.sequential.motifs import SHORTEST, anchor_of

LONGEST = 100
"""Days between two events that can be a rhythm."""
NEIGHBOURS = 24
"""Later events of the same group that each event is compared with."""
PEAK = 2.5
"""How much more often than its neighbours a number of days occurs, to be a rhythm."""
FEWEST = 40
SHORTEST_CHAIN = 3
FEWEST_CHAINED = 100
CHAINED = 0.15
"""Share of a kind's events in chains from which they are a kind of their own."""


def chains(group: Index, kind: Index, day: Numbers, clock: Clock) -> Index:
    """Which of its history's rhythms each event belongs to [events], -1 for loose events.

    `group` numbers the histories within which chains may run; rows are sorted by time in each.
    """
    found = np.full(len(group), -1, np.int64)
    length = np.full(len(group), SHORTEST_CHAIN - 1)

    def follow(period: int | None) -> None:
        root, size = _linked(group, day, period)
        # Of several rhythms an event keeps the one that carries it furthest.
        longer = size > length
        found[longer] = (root * (LONGEST + 1) + (period or 0))[longer]
        length[longer] = size[longer]

    if clock.calendar:
        follow(None)
    loose = found < 0
    for period in periods(group[loose], day[loose]):
        follow(period)
    found = _whole(found)
    chained = np.bincount(kind, found >= 0)
    share = chained / np.maximum(np.bincount(kind), 1)
    own = (share >= CHAINED) & (chained >= FEWEST_CHAINED)
    return _tracks(np.where(own[kind], found, -1), group, day)


def periods(group: Index, day: Numbers) -> tuple[int, ...]:
    """Numbers of days that lie between two events of a group more often than those beside them."""
    order = np.lexsort((day, group))
    group, day = group[order], day[order]
    tally = np.zeros(LONGEST + 4, np.int64)
    for shift in range(1, min(NEIGHBOURS, len(group) - 1) + 1):
        same = group[shift:] == group[:-shift]
        gap = (day[shift:] - day[:-shift])[same]
        gap = gap[(gap > SHORTEST) & (gap < len(tally))].astype(np.int64)
        tally += np.bincount(gap, minlength=len(tally))
    found = []
    for gap in range(SHORTEST + 1, LONGEST):
        beside = np.median(tally[[gap - 3, gap - 2, gap + 2, gap + 3]])
        if tally[gap] >= FEWEST and tally[gap] > PEAK * beside:
            found.append(gap)
    # Twice a rhythm is no rhythm of its own.
    return tuple(g for g in found if not any(g % h == 0 for h in found if h < g))


def _linked(group: Index, day: Numbers, period: int | None) -> tuple[Index, Index]:
    """The first event of each event's chain at `period` days (None: a month), and its size."""
    rows = len(group)
    target = day + period if period is not None else _month_later(day)
    span = float(max(day.max(), target.max()) - day.min()) + 1
    key = group * span + (day - day.min())
    order = np.argsort(key, kind="stable")
    place = np.searchsorted(key[order], group * span + (target - day.min()))
    at = order[np.minimum(place, rows - 1)]
    meets = (day[at] == target) & (group[at] == group)
    before = np.full(rows, -1, np.int64)
    # Of two events a rhythm before, the first in order is followed.
    source = np.flatnonzero(meets)[::-1]
    before[at[source]] = source
    root = np.arange(rows)
    while True:
        following = np.where(before[root] >= 0, before[root], root)
        if np.array_equal(following, root):
            break
        root = following
    return root, np.bincount(root, minlength=rows)[root]


def _month_later(day: Numbers) -> Numbers:
    return day_of(Calendar.of(day).month + 1, anchor_of(day))


def _whole(found: Index) -> Index:
    """Chains that lost events to a longer rhythm may be too short now."""
    chained = found >= 0
    if not chained.any():
        return found
    _, inverse, counts = np.unique(found[chained], return_inverse=True, return_counts=True)
    kept = counts[inverse.reshape(-1)] >= SHORTEST_CHAIN
    found = found.copy()
    found[np.flatnonzero(chained)[~kept]] = -1
    return found


def _tracks(found: Index, group: Index, day: Numbers) -> Index:
    """Chains of one group on one track where each begins after the one before has ended: a rhythm
    that was broken off and taken up again is one stream.
    """
    chained = np.flatnonzero(found >= 0)
    if len(chained) == 0:
        return found
    _, at, inverse = np.unique(found[chained], return_index=True, return_inverse=True)
    inverse = inverse.reshape(-1)
    first, last = np.full(len(at), np.inf), np.full(len(at), -np.inf)
    np.minimum.at(first, inverse, day[chained])
    np.maximum.at(last, inverse, day[chained])
    home = np.unique(group[chained][at], return_inverse=True)[1].reshape(-1)
    nth = position_in(home[np.argsort(first, kind="stable")])
    order = np.argsort(first, kind="stable")
    ends = np.full((int(home.max()) + 1, int(nth.max()) + 1), -np.inf)
    track = np.zeros(len(at), np.int64)
    for place in range(int(nth.max()) + 1):
        now = order[nth == place]
        free = ends[home[now]] < first[now, None]
        track[now] = free.argmax(axis=1)
        ends[home[now], track[now]] = last[now]
    result = np.full(len(found), -1, np.int64)
    result[chained] = track[inverse]
    return result
