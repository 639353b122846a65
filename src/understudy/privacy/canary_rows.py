"""The rows of an engine's audit: an ordinary crowd and canaries, made by code, nobody's.

Every canary has a level of its own in a column whose levels the schema declares, so that nothing
about it has to be bought and a table over that column counts it alone: the easiest case for whoever
looks for it, and so the hardest for a mechanism. Each brings several rows where one is allowed; a
bound that does not hold shows. There is one column more, to be predicted, and no third: what is
spent on other columns' tables cannot tell a canary, and would hide how much is spent on its own.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.data import Dataset
from understudy.schema import Category, Column, Identifier, Schema, Unit, one_table

CROWD = 20_000
"""Enough that counts of rows stand out of the noise, and no level of a canary is pooled."""
ROWS_EACH = 3
OWN, TARGET = "who", "grade"
NOBODY = "one of the crowd"
GRADES = ("a", "b")


def schema_for(canaries: int) -> Schema:
    """One table whose unit is the entity that `unit` names."""
    columns: list[Column] = [
        Identifier(name="unit"),
        Category(name=OWN, levels=(NOBODY, *map(level_of, range(canaries))), nullable=False),
        Category(name=TARGET, levels=GRADES, nullable=False),
    ]
    protected = Unit(of="entity", table="audited", column="unit")
    return one_table("audited", columns).model_copy(update={"unit": protected})


def level_of(canary: int) -> str:
    return f"canary {canary}"


def crowd(schema: Schema) -> Dataset:
    """Rows that are in whatever the coins say; known to whoever audits."""
    return Dataset.single(schema, _rows(np.full(CROWD, -1), np.arange(CROWD)))


def canaries(schema: Schema, chosen: NDArray[np.intp]) -> Dataset:
    """All rows of these canaries, those of one behind each other."""
    who = np.repeat(chosen, ROWS_EACH)
    return Dataset.single(schema, _rows(who, CROWD + who))


def one_by_one(everyone: Dataset) -> list[Dataset]:
    """The canaries of `canaries`, each alone."""
    starts = range(0, everyone.num_rows, ROWS_EACH)
    return [everyone.with_table(everyone.table.slice(start, ROWS_EACH)) for start in starts]


def together(one: Dataset, other: Dataset) -> Dataset:
    return one.with_table(pa.concat_tables([one.table, other.table]).combine_chunks())


def _rows(who: NDArray[np.intp], unit: NDArray[np.intp]) -> pa.Table:
    """`who` is the number of a canary, or -1; the grade follows from the unit."""
    return pa.table(
        {
            "unit": pa.array([f"unit {number}" for number in unit.tolist()]),
            OWN: pa.array([NOBODY if one < 0 else level_of(one) for one in who.tolist()]),
            TARGET: pa.array([GRADES[g] for g in (unit // 7 % len(GRADES)).tolist()]),
        }
    )
