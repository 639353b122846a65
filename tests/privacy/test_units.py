"""Bounding a unit's rows: never more than asked, and no unit decides about another's."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from understudy.data import Dataset
from understudy.privacy.units import bounded
from understudy.schema import Category, Number, Unit, one_table


def visits(people: list[tuple[str | None, int]]) -> Dataset:
    unit = Unit(of="entity", table="visits", column="who")
    schema = one_table("visits", [Category(name="who"), Number(name="cost", integer=True)], unit)
    columns = {
        "who": pa.array([who for who, _ in people], pa.string()),
        "cost": pa.array([cost for _, cost in people], pa.int64()),
    }
    return Dataset.single(schema, pa.table(columns))


def rows(dataset: Dataset) -> list[tuple[str | None, int]]:
    return [(row["who"], row["cost"]) for row in dataset.table.to_pylist()]


PEOPLE = st.lists(st.tuples(st.sampled_from(["a", "b", "c", None]), st.integers(0, 5)), max_size=40)


@given(PEOPLE, st.integers(1, 4))
def test_no_unit_keeps_more_than_its_bound(people: list[tuple[str | None, int]], most: int) -> None:
    kept = rows(bounded(visits(people), most))
    assert all(who is not None for who, _ in kept)
    for who in "abc":
        held = sum(person == who for person, _ in people)
        assert sum(person == who for person, _ in kept) == min(held, most)


@given(PEOPLE, st.integers(1, 4), st.randoms())
def test_a_unit_more_changes_nothing_for_the_others(
    people: list[tuple[str | None, int]], most: int, random: object
) -> None:
    without = [row for row in people if row[0] != "c"]
    random.shuffle(shuffled := list(people))  # type: ignore[attr-defined]
    kept = sorted(row for row in rows(bounded(visits(shuffled), most)) if row[0] != "c")
    assert kept == sorted(rows(bounded(visits(without), most)))


def test_a_row_unit_leaves_the_table_as_it_is() -> None:
    data = visits([("a", 1), ("a", 1)])
    plain = Dataset.single(data.schema.model_copy(update={"unit": Unit()}), data.table)
    assert bounded(plain, 1) is plain
