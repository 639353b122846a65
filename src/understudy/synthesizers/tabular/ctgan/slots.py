"""The conditional vector (Xu et al. 2019, section 4.3): one label column is named, and one of its
modes.

Training draws a column evenly and a mode by the logarithm of its count, so that rare labels are
met; drawing rows takes the columns' own frequencies, so that they stay rare. The reference keeps
one table for both. A real row that holds the mode is found by place in a sorted list, for a whole
batch at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from understudy.encoding.discrete import Floats
from understudy.synthesizers.tabular.neural.modes import Modes, is_line

Places = NDArray[np.int64]


@dataclass(frozen=True)
class Slots:
    """The label columns of `modes` with more than one mode, and their places in the vector."""

    modes: Modes

    @cached_property
    def columns(self) -> tuple[int, ...]:
        every = enumerate(self.modes.codings.values())
        return tuple(j for j, coding in every if not is_line(coding) and coding.groups > 1)

    @cached_property
    def first(self) -> Places:
        """Where each column's slots start."""
        sizes = [self.modes.sizes[j] for j in self.columns]
        return np.cumsum([0, *sizes[:-1]]) if sizes else np.zeros(0, np.int64)

    @property
    def width(self) -> int:
        return sum(self.modes.sizes[j] for j in self.columns)

    @cached_property
    def frequencies(self) -> list[Floats]:
        """float64 [modes] of each column: how often they occur."""
        codings = list(self.modes.codings.values())
        return [codings[j].margin for j in self.columns]

    def named(self, lean: Mapping[int, Floats]) -> int | None:
        """Which of the columns in `lean` the vector would name, as its place among the slots': the
        one whose wanted modes are the rarest."""
        able = [k for k, j in enumerate(self.columns) if j in lean]
        return min(able, key=lambda k: float(lean[self.columns[k]].sum()), default=None)

    def draw(
        self, rows: int, shares: list[Floats], rng: np.random.Generator
    ) -> tuple[Places, Places]:
        """int64 [rows] each: a column drawn evenly, as its place among the slots', and a mode of it
        by `shares`."""
        which = rng.integers(0, max(len(self.columns), 1), rows)
        mode = np.zeros(rows, np.int64)
        tick = rng.random(rows)
        for k, share in enumerate(shares):
            mine = which == k
            mode[mine] = chosen(share, tick[mine])
        return which, mode

    def vector(self, which: Places, mode: Places) -> NDArray[np.float32]:
        """float32 [rows, width]: 1 in the slot of each row's column and mode."""
        found = np.zeros((len(which), self.width), np.float32)
        if self.width:
            found[np.arange(len(which)), self.first[which] + mode] = 1.0
        return found


@dataclass(frozen=True)
class Finder:
    """`size` rows by the modes that they hold: `order` lists them by mode, for each column of the
    slots; `start` and `count` say where each mode's are."""

    size: int
    order: list[Places]
    start: list[Places]
    count: list[Places]

    @classmethod
    def of(cls, slots: Slots, mode: Places) -> Finder:
        """`mode` is int64 [rows, columns], of all columns."""
        order, start, count = [], [], []
        for j in slots.columns:
            counts = np.bincount(mode[:, j], minlength=slots.modes.sizes[j])
            order.append(np.argsort(mode[:, j], kind="stable"))
            start.append(np.cumsum(counts) - counts)
            count.append(counts)
        return cls(len(mode), order, start, count)

    @cached_property
    def log_shares(self) -> list[Floats]:
        """Each mode's share in training: by the logarithm of one more than its count."""
        logs = [np.log1p(counts) for counts in self.count]
        return [log / log.sum() for log in logs]

    @cached_property
    def weights(self) -> Floats:
        """float64 [size]: how often training meets each row; they sum to 1."""
        if not self.order:
            return np.full(self.size, 1.0 / self.size)
        found = np.zeros(self.size)
        for k, order in enumerate(self.order):
            share = self.log_shares[k] / np.maximum(self.count[k], 1)
            found[order] += np.repeat(share, self.count[k])
        return found / len(self.order)

    def rows(self, which: Places, mode: Places, rng: np.random.Generator) -> Places:
        """int64 [rows]: a row for each, drawn evenly among those that hold its mode; among all
        where there are no slots."""
        if not self.order:
            return rng.integers(0, self.size, len(which))
        found = np.zeros(len(which), np.int64)
        tick = rng.random(len(which))
        for k, order in enumerate(self.order):
            mine = np.flatnonzero(which == k)
            start, count = self.start[k][mode[mine]], self.count[k][mode[mine]]
            found[mine] = order[start + (tick[mine] * count).astype(np.int64)]
        return found


def chosen(share: Floats, tick: Floats) -> Places:
    """int64: the entry of `share` at each number of [0, 1)."""
    edges = np.cumsum(share)
    found = np.searchsorted(edges, tick * edges[-1] * (1 - 1e-12), side="right")
    return np.asarray(found, np.int64)
