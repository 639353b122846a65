"""What of a table is learnt, and what is made otherwise: keys, identifiers, texts, running columns.

Cells go through the table's own constraints first, and dates that never lie before a date of the
parent become the time since it, so that a loan cannot come before its account.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.encoding.columns import from_numbers, to_numbers
from understudy.encoding.constraints import Reparametrisation
from understudy.encoding.points import join_points, split_points
from understudy.schema import Running, Schema, Table, Unique
from understudy.schema.constraints import columns_of
from understudy.synthesizers.relational.products import Product, products_in

Times = NDArray[np.int64]
ALWAYS = 0.9999
"""Share of rows that must not lie before a date of the parent for the rule to be believed."""


def learnt_names(spec: Table, pointed_at: Collection[str] = ()) -> tuple[str, ...]:
    """Columns an engine learns: no keys, no identifiers or texts, nothing that is worked out.

    Of a primary key of several columns those stay that are neither foreign keys nor numbers.
    `pointed_at` names columns that foreign keys point at, which are keys whatever their kind.
    """
    keys = {name for key in spec.foreign_keys for name in key.columns} | set(pointed_at)
    keys |= set(numbered(spec)) | (set(spec.primary_key) if len(spec.primary_key) == 1 else set())
    keys |= {r.column for r in spec.constraints if isinstance(r, Running)}
    return tuple(column.name for column in spec.learnt if column.name not in keys)


def numbered(spec: Table) -> tuple[str, ...]:
    """Whole numbers in a key of several columns that point nowhere: line 1, 2, 3 of an order."""
    if len(spec.primary_key) < 2:
        return ()
    pointing = {name for key in spec.foreign_keys for name in key.columns}
    return tuple(
        name
        for name in spec.primary_key
        if name not in pointing and spec.column(name).kind in ("number", "identifier")
    )


def pointed_at(schema: Schema, table: str) -> tuple[str, ...]:
    """Columns of `table` that foreign keys point at and that are not its primary key's."""
    known = set(schema.table(table).primary_key)
    keys = (key for spec in schema.tables for key in spec.foreign_keys if key.table == table)
    return tuple(dict.fromkeys(n for key in keys for n in key.references if n not in known))


def learnt_spec(spec: Table, pointed_at: Collection[str] = ()) -> Table | None:
    """The table of `learnt_names` alone, with the constraints that speak of nothing else; None
    where nothing is learnt, as of a table that only links others."""
    names = learnt_names(spec, pointed_at)
    if not names:
        return None
    rules = tuple(
        rule
        for rule in spec.constraints
        if set(columns_of(rule)) <= set(names) and not isinstance(rule, Running | Unique)
    )
    columns = tuple(column for column in spec.columns if column.name in names)
    return spec.model_copy(
        update={
            "columns": columns,
            "primary_key": (),
            "foreign_keys": (),
            "order_by": None,
            "constraints": rules,
        }
    )


@dataclass(frozen=True)
class Anchor:
    """`column` is learnt as the time since `of`, a column of the context; with `share`, as a share
    of the time from there to the `latest` moment on record. Where there is none it is counted from
    the `usual` one."""

    column: str
    of: str
    latest: int
    share: bool = False
    usual: int = 0

    def start(self, context: pa.Table) -> Times:
        """int64[rows]: from when on each row's time is told."""
        start, absent = to_numbers(context[self.of])
        return np.where(absent, self.usual, start).astype(np.int64)

    def forward(self, when: Times, start: Times) -> Times | NDArray[np.float64]:
        gap = when - start
        return gap / np.maximum(self.latest - start, 1) if self.share else gap

    def backward(self, learnt: NDArray[np.generic], start: Times) -> Times:
        room = np.maximum(self.latest - start, 0)
        if self.share:
            return start + np.rint(learnt * room).astype(np.int64)
        gap = learnt.astype(np.int64)
        # Folded back where it lies beyond the last moment on record.
        return start + np.where(gap > room, np.remainder(gap, room + 1), gap)


@dataclass(frozen=True)
class Cells:
    """The way from a table's cells to the columns that are modelled, and back."""

    space: Reparametrisation | None
    types: pa.Schema
    anchors: tuple[Anchor, ...]
    products: tuple[Product, ...] = ()

    @classmethod
    def fit(cls, table: pa.Table, spec: Table | None, context: pa.Table) -> Cells:
        """`table` has the columns of `spec`, `context` a row for each of its rows."""
        types = table.schema.remove_metadata()
        if spec is None:
            return cls(None, types, ())
        space = Reparametrisation.fit(table, spec)
        anchors = tuple(
            anchor
            for name in table.column_names
            if (anchor := _anchor(name, table[name], context)) is not None
        )
        reshaped = set(space.spec.column_names)
        anchors = tuple(a for a in anchors if a.column in reshaped)
        taken = {anchor.column for anchor in anchors}
        return cls(space, types, anchors, products_in(space.forward(table), taken))

    def forward(self, table: pa.Table, context: pa.Table) -> pa.Table:
        if self.space is None:
            return table
        moved, _ = split_points(self.space.forward(table), self.space.spec)
        for anchor in self.anchors:
            own, gone = to_numbers(moved[anchor.column])
            gap = anchor.forward(own.astype(np.int64), anchor.start(context))
            moved = _with(moved, anchor.column, pa.array(gap, mask=gone))
        return moved.drop_columns([product.of for product in self.products])

    def backward(self, drawn: pa.Table, context: pa.Table) -> pa.Table:
        """Cells of the source's types; dates are counted from the parent's again."""
        if self.space is None:
            return drawn
        for product in self.products:
            drawn = product.append_to(drawn)
        for anchor in self.anchors:
            gap, gone = to_numbers(drawn[anchor.column])
            when = anchor.backward(gap, anchor.start(context))
            kind = self.types.field(anchor.column).type
            drawn = _with(drawn, anchor.column, from_numbers(when, gone, kind))
        return self.space.backward(join_points(drawn, self.space.spec, self.types))


def _anchor(name: str, column: pa.ChunkedArray, context: pa.Table) -> Anchor | None:
    """The context's date of the same type that is nearest before all of the column's."""
    if not (pa.types.is_date(column.type) or pa.types.is_timestamp(column.type)):
        return None
    own, gone = to_numbers(column)
    latest = int(own[~gone].max(initial=0))
    best: tuple[float, Anchor] | None = None
    for other in context.column_names:
        if context.schema.field(other).type != column.type:
            continue
        start, absent = to_numbers(context[other])
        both = ~(gone | absent)
        if both.sum() < 0.5 * len(own):
            continue
        since, when = start[both].astype(np.int64), own[both].astype(np.int64)
        gap = when - since
        if np.mean(gap >= 0) >= ALWAYS and (best is None or gap.mean() < best[0]):
            usual = int(np.median(since))
            whole, part = (Anchor(name, other, latest, share, usual) for share in (False, True))
            freer = _tied(part.forward(when, since), since) < _tied(gap, since)
            best = (float(gap.mean()), part if freer else whole)
    return None if best is None else best[1]


def _tied(values: NDArray[Any], start: Times) -> float:
    """How much a way of telling the time still depends on where it starts (rank correlation)."""
    from scipy.stats import spearmanr

    if np.ptp(values) == 0 or np.ptp(start) == 0:
        return 0.0
    return abs(float(spearmanr(values, start).statistic))


def _with(table: pa.Table, name: str, column: pa.Array) -> pa.Table:
    place = table.column_names.index(name)
    return table.set_column(place, name, column)
