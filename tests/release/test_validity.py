"""Every way a synthetic table can break its source's form or rules is found and named."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from understudy.data.dataset import Dataset
from understudy.release.validity import check
from understudy.schema import (
    Category,
    Constraint,
    Dependency,
    FixedCombinations,
    Identifier,
    Inequality,
    Number,
    Range,
    Schema,
    Sum,
    Table,
    Unique,
)

REAL: dict[str, Any] = {
    "id": ["r1", "r2", "r3", "r4"],
    "city": ["Bern", "Bern", "Rome", "Oslo"],
    "land": ["CH", "CH", "IT", "NO"],
    "low": [1, 2, 3, 4],
    "high": [5, 6, 7, 8],
    "total": [6, 8, 10, 12],
    "score": [0.5, None, 1.5, 2.0],
}
GOOD = {**REAL, "id": ["s1", "s2", "s3", "s4"]}
RULES: dict[str, Constraint] = {
    "inequality": Inequality(low="low", high="high"),
    "sum": Sum(total="total", parts=("low", "high")),
    "range": Range(column="low", minimum=0, maximum=9),
    "unique": Unique(columns=("low", "high")),
    "fixed_combinations": FixedCombinations(columns=("city", "land")),
    "dependency": Dependency(by=("city",), determines="land"),
}


def dataset(values: dict[str, Any], *rules: Constraint, **columns: Any) -> Dataset:
    kinds: dict[str, Any] = {
        "id": Identifier(name="id"),
        "city": Category(name="city"),
        "land": Category(name="land"),
        **{name: Number(name=name) for name in ("low", "high", "total", "score")},
        **columns,
    }
    spec = Table(
        name="t", columns=tuple(kinds[n] for n in values), primary_key=("id",), constraints=rules
    )
    return Dataset.single(Schema(tables=(spec,)), pa.table(values))


def problems(changed: dict[str, Any], *rules: Constraint, **columns: Any) -> list[str]:
    real = dataset(REAL, *rules, **columns)
    found: list[str] = check(dataset({**GOOD, **changed}, **columns), real)["problems"]
    return found


def test_a_faithful_table_has_no_problem() -> None:
    found = check(dataset(GOOD), dataset(REAL, *RULES.values()))
    assert found["problems"] == []
    assert found["rows"] == 4
    assert len(found["checked"]) >= 4 + len(RULES)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"id": ["r1", "s2", "s3", "s4"]}, "repeats real values in 1 cells"),
        ({"id": ["s1", "s1", "s3", "s4"]}, "1 rows repeat an earlier one"),
        ({"id": ["s1", None, "s3", "s4"]}, "1 cells are empty"),
        ({"city": ["Bern", "Bern", "Rome", "Ulm"]}, "1 cells of unknown levels"),
        ({"city": ["Bern", None, "Rome", "Oslo"]}, "1 missing cells"),
        ({"low": [1.0, 2.0, 3.0, 4.0]}, "of type double"),
        ({"score": [0.5, float("inf"), 1.5, 2.0]}, "not finite"),
    ],
)
def test_broken_cells_are_named(changed: dict[str, Any], said: str) -> None:
    assert any(said in problem for problem in problems(changed))


@pytest.mark.parametrize(
    ("rule", "changed"),
    [
        ("inequality", {"low": [9, 2, 3, 4]}),
        ("sum", {"total": [7, 8, 10, 12]}),
        ("range", {"low": [-1, 2, 3, 4]}),
        ("unique", {"low": [1, 1, 3, 4], "high": [5, 5, 7, 8]}),
        ("fixed_combinations", {"land": ["CH", "IT", "IT", "NO"]}),
        ("dependency", {"land": ["CH", "IT", "IT", "NO"]}),
    ],
)
def test_every_rule_is_held_against_the_rows(rule: str, changed: dict[str, Any]) -> None:
    (problem,) = problems(changed, RULES[rule])
    assert rule in problem
    assert "1 of 4 rows" in problem


def test_numbers_beyond_the_source_break_declared_bounds_only() -> None:
    changed = {"low": [0, 2, 3, 5]}
    assert problems(changed) == []
    bounded = Number(name="low", minimum=1, maximum=4)
    assert len(problems(changed, low=bounded)) == 2
    said = " ".join(check(dataset({**GOOD, **changed}), dataset(REAL))["checked"])
    assert "2 cells beyond the range of the source" in said


def test_declared_levels_are_known() -> None:
    declared = Category(name="city", levels=("Bern", "Rome", "Oslo", "Ulm"))
    assert problems({"city": ["Bern", "Bern", "Rome", "Ulm"]}, city=declared) == []


def test_columns_that_differ_are_named() -> None:
    reordered = dict(reversed(GOOD.items()))
    (problem,) = check(dataset(reordered), dataset(REAL))["problems"]
    assert "reordered" in problem
    short = {name: values for name, values in GOOD.items() if name != "score"}
    (problem,) = check(dataset(short), dataset(REAL))["problems"]
    assert "score" in problem


def test_sentences_hold_no_real_bound() -> None:
    real = {**REAL, "low": [-777, 2, 3, 4]}
    found = check(dataset({**GOOD, "low": [-900, 2, 3, 4]}), dataset(real))
    assert "777" not in str(found)
