"""Databases that do not hold together: refused with place, number and example, or mended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pytest
from hypothesis import given
from pydantic import ValidationError

from tests.data.random_databases import BANK, BY_ACCOUNT, bank, banks, rows_of
from tests.data.test_sharing import berka
from understudy.data import Dataset, read
from understudy.data.integrity import check_integrity, masked, mend, refuse_circles
from understudy.data.matching import links
from understudy.data.ownership import owners, ownership, unshared
from understudy.errors import PlanError, SourceError
from understudy.schema import ForeignKey, Identifier, Schema, Table, Unit

WHOLE: dict[str, list[tuple[Any, ...]]] = {
    "district": [(1,)],
    "account": [(1001, 1), (1002, None)],
    "client": [(71, None), (72, 71)],
    "disp": [(5, 71, 1001), (6, 72, 1002)],
    "card": [(5, 0), (None, 1)],
    "trans": [(1001, 1002, 0, 0)],
}


def with_rows(**rows: list[tuple[Any, ...]]) -> Dataset:
    return bank({**WHOLE, **rows})


def choosing(table: str, column: str, orphans: Literal["drop", "null"]) -> Schema:
    """The bank with a choice for the orphans of one key."""
    spec = BY_ACCOUNT.table(table)
    keys = tuple(
        k.model_copy(update={"orphans": orphans}) if k.columns == (column,) else k
        for k in spec.foreign_keys
    )
    return BY_ACCOUNT.with_table(spec.model_copy(update={"foreign_keys": keys}))


def test_a_whole_database_passes_and_needs_no_mending() -> None:
    data = with_rows()
    check_integrity(data)
    mended, said = mend(data)
    assert mended.tables == data.tables
    assert said == ()


@given(banks(whole=True))
def test_whatever_is_whole_by_construction_passes(dataset: Dataset) -> None:
    check_integrity(dataset)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            {"trans": [(1001, None, 0, 0), (4711, None, 0, 0), (4712, None, 0, 0)]},
            r"2 of 3 rows of 'trans' are orphans: trans.account points at no row of 'account', "
            r"such as account 47…\. Write `orphans: drop` beside this foreign key in the plan to "
            r"leave them out, or add",
        ),
        (
            {"trans": [(1001, 4711, 0, 0)]},
            r"1 of 1 rows .* partner 47…\. .*, or `orphans: null` to empty the key, or add",
        ),
        (
            {"client": [(71, None), (72, None), (71, None), (72, 71), (72, 71)]},
            r"the primary key \(id\) of table 'client' repeats: 5 rows share 2 values, such as "
            r"id 72… in 3 rows",
        ),
        ({"client": [(71, None), (None, None)]}, r"'id' of table 'client' has 1 empty cells"),
        (
            {"disp": [(5, None, 1001)]},
            r"'client' of table 'disp' has 1 empty cells, and it is part of a foreign key, which "
            r"may have none.*`nullable: true`",
        ),
        ({"account": [(1001, 1), (None, 1)]}, r"unit column 'id' of table 'account' has 1 empty"),
    ],
)
def test_what_is_wrong_is_said_with_place_number_and_a_masked_example(
    rows: dict[str, list[tuple[Any, ...]]], message: str
) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        check_integrity(with_rows(**rows))
    assert "4711" not in str(caught.value)


def test_orphans_are_dropped_with_all_that_hangs_on_them() -> None:
    data = with_rows(disp=[(5, 71, 1001), (6, 72, 9999), (7, 71, 1001)], card=[(6, 0), (7, 1)])
    mended, said = mend(replace(data, schema=choosing("disp", "account", "drop")))
    assert rows_of(mended)["disp"] == [(5, 71, 1001), (7, 71, 1001)]
    assert rows_of(mended)["card"] == [(7, 1)]
    assert said == (
        "1 rows of 'disp' without a parent were dropped",
        "1 rows of 'card' without a parent were dropped",
    )
    check_integrity(mended)


def test_orphans_keys_are_emptied_where_the_plan_says_so() -> None:
    data = with_rows(trans=[(1001, 9999, 0, 0), (1002, 1001, 1, 0)])
    mended, said = mend(replace(data, schema=choosing("trans", "partner", "null")))
    assert rows_of(mended)["trans"] == [(1001, None, 0, 0), (1002, 1001, 1, 0)]
    assert said == ("1 keys trans.partner -> account were emptied",)
    check_integrity(mended)
    key = ForeignKey(columns=("account",), table="account", references=("id",), orphans="null")
    with pytest.raises(ValidationError, match="`orphans: null` needs a column of the key account"):
        Table(**{**dict(BANK[-1]), "foreign_keys": (key,)})


def test_orphans_of_which_nothing_is_said_stay_to_be_refused() -> None:
    data = with_rows(trans=[(9999, None, 0, 0)])
    mended, _ = mend(data)
    assert mended.tables == data.tables


def circle(*nullable: str) -> Schema:
    """a -> b -> c -> a, with the keys of some of them nullable."""
    tables = tuple(
        Table(
            name=name,
            columns=(Identifier(name="id"), Identifier(name="next", nullable=name in nullable)),
            primary_key=("id",),
            foreign_keys=(ForeignKey(columns=("next",), table=following, references=("id",)),),
        )
        for name, following in (("a", "b"), ("b", "c"), ("c", "a"))
    )
    entry = ForeignKey(columns=("next",), table="a", references=("id",))
    pointing = Table(
        name="z",
        columns=(Identifier(name="next", nullable=False),),
        foreign_keys=(entry,),
    )
    return Schema(tables=(pointing, *tables))


def test_a_circle_of_keys_that_are_never_empty_is_named_with_the_way_out() -> None:
    refuse_circles(circle("b"))
    with pytest.raises(PlanError, match=r"a.next -> b, b.next -> c, c.next -> a\. No row could"):
        refuse_circles(circle())
    with pytest.raises(PlanError, match=r"`nullable: true` .* column 'next' of table 'a'"):
        refuse_circles(circle())


def test_a_unit_that_does_not_reach_a_table_is_refused_with_the_path() -> None:
    lonely = Table(name="weather", columns=(Identifier(name="id"),))
    schema = Schema(tables=(*BANK, lonely), unit=BY_ACCOUNT.unit)
    data = Dataset(schema, {**with_rows().tables, "weather": pa.table({"id": [1]})})
    with pytest.raises(PlanError, match="'weather' does not hang on the unit, a row of 'account'"):
        check_integrity(data)


def test_a_child_table_without_rows_works(tmp_path: Path) -> None:
    (tmp_path / "person.csv").write_text(
        "person_id,age\n" + "".join(f"{1000 + 7 * i},{i % 50}\n" for i in range(60))
    )
    (tmp_path / "visit.csv").write_text("visit_id,person_id,cost\n")
    data = read(tmp_path)
    key = ForeignKey(columns=("person_id",), table="person", references=("person_id",))
    assert data.schema.table("visit").foreign_keys == (key,)
    kinds = {t.schema.field("person_id").type for t in data.tables.values()}
    assert kinds == {pa.int64()}
    unit = Unit(of="entity", table="person", column="person_id")
    data = replace(data, schema=data.schema.model_copy(update={"unit": unit}))
    check_integrity(data)
    held, units = owners(data)
    assert (units, len(held["visit"].rows)) == (60, 0)
    assert unshared(data).tables == data.tables
    (tmp_path / "person.csv").write_text("person_id,age\n")
    with pytest.raises(SourceError, match="no table in it has rows"):
        read(tmp_path)


def test_frames_may_be_empty_beside_others() -> None:
    frames = {"a": pa.table({"x": [1, 2]}), "b": pa.table({"y": pa.array([], pa.int64())})}
    assert read(frames).tables["b"].num_rows == 0
    with pytest.raises(SourceError, match="a header and no rows"):
        read(frames["b"])


def test_values_are_masked() -> None:
    assert [masked(v) for v in ("AT6112", 4711, "x")] == ["AT…", "47…", "x…"]


@pytest.mark.parametrize("unit", ["account.account_id", "client.client_id"])
def test_a_real_bank_holds_together(real_data: Callable[[str], Path], unit: str) -> None:
    data = berka(real_data("berka"), unit)
    check_integrity(data)
    trans = data.tables["trans"]
    accounts = trans["account_id"].to_pylist()
    accounts[:7] = [99_999] * 7
    place = trans.column_names.index("account_id")
    broken = trans.set_column(place, "account_id", pa.array(accounts, trans["account_id"].type))
    with pytest.raises(SourceError, match=r"7 of 49,102 rows of 'trans' are orphans.*99…"):
        check_integrity(replace(data, tables={**data.tables, "trans": broken}))
    key = data.schema.table("trans").foreign_keys[0]
    met = links(broken, data.tables["account"], key)
    assert len(met.child) == 49_102 - 7
    assert ownership(data.schema).reference == {"district"}
