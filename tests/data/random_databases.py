"""Small random banks: joint accounts, transfers, hierarchies, orphans, keys that repeat."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from understudy.data import Dataset
from understudy.schema import ForeignKey, Identifier, Number, Schema, Table, Unit

Row = tuple[Any, ...]
NAMES = ("district", "account", "client", "disp", "card", "trans")


def _key(column: str, table: str, reference: str = "id") -> ForeignKey:
    return ForeignKey(columns=(column,), table=table, references=(reference,))


def _columns(*names: str) -> tuple[Identifier | Number, ...]:
    """A column called `x?` may be empty; `tag` and `day` are numbers."""
    found: list[Identifier | Number] = []
    for name in names:
        kind = Number if name in ("tag", "day") else Identifier
        found.append(kind(name=name.rstrip("?"), nullable=name.endswith("?")))
    return tuple(found)


BANK = (
    Table(name="district", columns=_columns("id"), primary_key=("id",), role="reference"),
    Table(
        name="account",
        columns=_columns("id", "district?"),
        primary_key=("id",),
        foreign_keys=(_key("district", "district"),),
        role="owned",
    ),
    Table(
        name="client",
        columns=_columns("id", "referrer?"),
        primary_key=("id",),
        foreign_keys=(_key("referrer", "client"),),
        role="owned",
    ),
    Table(
        name="disp",
        columns=_columns("id", "client", "account"),
        primary_key=("id",),
        foreign_keys=(_key("client", "client"), _key("account", "account")),
    ),
    Table(
        name="card",
        columns=_columns("disp?", "tag"),
        foreign_keys=(_key("disp", "disp"),),
    ),
    Table(
        name="trans",
        columns=_columns("account", "partner?", "day", "tag"),
        foreign_keys=(_key("account", "account"), _key("partner", "account")),
    ),
)
BY_ACCOUNT = Schema(tables=BANK, unit=Unit(of="entity", table="account", column="id"))
BY_CLIENT = Schema(tables=BANK, unit=Unit(of="entity", table="client", column="id"))


def bank(rows: dict[str, list[Row]], schema: Schema = BY_ACCOUNT) -> Dataset:
    """The database with these rows, as tuples in the order of the columns."""
    tables = {
        spec.name: pa.table(
            {
                column.name: pa.array([row[i] for row in rows.get(spec.name, [])], pa.int64())
                for i, column in enumerate(spec.columns)
            }
        )
        for spec in schema.tables
    }
    return Dataset(schema, tables)


def rows_of(dataset: Dataset) -> dict[str, list[Row]]:
    """All rows, sorted: in what order tables come says nothing."""
    found = {}
    for name, table in dataset.tables.items():
        rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
        found[name] = sorted(rows, key=repr)
    return found


def _ids(most: int, *, whole: bool) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, most), max_size=most + 1, unique=whole)


@st.composite
def banks(draw: Callable[..., Any], *, whole: bool = False) -> Dataset:
    """A bank whose unit is the account or the client; `whole`: no orphans and no double keys."""
    ids = {name: draw(_ids(4, whole=whole)) for name in ("district", "account", "client")}

    def point(table: str, *, empty: bool) -> st.SearchStrategy[int | None]:
        there = st.sampled_from(ids[table]) if whole and ids[table] else st.integers(0, 5)
        return st.none() | there if empty else there

    def some(most: int, *cells: st.SearchStrategy[Any]) -> list[Row]:
        found: list[Row] = draw(st.lists(st.tuples(*cells), max_size=most))
        return found

    rows: dict[str, list[Row]] = {"district": [(i,) for i in ids["district"]]}
    empty = st.none()
    near = point("district", empty=True) if ids["district"] or not whole else empty
    rows["account"] = [(i, draw(near)) for i in ids["account"]]
    knows = point("client", empty=True) if ids["client"] or not whole else empty
    # Mostly nobody, or all would be one entity.
    rows["client"] = [(i, draw(empty | empty | knows)) for i in ids["client"]]
    both = bool(ids["client"] and ids["account"]) or not whole
    pairs = some(6, point("client", empty=False), point("account", empty=False)) if both else []
    ids["disp"] = [i if whole else draw(st.integers(0, 6)) for i in range(len(pairs))]
    rows["disp"] = [(i, *pair) for i, pair in zip(ids["disp"], pairs, strict=True)]
    tag, day = st.integers(0, 2), st.integers(0, 3)
    held = point("disp", empty=True) if ids["disp"] or not whole else empty
    rows["card"] = some(4, held, tag)
    if ids["account"] or not whole:
        account = point("account", empty=False)
        partner = empty | empty | point("account", empty=True)
        rows["trans"] = some(8, account, partner, day, tag)
    return bank(rows, draw(st.sampled_from([BY_ACCOUNT, BY_CLIENT])))
