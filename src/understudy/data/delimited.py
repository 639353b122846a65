"""CSV in its dialects: delimiter, encoding and quoting found out, every fault named by its line.

Cells keep what they say: `007` stays text, whole numbers beyond 64 bits and `nan` too, and an empty
cell is missing and nothing else is unless the user declares it (`nulls`).

Where the types are declared, nothing is found out from the rows: every cell is left as text, bytes
that are no text are marked cell by cell, and the delimiter is the one that the header is cut by.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Mapping, Sequence

import pyarrow as pa

from understudy.data.cells import (
    commas_as_points,
    refuse_empty,
    refuse_repeats,
    spelled_numbers,
    tidy,
)
from understudy.errors import SourceError

DELIMITERS = ",;\t|"
NAMED_DELIMITERS = {"tab": "\t", "\\t": "\t"}
LEADING_ZERO = r"^[+-]?0\d+(\.\d+)?$"
NO_NUMBER = r"(?i)^[+-]?(nan|inf(inity)?)$"
LONG = r"^[+-]?\d{19,}$"


def read_csv(
    raw: bytes,
    where: str,
    nulls: Sequence[str] = (),
    delimiter: str | None = None,
    encoding: str | None = None,
    declared: Mapping[str, pa.DataType] | None = None,
    line_by_line: bool = False,
    *,
    rowless: bool = False,
) -> pa.Table:
    """One table from the bytes of a CSV file; `where` names it in errors.

    With `declared` types by column, all cells come as text, numbers with a point for a comma.
    `line_by_line` refuses cells over several lines, by which one row could hide others. A header
    alone is refused unless the table may be `rowless`.
    """
    text = _decode(raw, where, encoding, strict=declared is None).lstrip("\n")
    if not text.strip():
        raise SourceError(f"{where} is empty. It needs a header line and rows.")
    delimiter = _named(delimiter) or (_sniff(text) if declared is None else _cut_by(text, declared))
    _refuse_open_quote(text, delimiter, where)
    header, start = _header(text, delimiter, where)
    if line_by_line:
        _refuse_spanning(text, start, delimiter, where)
    body = text[start:].encode()
    try:
        if declared is None:
            kept = _kept_as_text(body, header, delimiter)
        else:
            kept = {name: pa.string() for name in header}
        table = _parse(body, header, delimiter, nulls, kept)
    except pa.ArrowInvalid as error:
        raise SourceError(_what_is_wrong(text, header, delimiter, where, error)) from None
    refuse_empty(table, where, rowless=rowless)
    table = tidy(table, nulls)
    if declared is not None:
        return commas_as_points(table, declared) if delimiter == ";" else table
    numbers = [spelled_numbers(c, comma=delimiter == ";") for c in table.columns]
    return pa.table(numbers, names=header)


def _parse(
    body: bytes,
    header: Sequence[str],
    delimiter: str,
    nulls: Sequence[str],
    types: dict[str, pa.DataType],
) -> pa.Table:
    from pyarrow import csv as arrow_csv

    if not body.strip(b"\n"):
        return pa.table({name: pa.nulls(0) for name in header})
    return arrow_csv.read_csv(
        io.BytesIO(body),
        read_options=arrow_csv.ReadOptions(
            use_threads=False, column_names=list(header), block_size=1 << 24
        ),
        parse_options=arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=b'"' in body),
        convert_options=arrow_csv.ConvertOptions(
            null_values=["", *nulls, *(f" {n}" for n in nulls)],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
            column_types=types,
        ),
    )


def _kept_as_text(body: bytes, header: Sequence[str], delimiter: str) -> dict[str, pa.DataType]:
    """Columns that type inference would change: leading zeros, NaN, numbers beyond 64 bits.

    One scan of the bytes tells whether there can be any; then every cell is looked at.
    """
    import pyarrow.compute as pc

    edge = re.escape(delimiter) + r'"'
    suspect = rf"(?:^|[{edge}])[ ]*[+-]?(?:0\d|nan|inf)|\d{{19}}"
    if not re.search(suspect.encode(), body, re.MULTILINE | re.IGNORECASE):
        return {}
    as_text = {name: pa.string() for name in header}
    kept: dict[str, pa.DataType] = {}
    texts = _parse(body, header, delimiter, (), as_text)
    for name in header:
        column = texts[name]
        cells = pc.utf8_trim_whitespace(column.drop_null())
        for pattern in (LEADING_ZERO, NO_NUMBER):
            if pc.any(pc.match_substring_regex(cells, pattern)).as_py():
                kept[name] = pa.string()
        long = cells.filter(pc.match_substring_regex(cells, LONG))
        if len(long) and not _fits(long):
            kept[name] = pa.string()
    return kept


def _fits(digits: pa.ChunkedArray) -> bool:
    try:
        digits.cast(pa.int64())
    except pa.ArrowInvalid:
        return False
    return True


def _decode(raw: bytes, where: str, encoding: str | None, *, strict: bool) -> str:
    encoding = encoding or _guess(raw)
    try:
        text = raw.decode(encoding, "strict" if strict else "replace")
    except LookupError:
        raise SourceError(f"there is no encoding {encoding!r}. Try utf-8 or latin-1.") from None
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SourceError(
            f"{where} is not {encoding.removesuffix('-sig')}: line {line}, byte {error.start} "
            f"(0x{raw[error.start]:02x}). If it is an older Western file, say --encoding latin-1 "
            "(encoding='latin-1')."
        ) from None
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _guess(raw: bytes) -> str:
    """UTF-16 by its mark or the zero bytes of Latin letters in its header; else UTF-8."""
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    head = raw[:1024].split(b"\n")[0]
    for start, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        if len(head) >= 4 and head[start::2].count(0) > 0.8 * len(head[start::2]):
            return name
    return "utf-8-sig"


def _named(delimiter: str | None) -> str | None:
    if delimiter is None:
        return None
    found = NAMED_DELIMITERS.get(delimiter, delimiter)
    if len(found) != 1 or found in '"\n\r' or not found.isascii():
        raise SourceError(
            f"{delimiter!r} is no delimiter. Give one character, for example ';', '|' or tab."
        )
    return found


def _sniff(text: str) -> str:
    """The delimiter that cuts most of the first lines into as many cells as the header."""
    lines = [line for line in text[: 1 << 16].split("\n") if line]
    if len(text) > 1 << 16:
        lines = lines[:-1] or lines
    best, most = ",", (0, 1)
    for delimiter in DELIMITERS:
        widths = [len(row) for row in csv.reader(lines[:50], delimiter=delimiter)]
        score = (widths.count(widths[0]), widths[0])
        if score[1] > 1 and score > most:
            best, most = delimiter, score
    return best


def _cut_by(text: str, names: Collection[str]) -> str:
    """The delimiter that finds most of `names` in the header."""
    line = text.split("\n", 1)[0]

    def found(delimiter: str) -> int:
        cells = next(csv.reader([line], delimiter=delimiter))
        return len({cell.strip() for cell in cells} & set(names))

    return max(DELIMITERS, key=found)


def _header(text: str, delimiter: str, where: str) -> tuple[list[str], int]:
    """The column names and where the rows begin."""
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    header = [name.strip() for name in next(reader)]
    refuse_repeats([name for name in header if name], where)
    for i, name in enumerate(header):
        if not name:
            raise SourceError(f"{where}: column {i + 1} has no name. Give every column one.")
    start = 0
    for _ in range(reader.line_num):
        start = text.find("\n", start) + 1 or len(text)
    return header, start


def _refuse_open_quote(text: str, delimiter: str, where: str) -> None:
    """A quote that is never closed would swallow the rest of the file as one cell."""
    if text.count('"') % 2 == 0:
        return
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    line = 1
    try:
        for _ in reader:
            line = reader.line_num + 1
    except csv.Error as error:
        if "unexpected end" in str(error) or "field limit" in str(error):
            raise SourceError(
                f'{where}, line {line}: a cell begins with a quote (") that is never closed. Close '
                "it, or double the quotes inside a quoted cell."
            ) from None


def _refuse_spanning(text: str, start: int, delimiter: str, where: str) -> None:
    """Raises unless every line is a row by itself: a quote that one cell opens and another cell
    closes would make one row of all between them.
    """
    import pyarrow.compute as pc

    lines = text[start:].split("\n")
    suspects = [place for place, line in enumerate(lines) if '"' in line]
    if not suspects:
        return
    cell = f'(?:[^"{re.escape(delimiter)}]*|[ ]*"(?:[^"]|"")*"[ ]*)'
    whole = f"^{cell}(?:{re.escape(delimiter)}{cell})*$"
    fine = pc.match_substring_regex(pa.array([lines[place] for place in suspects]), whole)
    bad = pc.index(fine, False).as_py()
    if bad >= 0:
        line = text.count("\n", 0, start) + suspects[bad] + 1
        raise SourceError(
            f"{where}, line {line}: its quotes do not close on the line itself. Under a budget "
            "every line is one row, or one row could hide others. Double the quotes inside quoted "
            "cells, and write cells with line breaks to Parquet."
        )


def _what_is_wrong(
    text: str, header: Sequence[str], delimiter: str, where: str, error: Exception
) -> str:
    """Names the first ragged row; other damage as Arrow tells it."""
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    try:
        for row in reader:
            if row and len(row) != len(header):
                return (
                    f"{where}, line {reader.line_num}: {len(row)} cells where the header has "
                    f"{len(header)}. Quote cells that hold {delimiter!r}, or name another "
                    "delimiter."
                )
    except csv.Error:
        pass
    return f"{where} cannot be read as CSV with delimiter {delimiter!r}: {error}"
