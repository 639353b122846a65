"""When the events of each stream fall: gap after gap, all streams side by side.

Each step knows the calendar, the stream's last gaps and traits, and the days left in the window.
Streams that keep a calendar end where the step says so, which is learnt from streams that ended and
from such as only ran into the window's end; the others end after as many events as their head says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from understudy.synthesizers.sequential import motifs
from understudy.synthesizers.sequential.clock import DAY, Calendar, Clock, Numbers
from understudy.synthesizers.sequential.events import Index
from understudy.synthesizers.sequential.heads import Window
from understudy.synthesizers.sequential.streams import Streams, matrix
from understudy.synthesizers.tabular.cart import Floats
from understudy.synthesizers.tabular.conditional import Conditional, Growth, fit_conditional

STEADY = ("code", "days")


@dataclass
class Walk:
    """Where each stream stands; all arrays [streams]."""

    static: Floats
    length: Numbers
    window: Window
    clock: Clock
    day: Numbers
    second: Numbers
    anchor: Numbers
    place: Numbers
    code: Numbers
    days: Numbers
    gap: Numbers
    gap_before: Numbers
    hits: Numbers
    clock_sum: Numbers

    @classmethod
    def of(cls, x: Floats, streams: Streams, window: Window, clock: Clock) -> Walk:
        """At the first events, whose seconds are still to come."""
        n = len(streams)
        static = np.hstack(
            [x[streams.entity], matrix(streams.kind, streams.length, *streams.traits.values())]
        )
        unknown = np.full(n, np.nan)
        anchor = motifs.anchor_of(streams.first) if clock.calendar else np.zeros(n)
        return cls(
            static,
            streams.length,
            window,
            clock,
            streams.first.copy(),
            unknown.copy(),
            anchor,
            np.zeros(n),
            unknown.copy(),
            unknown.copy(),
            unknown.copy(),
            unknown.copy(),
            np.zeros(n),
            np.zeros(n),
        )

    def _calendar(self, at: Index) -> list[Numbers]:
        day = self.day[at]
        if not self.clock.calendar:
            return [day]
        now = Calendar.of(day)
        return [now.day, now.weekday, now.month % 12, now.length - now.day]

    def before_gap(self, at: Index) -> Floats:
        """Predictors of the next gap."""
        left = self.window.end - self.day[at]
        remaining = self.length[at] - self.place[at] - 1
        hours = [self.second[at]] if self.clock.hours else []
        return np.hstack(
            [
                self.static[at],
                matrix(
                    left,
                    remaining,
                    left / (remaining + 1),
                    self.place[at],
                    self.code[at],
                    self.days[at],
                    self.gap[at],
                    self.gap_before[at],
                    self.hits[at] / np.maximum(self.place[at], 1),
                    self.anchor[at],
                    *self._calendar(at),
                    *hours,
                ),
            ]
        )

    def before_second(self, at: Index) -> Floats:
        """Predictors of the time of day, on a day that is known."""
        mean = self.clock_sum[at] / np.maximum(self.place[at], 1)
        return np.hstack(
            [
                self.static[at],
                matrix(self.place[at], self.gap[at], self.second[at], mean, *self._calendar(at)),
            ]
        )

    def move(self, at: Index, day: Numbers, code: Numbers, days: Numbers) -> None:
        """On to the next event's day."""
        self.gap_before[at] = self.gap[at]
        self.gap[at] = day - self.day[at]
        self.code[at], self.days[at] = code, days
        self.hits[at] += code != motifs.NONE
        if self.clock.calendar:
            # A gap without a motif starts a rhythm of its own.
            free = at[code == motifs.NONE]
            self.anchor[free] = motifs.anchor_of(day[code == motifs.NONE])
        self.day[at] = day
        self.place[at] += 1

    def ring(self, at: Index, second: Numbers) -> None:
        """The event's second is known."""
        self.second[at] = second
        self.clock_sum[at] += second


