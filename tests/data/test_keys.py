"""Keys between tables: simple, composite, self-referencing, nullable; none by coincidence."""

from __future__ import annotations

import pyarrow as pa

from understudy.data import infer
from understudy.schema import ForeignKey, Schema

PEOPLE = pa.table(
    {
        "person_id": [1000 + 7 * i for i in range(60)],
        "manager_id": [None if i < 3 else 1000 + 7 * (i % 3) for i in range(60)],
        "age": [20 + i % 40 for i in range(60)],
    }
)
VISITS = pa.table(
    {
        "visit": [5000 + i for i in range(90)],
        "person": [None if i % 9 == 0 else 1000 + 7 * (i % 60) for i in range(90)],
        "year": [2000 + i % 4 for i in range(90)],
    }
)


def _keys(schema: Schema, table: str) -> set[ForeignKey]:
    return set(schema.table(table).foreign_keys)


def test_primary_self_referencing_and_nullable_keys() -> None:
    schema = infer({"persons": PEOPLE, "visits": VISITS})
    assert schema.table("persons").primary_key == ("person_id",)
    assert schema.table("visits").primary_key == ("visit",)
    assert _keys(schema, "persons") == {
        ForeignKey(columns=("manager_id",), table="persons", references=("person_id",))
    }
    assert _keys(schema, "visits") == {
        ForeignKey(columns=("person",), table="persons", references=("person_id",))
    }
    assert schema.table("visits").column("person").nullable
    assert schema.table("visits").column("person").why == "every value is a key elsewhere"


def test_composite_keys() -> None:
    branches = pa.table(
        {
            "country": [c for c in ("AT", "DE", "FR") for _ in range(4)],
            "branch": [n for _ in range(3) for n in range(4)],
            "staff": [10 + i for i in range(12)],
        }
    )
    sales = pa.table(
        {
            "country": [("AT", "DE", "FR", None)[i % 4] for i in range(80)],
            "branch": [i % 3 for i in range(80)],
            "amount": [float(i) for i in range(80)],
        }
    )
    schema = infer({"sales": sales, "branches": branches})
    assert schema.table("branches").primary_key == ("country", "branch")
    assert _keys(schema, "sales") == {
        ForeignKey(
            columns=("country", "branch"), table="branches", references=("country", "branch")
        )
    }


def test_one_orphan_is_no_key() -> None:
    orphan = VISITS.set_column(1, "person", pa.array([*VISITS["person"].to_pylist()[:-1], 999_999]))
    assert _keys(infer({"persons": PEOPLE, "visits": orphan}), "visits") == set()


def test_names_must_agree() -> None:
    renamed = VISITS.rename_columns(["visit", "score", "year"])
    assert _keys(infer({"persons": PEOPLE, "visits": renamed}), "visits") == set()
    inner = PEOPLE.rename_columns(["person_id", "friend_id", "age"])
    assert _keys(infer({"persons": inner}), "persons") == set()


def test_shared_columns_that_are_no_key_of_either_link_nothing() -> None:
    a = pa.table({"year": [2000 + i % 3 for i in range(40)], "month": [i % 12 for i in range(40)]})
    b = pa.table({"year": [2000 + i % 3 for i in range(50)], "month": [i % 12 for i in range(50)]})
    schema = infer({"a": a, "b": b})
    assert all(not spec.foreign_keys and not spec.primary_key for spec in schema.tables)
