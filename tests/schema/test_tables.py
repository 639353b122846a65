"""Tables and keys: what a schema of several tables can say, and what it refuses."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from understudy.errors import ColumnError, PlanError
from understudy.schema import (
    Category,
    ForeignKey,
    Identifier,
    Inequality,
    Number,
    Schema,
    Table,
    Unit,
    one_table,
)

BRANCH = Table(
    name="branch",
    columns=(
        Category(name="country", nullable=False),
        Number(name="number", integer=True, nullable=False),
    ),
    primary_key=("country", "number"),
)
PERSON = Table(
    name="person",
    columns=(
        Identifier(name="id", nullable=False),
        Identifier(name="manager"),
        Category(name="country"),
        Number(name="branch_number", integer=True),
    ),
    primary_key=("id",),
    foreign_keys=(
        ForeignKey(columns=("manager",), table="person", references=("id",)),
        ForeignKey(
            columns=("country", "branch_number"),
            table="branch",
            references=("country", "number"),
        ),
    ),
)


def test_composite_self_referencing_and_nullable_keys_survive_json() -> None:
    schema = Schema(tables=(BRANCH, PERSON), unit=Unit(of="entity", table="person", column="id"))
    assert Schema.model_validate_json(schema.model_dump_json()) == schema
    hierarchy, place = schema.table("person").foreign_keys
    assert hierarchy.table == "person"
    assert len(place.columns) == len(place.references) == 2
    assert all(schema.table("person").column(name).nullable for name in place.columns)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"primary_key": ("idd",)}, "no column 'idd'. Did you mean 'id'"),
        ({"order_by": "contry"}, "Did you mean 'country'"),
        ({"constraints": (Inequality(low="branch_numbr", high="id"),)}, "'branch_number'"),
        (
            {"foreign_keys": (ForeignKey(columns=("boss",), table="person", references=("id",)),)},
            "no column 'boss'",
        ),
        ({"columns": (*PERSON.columns, Number(name="id"))}, "names 'id' twice"),
    ],
)
def test_a_table_refuses_names_it_has_not(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Table(**{**dict(PERSON), **change})


def test_a_key_to_an_unknown_table_or_column_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"points at table 'branch'. Known: 'person'"):
        Schema(tables=(PERSON,))
    key = ForeignKey(columns=("manager",), table="person", references=("ide",))
    with pytest.raises(ColumnError, match=r"no column 'ide'. Did you mean 'id'"):
        Schema(tables=(BRANCH, PERSON.model_copy(update={"foreign_keys": (key,)})))


def test_a_key_needs_as_many_columns_as_references() -> None:
    with pytest.raises(ValidationError, match="2 columns and 1 references"):
        ForeignKey(columns=("a", "b"), table="t", references=("c",))


def test_tables_and_columns_are_found_by_name() -> None:
    schema = Schema(tables=(BRANCH, PERSON))
    assert schema.table("branch") is BRANCH
    with pytest.raises(PlanError, match="which of the 2 tables"):
        schema.table()
    with pytest.raises(PlanError, match="Did you mean 'person'"):
        schema.table("persons")
    with pytest.raises(ColumnError, match="Did you mean 'number'"):
        BRANCH.column("nummber")
    assert one_table("t", BRANCH.columns).table().column_names == ("country", "number")


def test_identifiers_are_not_learnt() -> None:
    assert [column.name for column in PERSON.learnt] == ["country", "branch_number"]
