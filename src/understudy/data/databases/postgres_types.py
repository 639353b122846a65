"""Which Arrow type a PostgreSQL column is read as, and the SQL that makes it so.

Numbers stay exact where their precision is declared. Types without a counterpart are read as the
text that the server itself would print, which it also reads back.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa

from understudy.data.databases.catalogue import FoundColumn

PLAIN = {
    "bool": pa.bool_(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "oid": pa.int64(),
    "float4": pa.float64(),
    "float8": pa.float64(),
    "time": pa.time64("us"),
}
TIMES = {
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", "UTC"),
}
LABELS = ("text", "varchar", "bpchar", "char", "name", "citext", "cidr", "macaddr", "timetz")
EXACT = 38
"""Digits that Arrow's 128 bits hold."""


def column_of(row: dict[str, Any]) -> FoundColumn:
    """The column that one row of the catalogue describes."""
    name, domain = row["name"], row["base"]
    spoken = domain or row
    sql = spoken["sql"]
    field = '"' + name.replace('"', '""') + '"'
    found = FoundColumn(
        name=name,
        sql=sql,
        type=pa.string(),
        expression=f"{field}::text AS {field}",
        nullable=not (row["not_null"] or (domain and domain["not_null"])),
        default=_default(row["default"]),
        comment=row["comment"],
        note=f"domain {row['sql']}" if domain else "",
    )
    if row["levels"]:
        levels = tuple(row["levels"])
        return replace(found, plays="enum", levels=levels, sql=f"enum {row['type']}")
    return _of_type(found, spoken, field, keyed=row["keyed"])


def _default(said: str | None) -> str | None:
    """A sequence is a running number of the table's own; the source's is not the copy's."""
    return "identity" if said and said.startswith("nextval(") else said


def _of_type(found: FoundColumn, row: dict[str, Any], field: str, *, keyed: bool) -> FoundColumn:
    kind = row["type"]
    if kind in PLAIN:
        # By way of its text, .29 in four bytes is .29 in eight, too.
        cast = {"oid": "::int8", "float4": "::text::float8"}.get(kind, "")
        return replace(found, type=PLAIN[kind], expression=f"{field}{cast} AS {field}")
    if kind in TIMES:
        finite = f"CASE WHEN isfinite({field}) THEN {field} END AS {field}"
        return replace(found, type=TIMES[kind], expression=finite)
    if kind == "numeric":
        return _numeric(found, int(row["modifier"]), field, keyed=keyed)
    if kind == "interval":
        micros = f"(extract(epoch FROM {field}) * 1000000)::int8 AS {field}"
        note = "a month counts as 30 days"
        return replace(found, type=pa.duration("us"), expression=micros, note=note)
    if kind == "uuid":
        return replace(found, plays="uuid")
    if kind == "money":
        cast = f"{field}::numeric(20, 2)::text AS {field}"
        return replace(found, type=pa.decimal128(20, 2), expression=cast, decimals=2)
    if kind == "inet":
        return replace(found, expression=f"abbrev({field}) AS {field}")
    if kind in LABELS:
        return found
    return replace(found, plays="text", note="read as text, which tables' engines leave empty")


def _numeric(found: FoundColumn, modifier: int, field: str, *, keyed: bool) -> FoundColumn:
    """Whole numbers up to 18 digits as int64, other declared ones as decimals, the rest as double.

    Keys of undeclared precision are text: two of them may differ in a digit that a double has not.
    """
    if modifier < 0:
        if keyed:
            return replace(found, note="digits as text, as no precision is declared")
        cast = f"{field}::float8 AS {field}"
        return replace(found, type=pa.float64(), expression=cast)
    # The modifier is 4 more than precision * 2^16 + scale, the scale in 11 bits with a sign.
    precision, scale = (modifier - 4) >> 16, (((modifier - 4) & 0x7FF) ^ 1024) - 1024
    if scale == 0 and precision <= 18:
        cast = f"nullif({field}, 'NaN')::int8 AS {field}"
        return replace(found, type=pa.int64(), expression=cast)
    if not 0 <= scale <= precision <= EXACT:
        cast = f"{field}::float8 AS {field}"
        return replace(found, type=pa.float64(), expression=cast)
    text = f"nullif({field}, 'NaN')::text AS {field}"
    return replace(found, type=pa.decimal128(precision, scale), expression=text, decimals=scale)
