"""What the columns are, with reasons a person can read and override."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from understudy.data.dates import date_format, parsed
from understudy.data.key_evidence import clock
from understudy.data.keys import with_keys
from understudy.data.recognisers import named_as_key, names_an_entity, recognise, recognise_whole
from understudy.data.stored import read_alone
from understudy.errors import SourceError, suggest
from understudy.schema import (
    Boolean,
    Category,
    Column,
    Datetime,
    Duration,
    Geo,
    Identifier,
    Number,
    Schema,
    Table,
    Text,
)
from understudy.schema.storage import arrow_type, stored_type

SAMPLE = 2_000
LATITUDE = re.compile(r"(^|[\W_])lat(itude)?($|[\W_])", re.I)
LONGITUDE = re.compile(r"(^|[\W_])(lon|lng|long)(gitude)?($|[\W_])", re.I)
POINT = r"^-?\d{1,2}\.\d+\s*,\s*-?\d{1,3}\.\d+$"
QUANTITY = (
    r"^[+-]?[$€£¥]? ?[+-]?\d+([ ,.']\d{3})*([.,]\d+)?( ?[%$€£¥]| [a-zA-Zµ]{1,3})?$"
    r"|^\d+(:\d{2}){1,2}(\.\d+)?$"
)
"""Money, shares, amounts with a unit, clock times: measured, however many differ."""
NUMERIC = r"^-?(0|[1-9]\d*)(\.\d+)?$"


def infer(tables: Mapping[str, pa.Table]) -> Schema:
    """The schema of `tables`: kinds with reasons, primary keys, foreign keys between them, and
    what orders the events of a table of histories."""
    if not tables:
        raise SourceError("there is no table in the data. Give at least one.")
    found = {
        name: Table(name=name, columns=tuple(infer_column(n, table[n]) for n in table.column_names))
        for name, table in tables.items()
    }
    return with_clocks(Schema(tables=with_keys(found, tables)), tables)


def with_clocks(schema: Schema, tables: Mapping[str, pa.Table]) -> Schema:
    """`schema` with what orders the events of every table of histories."""
    specs = schema.tables
    pointed = {key.table for spec in specs for key in spec.foreign_keys if key.table != spec.name}
    ordered = (
        spec.model_copy(update={"order_by": clock(spec, tables, spec.name in pointed)})
        for spec in specs
    )
    return schema.model_copy(update={"tables": tuple(ordered)})


def coerce(table: pa.Table, spec: Table, *, alone: bool = False) -> pa.Table:
    """`table` in the columns, order and Arrow kinds that `spec` says: dates parsed, labels as text.

    Raises `SourceError` when a column is missing or cannot be what the plan says; with `alone`
    every cell is read by itself, and is missing where it cannot.
    """
    turned = read_alone if alone else _coerced
    columns = []
    for column in spec.columns:
        if column.name not in table.column_names:
            raise SourceError(
                f"the data has no column {column.name!r}, which table {spec.name!r} should have. "
                f"{suggest(column.name, table.column_names)}"
            )
        columns.append(turned(table[column.name], column))
    return pa.table(columns, names=list(spec.column_names))


def _coerced(values: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    if len(values) == 0:
        return values.cast(stored_type(column))
    values = parsed(values, column)
    try:
        if isinstance(column, Category) and pa.types.is_boolean(values.type):
            return values.cast(pa.string())
        if isinstance(column, Number) and pa.types.is_string(values.type):
            return values.cast(stored_type(column))
    except pa.ArrowInvalid as error:
        raise SourceError(f"column {column.name!r} is no {column.kind}: {error}") from None
    return values


def infer_column(name: str, values: pa.ChunkedArray) -> Column:
    """What one column is, by its Arrow type, its values and its name."""
    present = values.drop_null()
    nullable = len(present) < len(values)
    kind = values.type
    common = {"name": name, "nullable": nullable, "stored": _named(kind)}
    if len(values) == 0 and pa.types.is_null(kind):
        return Category(name=name, why="the table has no rows")
    if len(present) == 0:
        return Category(**common, why="no cell has a value")
    if pa.types.is_boolean(kind):
        return Boolean(**common, why="true or false")
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return Datetime(**common, why=f"stored as {kind}")
    if pa.types.is_duration(kind) or pa.types.is_time(kind):
        return Duration(**common, why=f"stored as {kind}")
    if pa.types.is_integer(kind):
        return _whole(common, present)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _decimal(common, present)
    if pa.types.is_string(kind):
        return _textual(common, present)
    raise SourceError(
        f"column {name!r} is of Arrow type {kind}, which is no kind we know. Drop it, or turn it "
        "into text, numbers or times."
    )


def _named(kind: pa.DataType) -> str | None:
    """The type as a plan names it; None for one that only an empty column may have."""
    try:
        arrow_type(str(kind))
    except ValueError:
        return None
    return str(kind)


def _decimal(common: dict[str, object], present: pa.ChunkedArray) -> Column:
    name, kind = str(common["name"]), present.type
    low, high = pc.min_max(present).as_py().values()
    if LATITUDE.search(name) and low >= -90 and high <= 90:
        return Geo(**common, axis="latitude", why="named and bounded like a latitude")
    if LONGITUDE.search(name) and low >= -180 and high <= 180:
        return Geo(**common, axis="longitude", why="named and bounded like a longitude")
    decimals = kind.scale if pa.types.is_decimal(kind) and kind.scale >= 0 else None
    return Number(**common, decimals=decimals, why=f"decimals from {low} to {high}")


def _whole(common: dict[str, object], present: pa.ChunkedArray) -> Column:
    name = str(common["name"])
    low, high = pc.min_max(present).as_py().values()
    distinct = pc.unique(present)
    levels, rows = len(distinct), len(present)
    unique = levels == rows and rows > 20
    if unique and high - low + 1 == rows and not common["nullable"]:
        return Identifier(**common, form="key", why="every row has the next whole number")
    why = _names_entities(name, levels, rows)
    if why:
        return Identifier(**common, form="key", why=why)
    if levels > 20 and low >= 0:
        known = recognise_whole(name, [str(v) for v in distinct.slice(0, SAMPLE).to_pylist()])
        if known:
            return Identifier(**common, form=known[0], why=known[1])
    dated = date_format(name, distinct) if low > 0 else None
    if dated:
        return Datetime(**{**common, "stored": None}, format=dated[0], why=dated[1])
    return Number(**common, integer=True, why=f"whole numbers from {low} to {high}")


def _textual(common: dict[str, object], present: pa.ChunkedArray) -> Column:
    name = str(common["name"])
    distinct = pc.unique(present)
    sample = distinct.slice(0, SAMPLE).to_pylist()
    levels, rows = len(distinct), len(present)
    known = recognise(name, sample)
    if known:
        return Identifier(**common, form=known[0], why=known[1])
    if pc.all(pc.match_substring_regex(pa.array(sample), POINT)).as_py():
        return Geo(**common, axis="point", why="values are latitude,longitude")
    dated = date_format(name, distinct)
    if dated:
        return Datetime(**{**common, "stored": None}, format=dated[0], why=dated[1])
    if {str(v).casefold() for v in sample} <= {"true", "false"}:
        return Category(**common, why="true or false, spelled out")
    why = _names_entities(name, levels, rows)
    if why:
        return Identifier(**common, form="code", why=why)
    odd = _odd_among_numbers(distinct)
    if odd:
        shown = " and ".join(repr(v) for v in odd)
        return Category(
            **common,
            why=f"numbers but for {shown}; if that means missing, declare it: --null {odd[0]!r}",
        )
    bare = pc.match_substring_regex(distinct, r"^\d+$")
    if pc.all(pc.and_not(pc.match_substring_regex(distinct, QUANTITY), bare)).as_py():
        return Category(
            **common, why="amounts with signs: labels, unless the source spells them plainly"
        )
    words = sum(len(str(v).split()) for v in sample) / len(sample)
    if words >= 5 and levels > 0.3 * rows:
        return Text(**common, why=f"{words:.0f} words a cell, mostly different")
    if levels > 0.9 * rows and rows > 50:
        if words < 3 and not any(" " in str(v) for v in sample[:200]):
            return Identifier(**common, form="code", why="nearly one code a row")
        return Text(**common, why="nearly one value a row, with words in it")
    return Category(**common, why=f"{levels:,} labels in {rows:,} cells")


def _names_entities(name: str, levels: int, rows: int) -> str | None:
    """Why a column by this name, with so many values, names or points at somebody; or None."""
    if levels <= 20:
        return None
    if named_as_key(name) and levels > 0.5 * rows:
        return f"named {name!r}, nearly one value a row"
    if names_an_entity(name, levels):
        return f"named {name!r}, {levels:,} values that repeat: it says whose a row is"
    return None


def _odd_among_numbers(distinct: pa.Array) -> list[str]:
    """One or two spellings that alone keep a column from being numbers."""
    numeric = pc.match_substring_regex(distinct, NUMERIC)
    odd = distinct.filter(pc.invert(numeric))
    if not 1 <= len(odd) <= 2 or len(distinct) - len(odd) < max(3, 3 * len(odd)):
        return []
    return [str(v) for v in odd.to_pylist()]
