"""When the next event comes: a distribution over the days to come, each known by its date.

Every one of the next two months' days is a code of its own, whose logit is the sum of what the
network says of its distance, its day of the month, its distance from the month's end, its weekday
and whether something is due on it: a rent on the 5th and interest on the last day need no
arithmetic of month lengths. Longer
gaps, and those of clocks without a calendar, are bins. The last code says that nothing more comes;
a history that ends with its window counts as that or as any gap that would lie beyond it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from understudy.synthesizers.sequential.clock import Calendar, Clock, Numbers
from understudy.synthesizers.sequential.events import Index
from understudy.synthesizers.sequential.heads import Window

DAYS = 62
"""Coming days that are codes of their own."""
BINS = 64
"""Bins of a clock without a calendar."""
WIDER = 1.5
"""How much longer each bin beyond `DAYS` is than the one before."""
KNOTS = 33
FROM_END = 4
PARTS = (31, FROM_END + 1, 7)
"""Codes of a day on the calendar: of the month, from its end, of the week."""


@dataclass(frozen=True)
class Gaps:
    """`low` [bins] is the least gap of each bin, `inner` [bins, knots] the quantiles inside it.

    The first `single` bins are one day each.
    """

    window: Window
    low: Numbers
    inner: Numbers
    single: int
    whole: bool

    @classmethod
    def fit(cls, gaps: Numbers, clock: Clock, window: Window) -> Gaps:
        """Of all gaps between events, and between origins and first events."""
        if clock.calendar:
            edges = np.arange(DAYS, dtype=np.float64)
            while edges[-1] < gaps.max(initial=0.0):
                edges = np.append(edges, np.floor(edges[-1] * WIDER) + 1)
        else:
            edges = np.unique(gaps)
            if len(edges) > BINS:
                edges = np.unique(
                    np.quantile(gaps, np.linspace(0, 1, BINS + 1)[:-1], method="lower")
                )
        code = np.maximum(np.searchsorted(edges, gaps, side="right") - 1, 0)
        kept = np.ones(len(edges), bool)
        kept[DAYS if clock.calendar else 0 :] = np.isin(np.arange(len(edges)), code)[
            DAYS if clock.calendar else 0 :
        ]
        inner = np.repeat(edges[:, None], KNOTS, axis=1)
        for i in np.unique(code):
            inner[i] = np.quantile(gaps[code == i], np.linspace(0, 1, KNOTS))
        single = DAYS if clock.calendar else 0
        return cls(window, edges[kept], inner[kept], single, clock.whole)

    @property
    def end(self) -> int:
        """The code of no further event."""
        return len(self.low)

    @property
    def outputs(self) -> int:
        """What the network says: a number for each code, for each place on the calendar, and for
        days on which something is due."""
        return len(self.low) + 1 + (sum(PARTS) + 1 if self.single else 0)

    def encode(self, gaps: Numbers) -> Index:
        return np.maximum(np.searchsorted(self.low, gaps, side="right") - 1, 0)

    def draw(self, code: Index, rng: np.random.Generator) -> Numbers:
        """Gaps [rows] of codes that are not `end`."""
        place = rng.random(len(code)) * (KNOTS - 1)
        below = place.astype(np.int64)
        low, high = self.inner[code, below], self.inner[code, below + 1]
        found = low + (place - below) * (high - low)
        return np.asarray(np.rint(found) if self.whole else found)

    def beyond(self, day: Numbers) -> NDArray[np.bool_]:
        """bool [rows, codes]: what lies beyond the window, seen from `day`, and the end."""
        found = day[:, None] + self.low > self.window.end
        return np.column_stack([found, np.ones(len(day), bool)])

    def places(self, day: Numbers) -> Index:
        """int [rows, 3]: each day among all places on the calendar, the three parts in a row."""
        return self._almanac[np.asarray(day - self.window.begin, np.int64)]

    def coming(self, day: Numbers) -> Index:
        """int [rows, single, 3]: the same of the days that follow, from the day itself on."""
        first = np.asarray(day - self.window.begin, np.int64)
        return np.asarray(self._almanac[first[:, None] + np.arange(self.single)])

    @cached_property
    def _almanac(self) -> Index:
        days = np.arange(self.window.begin, self.window.end + DAYS + 1)
        calendar = Calendar.of(days)
        from_end = np.minimum(calendar.length - calendar.day, FROM_END)
        parts = np.column_stack([calendar.day - 1, from_end + PARTS[0], calendar.weekday])
        parts[:, 2] += PARTS[0] + PARTS[1]
        return parts.astype(np.int64)
