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
    Range,
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
    # A birth number is a date whose month is 50 higher for women: two columns in one.
    "client": "select client_id, strptime('19' || lpad((birth_number - if(woman, 5000, 0))"
    "::varchar, 6, '0'), '%Y%m%d')::date as birth, if(woman, 'F', 'M') as sex, district_id from "
    "(select *, birth_number // 100 % 100 > 50 as woman from read_csv('{}/client.csv'))",
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
BANKS = ("AB", "CD", "EF", "GH", "IJ", "KL", "MN", "OP", "QR", "ST", "UV", "WX", "YZ")
CODES: dict[str, tuple[str, ...]] = {
    "account.frequency": ("POPLATEK MESICNE", "POPLATEK PO OBRATU", "POPLATEK TYDNE"),
    "client.sex": ("F", "M"),
    "disp.type": ("OWNER", "DISPONENT"),
    "card.type": ("junior", "classic", "gold"),
    "loan.status": ("A", "B", "C", "D"),
    "order.bank_to": BANKS,
    "order.k_symbol": ("POJISTNE", "SIPO", "LEASING", "UVER"),
    "trans.type": ("PRIJEM", "VYDAJ", "VYBER"),
    "trans.operation": (
        "VKLAD",
        "VYBER",
        "VYBER KARTOU",
        "PREVOD Z UCTU",
        "PREVOD NA UCET",
    ),
    "trans.k_symbol": (
        "POJISTNE",
        "SLUZBY",
        "UROK",
        "SANKC. UROK",
        "SIPO",
        "DUCHOD",
        "UVER",
    ),
    "trans.bank": BANKS,
}
"""The code book that the bank published with the data: public under a budget."""
ENDS: dict[str, tuple[float, float]] = {
    "loan.amount": (0, 600_000),
    "loan.duration": (12, 60),
    "loan.payments": (0, 10_000),
    "order.amount": (0, 15_000),
    "trans.amount": (0, 100_000),
}
"""What anybody would say of such amounts who knows the country and the years."""
YEARS = {"account": (1993, 1998), "client": (1900, 1998)}


def berka(folder: Path, *, unit: str = "account", code_book: bool = False) -> Dataset:
    """All eight tables; the unit is the account, or the client.

    With `code_book` the schema declares the published codes and round bounds.
    """
    db = duckdb.connect()
    tables = {name: db.sql(q.format(folder)).to_arrow_table() for name, q in QUERIES.items()}
    specs = tuple(_spec(name, table) for name, table in tables.items())
    if code_book:
        specs = tuple(_declared(spec) for spec in specs)
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


def _declared(spec: Table) -> Table:
    columns = []
    for column in spec.columns:
        place = f"{spec.name}.{column.name}"
        if place in CODES:
            filled = place not in ("order.k_symbol",) and spec.name != "trans"
            filled = filled or place == "trans.type"
            column = column.model_copy(update={"levels": CODES[place], "nullable": not filled})
        if place in ENDS:
            low, high = ENDS[place]
            digits = None if column.integer else 2 if spec.name == "trans" else 0
            ends = {"minimum": low, "maximum": high, "decimals": digits, "nullable": False}
            column = column.model_copy(update=ends)
        columns.append(column)
    years = YEARS.get(spec.name)
    dates = tuple(
        Range(column=c.name, minimum=f"{years[0]}-01-01", maximum=f"{years[1]}-12-31")
        for c in (spec.of_kind("datetime") if years else ())
    )
    rules = (*spec.constraints, *dates)
    return spec.model_copy(update={"columns": tuple(columns), "constraints": rules})


def _column(field: pa.Field, key: bool) -> Column:
    if key:
        return Identifier(name=field.name, nullable=field.name in IDENTIFIERS)
    if pa.types.is_date(field.type):
        return Datetime(name=field.name, nullable=False)
    if pa.types.is_string(field.type):
        return Category(name=field.name)
    return Number(name=field.name, nullable=False, integer=pa.types.is_integer(field.type))
