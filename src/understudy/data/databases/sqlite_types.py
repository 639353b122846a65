"""Which Arrow type an SQLite column is read as, by its declared type and the values it holds."""

from __future__ import annotations

import re

import pyarrow as pa

from understudy.data.databases.catalogue import FoundColumn

SIZED = re.compile(r"\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)")
CLOCK = (
    "datetime({c}) = replace(substr({c}, 1, 19), 'T', ' ') AND (length({c}) = 19 OR "
    "(length({c}) BETWEEN 21 AND 26 AND substr({c}, 20, 1) = '.' "
    "AND substr({c}, 21) NOT GLOB '*[^0-9]*'))"
)
FITS = {
    "bool": "typeof({c}) = 'integer' AND {c} IN (0, 1)",
    "int64": "typeof({c}) = 'integer'",
    "double": "typeof({c}) IN ('integer', 'real')",
    "date": "typeof({c}) = 'text' AND date({c}) = {c}",
    "timestamp": (
        f"typeof({{c}}) = 'text' AND ((length({{c}}) = 10 AND date({{c}}) = {{c}}) OR ({CLOCK}))"
    ),
    "string": "typeof({c}) = 'text'",
    "stored": "0",
}
TYPES = {
    "bool": pa.bool_(),
    "int64": pa.int64(),
    "double": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "string": pa.string(),
}


def evidence(name: str, declared: str) -> list[str]:
    """Four aggregates of a column: a value that does not fit, a real, a text, a blob."""
    column = _field(name)
    fits = FITS[_expected(declared)].format(c=column)
    misfit = f"max({column} IS NOT NULL AND NOT coalesce({fits}, 0))"
    return [misfit, *(f"max(typeof({column}) = '{kind}')" for kind in ("real", "text", "blob"))]


def column_of(name: str, declared: str, stored: list[bool]) -> FoundColumn:
    """The column; `stored` are the answers to `evidence`."""
    misfit, real, text, blob = stored
    expected, column = _expected(declared), _field(name)
    note = ""
    if misfit:
        expected = "string" if text or blob else "double" if real else "int64"
        note = "read as what is stored" if declared else ""
    if blob:
        note = "hexadecimal digits"
    expression = f"CASE WHEN {column} IS NOT NULL THEN hex({column}) END" if blob else column
    if expected == "string" and misfit and not blob:
        expression = f"CAST({column} AS TEXT)"
    sized = SIZED.search(declared)
    word = declared.upper()
    type = TYPES["string" if expected == "stored" else expected]
    if expected == "timestamp" and "WITH TIME ZONE" in word:
        type = pa.timestamp("us", "UTC")
    return FoundColumn(
        name=name,
        sql=declared,
        type=type,
        expression=f"{expression} AS {column}",
        plays="text" if blob or word == "JSON" else "uuid" if word == "UUID" else None,
        decimals=int(sized[2]) if sized and sized[2] and expected == "double" else None,
        note=note,
    )


def _expected(declared: str) -> str:
    """The type by SQLite's own rules for names of types, and by what other databases mean."""
    word = declared.upper()
    sized = SIZED.search(word)
    if "BOOL" in word:
        return "bool"
    if "DATETIME" in word or word.startswith("TIMESTAMP"):
        return "timestamp"
    if word == "DATE":
        return "date"
    if "INT" in word:
        return "int64"
    if any(part in word for part in ("CHAR", "CLOB", "TEXT", "UUID", "JSON", "ENUM")):
        return "string"
    if any(part in word for part in ("REAL", "FLOA", "DOUB")):
        return "double"
    if "NUMERIC" in word or "DECIMAL" in word:
        return "int64" if sized and not int(sized[2] or 0) and int(sized[1]) <= 18 else "double"
    return "stored"


def _field(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
