"""The grammar of `where`, and its masks against DuckDB evaluating the same SQL."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.errors import ColumnError, ConditionError
from understudy.schema import (
    Boolean,
    Category,
    Datetime,
    Duration,
    Identifier,
    Number,
    Table,
)
from understudy.schema.conditions import Domain, parse_where

SPEC = Table(
    name="people",
    columns=(
        Number(name="age", integer=True),
        Number(name="capital.gain"),
        Number(name="pay"),
        Number(name="years-at-school"),
        Number(name="price"),
        Category(name="sex", levels=("F", "M")),
        Category(name="town"),
        Category(name="code"),
        Boolean(name="member"),
        Datetime(name="born"),
        Datetime(name="seen"),
        Duration(name="stay"),
        Identifier(name="id"),
    ),
)

ACCEPTED = [
    ("age >= 60 AND sex = 'F'", "age >= 60 AND sex = 'F'"),
    ("age > 60 and age <= 80.5", "age >= 61 AND age <= 80"),
    ("60 < pay", "pay > 60"),
    ("capital.gain = 0", '"capital.gain" = 0'),
    ('"years-at-school" != 12', '"years-at-school" <> 12'),
    ("`years-at-school` <> 12", '"years-at-school" <> 12'),
    ("people.age = 3", "age = 3"),
    ("(age IN (1, 2) AND (member = TRUE))", "age IN (1, 2) AND member = TRUE"),
    ("town NOT IN ('Linz', 'Sankt ''Pölten')", "town NOT IN ('Linz', 'Sankt ''Pölten')"),
    ("pay BETWEEN -1.5 AND 2e3", "pay >= -1.5 AND pay <= 2000"),
    ("born >= DATE '2000-01-01'", "born >= '2000-01-01'"),
    ("seen < '2000-01-01 10:30:00'", "seen < '2000-01-01 10:30:00'"),
    ("stay > INTERVAL '36' HOUR", "stay > INTERVAL '129600' SECOND"),
    ("town IS NULL", "town IS NULL"),
    ("town IS NOT NULL", "town IS NOT NULL"),
    ("NOT town IS NULL", "town IS NOT NULL"),
    ("id IS NULL", "id IS NULL"),
    ("code = 7", "code = 7"),
    ("age = 9007199254740993", "age = 9007199254740993"),
    ("pay IN (1, 2, 3) AND pay IN (2, 3, 4)", "pay IN (2, 3)"),
]

REFUSED = [
    ("age = 1 OR age = 2", "OR is not part"),
    ("NOT age = 1", "not part of the grammar"),
    ("age NOT BETWEEN 1 AND 2", "not part of the grammar"),
    ("age + 1 = 2", "not a column's name"),
    ("years-at-school = 2", "double quotes"),
    ("upper(town) = 'LINZ'", "not a column's name"),
    ("age IN (SELECT 1)", "not part of the grammar"),
    ("town LIKE 'L%'", "not part of the grammar"),
    ("age = NULL", "IS NULL"),
    ("age = pay", "compares two columns"),
    ('town = "Linz"', "single quotes"),
    ("age => 5", "not SQL"),
    ("age = 1; age = 2", "not one condition"),
    ("", "not one condition"),
    ("age", "not part of the grammar"),
    ("age = 'old'", "holds numbers"),
    ("town = INTERVAL '3' DAY", "holds labels"),
    ("member = 1", "TRUE and FALSE"),
    ("born = '2000-13-01'", "YYYY-MM-DD"),
    ("born > 1999", "YYYY-MM-DD"),
    ("stay > 3", "INTERVAL"),
    ("id = 3", "made anew"),
    ("sex = 'X'", "Known: 'F', 'M'"),
    ("age > 60 AND age < 20", "can never hold"),
    ("age > 60 AND age < 61", "can never hold"),
    ("pay > 1 AND pay < 1", "can never hold"),
    ("town = 'a' AND town <> 'a'", "can never hold"),
    ("town IS NULL AND town = 'a'", "can never hold"),
    ("pay BETWEEN 3 AND 1", "can never hold"),
]


@pytest.mark.parametrize(("text", "meaning"), ACCEPTED)
def test_accepts(text: str, meaning: str) -> None:
    domains = parse_where(text, SPEC)
    assert " AND ".join(d.describe(name) for name, d in domains.items()) == meaning


@pytest.mark.parametrize(("text", "why"), REFUSED)
def test_refuses_in_one_paragraph(text: str, why: str) -> None:
    with pytest.raises(ConditionError) as caught:
        parse_where(text, SPEC)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_column_is_named_with_the_nearest() -> None:
    with pytest.raises(ColumnError, match=r"no column 'agee'. Did you mean 'age'"):
        parse_where("agee > 3", SPEC)


def test_a_long_conjunction_does_not_exhaust_the_stack() -> None:
    text = " AND ".join(f"pay <> {number}" for number in range(400))
    assert len(parse_where(text, SPEC)["pay"].excluded) == 400


BIG = 2**53
COLUMNS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any], list[str]]] = {
    "age": (
        pa.int64(),
        st.integers(BIG - 2, BIG + 3),
        [str(BIG), str(BIG + 1), f"{BIG}.5", "99999999999999999999999", "-1"],
    ),
    "pay": (
        pa.float64(),
        st.sampled_from([0.1, 0.3, -2.5, 1e20, 0.0]),
        ["0.1", "0.3", "-2.5", "1e20", "0"],
    ),
    "price": (
        pa.decimal128(12, 2),
        st.sampled_from([Decimal("0.10"), Decimal("9999999999.99"), Decimal("-3.00")]),
        ["0.1", "0.105", "9999999999.99", "-3", "-3.001"],
    ),
    "town": (
        pa.string(),
        st.sampled_from(["", "Linz", "Zürich", "zürich", "東京", "a'b"]),
        ["''", "'Linz'", "'Zürich'", "'東京'", "'a''b'", "'M'"],
    ),
    "member": (pa.bool_(), st.booleans(), ["TRUE", "FALSE"]),
    "born": (
        pa.date32(),
        st.dates(date(1999, 12, 30), date(2000, 1, 3)),
        ["DATE '2000-01-01'", "TIMESTAMP '2000-01-01 10:30:00'", "DATE '1900-01-01'"],
    ),
    "seen": (
        pa.timestamp("us"),
        st.datetimes(datetime(1999, 12, 31, 23, 59, 58), datetime(2000, 1, 1, 0, 0, 2)),
        ["DATE '2000-01-01'", "TIMESTAMP '1999-12-31 23:59:59.5'"],
    ),
    "stay": (
        pa.duration("us"),
        st.sampled_from([timedelta(days=n, seconds=n) for n in range(-1, 4)]),
        ["INTERVAL '86401' SECOND", "INTERVAL '-1' SECOND", "INTERVAL '2' DAY"],
    ),
}


@st.composite
def column_and_condition(draw: st.DrawFn) -> tuple[str, pa.Array, str]:
    name = draw(st.sampled_from(sorted(COLUMNS)))
    type, cells, literals = COLUMNS[name]
    values = draw(st.lists(st.none() | cells, max_size=12))
    one, other = (draw(st.sampled_from(literals)) for _ in range(2))
    forms = [f"{name} {op} {one}" for op in ("=", "<>", "!=", "<", "<=", ">", ">=")]
    forms += [f"{one} < {name}", f"{one} >= {name}", f"{name} BETWEEN {one} AND {other}"]
    forms += [f"{name} IN ({one}, {other})", f"{name} NOT IN ({one}, {other})"]
    forms += [f"{name} IS NULL", f"{name} IS NOT NULL", f"{name} <> {one} AND {name} > {other}"]
    return name, pa.array(values, type), draw(st.sampled_from(forms))


@cache
def oracle() -> Any:
    import duckdb

    return duckdb.connect()


@settings(max_examples=300, deadline=None)
@given(column_and_condition())
def test_masks_agree_with_duckdb(case: tuple[str, pa.Array, str]) -> None:
    name, column, text = case
    oracle().register("people", pa.table({name: column}))
    rows = oracle().execute(f"SELECT coalesce({text}, FALSE) FROM people").fetchall()
    expected = [row[0] for row in rows]
    try:
        domain = parse_where(text, SPEC)[name]
    except ConditionError:  # it can never hold
        assert not any(expected)
        return
    assert domain.mask(column).tolist() == expected
    assert domain.mask(pa.chunked_array([column[:3], column[3:]])).tolist() == expected


def test_local_times_are_compared_in_the_columns_time_zone() -> None:
    instants = [datetime(2024, 1, 1, 22, 59), datetime(2024, 1, 1, 23, 0)]
    column = pa.array(instants, pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
    vienna = column.cast(pa.timestamp("us", "Europe/Vienna"))
    midnight = parse_where("seen >= '2024-01-02'", SPEC)["seen"]
    assert midnight.mask(vienna).tolist() == [False, True]
    assert midnight.mask(column).tolist() == [False, False]


def test_unsigned_integers_and_seconds() -> None:
    column = pa.array([0, 2**64 - 1, None], pa.uint64())
    assert Domain(low=2**64 - 1).mask(column).tolist() == [False, True, False]
    assert Domain(low=-1, nulls=True).mask(column).tolist() == [True, True, True]
    seconds = pa.array([datetime(2024, 1, 1)], pa.timestamp("s"))
    assert Domain(high=datetime(2024, 1, 1), high_open=True).mask(seconds).tolist() == [False]


def test_a_value_of_another_sort_is_refused() -> None:
    with pytest.raises(ConditionError, match="cannot be compared"):
        Domain(allowed=frozenset({7})).mask(pa.array(["7"]))


numbers = st.integers(0, 4)
domains = st.builds(
    Domain,
    allowed=st.none() | st.frozensets(numbers, max_size=3),
    excluded=st.frozensets(numbers, max_size=2),
    low=st.none() | numbers,
    high=st.none() | numbers,
    low_open=st.booleans(),
    high_open=st.booleans(),
    nulls=st.booleans(),
    values=st.booleans(),
)


@given(domains, domains)
def test_intersection_is_the_and_of_masks(one: Domain, other: Domain) -> None:
    column = pa.array([0, 1, 2, 3, 4, None])
    both = one.intersect(other)
    np.testing.assert_array_equal(both.mask(column), one.mask(column) & other.mask(column))
    assert both.mask(column).tolist() == [both.admits(v) for v in column.to_pylist()]
    if both.is_empty:
        assert not both.mask(column).any()
