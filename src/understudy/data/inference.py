"""What the columns are, with reasons a person can read and override."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from understudy.data.recognisers import named_as_key, recognise
from understudy.errors import SourceError
from understudy.schema import (
    Boolean,
    Category,
    Column,
    Datetime,
    Duration,
    ForeignKey,
    Geo,
    Identifier,
    Number,
    Schema,
    Table,
    Text,
)

SAMPLE = 2_000
DATE_FORMATS = ("%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d", "%Y-%m-%d %H:%M:%S")
LATITUDE = re.compile(r"(^|[\W_])lat(itude)?($|[\W_])", re.I)
LONGITUDE = re.compile(r"(^|[\W_])(lon|lng|long)(gitude)?($|[\W_])", re.I)
POINT = r"^-?\d{1,2}(\.\d+)?\s*,\s*-?\d{1,3}(\.\d+)?$"


def infer(tables: Mapping[str, pa.Table]) -> Schema:
    """The schema of `tables`: kinds with reasons, primary keys, foreign keys between them."""
    found = {
        name: Table(name=name, columns=tuple(_column(n, table[n]) for n in table.column_names))
        for name, table in tables.items()
    }
    keyed = {name: _with_primary_key(spec, tables[name]) for name, spec in found.items()}
    linked = [_with_foreign_keys(spec, keyed, tables) for spec in keyed.values()]
    return Schema(tables=tuple(linked))


def coerce(table: pa.Table, spec: Table) -> pa.Table:
    """`table` in the columns, order and Arrow kinds that `spec` says: dates parsed, labels as text.

    Raises `SourceError` when a column is missing or cannot be what the plan says.
    """
    columns = []
    for column in spec.columns:
        if column.name not in table.column_names:
            raise SourceError(
                f"the data has no column {column.name!r} that the plan names for table {spec.name!r}."
            )
        columns.append(_coerced(table[column.name], column))
    return pa.table(columns, names=list(spec.column_names))


def _coerced(values: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    try:
        if isinstance(column, Datetime) and pa.types.is_string(values.type) and column.format:
            parsed = pc.strptime(values, format=column.format, unit="us")
            return parsed if "%H" in column.format else parsed.cast(pa.date32())
        if isinstance(column, Category) and pa.types.is_boolean(values.type):
            return values.cast(pa.string())
        if isinstance(column, Number) and pa.types.is_string(values.type):
            return values.cast(pa.int64() if column.integer else pa.float64())
    except pa.ArrowInvalid as error:
        raise SourceError(f"column {column.name!r} is no {column.kind}: {error}") from None
    return values


def _column(name: str, values: pa.ChunkedArray) -> Column:
    present = values.drop_null()
    nullable = len(present) < len(values)
    kind = values.type
    common = {"name": name, "nullable": nullable}
    if len(present) == 0:
        return Category(**common, why="no cell has a value")
    if pa.types.is_boolean(kind):
        return Boolean(**common, why="true or false")
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return Datetime(**common, why=f"stored as {kind}")
    if pa.types.is_duration(kind) or pa.types.is_time(kind):
        return Duration(**common, why=f"stored as {kind}")
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _numeric(common, present)
    if pa.types.is_string(kind):
        return _textual(common, present)
    raise SourceError(f"column {name!r} is of Arrow type {kind}, which is no kind we know.")


def _numeric(common: dict[str, object], present: pa.ChunkedArray) -> Column:
    name, kind = str(common["name"]), present.type
    low, high = pc.min_max(present).as_py().values()
    if LATITUDE.search(name) and low >= -90 and high <= 90 and not pa.types.is_integer(kind):
        return Geo(**common, axis="latitude", why="named and bounded like a latitude")
    if LONGITUDE.search(name) and low >= -180 and high <= 180 and not pa.types.is_integer(kind):
        return Geo(**common, axis="longitude", why="named and bounded like a longitude")
    if not pa.types.is_integer(kind):
        decimals = kind.scale if pa.types.is_decimal(kind) else None
        return Number(**common, decimals=decimals, why=f"decimals from {low} to {high}")
    distinct = pc.count_distinct(present).as_py()
    unique = distinct == len(present) and len(present) > 20
    runs = unique and high - low + 1 == len(present)
    if runs and not common["nullable"]:
        return Identifier(**common, form="key", why="every row has the next whole number")
    if named_as_key(name) and distinct > 0.5 * len(present) and distinct > 20:
        return Identifier(**common, form="key", why=f"named {name!r}, nearly one value a row")
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
    pattern = _date_format(sample)
    if pattern:
        return Datetime(**common, format=pattern, why=f"values are dates written {pattern}")
    if {str(v).casefold() for v in sample} <= {"true", "false"}:
        return Category(**common, why="true or false, spelled out")
    if named_as_key(name) and levels > 0.5 * rows and levels > 20:
        return Identifier(**common, form="code", why=f"named {name!r}, nearly one value a row")
    words = sum(len(str(v).split()) for v in sample) / len(sample)
    if words >= 5 and levels > 0.3 * rows:
        return Text(**common, why=f"{words:.0f} words a cell, mostly different")
    if levels > 0.9 * rows and rows > 50:
        if words < 3 and not any(" " in str(v) for v in sample[:200]):
            return Identifier(**common, form="code", why="nearly one code a row")
        return Text(**common, why="nearly one value a row, with words in it")
    return Category(**common, why=f"{levels:,} labels in {rows:,} cells")


def _date_format(sample: list[str]) -> str | None:
    if not all(8 <= len(v) <= 19 and v[0].isdigit() for v in sample):
        return None
    texts = pa.array(sample)
    for pattern in DATE_FORMATS:
        try:
            pc.strptime(texts, format=pattern, unit="s")
        except pa.ArrowInvalid:
            continue
        return pattern
    return None


def _with_primary_key(spec: Table, table: pa.Table) -> Table:
    for column in spec.columns:
        values = table[column.name]
        if not isinstance(column, Identifier) or column.form not in ("key", "uuid", "code"):
            continue
        if values.null_count == 0 and pc.count_distinct(values).as_py() == len(values):
            return spec.model_copy(update={"primary_key": (column.name,)})
    return spec


def _with_foreign_keys(
    spec: Table, specs: Mapping[str, Table], tables: Mapping[str, pa.Table]
) -> Table:
    """Columns named like another table's key whose every value is found there."""
    keys = []
    for column in spec.columns:
        for other in specs.values():
            if len(other.primary_key) != 1 or (other.name == spec.name):
                continue
            target = other.primary_key[0]
            if column.name in spec.primary_key and column.name != target:
                continue
            if not _names_agree(column.name, other.name, target):
                continue
            values, parents = tables[spec.name][column.name], tables[other.name][target]
            if values.type == parents.type and _included(values, parents):
                keys.append(
                    ForeignKey(columns=(column.name,), table=other.name, references=(target,))
                )
                break
    if not keys:
        return spec
    pointing = {name for key in keys for name in key.columns}
    columns = tuple(
        Identifier(
            name=c.name, nullable=c.nullable, form="key", why="every value is a key elsewhere"
        )
        if c.name in pointing
        else c
        for c in spec.columns
    )
    return spec.model_copy(update={"foreign_keys": tuple(keys), "columns": columns})


def _names_agree(column: str, table: str, key: str) -> bool:
    plain = re.sub(r"[\W_]", "", column).casefold()
    stem = table.casefold().rstrip("s")
    return plain == re.sub(r"[\W_]", "", key).casefold() or plain in (
        stem,
        f"{stem}id",
        f"{stem}key",
    )


def _included(values: pa.ChunkedArray, parents: pa.ChunkedArray) -> bool:
    present = pc.unique(values.drop_null())
    return len(present) > 0 and bool(pc.all(pc.is_in(present, value_set=parents.unique())).as_py())
