"""Keys between tables: simple, composite, self-referencing, nullable; none by coincidence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from understudy.data import infer, read, write
from understudy.data.key_evidence import key_evidence, near_misses
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


def test_a_key_that_is_called_otherwise_than_what_points_at_it() -> None:
    """Neither a running number nor named like a key, but `place_id` is found in it and unique."""
    places = pa.table(
        {"A1": [3 * i + i % 2 for i in range(30)], "A2": [900 - 2 * i for i in range(30)]}
    )
    shops = pa.table(
        {"shop_id": [7000 + i for i in range(60)], "place_id": places["A1"].to_pylist() * 2}
    )
    schema = infer({"place": places, "shop": shops})
    assert schema.table("place").primary_key == ("A1",)
    assert schema.table("place").column("A1").kind == "identifier"
    assert _keys(schema, "shop") == {
        ForeignKey(columns=("place_id",), table="place", references=("A1",))
    }
    twice = places.set_column(0, "A1", pa.array([*places["A1"].to_pylist()[:-1], 0]))
    assert infer({"place": twice, "shop": shops}).table("place").primary_key == ()


def test_the_evidence_counts_what_speaks_for_a_key() -> None:
    tables = {"persons": PEOPLE, "visits": VISITS}
    schema = infer(tables)
    visits, persons = schema.table("visits"), schema.table("persons")
    assert key_evidence(visits, persons, visits.foreign_keys[0], tables) == (
        "unique in 60 rows of 'persons'; 80 of 80 rows (100.0%) find theirs, 10 empty; "
        "57 of 60 are pointed at; the names agree"
    )
    assert key_evidence(persons, persons, persons.foreign_keys[0], tables).endswith("names differ")


def test_a_column_that_misses_a_few_is_told_and_not_used() -> None:
    def with_orphans(count: int) -> dict[str, pa.Table]:
        cells = VISITS["person"].to_pylist()[:-count] + [999_999] * count
        return {"persons": PEOPLE, "visits": VISITS.set_column(1, "person", pa.array(cells))}

    tables = with_orphans(3)
    specs = {spec.name: spec for spec in infer(tables).tables}
    assert specs["visits"].foreign_keys == ()
    (miss,) = near_misses(specs, tables)
    assert (miss.orphans, miss.rows) == (3, 80)
    assert "visits.person would point at persons.person_id, but 3 of 80 rows find nothing" in str(
        miss
    )
    many = with_orphans(8)
    assert near_misses({spec.name: spec for spec in infer(many).tables}, many) == ()


def test_events_have_a_clock_and_things_have_none() -> None:
    days = pa.array([18_000 + i for i in range(180)], pa.int32()).cast(pa.date32())
    people = PEOPLE.append_column("hired", days.slice(0, 60))
    visits = pa.table({"person": PEOPLE["person_id"].to_pylist() * 3, "day": days})
    once = pa.table({"person": PEOPLE["person_id"].to_pylist(), "day": days.slice(0, 60)})
    schema = infer({"persons": people, "visits": visits, "passport": once})
    assert {spec.name: spec.order_by for spec in schema.tables} == {
        "persons": None,
        "visits": "day",
        "passport": None,
    }


def test_a_real_bank_shows_all_its_keys_and_no_others(real_data: Callable[[str], Path]) -> None:
    schema = read(real_data("berka")).schema
    found = {
        f"{spec.name}.{'+'.join(key.columns)} -> {key.table}.{'+'.join(key.references)}"
        for spec in schema.tables
        for key in spec.foreign_keys
    }
    assert found == {
        "account.district_id -> district.A1",
        "client.district_id -> district.A1",
        "disp.client_id -> client.client_id",
        "disp.account_id -> account.account_id",
        "card.disp_id -> disp.disp_id",
        "loan.account_id -> account.account_id",
        "order.account_id -> account.account_id",
        "trans.account_id -> account.account_id",
    }
    assert {spec.name: spec.order_by for spec in schema.tables if spec.order_by} == {
        "trans": "date"
    }
    dated = {f"{s.name}.{c.name}" for s in schema.tables for c in s.of_kind("datetime")}
    assert dated == {"account.date", "card.issued", "loan.date", "trans.date"}


def test_a_real_banks_dates_come_out_as_they_are_written(
    real_data: Callable[[str], Path], tmp_path: Path
) -> None:
    data = read(real_data("berka"))
    write(data, tmp_path / "out", ending=".csv")
    first = (tmp_path / "out" / "account.csv").read_text().splitlines()[1]
    assert first == '576,55,"POPLATEK MESICNE",930101'
    card = (tmp_path / "out" / "card.csv").read_text().splitlines()[1]
    assert card == '1005,9285,"classic","931107 00:00:00"'
    again = read(tmp_path / "out")
    for spec in data.schema.tables:
        assert again.schema.table(spec.name).of_kind("datetime") == spec.of_kind("datetime")
        for column in spec.of_kind("datetime", "identifier"):
            found = again.tables[spec.name][column.name]
            assert found.equals(data.tables[spec.name][column.name])
