"""What has happened so far in each history, for learning and drawing alike.

The network's own state remembers what it likes; here stands what must be exact: whom an entity
knows and how long ago it met them, what is due this month, what the last event with the same payee
said, which amounts the last like events had, and the running balances.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.synthesizers.sequential.clock import DAY, Calendar, Numbers, day_of
from understudy.synthesizers.sequential.events import Index
from understudy.synthesizers.sequential.motifs import anchor_of
from understudy.synthesizers.sequential.recurrent.layout import (
    FRESH,
    KNOWN,
    LAGS,
    NOBODY,
    RANKS,
    Layout,
    places_in,
)
from understudy.synthesizers.tabular.cart import Floats

PAST = 64
"""Events that are looked back on."""
DEEPEST = 256
"""Payees of an entity that can come back; older ones are forgotten."""
YEAR = 365.0
WHOLE = 20.0
"""Usual amounts of a balance that count as one."""


@dataclass
class Memory:
    """All arrays [entities, ...]; `nth` [entities, PAST] is which event a slot holds, -1 none.

    `due` is the same day of the next month, as long as nothing like the event has come since.
    `values` and `absent` hold the numbers of past events exactly, `cents` the running balances.
    """

    layout: Layout
    origin: Numbers
    end: float
    units: Mapping[str, float]
    count: Index
    day: Numbers
    second: Numbers
    nth: Index
    paid: Index
    tokens: Index
    due: Numbers
    values: dict[str, NDArray[Any]]
    absent: dict[str, NDArray[np.bool_]]
    known: dict[str, Index]
    met: dict[str, Index]
    cents: dict[str, NDArray[np.int64]]
    level: Numbers
    monthly: bool
    length: Index

    @classmethod
    def empty(
        cls,
        layout: Layout,
        origin: Numbers,
        end: float,
        units: Mapping[str, float],
        dtypes: Mapping[str, Any],
        monthly: bool,
        length: Index,
    ) -> Memory:
        """Histories that begin at `origin` [entities]; `units` are cents that make a usual amount
        of each balance, `dtypes` those of the numbers; without a calendar nothing is
        `monthly`; `length` [entities] is how many events each is to have."""
        n = len(origin)
        return cls(
            layout,
            origin,
            end,
            units,
            np.zeros(n, np.int64),
            origin.copy(),
            np.zeros(n),
            np.full((n, PAST), -1, np.int64),
            np.full((n, PAST, len(layout.payees)), -1, np.int64),
            np.zeros((n, PAST, len(layout.sizes)), np.int64),
            np.full((n, PAST), np.nan),
            {name: np.zeros((n, PAST), dtypes[name]) for name in layout.numbers},
            {name: np.zeros((n, PAST), bool) for name in layout.numbers},
            {name: np.full((n, 16), -1, np.int64) for name in layout.payees},
            {name: np.zeros(n, np.int64) for name in layout.payees},
            {name: np.zeros(n, np.int64) for name in units},
            np.zeros((n, len(layout.numbers))),
            monthly,
            length,
        )

    @staticmethod
    def width(layout: Layout, balances: int) -> int:
        """Numbers that `before` gives for each history."""
        return 6 + 3 * balances + len(layout.payees) + len(layout.numbers)

    def before(self, at: Index) -> Floats:
        """float32 [rows, width]: how far the histories `at` have come."""
        count = self.count[at]
        day = self.day[at]
        columns = [
            np.log1p(count),
            np.log1p(np.maximum(day - self.origin[at], 0)) / 4,
            (self.end - day) / YEAR,
            self.second[at] / DAY,
            np.log1p(np.maximum(self.length[at] - count, 0)),
            self.length[at] <= count,
        ]
        for name, unit in self.units.items():
            balance = self.cents[name][at] / unit
            columns += [np.arcsinh(balance), np.clip(balance, -1, 1), balance / WHOLE]
        columns += [np.log1p(self.met[name][at]) for name in self.layout.payees]
        mean = self.level[at] / np.maximum(count, 1)[:, None]
        columns += [np.where(count > 0, 4 * one - 2, 0.0) for one in mean.T]
        return np.column_stack(columns).astype(np.float32)

    def earliest(self, at: Index, gap: Numbers) -> Index:
        """The first code of the time of day that is not before the event before."""
        again = (gap == 0) & (self.count[at] > 0)
        return np.where(again, self.second[at] // max(self.layout.quarter, 1.0), 0).astype(np.int64)

    def reach(self, at: Index, name: str) -> Index:
        """How many codes of payee `name` each history has."""
        held = np.minimum(self.met[name][at], DEEPEST)
        return KNOWN + np.minimum(held, RANKS + 1)

    def code_of(self, at: Index, name: str, payee: Index) -> Index:
        """Codes of the payees, numbered by entity in order of appearance (-1: nobody)."""
        same = self.known[name][at] == payee[:, None]
        rank = np.where(same.any(axis=1), np.minimum(same.argmax(axis=1), RANKS), -1)
        found = np.where(rank >= 0, KNOWN + rank, FRESH)
        return np.where(payee < 0, NOBODY, found)

    def payee_of(self, at: Index, name: str, code: Index, rng: np.random.Generator) -> Index:
        """The other way round; of those that lie far back any one."""
        held = np.minimum(self.met[name][at], DEEPEST)
        far = RANKS + np.floor(rng.random(len(at)) * np.maximum(held - RANKS, 1)).astype(np.int64)
        rank = np.clip(np.where(code == KNOWN + RANKS, far, code - KNOWN), 0, None)
        rank = np.minimum(rank, self.known[name].shape[1] - 1)
        found = np.where(code == FRESH, self.met[name][at], self.known[name][at, rank])
        return np.where(code == NOBODY, -1, found)

    def like(
        self, at: Index, paid: Index, tokens: Index | None = None, deep: int = 1
    ) -> NDArray[np.int64]:
        """int [rows, deep]: slots of the latest events with the same payees and, where `tokens`
        [rows, tokens] are given, the same categories; -1 where there are not so many."""
        same = self.nth[at] >= 0
        for i in range(paid.shape[1]):
            same &= self.paid[at, :, i] == paid[:, i, None]
        if tokens is not None:
            for token in self.layout.said:
                same &= self.tokens[at, :, token] == tokens[:, token, None]
        rank = np.where(same, self.nth[at], -1)
        found = np.full((len(at), deep), -1, np.int64)
        rows = np.arange(len(at))
        for i in range(deep):
            slot = rank.argmax(axis=1)
            found[:, i] = np.where(rank[rows, slot] >= 0, slot, -1)
            rank[rows, slot] = -1
        return found

    def coming(self, at: Index, days: int) -> Floats:
        """float32 [rows, days]: what is due on each of the days to come, from today on; at most 2
        count."""
        found = np.zeros((len(at), days), np.float32)
        ahead = self.due[at] - self.day[at][:, None]
        row, slot = np.nonzero((ahead >= 0) & (ahead < days))
        np.add.at(found, (row, ahead[row, slot].astype(np.int64)), 1)
        return np.minimum(found, 2)

    def due_on(self, at: Index, day: Numbers) -> Index:
        """int [rows, payees + categories]: codes, from 1 on, of the earliest event that is due on
        `day`; 0 where there is none."""
        waiting = self.due[at] == day[:, None]
        nth = np.where(waiting, self.nth[at], np.iinfo(np.int64).max)
        slot = np.where(waiting.any(axis=1), nth.argmin(axis=1), -1)
        paid = self.paid[at, slot]
        codes = [self.code_of(at, name, paid[:, i]) for i, name in enumerate(self.layout.payees)]
        payees = np.column_stack([np.zeros((len(at), 0), np.int64), *codes]) + 1
        return np.hstack(
            [
                np.where(slot[:, None] >= 0, payees, 0),
                self.told(at, slot, self.layout.said),
            ]
        )

    def told(self, at: Index, slot: Index, tokens: Sequence[int]) -> Index:
        """int [rows, tokens]: codes of past events from 1 on; 0 where there is none."""
        if not tokens:
            return np.zeros((len(at), 0), np.int64)
        codes = self.tokens[at[:, None], slot[:, None], np.array(tokens)] + 1
        return np.where(slot[:, None] >= 0, codes, 0)

    def absorb(
        self,
        at: Index,
        day: Numbers,
        second: Numbers,
        paid: Index,
        tokens: Index,
        numbers: Mapping[str, tuple[NDArray[Any], NDArray[np.bool_]]],
        cents: Mapping[str, NDArray[np.int64]],
    ) -> None:
        """The next event of each history `at` has happened."""
        if self.monthly:
            before = self.like(at, paid, tokens)[:, 0]
            self.due[at[before >= 0], before[before >= 0]] = np.nan
        slot = self.count[at] % PAST
        if self.monthly:
            self.due[at, slot] = day_of(Calendar.of(day).month + 1, anchor_of(day))
        self.nth[at, slot] = self.count[at]
        self.paid[at, slot] = paid
        self.tokens[at, slot] = tokens
        for i, (name, (values, missing)) in enumerate(numbers.items()):
            self.values[name][at, slot], self.absent[name][at, slot] = values, missing
            place = places_in(self.layout.codings[name])
            self.level[at, i] += place[tokens[:, self.layout.places[name][0]]]
        for i, name in enumerate(self.layout.payees):
            self._meet(at, name, paid[:, i])
        for name, added in cents.items():
            self.cents[name][at] += added
        self.day[at], self.second[at] = day, second
        self.count[at] += 1

    def _meet(self, at: Index, name: str, payee: Index) -> None:
        """The payees are the most recent ones from now on."""
        at, payee = at[payee >= 0], payee[payee >= 0]
        wide = self.known[name].shape[1]
        if wide < DEEPEST and wide <= int(self.met[name][at].max(initial=0)):
            more = np.full((len(self.count), wide), -1, np.int64)
            self.known[name] = np.hstack([self.known[name], more])
        held = self.known[name][at]
        same = held == payee[:, None]
        known = same.any(axis=1)
        place = np.where(known, same.argmax(axis=1), held.shape[1] - 1)
        shifted = np.column_stack([payee, held[:, :-1]])
        keep = np.arange(held.shape[1]) > place[:, None]
        self.known[name][at] = np.where(keep, held, shifted)
        # One that was forgotten and is met again has its number already.
        self.met[name][at] = np.maximum(self.met[name][at], payee + 1)


def repeats(
    memory: Memory,
    at: Index,
    name: str,
    slots: Index,
    values: NDArray[Any],
    gone: NDArray[np.bool_],
) -> Index:
    """How far back among the like events in `slots` [rows, LAGS] each value stands; 0: nowhere."""
    found = np.zeros(len(at), np.int64)
    for back in range(min(LAGS, slots.shape[1]) - 1, -1, -1):
        slot = slots[:, back]
        there = (slot >= 0) & (memory.values[name][at, slot] == values)
        there &= ~gone & ~memory.absent[name][at, slot]
        found[there] = back + 1
    return found
