"""What must be known of histories before tables can be laid out: window, kinds, what makes a kind.

All of it is bought in one part: the months in which histories begin and end, which columns split
histories so that they become most regular, how many kinds of events one entity has, which are
there.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pyarrow as pa

from understudy.privacy.accountant import calibrate
from understudy.privacy.events import Event
from understudy.privacy.mechanisms import Choice, NoisyCounts, StableHistogram
from understudy.privacy.mechanisms.histogram import labelled
from understudy.privacy.session import Mechanism, Private
from understudy.schema import Category, Column
from understudy.synthesizers.relational.private.bounds import GRID, STEP, shortfall
from understudy.synthesizers.relational.private.histories import (
    JOINT,
    MOST_WORDS,
    Log,
    regular,
    subsets,
)
from understudy.synthesizers.relational.private.parts import Part
from understudy.synthesizers.relational.rows import Places, Rows
from understudy.synthesizers.sequential.clock import Calendar, Clock, Numbers

EPOCH, MONTHS = -840, 2400
"""The public calendar: months from 1900 to 2099, counted from 1970."""
CLEAR = 5.0
"""Standard deviations of the noise by which a month must stand out to be in the window."""
MOST_KINDS = 32
MOST_CELLS = 10_000
CHANCE = 0.05
"""Expected number of kinds that are noise alone, where levels are public."""
SIMPLER = 0.01
"""Share of all entities by which a split must make histories more regular, for every doubling of
the kinds there may be: rows of many kinds are too few of each to be seen through the noise."""
UNKNOWN = 8
"""Levels that a column is taken to have where they are not public."""


@dataclass(frozen=True)
class Looks:
    """What must be known before tables can be laid out, all asked within one part."""

    part: Part
    calendar: NoisyCounts
    choice: Choice
    histogram: StableHistogram | NoisyCounts
    declared: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, part: Part, each: int, words: Sequence[Column]) -> Looks:
        """Plans all looks. Where the levels of all words are public, so is which kinds there may
        be, and noisy counts find rarer ones than a histogram that must keep its labels secret."""
        levels = {
            w.name: tuple(map(str, w.levels))
            for w in words
            if isinstance(w, Category) and w.levels is not None
        }
        tried = [w.name for w in words[:MOST_WORDS]]
        public = set(tried) <= set(levels) and _number(tried, levels) <= MOST_CELLS
        delta = part.label_delta

        def asked(scale: float) -> tuple[Mechanism, ...]:
            choice = Choice(2.0 * math.sqrt(0.15) / scale, float(each))
            return (
                NoisyCounts(scale / math.sqrt(0.3), math.sqrt(2.0) * each),
                choice,
                choice,
                NoisyCounts(scale / math.sqrt(0.4))
                if public
                else StableHistogram.once_each(scale / math.sqrt(0.4), delta, 1),
            )

        def events_at(scale: float) -> list[Event]:
            return [mechanism.event for mechanism in asked(scale)]

        scale = calibrate(events_at, part.budget, already=part.before)
        calendar, choice, _, histogram = asked(scale)
        part.reserve_plan(events_at(scale))
        return cls(part, calendar, choice, histogram, levels)  # type: ignore[arg-type]

    def window(self, ends: Private[tuple[Numbers, Numbers]]) -> tuple[float, float]:
        """From the first year in which histories begin to the last month in which they end, as far
        as the noise lets it be seen."""
        counts = ends.ask("calendar", self.calendar, lambda e: np.stack([_by_month(d) for d in e]))
        sigma = self.calendar.sigma
        over = np.flatnonzero(counts[1] >= CLEAR * sigma)
        ended = counts[1].reshape(-1, 12).sum(axis=1)
        last = int(over[-1]) if len(over) else 12 * int(np.argmax(ended)) + 11
        begun = counts[0].reshape(-1, 12).sum(axis=1)[: last // 12 + 1] / (sigma * math.sqrt(12))
        # The run of years up to the last that holds most beginnings beyond one deviation a year.
        held = np.cumsum((begun - 1.0)[::-1])[::-1]
        first = 12 * int(np.argmax(held))
        return day_of_month(EPOCH + min(first, last)), day_of_month(EPOCH + last + 1) - 1

    def splits(
        self,
        log: Private[Log],
        words: Sequence[str],
        parent: str,
        seen: Private[Rows],
        entities: float,
    ) -> tuple[str, ...]:
        """The words whose splits make histories most regular."""
        options = subsets(words)
        sizes = {name: len(self.declared.get(name, range(UNKNOWN))) for name in words}
        doublings = [sum(math.log2(max(sizes[n], 1)) for n in option) for option in options]
        both = Private((log._rows, seen._rows), self.part, 1)

        def scores(found: tuple[Log, Rows]) -> np.ndarray:
            size = found[1].size(parent)
            gains = [regular(found[0], option, size) for option in options]
            return np.array(gains) - SIMPLER * entities * np.array(doublings)

        index = both.ask("which columns split histories", self.choice, scores)
        return options[int(index[0])]

    def most(
        self, log: Private[Log], splits: tuple[str, ...], seen: Private[Rows], parent: str
    ) -> int:
        """The most kinds of one entity that are learnt from."""
        both = Private((log._rows, seen._rows), self.part, 1)

        def scores(found: tuple[Log, Rows]) -> np.ndarray:
            entity = _distinct(found[0], splits)[0]
            counts = np.bincount(entity, minlength=found[1].size(parent))
            return shortfall(counts, STEP / self.choice.epsilon)[: MOST_KINDS.bit_length()]

        return GRID[int(both.ask("kinds of an entity", self.choice, scores)[0])]

    def kinds(
        self,
        log: Private[Log],
        splits: tuple[str, ...],
        most: int,
        seen: Private[Rows],
        parent: str,
        each: int,
    ) -> pa.Array:
        """The kinds of events there are: those that enough units have."""
        both = Private((log._rows, seen._rows), self.part, self.part.rows_per_unit)
        if isinstance(self.histogram, NoisyCounts):
            labels = self._declared(both, splits, most, parent, each)
            return pa.array(labels, pa.string())
        known = self.histogram
        mechanism = StableHistogram.once_each(known.multiplier, known.delta, most * each)
        found = both.ask(
            "kinds", mechanism, lambda b: _tally(b[0], b[1].units[parent], splits, most)
        )
        order = np.argsort(-found["count"].astype(np.float64), kind="stable")[:MOST_KINDS]
        return pa.array(found["label"][order].tolist(), pa.string())

    def _declared(
        self,
        both: Private[tuple[Log, Rows]],
        splits: tuple[str, ...],
        most: int,
        parent: str,
        each: int,
    ) -> list[str]:
        """Kinds among all that the levels allow, those that noise alone seldom reaches."""
        options = [
            JOINT.join(one) for one in itertools.product(*(self.declared[n] for n in splits))
        ]
        place = {label: i for i, label in enumerate(options)}
        mechanism = NoisyCounts(self.histogram.multiplier, math.sqrt(most * each))

        def exact(found: tuple[Log, Rows]) -> np.ndarray:
            counts = np.zeros(len(options), np.int64)
            for label, count in _tally(found[0], found[1].units[parent], splits, most).tolist():
                if label in place:
                    counts[place[label]] = count
            return counts

        counts = both.ask("kinds", mechanism, exact)
        least = -mechanism.sigma * NormalDist().inv_cdf(CHANCE / len(options))
        order = np.argsort(-counts, kind="stable")[:MOST_KINDS]
        return [options[i] for i in order if counts[i] >= least]


def _number(words: Sequence[str], levels: Mapping[str, Sequence[str]]) -> int:
    return math.prod(len(levels[name]) for name in words)


def ends(table: pa.Table, entity: Places, clock: Clock) -> tuple[Numbers, Numbers]:
    """The first and the last day of every history."""
    day, _ = clock.read(table[clock.name])
    known = np.flatnonzero((entity >= 0) & np.isfinite(day))
    order = known[np.lexsort((day[known], entity[known]))]
    changes = np.flatnonzero(np.diff(entity[order], prepend=-1, append=-1))
    return day[order[changes[:-1]]], day[order[changes[1:] - 1]]


def day_of_month(month: int) -> float:
    """The first day of a month, both counted from 1970."""
    return float(np.datetime64(month, "M").astype("datetime64[D]").astype(np.int64))


def _by_month(days: Numbers) -> np.ndarray:
    month = Calendar.of(days[np.isfinite(days)]).month.astype(np.int64) - EPOCH
    return np.bincount(month[(month >= 0) & (month < MONTHS)], minlength=MONTHS)


def _distinct(log: Log, splits: Sequence[str]) -> tuple[Places, list[str]]:
    """Every kind of every entity once, in the order of the entity's events."""
    encoded = log.kinds(splits).dictionary_encode()
    codes = encoded.indices.to_numpy()
    joint = log.entity * (len(encoded.dictionary) + 1) + codes
    _, first = np.unique(joint, return_index=True)
    first = np.sort(first)
    names = encoded.dictionary.take(pa.array(codes[first])).to_pylist()
    return log.entity[first], names


def _tally(log: Log, unit: Places, splits: Sequence[str], most: int) -> np.ndarray:
    """How many units have each kind among the first `most` of an entity of theirs.

    A unit of several entities brings a kind once, however many of these have it.
    """
    from collections import Counter

    from understudy.synthesizers.relational.rows import ranks

    entity, names = _distinct(log, splits)
    kept = ranks(entity) < most
    whose = unit[entity].tolist()
    pairs = {(u, name) for u, name, keep in zip(whose, names, kept, strict=True) if keep}
    counts = Counter(name for _, name in pairs)
    return labelled(list(counts), list(counts.values()))
