"""The Czech bank as a bank would have it in its database: types, keys, checks, comments."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from understudy.data import Dataset
from understudy.schema import (
    Category,
    Column,
    Datetime,
    ForeignKey,
    Identifier,
    Number,
    Schema,
    Table,
)

KEY, WHOLE, MONEY, DAY = "integer", "integer", "numeric(12,2)", "date"
COLUMNS: dict[str, list[tuple[str, str]]] = {
    "district": [
        ("A1", KEY),
        *((f"A{i}", "character varying(40)") for i in (2, 3)),
        *((f"A{i}", WHOLE) for i in range(4, 10)),
        ("A10", "numeric(5,1)"),
        ("A11", WHOLE),
        ("A12", "double precision"),
        ("A13", "real"),
        *((f"A{i}", WHOLE) for i in (14, 15, 16)),
    ],
    "account": [("account_id", KEY), ("district_id", KEY), ("frequency", "text"), ("date", DAY)],
    "client": [("client_id", KEY), ("birth_number", "character(6)"), ("district_id", KEY)],
    "disp": [
        ("disp_id", KEY),
        ("client_id", KEY),
        ("account_id", KEY),
        ("type", "character varying(10)"),
    ],
    "card": [
        ("card_id", KEY),
        ("disp_id", KEY),
        ("type", "enum card_type"),
        ("issued", "timestamp without time zone"),
    ],
    "loan": [
        ("loan_id", KEY),
        ("account_id", KEY),
        ("date", DAY),
        ("amount", MONEY),
        ("duration", "smallint"),
        ("payments", MONEY),
        ("status", "character(1)"),
    ],
    "order": [
        ("order_id", KEY),
        ("account_id", KEY),
        ("bank_to", "character(2)"),
        ("account_to", "bigint"),
        ("amount", MONEY),
        ("k_symbol", "text"),
    ],
    "trans": [
        ("trans_id", KEY),
        ("account_id", KEY),
        ("date", DAY),
        ("type", "text"),
        ("operation", "text"),
        ("amount", MONEY),
        ("balance", MONEY),
        ("k_symbol", "text"),
        ("bank", "character(2)"),
        ("account", "bigint"),
    ],
}
POINTS = {
    "account": {"district_id": "district"},
    "client": {"district_id": "district"},
    "disp": {"client_id": "client", "account_id": "account"},
    "card": {"disp_id": "disp"},
    "loan": {"account_id": "account"},
    "order": {"account_id": "account"},
    "trans": {"account_id": "account"},
}
CHECKS = {
    "account": ("date >= '1993-01-01'",),
    "disp": ("type IN ('OWNER', 'DISPONENT')",),
    "loan": (
        "amount > 0",
        "payments <= amount",
        "duration BETWEEN 12 AND 60 AND duration % 12 = 0",
        "status IN ('A', 'B', 'C', 'D')",
    ),
    "order": ("amount >= 0.01",),
    "trans": ("amount >= 0", "type = 'PRIJEM' OR type = 'VYDAJ' OR type = 'VYBER'"),
}


def bank(folder: Path) -> Dataset:
    """All eight tables, from the folder of their CSV files."""
    tables = {name: _table(folder, name) for name in COLUMNS}
    return Dataset(
        Schema(tables=tuple(_spec(name, tables[name]) for name in COLUMNS), dialect="postgres"),
        tables,
    )


def _table(folder: Path, name: str) -> pa.Table:
    path = next(folder.glob(f"{name}.csv*"))
    text = {column: pa.string() for column, _ in COLUMNS[name]}
    options = csv.ConvertOptions(column_types=text, strings_can_be_null=True, null_values=["", "?"])
    found = csv.read_csv(path, convert_options=options)
    return pa.table({column: _cells(found[column], sql) for column, sql in COLUMNS[name]})


def _cells(values: pa.ChunkedArray, sql: str) -> pa.ChunkedArray:
    if sql == DAY:
        return pc.strptime(values, format="%y%m%d", unit="us").cast(pa.date32())
    if sql.startswith("timestamp"):
        return pc.strptime(values, format="%y%m%d %H:%M:%S", unit="us")
    if sql.startswith("numeric"):
        return values.cast(pa.decimal128(5, 1) if "5,1" in sql else pa.decimal128(12, 2))
    kinds = {
        "integer": pa.int32(),
        "smallint": pa.int16(),
        "bigint": pa.int64(),
        "double precision": pa.float64(),
        "real": pa.float64(),
    }
    return values.cast(kinds.get(sql, pa.string()))


def _spec(name: str, table: pa.Table) -> Table:
    links = POINTS.get(name, {})
    return Table(
        name=name,
        columns=tuple(_column(name, c, sql, table[c].null_count) for c, sql in COLUMNS[name]),
        primary_key=(COLUMNS[name][0][0],),
        foreign_keys=tuple(
            ForeignKey(columns=(ours,), table=parent, references=(COLUMNS[parent][0][0],))
            for ours, parent in links.items()
        ),
        checks=CHECKS.get(name, ()),
        comment=f"the bank's {name}s",
    )


def _column(table: str, name: str, sql: str, missing: int) -> Column:
    common = {"name": name, "sql": sql, "nullable": missing > 0}
    if name == COLUMNS[table][0][0] or name in POINTS.get(table, {}):
        return Identifier(**common)
    if sql.startswith("enum"):
        return Category(**common, levels=("junior", "classic", "gold"), ordered=True)
    if sql == DAY or sql.startswith("timestamp"):
        return Datetime(**common)
    if sql.startswith(("numeric", "double", "real")):
        return Number(**common, comment="in koruna" if "12,2" in sql else None)
    if sql in ("integer", "smallint", "bigint"):
        return Number(**common, integer=True)
    return Category(**common)
