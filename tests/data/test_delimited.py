"""CSV in every dialect: cells keep what they say, and every fault is named with its line."""

from __future__ import annotations

import csv
import io
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.data.delimited import read_csv
from understudy.errors import SourceError


def _read(text: str | bytes, **options: Any) -> dict[str, list[Any]]:
    raw = text.encode() if isinstance(text, str) else text
    return dict(read_csv(raw, "t.csv", **options).to_pydict())


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter: str) -> None:
    rows = [["a", "b", "c"], ["1", "x, y", "2.5"], ["2", "p; q", "3.5"]]
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows(rows)
    found = _read(out.getvalue())
    assert found == {"a": [1, 2], "b": ["x, y", "p; q"], "c": [2.5, 3.5]}


def test_a_delimiter_can_be_named() -> None:
    assert _read("a:b\n1:2\n", delimiter=":") == {"a": [1], "b": [2]}
    assert _read("a\tb\n1\t2\n", delimiter="tab") == {"a": [1], "b": [2]}
    for wrong in (";;", "", '"', "\n"):
        with pytest.raises(SourceError, match="is no delimiter"):
            _read("a;b\n1;2\n", delimiter=wrong)


def test_quotes_hold_delimiters_quotes_and_line_ends() -> None:
    text = 'id,"a, ""b""\nc"\r\n1,"x, ""y""\r\nz"\r\n2,plain\r\n'
    assert _read(text) == {"id": [1, 2], 'a, "b"\nc': ['x, "y"\nz', "plain"]}


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_line_ends_and_blank_lines_do_not_matter(ending: str) -> None:
    lines = ["", "", "a,b", "1,2", "", "3,4", ""]
    assert _read(ending.join(lines)) == {"a": [1, 3], "b": [2, 4]}


@pytest.mark.parametrize(
    ("encoding", "declared"),
    [
        ("utf-8", None),
        ("utf-8-sig", None),
        ("utf-8-sig", "utf-8"),
        ("utf-16", None),
        ("utf-16-le", None),
        ("utf-16-be", None),
        ("latin-1", "latin-1"),
        ("cp1252", "cp1252"),
    ],
)
def test_encodings(encoding: str, declared: str | None) -> None:
    text = "Straße,n\nKöln,1\nLübeck,2\n"
    assert _read(text.encode(encoding), encoding=declared) == {
        "Straße": ["Köln", "Lübeck"],
        "n": [1, 2],
    }


def test_an_undeclared_encoding_is_named_with_line_and_remedy() -> None:
    with pytest.raises(SourceError, match=r"t.csv is not utf-8: line 3, byte .*0xfc.*latin-1"):
        _read("a,b\nx,1\nMünchen,2\n".encode("latin-1"))
    with pytest.raises(SourceError, match=r"no encoding 'utf-9'. Try utf-8 or latin-1"):
        _read("a\n1\n", encoding="utf-9")


def test_integers_stay_exact() -> None:
    beyond_double = [2**53 + 1, 2**60 + 3, -(2**62) - 1, 2**63 - 1]
    assert _read("n\n" + "\n".join(map(str, beyond_double))) == {"n": beyond_double}
    beyond_64_bits = ["9223372036854775808", "123456789012345678901234567890"]
    assert _read("n\n" + "\n".join(beyond_64_bits)) == {"n": beyond_64_bits}


@pytest.mark.parametrize("odd", ["007", "12345678901234567890", "nan", "Infinity", "-inf"])
def test_what_a_late_cell_says_is_kept(odd: str) -> None:
    """However far down: a reader that trusts the first rows would change it."""
    cells = [str(i) for i in range(1, 5001)] + [odd]
    assert _read("n,m\n" + "\n".join(f"{c},1" for c in cells))["n"] == cells


def test_decimals_are_kept() -> None:
    cells = ["0.1", "-3.25", "1e-3", "123456789.123", "0.30000000000000004"]
    assert _read("x\n" + "\n".join(cells)) == {"x": [float(c) for c in cells]}


def test_a_decimal_comma_is_one_where_the_delimiter_is_a_semicolon() -> None:
    assert _read("preis;n\n2,50;1\n-13,75;2\n4;3\n")["preis"] == [2.5, -13.75, 4.0]