@dataclass(frozen=True)
class Skeleton:
    """`gap` draws the code and days of a gap; `second` the time on a new day; `after` the seconds
    since the event before on the same day (None: none ever fell so).
    """

    window: Window
    clock: Clock
    gap: Conditional | None
    second: Conditional | None
    after: Conditional | None

    def draw(
        self, x: Floats, streams: Streams, rng: np.random.Generator
    ) -> tuple[Index, Numbers, Numbers]:
        """Stream, day and second of every event, unordered."""
        walk = Walk.of(x, streams, self.window, self.clock)
        alive = np.arange(len(streams))
        found = []
        while len(alive):
            self._draw_second(walk, alive, rng)
            found.append((alive, walk.day[alive], np.nan_to_num(walk.second[alive])))
            finished = walk.place[alive] + 1 >= walk.length[alive]
            alive = self._draw_day(walk, alive[~finished], rng)
        if not found:
            return np.zeros(0, np.int64), np.zeros(0), np.zeros(0)
        stream, day, second = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return stream, day, second

    def _draw_day(self, walk: Walk, at: Index, rng: np.random.Generator) -> Index:
        """Moves the streams on; returns those that have a further event."""
        if self.gap is None or len(at) == 0:
            return at[:0]
        rows = self.gap.draw(walk.before_gap(at), rng)
        code = np.nan_to_num(self.gap.numbers(rows, "code")).astype(np.int64)
        days = np.nan_to_num(self.gap.numbers(rows, "days"))
        day = motifs.decode(walk.day[at], walk.anchor[at], walk.gap[at], code, days)
        counted = ~np.isnan(walk.length[at])
        left = self.window.end - walk.day[at]
        # A counted stream owes its events: where it would overrun the window, what is left of them
        # falls evenly on what is left of it, and this is the first.
        late = counted & ~(day <= self.window.end)
        owed = np.maximum(np.nan_to_num(walk.length[at] - walk.place[at] - 1), 1)
        first = 1 - rng.random(len(at)) ** (1 / owed)
        early = walk.day[at] + np.floor(first * (left + self.clock.whole))
        day = np.where(late, np.minimum(early, self.window.end), day)
        code = np.where(late, motifs.NONE, code)
        goes_on = day <= self.window.end
        walk.move(at[goes_on], day[goes_on], code[goes_on], days[goes_on])
        return at[goes_on]

    def _draw_second(self, walk: Walk, at: Index, rng: np.random.Generator) -> None:
        if not self.clock.hours:
            return
        x = walk.before_second(at)
        same = (walk.gap[at] == 0) & (self.after is not None)
        second = np.zeros(len(at))
        if self.second is not None and not same.all():
            rows = self.second.draw(x[~same], rng)
            second[~same] = self.second.numbers(rows, "second")
        if self.after is not None and same.any():
            rows = self.after.draw(x[same], rng)
            before = walk.second[at[same]]
            reached = before + np.maximum(self.after.numbers(rows, "after"), 0)
            rest = before + rng.random(len(before)) * (DAY - before)
            second[same] = np.where(reached < DAY, reached, rest)
        if self.clock.step:
            second = np.floor(second / self.clock.step) * self.clock.step
        walk.ring(at, np.clip(second, 0, DAY - max(self.clock.step, 1e-6)))


def fit_skeleton(
    x: Floats,
    streams: Streams,
    stream: Index,
    day: Numbers,
    second: Numbers,
    window: Window,
    clock: Clock,
    *,
    seed: int,
    growth: Growth,
    workers: int,
) -> Skeleton:
    """Learns from events sorted by `stream` and time; [events] `stream`, `day` and `second`."""
    walk = Walk.of(x, streams, window, clock)
    gaps: list[tuple[Floats, Numbers, Numbers]] = []
    opened: list[tuple[Floats, Numbers]] = []
    followed: list[tuple[Floats, Numbers]] = []
    for at, row, last in _steps(stream, len(streams)):
        if clock.hours:
            given, same = walk.before_second(at), walk.gap[at] == 0
            opened.append((given[~same], second[row[~same]]))
            followed.append((given[same], second[row[same]] - walk.second[at[same]]))
            walk.ring(at, second[row])
        given = walk.before_gap(at)
        ended = last & np.isnan(walk.length[at])
        gaps.append((given[ended], np.full(ended.sum(), float(motifs.END)), np.zeros(ended.sum())))
        on, row = at[~last], row[~last]
        code, days = motifs.encode(
            walk.day[on], day[row + 1], walk.anchor[on], walk.gap[on], calendar=clock.calendar
        )
        gaps.append((given[~last], code.astype(float), days))
        walk.move(on, day[row + 1], code.astype(float), days)
    whole = {"seed": seed, "growth": growth, "workers": workers}
    return Skeleton(
        window,
        clock,
        _fit(gaps, ("code", "days"), clock.whole, "gaps", **whole),
        _fit(opened, ("second",), clock.step >= 1, "seconds", **whole),
        _fit(followed, ("after",), clock.step >= 1, "seconds after", **whole),
    )


def _steps(stream: Index, streams: int) -> Iterator[tuple[Index, Index, Index]]:
    """Position by position: the streams that have an event there, its row, and whether it is last.

    Events are sorted by stream and time.
    """
    count = np.bincount(stream, minlength=streams)
    start = np.cumsum(count) - count
    for place in range(int(count.max(initial=0))):
        at = np.flatnonzero(count > place)
        yield at, start[at] + place, count[at] == place + 1


def _fit(
    parts: Sequence[tuple[Floats, *tuple[Numbers, ...]]],
    names: tuple[str, ...],
    whole: bool,
    name: str,
    *,
    seed: int,
    growth: Growth,
    workers: int,
) -> Conditional | None:
    """A conditional of the columns that follow the predictors in each part."""
    if not sum(len(part[0]) for part in parts):
        return None
    kind = pa.int64() if whole else pa.float64()
    columns = [np.concatenate([part[1 + i] for part in parts]) for i in range(len(names))]
    table = pa.table({n: pa.array(c).cast(kind) for n, c in zip(names, columns, strict=True)})
    return fit_conditional(
        np.vstack([part[0] for part in parts]),
        table,
        name=name,
        seed=seed,
        growth=growth,
        order=names,
        steady=STEADY,
        workers=workers,
    )
