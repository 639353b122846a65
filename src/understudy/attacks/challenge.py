"""The challenge: equal numbers of members and others, and every distance the attacks share.

Members are drawn from train, others from the holdout; the attacker sees the synthetic table and a
reference sample, never the labels. All nearest-neighbour searches happen here, once. Where the
protected unit is an entity, whole entities are drawn and labels belong to entities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.attacks.realignment import realigned
from understudy.data.dataset import Dataset
from understudy.encoding.metric import MetricSpace, Points
from understudy.encoding.neighbours import Neighbours, nearest
from understudy.evaluation.samples import Feature, collect, subsample
from understudy.schema import Schema

MOST_CHALLENGED = 10_000
"""Members, and as many others: intervals depend on these, not on the size of the table."""
MOST_REFERENCE = 10_000
MOST_SYNTHETIC = 50_000
REACH = 20
OUTLIERNESS = 5
"""Reference neighbours whose mean distance says how unusual a record is."""
POOL, REFERENCE, SYNTHETIC = "train", "reference", "synthetic"
"""Roles in `Challenge.features`: members and others lie together in the first."""


@dataclass(frozen=True)
class Distances:
    """From the pooled real rows (members first) to synthetic and reference rows, in one space."""

    to_synthetic: Neighbours
    to_reference: Neighbours


@dataclass(frozen=True)
class Challenge:
    """Rows, labels and neighbours. `values` is the linear space, `ranks` the rank space."""

    is_member: NDArray[np.bool_]
    """One label per challenged unit, members first."""
    unit_of: NDArray[np.int64]
    """The unit of each pooled row."""
    values: Distances
    ranks: Distances
    realigned: Neighbours | None
    """Pool to synthetic rows whose numbers were mapped back onto the reference's quantiles."""
    to_train: Neighbours
    """Synthetic rows (at most as many as challenged) to the members' rows, two nearest."""
    to_holdout: Neighbours
    pool: pa.Table
    synthetic: pa.Table
    space: MetricSpace
    points: Mapping[str, Points]
    """Linear-space points of the pool, the reference and the synthetic rows."""
    features: tuple[Feature, ...]
    """The same rows coded for models, without a look at the labels."""
    member_rows: int
    left_out: tuple[str, ...]

    @property
    def members(self) -> int:
        return int(self.is_member.sum())

    @property
    def by_entity(self) -> bool:
        return len(self.is_member) < len(self.unit_of)

    @property
    def row_is_member(self) -> NDArray[np.bool_]:
        return self.is_member[self.unit_of]

    @property
    def outlierness(self) -> NDArray[np.float64]:
        """Per unit: how far from the reference its strangest row lies."""
        rows = self.values.to_reference.distance[:, :OUTLIERNESS].mean(axis=1)
        if not self.by_entity:
            return rows
        worst = np.zeros(len(self.is_member))
        np.maximum.at(worst, self.unit_of, rows)
        return worst


def set_up(
    tables: Mapping[str, pa.Table], schema: Schema, rng: np.random.Generator
) -> Challenge | None:
    """Draws the challenge; None if a side is empty or no column carries distance."""
    if min(table.num_rows for table in tables.values()) == 0:
        return None
    spec = schema.table()
    members, others = _draw_units(tables["train"], tables["holdout"], schema.unit.column, rng)
    drawn = {
        REFERENCE: subsample(tables["reference"], MOST_REFERENCE, rng),
        SYNTHETIC: subsample(tables["synthetic"], MOST_SYNTHETIC, rng),
    }
    linear = MetricSpace.fit(drawn[REFERENCE], spec)
    if linear.width == 0:
        return None
    ranked = MetricSpace.fit(drawn[REFERENCE], spec, ranks=True)
    drawn[POOL] = pa.concat_tables([members.rows, others.rows])
    points = {role: linear.transform(table) for role, table in drawn.items()}
    aligned = realigned(drawn[SYNTHETIC], drawn[REFERENCE], spec)
    asking = points[SYNTHETIC]
    if len(asking) > MOST_CHALLENGED:
        asking = asking[np.sort(rng.choice(len(asking), MOST_CHALLENGED, replace=False))]
    cut = members.rows.num_rows
    # Closeness compares rows with rows, so both sides give it as many.
    fair = min(cut, others.rows.num_rows)
    return Challenge(
        np.arange(members.units + others.units) < members.units,
        np.concatenate([members.unit_of, members.units + others.unit_of]),
        _distances(points),
        _distances({role: ranked.transform(table) for role, table in drawn.items()}),
        None if aligned is None else nearest(points[POOL], linear.transform(aligned), REACH),
        nearest(asking, points[POOL][:fair], 2),
        nearest(asking, points[POOL][cut : cut + fair], 2),
        drawn[POOL],
        drawn[SYNTHETIC],
        linear,
        points,
        _features(drawn, schema),
        cut,
        linear.left_out,
    )


@dataclass(frozen=True)
class _Side:
    """Rows drawn from one side and the unit of each, numbered from 0."""

    rows: pa.Table
    unit_of: NDArray[np.int64]
    units: int


def _draw_units(
    train: pa.Table, holdout: pa.Table, unit: str | None, rng: np.random.Generator
) -> tuple[_Side, _Side]:
    """As many units from each side as both have, within `MOST_CHALLENGED` rows."""
    if unit is None:
        size = min(train.num_rows, holdout.num_rows, MOST_CHALLENGED)
        alone = np.arange(size)
        members, others = (subsample(table, size, rng) for table in (train, holdout))
        return _Side(members, alone, size), _Side(others, alone, size)
    owners = [unit_codes(table[unit]) for table in (train, holdout)]
    counts = [int(codes.max(initial=-1)) + 1 for codes in owners]
    rows_a_unit = max(len(codes) / count for codes, count in zip(owners, counts, strict=True))
    size = min(*counts, max(1, int(MOST_CHALLENGED / rows_a_unit)))
    sides = []
    for table, codes, count in zip((train, holdout), owners, counts, strict=True):
        number = np.full(count, -1)
        number[np.sort(rng.choice(count, size, replace=False))] = np.arange(size)
        chosen = number[codes]
        kept = np.flatnonzero(chosen >= 0)
        sides.append(_Side(table.take(pa.array(kept)), chosen[kept], size))
    return sides[0], sides[1]


def unit_codes(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """The unit of each row, numbered from 0; missing names count as one unit."""
    coded = column.combine_chunks().dictionary_encode("encode")
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.combine_chunks()
    return coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)


def _features(drawn: Mapping[str, pa.Table], schema: Schema) -> tuple[Feature, ...]:
    """Levels are numbered by their frequency in the whole pool, which tells no label."""
    pool, reference, synthetic = (
        Dataset.single(schema, drawn[role]) for role in (POOL, REFERENCE, SYNTHETIC)
    )
    empty = reference.with_table(reference.table.slice(0, 0))
    return collect(pool, empty, reference, synthetic, seed=0).features


def _distances(points: Mapping[str, Points]) -> Distances:
    return Distances(
        nearest(points[POOL], points[SYNTHETIC], REACH),
        nearest(points[POOL], points[REFERENCE], REACH),
    )
