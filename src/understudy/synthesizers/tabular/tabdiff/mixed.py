"""A column as a token, a normal score, or both.

Labels and numbers with few values are tokens of their `Coding`. Of other numbers only the values
that very many rows share are classes of a token, and so are missing cells; all that remains is one
more class, `free`, whose members are told by a score: the place of the cell among the column's
shares, read off the normal distribution. A point mass so comes back with its own share, a tail with
every value the axis knows, and a cell that is missing is nothing that a number could stand for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.encoding.columns import FEW_VALUES
from understudy.encoding.discrete import Axis, Codes, Floats, GridAxis
from understudy.synthesizers.tabular.neural.coding import EMPTY, Coding, coded

HEAVY_SHARE = 0.05
"""A value that so many of a column's rows share is a class of its own."""
LABELS = 200
"""Columns with more labels are told in two stages."""
FLOOR = 1e-9
"""Share that a code which no row holds is given on the scores' line, so that it has a place."""


@dataclass(frozen=True)
class Mixed:
    """`free` is the group of `coding` whose members a score tells, None where there is none."""

    coding: Coding
    free: int | None = None

    @property
    def name(self) -> str:
        return self.coding.name

    @property
    def axis(self) -> Axis:
        return self.coding.axis

    @property
    def sizes(self) -> tuple[int, ...]:
        """Classes of each token; none where there is but one class."""
        return self.coding.sizes if self.coding.groups > 1 else ()

    @cached_property
    def members(self) -> Codes:
        """int[free codes]: the codes that a score tells, ascending."""
        return np.flatnonzero(self.coding.group == self.free)

    @cached_property
    def edges(self) -> Floats:
        """float64[free codes + 1]: where each of them begins on the line of shares, from 0 to 1."""
        held = self.coding.shares[self.members]
        total = float(held.sum())
        held = (held / total if total > 0 else np.full(len(held), 1.0 / len(held))) + FLOOR
        edges = np.concatenate(([0.0], np.cumsum(held)))
        return np.asarray(edges / edges[-1])

    def tokens_of(self, fine: Codes) -> list[Codes]:
        """int[n] for each token, from codes of the axis."""
        if not self.sizes:
            return []
        group = self.coding.group[fine]
        return [group, self.coding.place[fine]] if self.coding.staged else [group]

    def interval_of(self, fine: Codes) -> Floats:
        """float64 [n, 2], from codes of the axis."""
        found = np.tile(np.array([0.0, 1.0]), (len(fine), 1))
        if self.free is None:
            return found
        told = np.flatnonzero(self.coding.group[fine] == self.free)
        place = np.searchsorted(self.members, fine[told])
        found[told, 0], found[told, 1] = self.edges[place], self.edges[place + 1]
        return found

    def fine(self, tokens: Sequence[Codes], score: Floats | None, rows: int) -> Codes:
        """int[rows]: codes of the axis, from tokens and, where there is one, the score."""
        coding = self.coding
        if coding.staged:
            return np.maximum(coding.members[tokens[0], tokens[1]], 0)
        group = tokens[0] if self.sizes else np.zeros(rows, np.intp)
        found = coding.members[group, 0]
        if self.free is None or score is None:
            return np.asarray(found)
        share = normal_share(score)
        place = np.searchsorted(self.edges, share, side="right") - 1
        place = np.clip(place, 0, len(self.members) - 1)
        return np.where(group == self.free, self.members[place], found)

    def mass(self, share: Floats) -> float:
        """The share of rows whose code is admitted, where `share` [codes] is of each code."""
        return float(self.coding.shares @ share / max(float(self.coding.shares.sum()), EMPTY))

    def open_groups(self, share: Floats) -> Floats:
        """float64[groups]: of each class the share that is admitted; of groups of many labels only
        whether any is."""
        members = self.open_members(share)
        if self.coding.staged:
            return np.asarray(members.max(1) > 0, np.float64)
        return np.asarray((members * self.coding.inner).sum(1))

    def open_members(self, share: Floats) -> Floats:
        """float64 [groups, members]: of each member."""
        members = self.coding.members
        return np.where(members >= 0, share[np.maximum(members, 0)], 0.0)


def normal_share(score: Floats) -> Floats:
    """The share of the normal distribution below each score."""
    from scipy.special import ndtr

    return np.asarray(ndtr(np.asarray(score, np.float64)))


def normal_score(share: Floats) -> Floats:
    """The inverse of `normal_share`."""
    from scipy.special import ndtri

    return np.asarray(ndtri(np.asarray(share, np.float64)))


def mixed(axis: Axis, counts: Floats, heavy: float = HEAVY_SHARE, few: int = FEW_VALUES) -> Mixed:
    """How an axis whose codes hold `counts` rows is told.

    Numbers of at most `few` codes are classes, as are values that the share `heavy` of rows hold.
    """
    if not isinstance(axis, GridAxis) or len(axis.starts) <= few:
        return Mixed(coded(axis, counts, few, LABELS))
    known = len(axis.starts)
    shares = np.maximum(counts, 0.0)
    alone = shares[:known] >= heavy * max(float(shares[:known].sum()), EMPTY)
    if (~alone).sum() < 2:
        alone[:] = False
    heavies = int(alone.sum())
    group = np.full(axis.size, heavies, np.intp)
    group[:known][alone] = np.arange(heavies)
    group[known:] = heavies + 1 + np.arange(axis.size - known)
    return Mixed(Coding(axis, group, shares), free=heavies)


Columns = Mapping[str, Mixed]
FineCodes = NDArray[np.int64]
"""[rows, columns]: a code of its axis for every column."""


def encoded(table: pa.Table, columns: Columns) -> FineCodes:
    """A table of the learnt columns as codes."""
    found = [column.axis.encode(table[name]) for name, column in columns.items()]
    return np.stack(found, 1).astype(np.int64)


def parted(fine: FineCodes, columns: Columns) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Codes as what the network is trained on: int64 [rows, tokens], float32 [rows, scores, 2]."""
    rows = len(fine)
    tokens: list[Codes] = []
    intervals: list[Floats] = []
    for codes, column in zip(fine.T, columns.values(), strict=True):
        tokens += column.tokens_of(codes)
        if column.free is not None:
            intervals.append(column.interval_of(codes))
    return (
        np.stack(tokens, 1).astype(np.int64) if tokens else np.zeros((rows, 0), np.int64),
        np.stack(intervals, 1).astype(np.float32)
        if intervals
        else np.zeros((rows, 0, 2), np.float32),
    )
