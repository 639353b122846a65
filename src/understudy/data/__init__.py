"""Where data comes from and goes to: files, frames, inference, splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from understudy.data.databases import is_database, parse_url, read_tables
from understudy.data.dataset import Dataset
from understudy.data.files import read_path
from understudy.data.frames import from_frame, like
from understudy.data.inference import coerce, infer, with_clocks
from understudy.data.inspection import Inspection, inspect
from understudy.data.splitting import Split, split
from understudy.data.writing import write
from understudy.errors import SourceError, suggest
from understudy.schema import Schema
from understudy.schema.storage import stored_type

__all__ = [
    "Dataset",
    "Inspection",
    "Split",
    "alone",
    "infer",
    "inspect",
    "like",
    "read",
    "split",
    "write",
]


def read(
    source: Any,
    *,
    name: str | None = None,
    nulls: Sequence[str] = (),
    delimiter: str | None = None,
    encoding: str | None = None,
    schema: Schema | None = None,
    cell_by_cell: bool = False,
    into: Path | None = None,
) -> Dataset:
    """A `Dataset` from a path (CSV, Parquet, a folder of either, `-`), a database (URL, SQLite or
    DuckDB file), a frame or a dict of frames.

    `nulls` are spellings of a missing cell beside the empty one. With `schema` the columns are
    what it says, else they are inferred; a cell that is not raises. `cell_by_cell` reads as a
    budget needs it: every line a row, types from the schema alone where there is one, and missing
    what does not fit (`stored`). `into` is a new folder that a database's rows are streamed to
    and mapped from. Raises `SourceError` for what cannot be read.
    """
    if isinstance(source, Dataset):
        return source
    declared = None
    if cell_by_cell and schema is not None:
        declared = {c.name: stored_type(c) for spec in schema.tables for c in spec.columns}
    found = None
    if isinstance(source, (str, Path)) and is_database(source):
        found, tables = read_tables(source, into)
    else:
        tables = _tables(source, name, nulls, delimiter, encoding, declared, cell_by_cell)
    if schema is None:
        schema = infer(tables) if found is None else with_clocks(found, tables)
    elif len(schema.tables) == 1 and len(tables) == 1:
        tables = {schema.table().name: next(iter(tables.values()))}
    for spec in schema.tables:
        if spec.name not in tables:
            raise SourceError(f"the data has no table {spec.name!r}. {suggest(spec.name, tables)}")
    single = declared is not None
    return Dataset(schema, {s.name: coerce(tables[s.name], s, alone=single) for s in schema.tables})


def alone(dataset: Dataset) -> Dataset:
    """The same rows with every cell read by itself, in the types that the schema gives."""
    specs = dataset.schema.tables
    tables = {spec.name: coerce(dataset.tables[spec.name], spec, alone=True) for spec in specs}
    return Dataset(dataset.schema, tables)


def _tables(
    source: Any,
    name: str | None,
    nulls: Sequence[str],
    delimiter: str | None,
    encoding: str | None,
    declared: Mapping[str, Any] | None,
    line_by_line: bool,
) -> dict[str, Any]:
    if isinstance(source, str) and "://" in source:
        parse_url(source)  # says which databases there are
    if isinstance(source, (str, Path)):
        found = read_path(
            source,
            nulls=nulls,
            delimiter=delimiter,
            encoding=encoding,
            declared=declared,
            line_by_line=line_by_line,
        )
        return {name: next(iter(found.values()))} if name and len(found) == 1 else found
    if isinstance(source, Mapping):
        several = len(source) > 1
        return {str(key): from_frame(frame, rowless=several) for key, frame in source.items()}
    return {name or "table": from_frame(source)}
