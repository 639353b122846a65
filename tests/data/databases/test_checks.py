"""Checks in the words of engines: the same rows meet the rules and the SQL."""

from __future__ import annotations

import math

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.data.databases.checks import translate
from understudy.data.databases.translation import translated
from understudy.data.inference import infer_column
from understudy.encoding.constraints.checks import violations
from understudy.schema import Category, Inequality, Range
from understudy.schema.domains import Domain

ROWS = pa.table(
    {
        "i": pa.array([-3, -2, -1, 0, 1, 2, 3, 4, None, 12], pa.int32()),
        "j": pa.array([4, 3, 2, 1, 0, -1, None, 4, 1, 12], pa.int32()),
        "x": [-1.5, -0.5, 0.0, 0.5, 1.0, 1.5, None, 2.0, 99.0, -99.0],
        "d": pa.array(
            ["0.00", "0.01", "0.10", "1.00", "1.01", "2.50", None, "9.99", "-1", "5"]
        ).cast(pa.decimal128(6, 2)),
        "day": pa.array(["2020-01-01", "2020-01-02", None, *["2021-05-05"] * 7]).cast(pa.date32()),
        "s": ["a", "b", "b", None, "a", "b", "a", "a", "b", "it's"],
    }
)
COLUMNS = {
    name: infer_column(name, column).model_copy(update={"nullable": True})
    for name, column in zip(ROWS.column_names, ROWS.columns, strict=True)
}
VALUES = {"i": ["-2", "0", "2.5", "3"], "x": ["-0.5", "0", "1.5"], "d": ["0", "1.005", "2.5"]}
SIMPLE = [
    "i > 0 AND i < 3",
    "i BETWEEN -1 AND 2",
    "0 <= i",
    "i <= j",
    "(i > j)",
    "d > 0",
    "d < 1.005",
    "x > 0.5",
    "day >= '2020-01-02'",
    "day <= DATE '2020-01-02'",
    "s IN ('a', 'b')",
    "s = 'a' OR (s = 'b' OR s = 'a')",
    "i IN (0, 1, 2, -1)",
    "s = 'b'",
    "(i >= 0) AND ((i <= 3) AND s IN ('a', 'b', 'it''s'))",
]
"""Conditions that are wholly said by rules."""


def broken_by_sql(check: str) -> list[bool]:
    with duckdb.connect() as connection:
        connection.register("rows", ROWS)
        found = connection.execute(f"SELECT NOT ({check}) FROM rows").fetchall()
    return [bool(row[0]) for row in found]


def broken_by_rules(check: str, dialect: str = "duckdb") -> list[bool]:
    columns, rules = translate((check,), COLUMNS, ROWS.schema, dialect)
    broken = np.zeros(ROWS.num_rows, bool)
    for rule in rules:
        broken |= violations(rule, ROWS)
    for name, column in columns.items():
        if isinstance(column, Category) and column.levels is not None:
            allowed = Domain(allowed=frozenset(column.levels), nulls=True)
            broken |= ~allowed.mask(ROWS[name])
        for end, worse in (("minimum", np.less), ("maximum", np.greater)):
            bound = getattr(column, end, None)
            if bound is not None:
                values = ROWS[name].cast(pa.float64()).to_numpy()
                broken |= worse(values, bound) & ~np.isnan(values)
    return broken.tolist()


@pytest.mark.parametrize("check", SIMPLE)
def test_rules_say_what_the_check_says(check: str) -> None:
    expected = broken_by_sql(check)
    assert any(expected)
    assert broken_by_rules(check) == expected


COMPARISON = st.one_of(
    st.tuples(st.sampled_from(["i", "x", "d"]), st.sampled_from(["<", "<=", ">", ">="])).flatmap(
        lambda pair: st.sampled_from(VALUES[pair[0]]).map(lambda v: f"{pair[0]} {pair[1]} {v}")
    ),
    st.sampled_from(["i <= j", "j < i", "s IN ('a')", "s = 'a'", "i <> 2", "i + j > 0", "x <= i"]),
)
CONDITION = st.recursive(
    COMPARISON,
    lambda inner: st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(
        lambda parts: f"({' '.join(parts)})"
    ),
    max_leaves=5,
)


@given(CONDITION)
def test_no_rule_forbids_what_the_check_allows(check: str) -> None:
    """Whatever is not understood only makes the rules weaker, never wrong."""
    for rules, sql in zip(broken_by_rules(check), broken_by_sql(check), strict=True):
        assert sql or not rules, check


@pytest.mark.parametrize(
    ("check", "same"),
    [
        ("((d > (0)::numeric))", "d > 0"),
        ("((x >= ('-0.5'::numeric)::double precision))", "x >= -0.5"),
        ("((s)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[]))",
         "s IN ('a', 'b')"),
        ("(s = ANY (ARRAY['a'::bpchar, 'b'::bpchar]))", "s IN ('a', 'b')"),
        ("((day >= '2020-01-02'::date) AND ((i)::numeric <= (3)::numeric))",
         "day >= '2020-01-02' AND i <= 3"),
    ],
)  # fmt: skip
def test_checks_as_postgres_spells_them(check: str, same: str) -> None:
    expected = broken_by_sql(same)
    assert broken_by_rules(check, "postgres") == expected
    assert broken_by_sql(translated(check, "postgres", "duckdb")) == expected


@pytest.mark.parametrize(
    "check",
    [
        "length(s) > 1",
        "i % 2 = 0",
        "NOT i > 0",
        "i > 0 OR j > 0",
        "s = 'a' OR i = 1",
        "i <= 9007199254740993",
        "i IN (1, 2.5)",
        "d IN (1, 2)",
        "i::text > '5'",
        "x <= i",
        "~~~",
    ],
)
def test_what_cannot_be_said_is_left_to_the_database(check: str) -> None:
    assert translate((check,), COLUMNS, ROWS.schema, "postgres") == (COLUMNS, ())


def test_a_strict_bound_is_the_next_value_of_the_type() -> None:
    _, rules = translate(("x > 0", "d > 1", "i < 3"), COLUMNS, ROWS.schema, "duckdb")
    assert rules == (
        Range(column="x", minimum=math.nextafter(0, 1)),
        Range(column="d", minimum=1.01),
        Range(column="i", maximum=2),
    )


def test_what_an_inequality_works_out_has_bounds_and_no_range() -> None:
    columns, rules = translate(("i <= j AND j <= 9",), COLUMNS, ROWS.schema, "duckdb")
    assert rules == (Inequality(low="i", high="j"),)
    assert columns["j"].maximum == 9
