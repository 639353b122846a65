"""Attacks on whole entities: everything that hangs on one person, at once.

A table can hold no row that anybody had and still hand over a person's history row by row: each row
new, the person's amounts all there. Row scores are therefore summed up per entity (their mean and
their largest), and profiles, one row per entity with the spread of its numbers and the mix of its
levels, are attacked as rows of their own. Attacks on single rows underestimate what entities lose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.attacks.challenge import Challenge, unit_codes
from understudy.attacks.copies import KeyTest, key_test
from understudy.attacks.membership import TINY, Attacker, Score
from understudy.encoding.columns import to_numbers
from understudy.encoding.metric import MetricSpace, is_numeric
from understudy.encoding.neighbours import nearest
from understudy.errors import SourceError
from understudy.evaluation.samples import shared_codes, subsample
from understudy.evaluation.statistics import midranks
from understudy.schema import LEARNT_KINDS, Number, Schema, Table, one_table

QUANTILES = (0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0)
MOST_COLUMNS = 10
"""Columns whose profiles are also compared one by one."""
TOP_LEVELS = 5
MOST_PROFILES = 20_000

ACQUAINTANCE = Attacker(
    "everything that hangs on the person looked for, and a sample of the same population",
    "the synthetic table",
    "a summary per person, then two nearest-neighbour searches; seconds on a laptop",
)

Roles = Mapping[str, pa.Table]


def refuse_shared_units(train: pa.Table, holdout: pa.Table, unit: str) -> None:
    """Raises `SourceError` where train and holdout know the same entities."""
    known, held = (table[unit].unique() for table in (train, holdout))
    shared = pc.sum(pc.is_in(held.drop_null(), value_set=known)).as_py() or 0
    if shared:
        raise SourceError(
            f"{shared:,} of the {len(held):,} values of {unit!r} in the holdout occur in the "
            "training table too. People who were learnt from are no control: split by "
            f"{unit!r}, so that each is on one side only."
        )


def by_unit(challenge: Challenge, tried: Sequence[Score]) -> list[Score]:
    """Row scores as scores of entities; as they are where each row is its own unit."""
    if not challenge.by_entity:
        return list(tried)
    units = len(challenge.is_member)
    counts = np.bincount(challenge.unit_of, minlength=units)
    found = []
    for score in tried:
        # Means of ranks, so that one far-out row does not drown the others.
        ranks = midranks(score.values)
        mean = np.bincount(challenge.unit_of, ranks, minlength=units) / counts
        largest = np.zeros(units)
        np.maximum.at(largest, challenge.unit_of, ranks)
        found.append(Score(f"{score.name}, mean over rows", score.attacker, mean))
        found.append(Score(f"{score.name}, best row", score.attacker, largest))
    return found


def profile_scores(
    challenge: Challenge, tables: Roles, schema: Schema, rng: np.random.Generator
) -> list[Score]:
    """Attacks on one summary row per entity; none where synthetic entities have a row each."""
    unit = schema.unit.column
    if unit is None or not _has_entities(tables["synthetic"][unit]):
        return []
    levels = _levels(tables["reference"], schema.table())
    sides = {
        role: profiles(subsample_units(tables[role], unit, rng), unit, schema.table(), levels)
        for role in ("reference", "synthetic")
    }
    pool = profiles(challenge.pool, unit, schema.table(), levels, challenge.unit_of)
    found = []
    for ranks in (False, True):
        name = "ranks" if ranks else "values"
        ratios = _ratios(pool, sides, pool.column_names, ranks=ranks)
        for k, what in ((1, "nearest profile ratio"), (5, "profile neighbourhood ratio")):
            if ratios is not None:
                found.append(Score(f"{what} ({name})", ACQUAINTANCE, ratios[k]))
    learnt = [c.name for c in schema.table().columns if c.kind in LEARNT_KINDS and c.name != unit]
    for column in learnt[:MOST_COLUMNS]:
        own = [name for name in pool.column_names if name.startswith(f"{column} ")]
        ratios = _ratios(pool, sides, own, ranks=False)
        if ratios is not None:
            found.append(Score(f"nearest profile ratio ({column})", ACQUAINTANCE, ratios[1]))
    return found


def _ratios(
    pool: pa.Table, sides: Roles, names: Sequence[str], *, ranks: bool
) -> dict[int, NDArray[np.float64]] | None:
    """Log ratio of distances to reference and to synthetic profiles, by neighbour."""
    spec = one_table("profiles", [Number(name=name) for name in names]).table()
    space = MetricSpace.fit(sides["reference"], spec, ranks=ranks)
    if space.width == 0:
        return None
    asked = space.transform(pool)
    ours, theirs = (
        nearest(asked, space.transform(sides[r]), 5) for r in ("synthetic", "reference")
    )
    return {k: np.log(theirs.to(k) + TINY) - np.log(ours.to(k) + TINY) for k in (1, 5)}


def profile_copies(tables: Roles, schema: Schema) -> tuple[KeyTest, ...]:
    """Per column: entities whose whole multiset of cells turns up for a synthetic entity."""
    unit = schema.unit.column
    if unit is None or not _has_entities(tables["synthetic"][unit]):
        return ()
    tests = []
    for column in schema.table().columns:
        if column.kind not in LEARNT_KINDS:
            continue
        _, codes = shared_codes({role: table[column.name] for role, table in tables.items()})
        tests.append(multisets((column.name,), codes, tables, unit))
    return tuple(tests)


def multisets(
    names: tuple[str, ...], codes: Mapping[str, NDArray[np.int64]], tables: Roles, unit: str
) -> KeyTest:
    """Entities of two rows or more whose codes, in whatever order, are a synthetic entity's."""
    keys = {}
    for role, table in tables.items():
        owner = unit_codes(table[unit])
        mixed = _mix(codes[role].astype(np.uint64))
        total = np.zeros(int(owner.max(initial=-1)) + 1, np.uint64)
        np.add.at(total, owner, mixed)
        # A single row is the row attacks' business, not a profile.
        keys[role] = total[np.bincount(owner) > 1].view(np.int64)
    return key_test(names, keys)


