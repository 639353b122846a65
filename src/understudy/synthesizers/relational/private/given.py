"""What a row is drawn given, in at most sixteen classes: the context that tells most about it.

Tables under noise have no room for all that is known of a row's parents. One or two things are
chosen under the budget: which sibling it is, and a column of the row it hangs on (or of that one's
parents). Rows are then learnt by the class these make.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.encoding.columns import to_numbers
from understudy.encoding.discrete import Codes, GridAxis
from understudy.encoding.private_bins import Binned
from understudy.privacy.mechanisms import Choice
from understudy.privacy.session import Private
from understudy.synthesizers.relational.graph import Graph
from understudy.synthesizers.relational.private.parts import Part
from understudy.synthesizers.relational.rows import NOBODY, Places
from understudy.synthesizers.tabular.marginals.grain import owner, runs

RANKS, GROUPS, COARSE = 3, 5, 16
RANK = "rank"
TYPICAL, CHANCE = 6, 0.8
"""Filled coarse cells of a column, and the mean size of a standard normal."""
MOVES = 4.0
"""By how much one row can move a score. With margins r and c (as shares) of the n rows before it, a
row in cell (x, y) moves the table less its independent part by n/(n+1) (e_x - r)(e_y - c)', whose
L1 norm is 4 n/(n+1) (1 - r_x)(1 - c_y)."""
Coded = Mapping[str, Mapping[str, Codes]]
"""Codes of every column of every table, as far as they are known."""


@dataclass(frozen=True)
class Known:
    """One thing known of a row: which sibling it is (no `table`), or `groups` of a column's codes
    in a table on its way up."""

    table: str
    column: str
    groups: NDArray[np.int64]

    @property
    def size(self) -> int:
        return int(self.groups.max(initial=0)) + 1


@dataclass(frozen=True)
class Given:
    """The class of a row: all of `known` together."""

    known: tuple[Known, ...]

    @property
    def size(self) -> int:
        return int(np.prod([known.size for known in self.known], dtype=np.int64))

    def codes(self, ways: Mapping[str, Places], rank: Places, coded: Coded) -> Codes:
        """int[rows]; `ways` has the row of each table above that every row hangs on."""
        found = np.zeros(len(rank), np.int64)
        for known in self.known:
            found = found * known.size + _codes(known, ways, rank, coded)
        return found


def _codes(
    known: Known, ways: Mapping[str, Places], rank: Places, coded: Coded
) -> NDArray[np.int64]:
    if not known.table:
        return known.groups[np.minimum(rank, len(known.groups) - 1)]
    places = ways[known.table]
    codes = coded[known.table][known.column]
    if len(codes) == 0:
        return np.zeros(len(places), np.int64)
    return np.where(places == NOBODY, 0, known.groups[codes[places]])


def candidates(
    graph: Graph, table: str, axes: Mapping[str, Mapping[str, Binned]], bound: int
) -> list[Given]:
    """Every class that could be chosen, from public things and answers already paid for."""
    single = []
    primary = graph.primary(table)
    while primary is not None:
        for name, binned in axes[primary.parent].items():
            groups = _groups(binned)
            if groups.max() > 0:
                single.append(Known(primary.parent, name, groups))
        primary = graph.primary(primary.parent)
    if bound == 1:
        return [Given(())] + [Given((known,)) for known in single]
    sibling = Known("", RANK, np.arange(RANKS))
    return [Given((sibling,))] + [Given((sibling, known)) for known in single]


def _groups(binned: Binned) -> NDArray[np.int64]:
    """At most `GROUPS` groups of a column's codes, by their noisy counts."""
    counts = np.maximum(binned.counts, 0.0)
    if isinstance(binned.axis, GridAxis):
        return owner(runs(counts, GROUPS), len(counts)).astype(np.int64)
    order = np.argsort(-counts, kind="stable")
    groups = np.empty(len(counts), np.int64)
    groups[order] = np.minimum(np.arange(len(counts)), GROUPS - 1)
    return groups


def choose(
    table: Private[pa.Table],
    options: Private[Sequence[NDArray[np.int64]]],
    sizes: Sequence[int],
    part: Part,
    epsilon: float,
    expected: float,
) -> int:
    """Which of the candidates tells most about any one column of the rows.

    `expected` is about how many rows there are, from answers paid for.
    """
    mechanism = Choice(epsilon, MOVES * part.rows_per_unit)
    part.reserve_plan([mechanism.event])
    both = Private((table._rows, options._rows), part, part.rows_per_unit)
    index = both.ask(
        "given what", mechanism, lambda seen: scores(seen[0], seen[1], sizes, expected)
    )
    return int(index[0])


def scores(
    table: pa.Table, options: Sequence[NDArray[np.int64]], sizes: Sequence[int], expected: float
) -> NDArray[np.float64]:
    """float64[candidates]: the largest L1 distance from independence with any column, less what
    chance alone would show on as many rows as are expected."""
    columns = [coarse(table[name]) for name in table.column_names]
    largest = [
        max((_distance(option, column, size) for column in columns), default=0.0)
        for option, size in zip(options, sizes, strict=True)
    ]
    cells = np.maximum(np.asarray(sizes, np.float64) - 1, 0) * TYPICAL
    return np.array(largest) - CHANCE * np.sqrt(max(expected, 0.0) * cells)


def _distance(one: NDArray[np.int64], other: NDArray[np.int64], size: int) -> float:
    if size == 1 or len(one) == 0:
        return 0.0
    joint = np.bincount(one * COARSE + other, minlength=size * COARSE).reshape(size, COARSE)
    apart = np.outer(joint.sum(1), joint.sum(0)) / len(one)
    return float(np.abs(joint - apart).sum())


def coarse(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """int64[rows] below `COARSE`, by a public rule: sizes of numbers, checksums of labels."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_boolean(kind):
        distinct = column.combine_chunks().dictionary_encode()
        labels = [
            zlib.crc32(repr(v).encode()) % (COARSE - 1) for v in distinct.dictionary.to_pylist()
        ]
        codes = distinct.indices.fill_null(len(labels)).to_numpy()
        return np.array([*labels, COARSE - 1], np.int64)[codes]
    numbers, gone = to_numbers(column)
    size = np.log2(np.abs(np.nan_to_num(numbers.astype(np.float64))) + 1)
    return np.where(gone, COARSE - 1, np.minimum(size, COARSE - 2)).astype(np.int64)
