"""Plan files: written out, read back the same, and every mistake in one named with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from understudy.errors import PlanError
from understudy.schema import (
    Category,
    Dependency,
    ForeignKey,
    Identifier,
    Inequality,
    Number,
    Range,
    Schema,
    Table,
    Unit,
)
from understudy.schema.plan import Plan, Source, dump_plan, json_schema, load_plan

SCHEMA = Schema(
    tables=(
        Table(
            name="person",
            columns=(
                Identifier(name="id", nullable=False),
                Number(name="low", minimum=0.5, decimals=2, why="decimals from 0.5 to 9"),
                Number(name="high", integer=True),
                Category(name='städte: "x"', levels=("a", "b", True, 3), ordered=True),
            ),
            primary_key=("id",),
            constraints=(
                Inequality(low="low", high="high", strict=True),
                Range(column="high", maximum=7),
                Dependency(by=("low",), determines="high"),
            ),
        ),
        Table(
            name="visit",
            columns=(Identifier(name="person"), Number(name="n")),
            foreign_keys=(ForeignKey(columns=("person",), table="person", references=("id",)),),
        ),
    ),
    unit=Unit(of="entity", table="person", column="id"),
)
PLAN = Plan(
    source=Source(path="a b.csv", nulls=("?", "NA"), delimiter=";", encoding="latin-1"),
    data=SCHEMA,
    target="high",
    rows=100,
    balance={"high": "uniform"},
    seed=7,
    bounds={"x": 0.5},
)


def _written(folder: Path, text: str) -> Path:
    (folder / "plan.yaml").write_text(text, encoding="utf-8")
    return folder / "plan.yaml"


def test_a_plan_reads_back_as_it_was_written(tmp_path: Path) -> None:
    assert load_plan(_written(tmp_path, dump_plan(PLAN))) == PLAN
    assert dump_plan(load_plan(_written(tmp_path, dump_plan(PLAN)))) == dump_plan(PLAN)


def test_what_is_as_by_default_is_left_out() -> None:
    plain = yaml.safe_load(dump_plan(PLAN))
    assert plain["version"] == 1
    assert plain["data"]["tables"][0]["columns"][0] == {
        "name": "id", "nullable": False, "kind": "identifier",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("target: high", "traget: high", r"plan.yaml:(\d+): unknown key 'traget'. .*'target'"),
        ("primary_key:", "primary_keys:", r"plan.yaml:(\d+): unknown key .*'primary_key'"),
        ("minimum: 0.5", "minimun: 0.5", r"plan.yaml:(\d+): unknown key 'minimun'. .*'minimum'"),
        ("strict: true", "strikt: true", r"plan.yaml:(\d+): unknown key 'strikt'. .*'strict'"),
        ("nulls:", "nills:", r"plan.yaml:(\d+): unknown key 'nills'. .*'nulls'"),
        ("rows: 100", "rows: 0", r"plan.yaml:(\d+): rows: .*greater than or equal to 1"),
        ("seed: 7", "seed: often", r"plan.yaml:(\d+): seed: .*valid integer"),
        ("kind: number", "kind: numbr", r"plan.yaml:(\d+): .*numbr"),
        ("rule: range", "rule: rnage", r"plan.yaml:(\d+): .*rnage"),
        ("low: low", "low: lwo", r"plan.yaml:(\d+): .*no column 'lwo'. Did you mean 'low'"),
        ("seed: 7", "seed: [7", r"plan.yaml:(\d+): not readable as YAML"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(
    tmp_path: Path, before: str, after: str, message: str
) -> None:
    text = dump_plan(PLAN)
    assert before in text
    with pytest.raises(PlanError, match=message) as caught:
        load_plan(_written(tmp_path, text.replace(before, after, 1)))
    said = str(caught.value)
    if "unknown key" in said:
        line = int(said.split(":")[1])
        assert after.split(":")[0] in text.replace(before, after, 1).splitlines()[line - 1]


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words"])
def test_what_is_no_mapping_is_no_plan(tmp_path: Path, text: str) -> None:
    with pytest.raises(PlanError, match="a plan is a mapping of keys"):
        load_plan(_written(tmp_path, text))


def test_editors_get_a_schema_that_knows_every_kind() -> None:
    described = json.loads(json_schema())
    assert {
        "Number",
        "Category",
        "Boolean",
        "Datetime",
        "Duration",
        "Text",
        "Identifier",
        "Geo",
    } <= set(described["$defs"])
    assert described["additionalProperties"] is False


@pytest.mark.parametrize(
    ("bound", "message"),
    [
        ("0", r"plan.yaml:8: privacy.rows_per_unit: Input should be greater than or equal to 1"),
        ("{t: 0}", r"plan.yaml:8: privacy.rows_per_unit.t: Input should be greater than"),
        ("{tt: 2}", r"rows_per_unit names table 'tt', which is not in the data. Did you mean 't'"),
    ],
)
def test_a_bound_on_a_units_rows_is_one_number_or_one_for_each_table(
    tmp_path: Path, bound: str, message: str
) -> None:
    text = (
        "version: 1\nsource: {path: x}\ndata:\n  tables:\n"
        "  - {name: t, columns: [{name: id, kind: number}]}\n"
        "privacy:\n  mode: dp\n  rows_per_unit: BOUND\n"
    )
    path = tmp_path / "plan.yaml"
    path.write_text(text.replace("BOUND", bound))
    with pytest.raises(PlanError, match=message):
        load_plan(path)
    path.write_text(text.replace("BOUND", "{t: 3}"))
    plan = load_plan(path)
    assert plan.privacy is not None
    assert plan.privacy.mode == "dp"
    assert plan.privacy.rows_per_unit == {"t": 3}
    path.write_text(dump_plan(plan))
    assert load_plan(path) == plan
