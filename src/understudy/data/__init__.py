"""Where data comes from and goes to: files, frames, inference, splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from understudy.data.dataset import Dataset
from understudy.data.files import read_path
from understudy.data.frames import from_frame, like
from understudy.data.inference import coerce, infer
from understudy.data.inspection import Inspection, inspect
from understudy.data.splitting import Split, split
from understudy.data.writing import write
from understudy.errors import SourceError, suggest
from understudy.schema import Schema

__all__ = ["Dataset", "Inspection", "Split", "infer", "inspect", "like", "read", "split", "write"]


def read(
    source: Any,
    *,
    name: str | None = None,
    nulls: Sequence[str] = (),
    delimiter: str | None = None,
    encoding: str | None = None,
    schema: Schema | None = None,
) -> Dataset:
    """A `Dataset` from a path (CSV, Parquet, a folder of either, `-`), a frame or a dict of frames.

    `nulls` are spellings of a missing cell beside the empty one. With `schema` the columns are
    what it says, else they are inferred. Raises `SourceError` for what cannot be read.
    """
    if isinstance(source, Dataset):
        return source
    tables = _tables(source, name, nulls, delimiter, encoding)
    if schema is None:
        schema = infer(tables)
    elif len(schema.tables) == 1 and len(tables) == 1:
        tables = {schema.table().name: next(iter(tables.values()))}
    for spec in schema.tables:
        if spec.name not in tables:
            raise SourceError(f"the data has no table {spec.name!r}. {suggest(spec.name, tables)}")
    return Dataset(schema, {s.name: coerce(tables[s.name], s) for s in schema.tables})


def _tables(
    source: Any,
    name: str | None,
    nulls: Sequence[str],
    delimiter: str | None,
    encoding: str | None,
) -> dict[str, Any]:
    if isinstance(source, str) and "://" in source:
        raise SourceError(
            "databases cannot be read yet; write the table to CSV or Parquet and give that path."
        )
    if isinstance(source, (str, Path)):
        found = read_path(source, nulls=nulls, delimiter=delimiter, encoding=encoding)
        return {name: next(iter(found.values()))} if name and len(found) == 1 else found
    if isinstance(source, Mapping):
        return {str(key): from_frame(frame) for key, frame in source.items()}
    return {name or "table": from_frame(source)}
