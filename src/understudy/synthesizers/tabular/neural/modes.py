"""Columns as modes and scalars: mode-specific normalisation (Xu et al. 2019, section 4.2).

A cell becomes a mode, told as a one-hot, and where the mode is a stretch of a number line, a scalar
that says where in it. The paper fits a Gaussian mixture to the values; here modes are runs of about
equal weight along the column's quantile line, and a value's place in its run is carried onto a
standard normal by the run's own quantiles. So a scalar is normal by construction, tails are never
cut, and no value comes back that the column's axis does not know. A value that many rows share is
a mode without a scalar, and so are missing cells and labels; labels beyond a bound share modes,
within which they are drawn by their shares. All of it follows from an axis and counts, so it serves
counts that were read and counts that were bought.

A row of the table is a row of the axes' codes here, int64 [rows, columns]; `rows` turns these into
tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from understudy.encoding.discrete import Codes, Floats, GridAxis
from understudy.synthesizers.tabular.neural.buying import Counted
from understudy.synthesizers.tabular.neural.coding import Coding, coded
from understudy.synthesizers.tabular.neural.tokens import Codings

EDGE = 1e-6
"""Scalars stay within the normal quantiles of this and of 1 less it."""
LABELS = 200
"""Labels that are a mode each; where there are more, they share so many."""


def modes_of(counted: Counted, most: int, labels: int = LABELS) -> Coding:
    """A column's modes as a `Coding`: numbers in at most `most` runs, told with their place."""
    found = coded(counted.axis, counted.counts, most, labels)
    known = isinstance(counted.axis, GridAxis) and len(counted.axis.starts) > 0
    return replace(found, staged=True) if known else found


@dataclass(frozen=True)
class Modes:
    """All columns' modes. One-hots stand side by side, then the scalars, one for each number."""

    codings: Codings

    @classmethod
    def of(cls, columns: Mapping[str, Counted], most: int) -> Modes:
        return cls({name: modes_of(one, most) for name, one in columns.items()})

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Modes of each column."""
        return tuple(coding.groups for coding in self.codings.values())

    @cached_property
    def first(self) -> tuple[int, ...]:
        """Where each column's one-hot starts; the last entry is where they end."""
        return (0, *np.cumsum(self.sizes).tolist())

    @cached_property
    def lines(self) -> tuple[int, ...]:
        """The places of the columns that have a scalar."""
        every = enumerate(self.codings.values())
        return tuple(j for j, coding in every if is_line(coding) and wide(coding).any())

    @property
    def total(self) -> int:
        """Modes of all columns."""
        return self.first[-1]

    @property
    def width(self) -> int:
        """Numbers that a row becomes."""
        return self.total + len(self.lines)

    @property
    def outputs(self) -> int:
        """What a network tells of a row: a logit for each mode, and a scalar for each of a line."""
        return self.total + sum(self.sizes[j] for j in self.lines)

    @cached_property
    def scalars_at(self) -> tuple[int, ...]:
        """Where the scalars of each line start among the outputs."""
        sizes = [self.sizes[j] for j in self.lines]
        return (
            tuple((self.total + np.cumsum([0, *sizes[:-1]])).astype(int).tolist()) if sizes else ()
        )

    @cached_property
    def margins(self) -> Floats:
        """float64 [total]: the share of rows in each mode of each column."""
        return np.concatenate([coding.margin for coding in self.codings.values()])

    def encode(self, table: pa.Table) -> NDArray[np.int64]:
        """int64 [rows, columns]: a table of the learnt columns as codes of the axes."""
        columns = [coding.axis.encode(table[name]) for name, coding in self.codings.items()]
        return np.stack(columns, axis=1).astype(np.int64)

    def dense(self, codes: NDArray[np.int64]) -> NDArray[np.float32]:
        """float32 [rows, width]: one-hots, then scalars, numbers in the middle of their codes."""
        hot = np.zeros((len(codes), self.width), np.float32)
        mode, scalars = self.cells(codes)
        hot[np.arange(len(codes))[:, None], mode + np.array(self.first[:-1])] = 1.0
        hot[:, self.total :] = scalars
        return hot

    def cells(self, codes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """int64 [rows, columns] and float32 [rows, lines]: modes, and scalars where a mode has
        one."""
        mode = np.empty(codes.shape, np.int64)
        scalars = np.zeros((len(codes), len(self.lines)), np.float32)
        for j, coding in enumerate(self.codings.values()):
            mode[:, j] = coding.group[codes[:, j]]
            if j in self.lines:
                low, high = stretches(coding)
                middle = ndtri(np.clip((low + high) / 2, EDGE, 1 - EDGE))
                middle[~wide(coding)[coding.group]] = 0.0
                scalars[:, self.lines.index(j)] = middle[codes[:, j]]
        return mode, scalars


def is_line(coding: Coding) -> bool:
    """Whether a column is a number line, its modes runs of it."""
    return isinstance(coding.axis, GridAxis) and coding.staged


def wide(coding: Coding) -> NDArray[np.bool_]:
    """bool [groups]: the modes that hold several codes, so that a place in them means something."""
    return np.bincount(coding.group, minlength=coding.groups) > 1


def stretches(coding: Coding) -> tuple[Floats, Floats]:
    """float64 [codes] each: the quantiles in its mode at which each code starts and ends."""
    edges = quantiles(coding)
    place = coding.place
    return edges[coding.group, place], edges[coding.group, place + 1]


def quantiles(coding: Coding) -> Floats:
    """float64 [groups, members + 1]: the edges of each mode's members, from 0 to 1."""
    inner = coding.inner
    edges = np.zeros((len(inner), inner.shape[1] + 1))
    np.cumsum(inner, axis=1, out=edges[:, 1:])
    return np.minimum(edges / edges[:, -1:], 1.0)


def placed(coding: Coding, group: Codes, scalar: NDArray[np.floating]) -> Codes:
    """int [n]: the member of each row's mode at its scalar, a standard normal's quantile."""
    edges = quantiles(coding)
    flat = (edges[:, 1:] + np.arange(len(edges))[:, None]).ravel()
    share = np.clip(ndtr(scalar.astype(np.float64)), 1e-9, 1 - 1e-9)
    place = np.searchsorted(flat, group + share, side="right") - group * coding.inner.shape[1]
    last = coding.inner.shape[1] - 1 - np.argmax(coding.inner[:, ::-1] > 0, axis=1)
    return np.asarray(np.minimum(place, last[group]))


def chances_of_places(
    coding: Coding, group: Codes, mean: NDArray[np.floating], spread: NDArray[np.floating]
) -> NDArray[np.float32]:
    """float32 [n, members]: how a normal scalar of this mean and spread divides over the members of
    each row's mode."""
    with np.errstate(divide="ignore"):
        edges = np.asarray(_normal_edges(coding)[group])
    below = ndtr((edges - mean[:, None]) / spread[:, None]).astype(np.float32)
    return np.diff(below, axis=1)


def _normal_edges(coding: Coding) -> Floats:
    return np.asarray(ndtri(quantiles(coding)))
