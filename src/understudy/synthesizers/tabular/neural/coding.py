"""A column as one or two tokens: what the network sees of it, and the way back to values.

An axis (`encoding.discrete`) knows every label, or cuts a number line into fine runs. A token is
coarser: a group of the axis's codes. Within a group a value is drawn by the codes' own shares, so
a number follows its column's quantile line inside a bin instead of filling it evenly, and a value
that many rows share is a group of its own. Columns with more labels than a softmax should have are
told in two stages: the group, then which of its members.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.encoding.discrete import Axis, Codes, Floats, GridAxis
from understudy.schema.domains import Domain
from understudy.synthesizers.tabular.marginals.grain import owner, runs

EMPTY = 1e-12


@dataclass(frozen=True)
class Coding:
    """`group` maps the axis's codes to groups, `shares` says how many rows hold each code.

    With `staged` the place of a code within its group is a token of its own.
    """

    axis: Axis
    group: Codes
    shares: Floats
    staged: bool = False

    @property
    def name(self) -> str:
        return self.axis.name

    @property
    def sizes(self) -> tuple[int, ...]:
        """Codes of each token."""
        return (self.groups, self._widest) if self.staged else (self.groups,)

    @property
    def groups(self) -> int:
        return int(self.group.max()) + 1

    @cached_property
    def margin(self) -> Floats:
        """float64[groups]: the share of rows in each group."""
        held = np.bincount(self.group, self.shares, minlength=self.groups)
        return np.asarray(held / max(float(held.sum()), EMPTY))

    @cached_property
    def inner(self) -> Floats:
        """float64[groups, members]: how the members of a group share it."""
        table = np.zeros((self.groups, self._widest))
        table[self.group, self.place] = self.shares
        total = table.sum(1, keepdims=True)
        even = self.members >= 0
        return np.where(
            total > 0, table / np.where(total > 0, total, 1.0), even / even.sum(1)[:, None]
        )

    def encode(self, column: pa.ChunkedArray) -> list[Codes]:
        """int[n] for each token."""
        fine = self.axis.encode(column)
        return [self.group[fine], self.place[fine]] if self.staged else [self.group[fine]]

    def decode(
        self, tokens: Sequence[Codes], rng: np.random.Generator, domain: Domain | None = None
    ) -> pa.Array:
        """Values in the column's type; with a condition, ones that meet it."""
        if self.staged:
            fine = np.maximum(self.members[tokens[0], tokens[1]], 0)
        else:
            fine = self._drawn(tokens[0], rng, domain)
        return self.axis.decode(fine, rng, domain)

    def log_inner(self, column: pa.ChunkedArray) -> Floats:
        """float64[n]: the log share of each cell's value within what its tokens say."""
        fine = self.axis.encode(column)
        found = np.zeros(len(fine))
        if isinstance(self.axis, GridAxis) and len(self.axis.starts):
            widths = np.append(self.axis.widths, np.ones(self.axis.size - len(self.axis.starts)))
            found -= np.log(widths[fine])
        if self.staged:
            return found
        return found + np.log(np.maximum(self.inner[self.group[fine], self.place[fine]], EMPTY))

    def admitted(self, domain: Domain) -> tuple[Floats, Floats]:
        """[groups] and [groups, members]: the share of each that meets the condition."""
        share = self.axis.admitted(domain)
        table = np.zeros((self.groups, self._widest))
        table[self.group, self.place] = share
        return (table * self.inner).sum(1), table

    def _drawn(self, group: Codes, rng: np.random.Generator, domain: Domain | None) -> Codes:
        """A member of each row's group by the members' shares of what is admitted."""
        weight = self.inner
        if domain is not None:
            weight = weight * self.admitted(domain)[1]
        if weight.shape[1] == 1:
            return np.asarray(self.members[group, 0])
        edges = np.cumsum(weight, axis=1)
        edges /= np.maximum(edges[:, -1:], EMPTY)
        flat = (edges + np.arange(self.groups)[:, None]).ravel()
        tick = group + np.minimum(rng.random(len(group)), 1.0 - 1e-9)
        place = np.searchsorted(flat, tick, side="right") - group * weight.shape[1]
        last = weight.shape[1] - 1 - np.argmax(weight[:, ::-1] > 0, axis=1)
        return np.asarray(self.members[group, np.minimum(place, last[group])])

    @cached_property
    def place(self) -> Codes:
        """int[codes]: the place of each code within its group."""
        order = np.argsort(self.group, kind="stable")
        counts = np.bincount(self.group, minlength=self.groups)
        first = np.cumsum(counts) - counts
        place = np.empty(len(self.group), np.intp)
        place[order] = np.arange(len(order)) - first[self.group[order]]
        return place

    @cached_property
    def _widest(self) -> int:
        return int(np.bincount(self.group).max())

    @cached_property
    def members(self) -> Codes:
        """int[groups, members]: codes of each group, -1 beyond its last."""
        table = np.full((self.groups, self._widest), -1, np.intp)
        table[self.group, self.place] = np.arange(len(self.group))
        return table


def coded(axis: Axis, counts: Floats, most: int, labels: int) -> Coding:
    """The tokens of an axis whose codes hold `counts` rows.

    Numbers are cut into at most `most` runs of equal weight; up to `labels` labels are a code each,
    more are told in two stages, the frequent ones in groups of their own. Missing cells, and labels
    that are not known, always are.
    """
    known = len(axis.starts) if isinstance(axis, GridAxis) else len(axis.values)
    shares = np.maximum(counts, 0.0)
    if known == 0:
        return Coding(axis, np.arange(axis.size), shares)
    if isinstance(axis, GridAxis):
        group, staged = owner(runs(shares[:known], most), known), False
    elif known <= labels:
        group, staged = np.arange(known), False
    else:
        order = np.argsort(-shares[:known], kind="stable")
        group = np.empty(known, np.intp)
        group[order] = owner(_spread(shares[:known][order], labels), known)
        staged = True
    apart = int(group.max()) + 1 + np.arange(axis.size - known)
    return Coding(axis, np.concatenate((group, apart)), shares, staged)


def _spread(weight: Floats, labels: int) -> NDArray[np.intp]:
    """Where groups of labels, the most frequent first, start: half of the groups hold one label
    each, as far as that is frequent; the others hold about equally many."""
    alone = int((weight[: labels // 2] >= weight.sum() / labels).sum())
    rest = len(weight) - alone
    pieces = min(labels - alone, max(1, int(np.ceil(np.sqrt(rest)))))
    later = alone + np.arange(pieces) * rest // pieces
    return np.concatenate((np.arange(alone), later)).astype(np.intp)
