"""Reading files: CSV, Parquet, folders of either, standard input.

Every way a file can be wrong has a message that says where.
"""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from understudy.data.cells import refuse_empty, refuse_repeats, tidy
from understudy.data.delimited import read_csv
from understudy.errors import SourceError, suggest

CSV_ENDINGS = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
PARQUET_ENDINGS = (".parquet", ".pq")
STANDARD_INPUT = "-"


def read_path(
    source: str | Path,
    *,
    nulls: Sequence[str] = (),
    delimiter: str | None = None,
    encoding: str | None = None,
    declared: Mapping[str, pa.DataType] | None = None,
    line_by_line: bool = False,
) -> dict[str, pa.Table]:
    """Tables by name: one for a file, one per file for a folder, where some may have no rows.

    With `declared`, a CSV's cells stay text and its dialect is told by its header alone; with
    `line_by_line` each of its lines is a row.
    """
    spelling = (nulls, delimiter, encoding, declared, line_by_line)
    if str(source) == STANDARD_INPUT:
        return {"stdin": read_csv(sys.stdin.buffer.read(), "standard input", *spelling)}
    path = Path(source)
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if _ending(p) and not p.name.startswith("."))
        if not files:
            raise SourceError(f"folder {path} holds no CSV or Parquet file.")
        found = {}
        for file in files:
            if table_name(file) in found:
                raise SourceError(f"folder {path} holds two files for table {table_name(file)!r}.")
            found[table_name(file)] = _read_file(file, *spelling, rowless=len(files) > 1)
        if all(table.num_rows == 0 for table in found.values()):
            raise SourceError(f"folder {path}: no table in it has rows.")
        return found
    return {table_name(path): _read_file(path, *spelling)}


def table_name(path: Path) -> str:
    """`accounts` for `accounts.csv.gz`; a folder is called what it is called, `.` too."""
    name = path.name or path.resolve().name
    ending = _ending(path) or path.suffix
    return name[: len(name) - len(ending)] or name


def _read_file(
    path: Path,
    nulls: Sequence[str],
    delimiter: str | None,
    encoding: str | None,
    declared: Mapping[str, pa.DataType] | None,
    line_by_line: bool,
    *,
    rowless: bool = False,
) -> pa.Table:
    if not path.exists():
        near = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        hint = suggest(path.name, near) if near else f"There is nothing in {path.parent} either."
        raise SourceError(f"no file {str(path)!r}. {hint}")
    ending = _ending(path)
    if ending is None:
        raise SourceError(
            f"{path} is neither CSV nor Parquet by its name. Known endings: "
            f"{', '.join((*CSV_ENDINGS, *PARQUET_ENDINGS))}."
        )
    if ending in PARQUET_ENDINGS:
        return _read_parquet(path, nulls, rowless)
    try:
        raw = gzip.decompress(path.read_bytes()) if ending.endswith(".gz") else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{path} cannot be read: {error}") from None
    return read_csv(
        raw, str(path), nulls, delimiter, encoding, declared, line_by_line, rowless=rowless
    )


def _read_parquet(path: Path, nulls: Sequence[str], rowless: bool) -> pa.Table:
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(path).read()
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(f"{path} is no readable Parquet file: {error}") from None
    refuse_repeats(table.column_names, str(path))
    refuse_empty(table, str(path), rowless=rowless)
    return tidy(table, nulls)


def _ending(path: Path) -> str | None:
    name = path.name.casefold()
    found = [e for e in (*CSV_ENDINGS, *PARQUET_ENDINGS) if name.endswith(e)]
    return max(found, key=len) if found else None
