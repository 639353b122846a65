"""Reading files: CSV in its dialects, Parquet, folders of either, standard input.

Cells keep what they say: `007` stays text, integers beyond 2^53 stay exact, an empty cell is
missing and nothing else is unless the user declares it (`nulls`). Every way a file can be wrong has
a message that says where.
"""

from __future__ import annotations

import csv
import gzip
import io
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from understudy.errors import SourceError, suggest

CSV_ENDINGS = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
PARQUET_ENDINGS = (".parquet", ".pq")
DELIMITERS = ",;\t|"
STANDARD_INPUT = "-"


def read_path(
    source: str | Path,
    *,
    nulls: Sequence[str] = (),
    delimiter: str | None = None,
    encoding: str | None = None,
) -> dict[str, pa.Table]:
    """Tables by name: one for a file, one per file for a folder."""
    if str(source) == STANDARD_INPUT:
        raw = sys.stdin.buffer.read()
        return {"stdin": read_csv(raw, "standard input", nulls, delimiter, encoding)}
    path = Path(source)
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if _ending(p) and not p.name.startswith("."))
        if not files:
            raise SourceError(f"folder {path} holds no CSV or Parquet file.")
        found = {}
        for file in files:
            if table_name(file) in found:
                raise SourceError(f"folder {path} holds two files for table {table_name(file)!r}.")
            found[table_name(file)] = _read_file(file, nulls, delimiter, encoding)
        return found
    return {table_name(path): _read_file(path, nulls, delimiter, encoding)}


def table_name(path: Path) -> str:
    """`accounts` for `accounts.csv.gz`."""
    return path.name.removesuffix(_ending(path) or path.suffix)


def read_csv(
    raw: bytes,
    where: str,
    nulls: Sequence[str] = (),
    delimiter: str | None = None,
    encoding: str | None = None,
) -> pa.Table:
    """One table from the bytes of a CSV file; `where` names it in errors."""
    from pyarrow import csv as arrow_csv

    text = _decode(raw, where, encoding)
    if not text.strip():
        raise SourceError(f"{where} is empty. It needs a header line and rows.")
    first = text.lstrip("\r\n").split("\n", 1)[0]
    delimiter = delimiter or _sniff(text, first)
    header = _header(first, delimiter, where)
    options = arrow_csv.ConvertOptions(
        null_values=["", *nulls, *(f" {n}" for n in nulls)],
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
        column_types=_kept_as_text(text, header, delimiter),
    )
    try:
        table = arrow_csv.read_csv(
            io.BytesIO(text.encode()),
            read_options=arrow_csv.ReadOptions(
                use_threads=False, column_names=header, skip_rows=1, block_size=1 << 24
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=delimiter, newlines_in_values='"' in text
            ),
            convert_options=options,
        )
    except pa.ArrowInvalid as error:
        raise SourceError(_what_is_wrong(text, header, delimiter, where, error)) from None
    if table.num_rows == 0:
        raise SourceError(f"{where} has a header and no rows.")
    return tidy(table, nulls)


def tidy(table: pa.Table, nulls: Sequence[str] = ()) -> pa.Table:
    """One spelling per Arrow type: plain strings without outer blanks, NaN as null."""
    import pyarrow.compute as pc

    columns = []
    for column in table.columns:
        kind = column.type
        if pa.types.is_dictionary(kind):
            column = column.cast(kind.value_type)
            kind = column.type
        if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
            column = column.cast(pa.string())
            kind = column.type
        if pa.types.is_string(kind):
            column = _tidy_text(column, nulls)
        elif pa.types.is_floating(kind):
            column = column.cast(pa.float64())
            column = pc.if_else(pc.is_finite(column), column, pa.scalar(None, pa.float64()))
        columns.append(column)
    return pa.table(columns, names=table.column_names)


def _tidy_text(column: pa.ChunkedArray, nulls: Sequence[str]) -> pa.ChunkedArray:
    import pyarrow.compute as pc

    column = pc.utf8_trim_whitespace(column)
    if nulls:
        missing = pc.is_in(column, value_set=pa.array(list(nulls), pa.string()))
        column = pc.if_else(missing, pa.scalar(None, pa.string()), column)
    return _as_numbers(column)


