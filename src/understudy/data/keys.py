"""Primary and foreign keys between tables, found by uniqueness and full inclusion.

A column points at a table when it is named like that table's key and its every value is found
there. A key of several columns is taken only when another table points at all of it; a column that
points at its own table has to be named for it (`manager_id`, `parent`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import combinations

import pyarrow as pa
import pyarrow.compute as pc

from understudy.schema import Column, ForeignKey, Identifier, Table

HIERARCHY = re.compile(
    r"(^|[\W_])(parent|manager|boss|supervisor|reports?[\W_]*to|head|superior|referr(er|ed)|"
    r"previous|next|mother|father|spouse)",
    re.I,
)
WIDEST = 3
"""Columns of the widest composite key looked for."""

Tables = Mapping[str, pa.Table]


def with_keys(specs: Mapping[str, Table], tables: Tables) -> tuple[Table, ...]:
    """The tables of `specs` with the keys that `tables` bear out."""
    keyed = {name: _with_primary_key(spec, tables[name]) for name, spec in specs.items()}
    keyed |= {name: _with_asked_key(spec, keyed, tables) for name, spec in keyed.items()}
    links = {name: _simple_links(spec, keyed, tables) for name, spec in keyed.items()}
    for name, spec in keyed.items():
        for parent, columns in _composite_links(spec, keyed, tables):
            keyed[parent] = keyed[parent].model_copy(update={"primary_key": columns})
            links[name].append(ForeignKey(columns=columns, table=parent, references=columns))
    return tuple(_linked(spec, links[name], keyed) for name, spec in keyed.items())


def _with_primary_key(spec: Table, table: pa.Table) -> Table:
    for column in spec.columns:
        values = table[column.name]
        if not isinstance(column, Identifier) or column.form not in ("key", "uuid", "code"):
            continue
        if values.null_count == 0 and pc.count_distinct(values).as_py() == len(values):
            return spec.model_copy(update={"primary_key": (column.name,)})
    return spec


def _with_asked_key(spec: Table, specs: Mapping[str, Table], tables: Tables) -> Table:
    """The key that columns elsewhere ask for by this table's name, whatever it is called here.

    `district_id` of another table asks for a column of `district` that is unique and holds its
    every value.
    """
    if spec.primary_key:
        return spec
    table = tables[spec.name]
    unique = [c.name for c in spec.columns if _numbers_rows(table[c.name])]
    for other in specs.values():
        for asking in other.columns if other.name != spec.name and unique else ():
            if asking.name in other.primary_key or not _named_after(asking.name, spec.name):
                continue
            values = tables[other.name][asking.name]
            for key in unique:
                if values.type == table[key].type and _included(values, table[key]):
                    why = f"unique, and every {other.name}.{asking.name} is found here"
                    return _keyed(spec, key, why)
    return spec


def _keyed(spec: Table, key: str, why: str) -> Table:
    columns = tuple(
        Identifier(name=c.name, nullable=c.nullable, stored=c.stored, form="key", why=why)
        if c.name == key
        else c
        for c in spec.columns
    )
    return spec.model_copy(update={"primary_key": (key,), "columns": columns})


def _numbers_rows(values: pa.ChunkedArray) -> bool:
    """Whole numbers or text, different in every row and missing in none."""
    plain = pa.types.is_integer(values.type) or pa.types.is_string(values.type)
    return plain and values.null_count == 0 and pc.count_distinct(values).as_py() == len(values)


def _simple_links(spec: Table, specs: Mapping[str, Table], tables: Tables) -> list[ForeignKey]:
    found = []
    for column in spec.columns:
        for other in specs.values():
            if len(other.primary_key) == 1 and _points(column.name, spec, other, tables):
                found.append(
                    ForeignKey(
                        columns=(column.name,), table=other.name, references=other.primary_key
                    )
                )
                break
    return found


def _points(column: str, spec: Table, other: Table, tables: Tables) -> bool:
    key = other.primary_key[0]
    if other.name == spec.name:
        if column == key or not HIERARCHY.search(column):
            return False
    elif (column in spec.primary_key and column != key) or not names_agree(column, other.name, key):
        return False
    values, parents = tables[spec.name][column], tables[other.name][key]
    if len(values) == 0:  # a table without rows says no more than its names
        return True
    return values.type == parents.type and _included(values, parents)


def _composite_links(
    spec: Table, specs: Mapping[str, Table], tables: Tables
) -> Iterable[tuple[str, tuple[str, ...]]]:
    """Tables without a key of one column whose shared columns are unique and hold all of ours."""
    for other in specs.values():
        if other.name == spec.name or len(other.primary_key) == 1:
            continue
        ours, theirs = tables[spec.name], tables[other.name]
        shared = [
            c.name
            for c in other.columns
            if c.kind in ("identifier", "number", "category")
            and c.name in spec.column_names
            and ours[c.name].type == theirs[c.name].type
            and not pa.types.is_floating(theirs[c.name].type)
            and theirs[c.name].null_count == 0
        ]
        for columns in _narrowest(shared):
            if other.primary_key not in ((), columns):
                continue
            if _unique(theirs, columns) and _all_found(ours, theirs, columns):
                yield other.name, columns
                break


def _narrowest(names: list[str]) -> Iterable[tuple[str, ...]]:
    for width in range(2, WIDEST + 1):
        yield from combinations(names[:8], width)


def _unique(table: pa.Table, columns: tuple[str, ...]) -> bool:
    names = list(columns)
    return table.select(names).group_by(names).aggregate([]).num_rows == table.num_rows


def _all_found(ours: pa.Table, theirs: pa.Table, columns: tuple[str, ...]) -> bool:
    """Whether every complete combination of ours is one of theirs, and ours repeat."""
    names = list(columns)
    present = ours.select(names).drop_null()
    distinct = present.group_by(names).aggregate([])
    if distinct.num_rows in (0, present.num_rows):
        return False
    found = distinct.join(theirs.select(names), names, join_type="left semi", use_threads=False)
    return found.num_rows == distinct.num_rows


def _linked(spec: Table, links: list[ForeignKey], specs: Mapping[str, Table]) -> Table:
    if not links:
        return spec
    pointing = {key.columns[0]: key for key in links if len(key.columns) == 1}

    def stored(column: Column) -> str | None:
        key = pointing[column.name]
        return column.stored or specs[key.table].column(key.references[0]).stored

    columns = tuple(
        Identifier(
            name=c.name,
            nullable=c.nullable,
            stored=stored(c),
            form="key",
            why="every value is a key elsewhere",
        )
        if c.name in pointing
        else c
        for c in spec.columns
    )
    return spec.model_copy(update={"foreign_keys": tuple(links), "columns": columns})


def names_agree(column: str, table: str, key: str) -> bool:
    """Whether `column` is named like `table` or like its `key`."""
    return _plain(column) == _plain(key) or _named_after(column, table)


def _named_after(column: str, table: str) -> bool:
    stem = table.casefold().rstrip("s")
    return _plain(column) in (stem, f"{stem}id", f"{stem}key")


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name).casefold()


def _included(values: pa.ChunkedArray, parents: pa.ChunkedArray) -> bool:
    present = pc.unique(values.drop_null())
    return len(present) > 0 and bool(pc.all(pc.is_in(present, value_set=parents.unique())).as_py())