def test_blanks_around_cells_and_names_do_not_count() -> None:
    assert _read(" a , b\n 39, x \n 7, y\n") == {"a": [39, 7], "b": ["x", "y"]}


def test_missing_cells_are_the_empty_ones_and_those_declared() -> None:
    text = "a,b,c,d\n1,?,NA,\n,x,y,\nNA,z,?,\n"
    plain = _read(text)
    assert plain["a"] == ["1", None, "NA"]
    assert plain["b"] == ["?", "x", "z"]
    assert plain["c"] == ["NA", "y", "?"]
    assert plain["d"] == [None, None, None]
    declared = _read(text, nulls=["?", "NA"])
    assert declared["a"] == [1, None, None]
    assert declared["b"] == [None, "x", "z"]
    assert declared["c"] == [None, "y", None]
    assert _read("a,b\n ?,1\n 5,2\n", nulls=["?"])["a"] == [None, 5]


@pytest.mark.parametrize("spelling", ["NA", "N/A", "null", "None", "NULL", "nan", "-", "?", "#N/A"])
def test_no_spelling_is_missing_undeclared(spelling: str) -> None:
    assert _read(f"a,b\n{spelling},1\nx,2\n")["a"] == [spelling, "x"]
    assert _read(f"a,b\n{spelling},1\n7,2\n")["a"] == [spelling, "7"]


def test_truth_values_and_times() -> None:
    table = read_csv(
        b"t,d,s,c\ntrue,2020-02-29,2020-01-01 10:00:00,12:30:00\nfalse,1999-12-31,"
        b"2020-01-02 23:59:59,23:59:59\n",
        "t.csv",
    )
    kinds = [str(field.type) for field in table.schema]
    assert kinds == ["bool", "date32[day]", "timestamp[ms]", "time64[us]"]


def test_thousands_of_columns() -> None:
    names = [f"c{i}" for i in range(3000)]
    rows = [",".join(str((i * j) % 7) for j in range(3000)) for i in range(20)]
    table = read_csv("\n".join([",".join(names), *rows]).encode(), "wide.csv")
    assert table.column_names == names
    assert table["c2999"].to_pylist() == [(i * 2999) % 7 for i in range(20)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "t.csv is empty. It needs a header line and rows"),
        ("\n \n", "t.csv is empty"),
        ("a,b,c\n", "a header and no rows"),
        ("a,b\n\n\n", "a header and no rows"),
        ("a,b,a\n1,2,3\n", "columns of the same name: 'a'. Rename them"),
        ("a,,c\n1,2,3\n", "column 2 has no name"),
        ("a,b\n1,2\n3\n4,5\n", "t.csv, line 3: 1 cells where the header has 2"),
        ("a,b\n1,2\n3,4,5\n", "t.csv, line 3: 3 cells where the header has 2"),
        ('a,b\n"x\ny",1\n2\n', "t.csv, line 4: 1 cells"),
        ('a,b\n1,2\n3,"x\n4,5\n', r"t.csv, line 3: a cell begins with a quote .* never closed"),
    ],
)
def test_damage_is_named(text: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        _read(text)


def test_a_lone_quote_does_not_swallow_a_long_file() -> None:
    text = 'a,b\n1,"x\n' + "2,y\n" * 100_000
    with pytest.raises(SourceError, match="line 2: a cell begins with a quote"):
        _read(text)


CELL = st.text(st.characters(exclude_categories=("Cs", "Cc"), include_characters="\n"), max_size=8)


@given(
    st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), CELL), min_size=1, max_size=20),
    st.sampled_from(",;\t|"),
)
@settings(max_examples=150, deadline=None)
def test_what_the_standard_writer_quotes_comes_back(
    rows: list[tuple[int, str]], delimiter: str
) -> None:
    """Text that no reader could take for a number; outer blanks do not count, empty is missing."""
    rows = [(number, f"x{text}") for number, text in rows]
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([("n", "text"), *rows])
    table = read_csv(out.getvalue().encode(), "t.csv", delimiter=delimiter)
    assert table["n"].to_pylist() == [number for number, _ in rows]
    trimmed = [text.strip() for _, text in rows]
    assert [v.strip() for v in table["text"].to_pylist()] == trimmed
    assert table["text"].type == pa.string()