def profiles(
    table: pa.Table,
    unit: str,
    spec: Table,
    levels: Mapping[str, pa.Array],
    owner: NDArray[np.int64] | None = None,
) -> pa.Table:
    """One row per entity: rows, quantiles of its numbers, shares of the commonest levels."""
    owner = unit_codes(table[unit]) if owner is None else owner
    count = np.bincount(owner)
    columns: dict[str, NDArray[np.float64]] = {"rows": np.log(count)}
    for column in spec.columns:
        if column.kind not in LEARNT_KINDS or column.name == unit:
            continue
        cells = table[column.name]
        if is_numeric(column.kind, cells.type):
            for q, values in zip(QUANTILES, _quantiles(cells, owner, len(count)), strict=True):
                columns[f"{column.name} q{q}"] = values
            continue
        for i, level in enumerate(levels[column.name]):
            met = pc.fill_null(pc.equal(cells, level), False).to_numpy().astype(np.float64)
            columns[f"{column.name} level {i}"] = np.bincount(owner, met) / count
    return pa.table(columns)


def subsample_units(table: pa.Table, unit: str, rng: np.random.Generator) -> pa.Table:
    """All rows of at most `MOST_PROFILES` entities."""
    names = table[unit].unique()
    if len(names) <= MOST_PROFILES:
        return table
    kept = subsample(pa.table({"name": names}), MOST_PROFILES, rng)["name"]
    return table.filter(pc.is_in(table[unit], value_set=kept))


def _quantiles(
    cells: pa.ChunkedArray, owner: NDArray[np.int64], units: int
) -> list[NDArray[np.float64]]:
    """Order statistics within each entity; NaN, which becomes missing, where it has no value."""
    numbers, missing = to_numbers(cells)
    values, held = numbers.astype(np.float64)[~missing], owner[~missing]
    ordered = values[np.lexsort((values, held))]
    count = np.bincount(held, minlength=units)
    start = np.cumsum(count) - count
    found = []
    for q in QUANTILES:
        place = start + np.rint(q * (count - 1)).clip(0).astype(np.int64)
        picked = ordered[place.clip(0, max(0, len(ordered) - 1))] if len(ordered) else start * 0.0
        found.append(np.where(count > 0, picked, 0.0))
    return found


def _levels(reference: pa.Table, spec: Table) -> dict[str, pa.Array]:
    found = {}
    for column in spec.columns:
        if column.kind in LEARNT_KINDS and not is_numeric(column.kind, reference[column.name].type):
            tally = pc.value_counts(reference[column.name].drop_null().combine_chunks())
            order = np.argsort(-tally.field("counts").to_numpy(), kind="stable")[:TOP_LEVELS]
            found[column.name] = tally.field("values").take(pa.array(order))
    return found


def _has_entities(column: pa.ChunkedArray) -> bool:
    """Whether synthetic rows hang together at all: two rows an entity or more, on average."""
    return len(column) >= 2 * max(1, len(column.unique()))


def _mix(codes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64, so that sums of codes tell multisets apart."""
    mixed = codes + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