def _as_numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Numbers that padding blanks kept from being read as such (` 39, 12`)."""
    import pyarrow.compute as pc

    present = column.drop_null()
    if len(present) == 0:
        return column
    pattern = r"^-?(0|[1-9]\d{0,17})$"
    if pc.all(pc.match_substring_regex(present, pattern)).as_py():
        return column.cast(pa.int64())
    decimal = r"^-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$"
    if pc.all(pc.match_substring_regex(present, decimal)).as_py():
        digits = pc.max(pc.utf8_length(pc.replace_substring_regex(present, r"[-.]", ""))).as_py()
        return column.cast(pa.float64()) if digits <= 17 else column
    return column


def _read_file(
    path: Path, nulls: Sequence[str], delimiter: str | None, encoding: str | None
) -> pa.Table:
    if not path.exists():
        near = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        hint = suggest(path.name, near) if near else f"There is no folder {path.parent} either."
        raise SourceError(f"no file {str(path)!r}. {hint}")
    ending = _ending(path)
    if ending is None:
        raise SourceError(
            f"{path} is neither CSV nor Parquet by its name. Known endings: "
            f"{', '.join((*CSV_ENDINGS, *PARQUET_ENDINGS))}."
        )
    if ending in PARQUET_ENDINGS:
        return _read_parquet(path, nulls)
    if path.stat().st_size == 0:
        raise SourceError(f"{path} is empty. It needs a header line and rows.")
    try:
        raw = gzip.decompress(path.read_bytes()) if ending.endswith(".gz") else path.read_bytes()
    except (OSError, EOFError) as error:
        raise SourceError(f"{path} cannot be read: {error}") from None
    return read_csv(raw, str(path), nulls, delimiter, encoding)


def _read_parquet(path: Path, nulls: Sequence[str]) -> pa.Table:
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(path).read()
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(f"{path} is no readable Parquet file: {error}") from None
    _refuse_repeats(table.column_names, str(path))
    if table.num_rows == 0:
        raise SourceError(f"{path} has columns and no rows.")
    return tidy(table, nulls)


def _ending(path: Path) -> str | None:
    name = path.name.casefold()
    found = [e for e in (*CSV_ENDINGS, *PARQUET_ENDINGS) if name.endswith(e)]
    return max(found, key=len) if found else None


def _decode(raw: bytes, where: str, encoding: str | None) -> str:
    if encoding is None:
        encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return raw.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
    except LookupError:
        raise SourceError(f"there is no encoding {encoding!r}. Try utf-8 or latin-1.") from None
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SourceError(
            f"{where} is not {encoding.removesuffix('-sig')}: line {line}, byte {error.start} "
            f"(0x{raw[error.start]:02x}). If it is an older Western file, say encoding=latin-1."
        ) from None


def _sniff(text: str, first: str) -> str:
    """The delimiter that cuts the first lines into the same number of cells, more than one."""
    lines = [line for line in text[: 1 << 16].split("\n")[:50] if line]
    best, most = ",", 0
    for delimiter in DELIMITERS:
        widths = [len(row) for row in csv.reader(lines[:-1] or lines, delimiter=delimiter)]
        steady = widths.count(widths[0]) if widths and widths[0] > 1 else 0
        if steady > most and first.count(delimiter):
            best, most = delimiter, steady
    return best


def _header(first: str, delimiter: str, where: str) -> list[str]:
    header = [name.strip() for name in next(csv.reader([first], delimiter=delimiter))]
    _refuse_repeats(header, where)
    for i, name in enumerate(header):
        if not name:
            raise SourceError(f"{where}: column {i + 1} has no name. Give every column one.")
    return header


def _refuse_repeats(names: Sequence[str], where: str) -> None:
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        shown = ", ".join(repr(name) for name in repeated[:5])
        raise SourceError(f"{where} has columns of the same name: {shown}. Rename them.")


def _kept_as_text(text: str, header: Sequence[str], delimiter: str) -> dict[str, pa.DataType]:
    """Columns whose sampled cells are digits with a leading zero, or too many for an integer."""
    kept: dict[str, pa.DataType] = {}
    sample = csv.reader(_lines(text, 2000), delimiter=delimiter)
    next(sample, None)
    for row in sample:
        for name, cell in zip(header, row, strict=False):
            digits = cell.strip().lstrip("+-")
            if digits.isdigit() and ((len(digits) > 1 and digits[0] == "0") or len(digits) > 18):
                kept[name] = pa.string()
    return kept


def _lines(text: str, most: int) -> Iterator[str]:
    for i, line in enumerate(io.StringIO(text)):
        if i > most:
            return
        yield line


def _what_is_wrong(
    text: str, header: Sequence[str], delimiter: str, where: str, error: Exception
) -> str:
    """Names the first ragged row; a lone quote and other damage as Arrow tells it."""
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    for row in reader:
        if row and len(row) != len(header):
            return (
                f"{where}, line {reader.line_num}: {len(row)} cells where the header has "
                f"{len(header)}. Quote cells that hold {delimiter!r}, or name another delimiter."
            )
    return f"{where} cannot be read as CSV with delimiter {delimiter!r}: {error}"
