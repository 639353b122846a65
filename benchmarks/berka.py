"""The Czech bank of PKDD'99 as a `Dataset` of eight tables with keys, read from its CSV files."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa

from understudy.data import Dataset
from understudy.schema import (
    Category,
    Column,
    Datetime,
    ForeignKey,
    Identifier,
    Number,
    Running,
    Schema,
    Table,
    Unit,
)

DATE = "strptime(lpad({0}::varchar, 6, '0'), '%y%m%d')::date"
QUERIES = {
    "district": "select * from read_csv('{}/district.csv', nullstr='?')",
    "account": f"select account_id, district_id, frequency, {DATE.format('date')} as date "
    "from read_csv('{}/account.csv')",
    "client": "select client_id, birth_number, district_id from read_csv('{}/client.csv')",
    "disp": "select * from read_csv('{}/disp.csv')",
    "card": "select card_id, disp_id, type, strptime(issued, '%y%m%d %H:%M:%S')::date as issued "
    "from read_csv('{}/card.csv')",
    "loan": f"select loan_id, account_id, {DATE.format('date')} as date, amount, duration, "
    "payments, status from read_csv('{}/loan.csv')",
    "order": "select order_id, account_id, bank_to, account_to, amount, nullif(trim(k_symbol), '') "
    "as k_symbol from read_csv('{}/order.csv')",
    "trans": f"select trans_id, account_id, {DATE.format('date')} as date, type, operation, "
    "amount, balance, nullif(trim(k_symbol), '') as k_symbol, bank, account "
    "from read_csv('{}/trans.csv.gz')",
}
IDENTIFIERS = {"account_to", "account"}
KEYS = {
    "district": ("A1",),
    **{name: (f"{name}_id",) for name in ("account", "client", "disp", "card", "loan", "order")},
    "trans": ("trans_id",),
}
LINKS = {
    "account": [("district_id", "district", "A1")],
    "client": [("district_id", "district", "A1")],
    "disp": [("client_id", "client", "client_id"), ("account_id", "account", "account_id")],
    "card": [("disp_id", "disp", "disp_id")],
    "loan": [("account_id", "account", "account_id")],
    "order": [("account_id", "account", "account_id")],
    "trans": [("account_id", "account", "account_id")],
}
BALANCE = Running(
    column="balance", amount="amount", by=("account_id",), sign="type", plus=("PRIJEM",)
)


def berka(folder: Path, *, unit: str = "account") -> Dataset:
    """All eight tables; the unit is the account, or the client."""
    db = duckdb.connect()
    tables = {name: db.sql(q.format(folder)).to_arrow_table() for name, q in QUERIES.items()}
    specs = tuple(_spec(name, table) for name, table in tables.items())
    return Dataset(
        Schema(tables=specs, unit=Unit(of="entity", table=unit, column=f"{unit}_id")), tables
    )


def _spec(name: str, table: pa.Table) -> Table:
    pointing = {column for column, _, _ in LINKS.get(name, [])}
    keys = pointing | set(KEYS[name]) | IDENTIFIERS
    roles = {"district": "reference", "client": "owned", "account": "owned"}
    return Table(
        name=name,
        columns=tuple(_column(table.schema.field(c), c in keys) for c in table.column_names),
        primary_key=KEYS[name],
        foreign_keys=tuple(
            ForeignKey(columns=(column,), table=to, references=(key,))
            for column, to, key in LINKS.get(name, [])
        ),
        order_by="date" if name == "trans" else None,
        constraints=(BALANCE,) if name == "trans" else (),
        role=roles.get(name),
    )


def _column(field: pa.Field, key: bool) -> Column:
    if key:
        return Identifier(name=field.name, nullable=field.name in IDENTIFIERS)
    if pa.types.is_date(field.type):
        return Datetime(name=field.name, nullable=False)
    if pa.types.is_string(field.type):
        return Category(name=field.name)
    return Number(name=field.name, nullable=False, integer=pa.types.is_integer(field.type))
