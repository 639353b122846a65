"""Kinds with reasons: what a column is taken for, and how a person overrules it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from understudy.data import coerce, infer, read
from understudy.errors import SourceError
from understudy.schema import Boolean, Category, Column, Datetime, Identifier, Number, one_table

ROWS = 120


def _column(name: str, values: Any) -> Column:
    return infer({"t": pa.table({name: values})}).table().columns[0]


def _each(one: Callable[[int], Any]) -> list[Any]:
    return [one(i) for i in range(ROWS)]


@pytest.mark.parametrize(
    ("name", "values", "kind", "why"),
    [
        ("n", _each(lambda i: i % 40), "number", "whole numbers from 0 to 39"),
        ("x", _each(lambda i: i / 8), "number", "decimals from 0.0 to 14.875"),
        ("b", _each(lambda i: i % 2 == 0), "boolean", "true or false"),
        ("c", _each(lambda i: f"c{i % 4}"), "category", "4 labels in 120 cells"),
        ("c", ["Köln", None, "Oslo"], "category", "2 labels in 2 cells"),
        ("none", pa.nulls(ROWS), "category", "no cell has a value"),
        ("key", _each(lambda i: i + 5), "identifier", "every row has the next whole number"),
        ("user_id", _each(lambda i: i % 30), "identifier", "30 values that repeat"),
        ("code", _each(lambda i: f"K{i:05d}"), "identifier", "nearly one code a row"),
        ("price", _each(lambda i: f"${i}.50"), "category", "amounts with signs"),
        ("note", _each(lambda i: f"he was seen on day {i} again"), "text", "7 words a cell"),
        ("lat", _each(lambda i: 40 + i / 99), "geo", "bounded like a latitude"),
        ("pickup_longitude", _each(lambda i: -70 - i / 99), "geo", "bounded like a longitude"),
        ("where", _each(lambda i: f"4{i % 9}.5,-{i}.25"), "geo", "values are latitude,longitude"),
        ("at", _each(lambda i: dt.datetime(2020, 1, 1) + dt.timedelta(i)), "datetime", "stored as"),
        ("span", _each(lambda i: dt.timedelta(hours=i)), "duration", "stored as duration[us]"),
        ("clock", _each(lambda i: dt.time(i % 24)), "duration", "stored as time64[us]"),
        ("latest", _each(lambda i: i / 8), "number", "decimals"),
        ("years_id", _each(lambda i: i % 15), "number", "whole numbers from 0 to 14"),
    ],
)
def test_kinds_and_their_reasons(name: str, values: Any, kind: str, why: str) -> None:
    column = _column(name, values)
    assert column.kind == kind
    assert why in column.why


def test_nullable_says_whether_a_cell_is_missing() -> None:
    assert _column("a", [1, None]).nullable
    assert not _column("a", [1, 2]).nullable


def test_numbers_but_for_a_spelling_say_how_to_declare_it() -> None:
    column = _column("rate", [*(f"{i / 7:.2f}" for i in range(ROWS)), "?"])
    assert column.kind == "category"
    assert column.why == "numbers but for '?'; if that means missing, declare it: --null '?'"
    assert "numbers but for" not in _column("grade", ["1", "2", "A", "B", "C"]).why


DAY_FORMATS = ("%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d", "%d/%m/%y", "%d-%m-%Y")
NAMED_MONTHS = ("%d-%b-%Y", "%d %b %Y")
WITH_TIMES = ("%d/%m/%Y %H:%M", "%Y-%m-%d %H:%M:%S", "%m/%d/%YT%H:%M:%S", "%y%m%d %H:%M:%S")


@pytest.mark.parametrize("pattern", [*DAY_FORMATS, *NAMED_MONTHS, *WITH_TIMES])
def test_dates_in_many_formats(pattern: str) -> None:
    days = [dt.datetime(1999, 3, 1, 7, 5, 9) + dt.timedelta(days=i) for i in range(ROWS)]
    texts = [day.strftime(pattern) for day in days]
    table = pa.table({"x": texts})
    schema = infer({"t": table})
    column = schema.table().columns[0]
    assert isinstance(column, Datetime)
    assert column.format == pattern
    parsed = coerce(table, schema.table())["x"].to_pylist()
    expected = [dt.datetime.strptime(text, pattern) for text in texts]
    assert parsed == (expected if "%H" in pattern else [day.date() for day in expected])


def test_a_day_late_in_the_column_decides_between_day_and_month() -> None:
    early = [f"{1 + i % 12:02d}/{1 + i % 9:02d}/{1900 + i % 100}" for i in range(3000)]
    assert "%m/%d/%Y fits as well" in _column("d", early).why
    late = _column("d", [*early, "12/31/1999"])
    assert isinstance(late, Datetime)
    assert late.format == "%m/%d/%Y"


def test_digits_are_dates_only_where_the_name_says_so() -> None:
    days = [int((dt.date(1993, 1, 1) + dt.timedelta(i)).strftime("%y%m%d")) for i in range(ROWS)]
    dated = _column("issue_date", [*days, None])
    assert isinstance(dated, Datetime)
    assert dated.format == "%y%m%d"
    assert _column("amount", days).kind == "number"
    assert _column("date", [*days, 931301]).kind == "number"


@pytest.mark.parametrize(
    "texts", [["31/02/2020"], ["2020-13-01"], ["32.01.2020"], ["1/2/3"], ["12:30"], ["1.2.2020 x"]]
)
def test_what_is_no_day_of_the_calendar_is_no_date(texts: list[str]) -> None:
    assert _column("d", texts * 9).kind == "category"


def test_ten_thousand_levels_are_a_category() -> None:
    rng = np.random.default_rng(0)
    values = [f"level {i}" for i in rng.integers(0, 10_000, 60_000)]
    column = _column("big", values)
    assert column.kind == "category"
    assert "9,9" in column.why


def test_a_plan_overrules_inference() -> None:
    table = pa.table({"a": [1, 2, 2], "b": ["1", "2", None], "c": [True, False, True]})
    columns = (
        Category(name="a"),
        Number(name="b", integer=True),
        Category(name="c", why="a label"),
    )
    found = coerce(table, one_table("t", columns).table())
    assert found["b"].to_pylist() == [1, 2, None]
    assert found["c"].to_pylist() == ["true", "false", "true"]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (Number(name="b"), "column 'b' is no number"),
        (Datetime(name="b", format="%Y"), "'b' is no date written %Y.*Change `format` or `kind`"),
        (Boolean(name="bb"), "no column 'bb', which table 't' should have. Did you mean 'b'"),
    ],
)
def test_a_plan_that_the_data_contradicts_is_refused(column: Column, message: str) -> None:
    table = pa.table({"b": ["x", "y"]})
    with pytest.raises(SourceError, match=message):
        coerce(table, one_table("t", (column,)).table())


def test_real_tables_are_understood(real_data: Callable[[str], Path]) -> None:
    adult = read(real_data("adult") / "train.csv.gz", nulls=["?"])
    kinds = {column.name: column.kind for column in adult.schema.table().columns}
    assert {n for n, k in kinds.items() if k == "number"} == {
        "age", "fnlwgt", "education.num", "capital.gain", "capital.loss", "hours.per.week",
    }  # fmt: skip
    assert set(kinds.values()) == {"number", "category"}
    assert adult.table["workclass"].null_count == 1836


def test_real_account_numbers_and_dates_are_told(real_data: Callable[[str], Path]) -> None:
    berka = read(real_data("berka")).schema
    payee, when = berka.table("order").column("account_to"), berka.table("loan").column("date")
    assert isinstance(payee, Identifier)
    assert payee.form == "account"
    assert isinstance(when, Datetime)
    assert when.format == "%y%m%d"
    links = {
        (spec.name, key.columns, key.table) for spec in berka.tables for key in spec.foreign_keys
    }
    assert links >= {
        ("account", ("district_id",), "district"),
        ("disp", ("client_id",), "client"),
        ("disp", ("account_id",), "account"),
        ("card", ("disp_id",), "disp"),
        ("trans", ("account_id",), "account"),
    }
    assert "numbers but for '?'" in berka.table("district").column("A12").why
