"""The protected unit over several tables, from the schema alone."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import ValidationError

from understudy.errors import ColumnError, PlanError
from understudy.schema import ForeignKey, Identifier, Schema, Table, Unit, one_table, parse_unit
from understudy.schema.ownership import ownership

Role = Literal["owned", "reference"] | None


def table(name: str, *parents: str, role: Role = None) -> Table:
    """A table with key `id` and one column for each parent."""
    return Table(
        name=name,
        columns=(Identifier(name="id"), *(Identifier(name=f"{p}_id") for p in parents)),
        primary_key=("id",),
        foreign_keys=tuple(
            ForeignKey(columns=(f"{p}_id",), table=p, references=("id",)) for p in parents
        ),
        role=role,
    )


def schema(*tables: Table, unit: str = "account") -> Schema:
    return Schema(tables=tables, unit=Unit(of="entity", table=unit, column="id"))


DISTRICT = table("district", role="reference")
CLIENT = table("client", "district", role="owned")
ACCOUNT = table("account", "district", role="owned")
BANK = (
    DISTRICT,
    CLIENT,
    ACCOUNT,
    table("disp", "client", "account"),
    table("card", "disp"),
    table("trans", "account"),
)


def paths(found: Schema) -> dict[str, str]:
    return {name: " ".join(map(str, path)) for name, path in ownership(found).paths.items()}


def test_down_to_children_up_to_their_parents_and_down_again() -> None:
    assert paths(schema(*BANK)) == {
        "account": "",
        "disp": "<- disp.account_id",
        "trans": "<- trans.account_id",
        "card": "<- disp.account_id <- card.disp_id",
        "client": "<- disp.account_id (disp.client_id) -> client",
    }
    by_client = schema(*BANK, unit="client")
    assert paths(by_client)["trans"] == (
        "<- disp.client_id (disp.account_id) -> account <- trans.account_id"
    )
    assert ownership(by_client).reference == {"district"}


def test_the_shortest_path_wins_and_down_before_up_at_equal_length() -> None:
    # `note` hangs on the account itself, and on the client two steps further.
    near = schema(*BANK, table("note", "client", "account"))
    assert paths(near)["note"] == "<- note.account_id"
    # `pair` is two steps away both ways: up from disp, and down from trans.
    both = schema(
        table("account"),
        table("disp", "account", "pair"),
        table("trans", "account"),
        table("pair", "trans", role="owned"),
    )
    assert paths(both)["pair"] == "<- trans.account_id <- pair.trans_id"


def test_a_table_reached_by_walking_up_needs_a_role() -> None:
    bank = [t.model_copy(update={"role": None}) for t in BANK]
    with pytest.raises(PlanError, match=r"tables 'district', 'client'.*`role: owned`.*reference`"):
        ownership(schema(*bank))
    with pytest.raises(PlanError, match=r"table 'client': the unit's rows point at it"):
        ownership(schema(DISTRICT, *bank[1:]))
    # Down from elsewhere needs none: `pair` below is a child of trans.
    free = schema(
        table("account"),
        table("disp", "account", "pair"),
        table("trans", "account"),
        table("pair", "trans"),
    )
    assert "pair" in ownership(free).paths


def test_what_a_lookup_points_at_is_a_lookup() -> None:
    country = table("country")
    region = table("district", "country", role="reference")
    found = ownership(schema(country, region, *BANK[1:]))
    assert found.reference == {"district", "country"}


def test_a_table_that_hangs_on_nothing_is_named_with_the_way_that_failed() -> None:
    with pytest.raises(PlanError, match=r"'weather' does not hang.*no key.*role: reference"):
        ownership(schema(*BANK, table("weather")))
    below = table("weather", "district")
    with pytest.raises(PlanError, match=r"account \(account.district_id\) -> district <- weather"):
        ownership(schema(*BANK, below))
    with pytest.raises(PlanError, match=r"stops at 'district', a reference table"):
        ownership(schema(*BANK, below))


def test_a_lookup_that_would_change_with_the_units_is_refused() -> None:
    with pytest.raises(PlanError, match=r"'trans' is a reference table and points at 'account'"):
        ownership(schema(*BANK[:-1], table("trans", "account", role="reference")))
    with pytest.raises(PlanError, match=r"'district' names the protected unit and is declared"):
        ownership(schema(*BANK, unit="district"))


def test_without_a_unit_one_table_owns_itself_and_several_are_refused() -> None:
    assert ownership(one_table("t", (Identifier(name="id"),))).paths == {"t": ()}
    with pytest.raises(PlanError, match=r"--unit TABLE.COLUMN, such as district.id, client.id"):
        ownership(Schema(tables=BANK))


def test_the_unit_is_named_by_table_and_column() -> None:
    bank = schema(*BANK)
    assert parse_unit("account.id", bank) == Unit(of="entity", table="account", column="id")
    assert parse_unit("disp_id", bank).table == "card"
    single = one_table("my.table", (Identifier(name="who.id"),))
    assert parse_unit("who.id", single).column == "who.id"
    assert parse_unit("my.table.who.id", single).column == "who.id"
    with pytest.raises(PlanError, match=r"which 'id' is the unit\? 6 tables.* or account.id"):
        parse_unit("id", bank)
    with pytest.raises(ColumnError, match=r"'account' has no column 'idd'. Did you mean 'id'"):
        parse_unit("account.idd", bank)
    with pytest.raises(PlanError, match=r"'acount.id' to protect.*Did you mean 'account.id'"):
        parse_unit("acount.id", bank)
    with pytest.raises(ColumnError, match=r"'my.table' has no column 'who_id'"):
        parse_unit("who_id", single)


def test_a_unit_of_several_tables_names_its_table() -> None:
    with pytest.raises(ValidationError, match=r"names column 'id' and no table. Add `table:`"):
        Schema(tables=BANK, unit=Unit(of="entity", column="id"))
