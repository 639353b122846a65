"""Judges of whole databases: rows joined with their parents, and entities by their profiles.

The classifier two-sample test of `discriminator` on the joined rows of every table at the bottom,
with all rows of an entity in one fold, and on one profile per entity; and models that learn a
column of one table from joined rows and profiles (TSTR). Floors: train in the synthetic's place.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from understudy.contracts import Measurement
from understudy.data.dataset import Dataset
from understudy.encoding.profiles import Profiler
from understudy.errors import ColumnError, PlanError
from understudy.evaluation.discriminator import c2st
from understudy.evaluation.predictions import predict
from understudy.evaluation.relational.database import Database
from understudy.evaluation.relational.joined import (
    first_rows,
    joined,
    joined_profiles,
    joined_with_profiles,
    leaves,
)
from understudy.evaluation.samples import ROLES, Samples, collect
from understudy.evaluation.utility import Utility, tstr
from understudy.runtime.random import stream

MOST_ROWS = 4_000
"""Joined rows a side; wider than a table's own rows, so fewer of them."""
MOST_ENTITIES = 10_000


def entity_judge(base: Database, profiler: Profiler, seed: int) -> Measurement | None:
    """AUC of boosted trees that tell synthetic entities from held-out ones by their profiles."""
    made = {role: joined_profiles(base, role, profiler) for role in ROLES}
    samples = _collected(made, MOST_ENTITIES, seed, "entities")
    found, floor = (
        c2st(samples.features, "holdout", role, stream(seed, "database", "entities", role))
        for role in ("synthetic", "train")
    )
    if found is None or floor is None:
        return None
    return Measurement(
        "c2st",
        found.value,
        found.low,
        found.high,
        floor.value,
        min(samples.size("holdout"), samples.size("synthetic")),
        "AUC of boosted trees that tell synthetic entities from held-out ones by a profile of all "
        "that hangs on them",
        "near",
        floor.low,
        floor.high,
    )


def row_judges(base: Database, seed: int) -> list[Measurement]:
    """One per table at the bottom: joined rows, folds by entity. None where rows are too few."""
    return [one for table in leaves(base) if (one := _row_judge(base, table, seed)) is not None]


def _row_judge(base: Database, table: str, seed: int) -> Measurement | None:
    made, owners = {}, {}
    for role in ROLES:
        whole = joined(base.data[role], table)
        rows = _drawn(whole.num_rows, MOST_ROWS, stream(seed, "database", "rows", table, role))
        made[role], owners[role] = first_rows(whole, rows), base.entity[role][table][rows]
    samples = _collected(made, MOST_ROWS, seed, table)
    found, floor = (
        c2st(
            samples.features,
            "holdout",
            role,
            stream(seed, "database", "judge", table, role),
            owners=owners,
        )
        for role in ("synthetic", "train")
    )
    if found is None or floor is None:
        return None
    return Measurement(
        f"c2st_rows_{table}",
        found.value,
        found.low,
        found.high,
        floor.value,
        min(samples.size("holdout"), samples.size("synthetic")),
        f"AUC of boosted trees that tell synthetic from held-out rows of {table} joined with all "
        "rows above them; all rows of an entity in one fold",
        "near",
        floor.low,
        floor.high,
    )


def utility(
    base: Database, profiler: Profiler, table: str, column: str, seed: int
) -> list[Utility]:
    """Train on synthetic, test on real, for `column` of `table` from joined rows and profiles.

    Empty where rows or values are too few. Profiles tell nothing of the column itself.
    """
    narrowed = profiler.without(table, column)
    made = {role: joined_with_profiles(base, role, table, narrowed) for role in ROLES}
    samples = _collected(made, base_rows(made), seed, "utility")
    spec = made["train"].schema.table()
    rng = stream(seed, "database", "utility")
    found = predict(samples, spec, f"{table}.{column}", rng)
    return tstr(found) if found is not None else []


def target_of(base: Database, target: str) -> tuple[str, str]:
    """`table.column`, or the column alone where one table has it; raises `ColumnError` else."""
    owners = [t.name for t in base.schema.tables if target in t.column_names]
    if len(owners) == 1:
        return owners[0], target
    table, _, column = target.partition(".")
    known = [t.name for t in base.schema.tables]
    if table in known and column in base.table(table).column_names:
        if table in base.reference:
            raise PlanError(f"target {target!r}: table {table!r} belongs to no entity")
        return table, column
    names = [f"{t.name}.{name}" for t in base.schema.tables for name in t.column_names]
    raise ColumnError.unknown(target, names, where="a target is written table.column")


def base_rows(made: dict[str, Dataset]) -> int:
    return max(data.num_rows for data in made.values())


def _collected(made: dict[str, Dataset], most: int, seed: int, name: str) -> Samples:
    parts = {
        role: first_rows(
            data, _drawn(data.num_rows, most, stream(seed, "database", "judged", name, role))
        )
        for role, data in made.items()
    }
    return collect(*(parts[role] for role in ROLES), seed=seed, most=None)


def _drawn(rows: int, most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    if rows <= most:
        return np.arange(rows)
    return np.sort(rng.choice(rows, most, replace=False))
