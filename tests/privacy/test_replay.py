"""Replay finds each planted bug by its name and passes what is correct."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import typer

from tests.privacy.planted import BUGS, Measure, Planted, correct, divided_by_rows
from tests.synthesizers.tables import every_kind
from understudy.cli.replay import replay as verb
from understudy.data import Dataset
from understudy.errors import EngineError
from understudy.privacy import engine_audit
from understudy.privacy.engine_audit import audit_engine
from understudy.privacy.mechanisms import Choice, NoisyCounts
from understudy.privacy.neighbours import NEW_LEVEL, Neighbour, neighbours
from understudy.privacy.replay import replay, replay_engine
from understudy.privacy.replay_example import example
from understudy.schema import Category, Number, Schema, Table, Unit, one_table
from understudy.synthesizers import registry
from understudy.synthesizers.tabular.marginals import MarginalSynthesizer


@pytest.mark.parametrize("measure", BUGS, ids=lambda measure: measure.__name__)
def test_each_planted_bug_is_found_and_nothing_else(measure: Measure) -> None:
    report = replay_engine(Planted(measure), example())
    assert {(finding.kind, finding.query) for finding in report.findings} == BUGS[measure]
    assert not report.clean
    assert len(report.sentences()) == 1 + len(report.findings)


def test_the_correct_engine_passes() -> None:
    report = replay_engine(Planted(correct), example())
    assert report.findings == ()
    assert len(report.queries) == 6
    # Measured sensitivities are those of one row, and none of these queries has less.
    assert {line.query: line.measured for line in report.queries} == {
        "größe, bounds": 1.0,
        "stadt, labels": 1.0,
        "rows": 1.0,
        "age, 1-way": 1.0,
        "best age": 1.0,
        "größe, quartiles": 1.0,
    }


def test_replay_says_the_same_each_time() -> None:
    bug = next(iter(BUGS))
    one, two = (replay_engine(Planted(bug), example()).as_dict() for _ in range(2))
    assert json.dumps(one) == json.dumps(two)


def test_neighbours_differ_by_one_row_and_hold_the_telling_ones() -> None:
    data = example()
    found = neighbours(data)
    original = data.table.to_pylist()
    for neighbour in found:
        rows = neighbour.dataset.table.to_pylist()
        assert neighbour.dataset.table.schema.equals(data.table.schema)
        assert abs(len(rows) - len(original)) == 1
        longer, shorter = (original, rows) if len(rows) < len(original) else (rows, original)
        more = Counter(map(str, longer)) - Counter(map(str, shorter))
        assert more.total() == 1
    gone = [n.dataset.table for n in found if n.name.startswith("without")]
    sizes = [max(v for v in table["größe"].to_pylist() if v is not None) for table in gone]
    assert min(sizes) < 1e6
    assert any("Nowhere-on-Sea" not in table["stadt"].to_pylist() for table in gone)
    assert any(table["grade"].null_count == 0 for table in gone)
    more = [n.dataset.table.slice(data.num_rows).to_pylist()[0] for n in found if "more" in n.name]
    assert any(row["stadt"] == NEW_LEVEL for row in more)
    assert any(row["age"] is None for row in more)
    assert any(row["größe"] is not None and np.isnan(row["größe"]) for row in more)


def test_every_type_has_neighbours() -> None:
    data = every_kind(50)
    found = neighbours(data)
    added = [n.dataset.table.slice(50) for n in found if "new levels" in n.name]
    assert len(added) == 1
    assert all(added[0][name].null_count == 0 for name in data.table.column_names)
    assert all(n.dataset.table.schema.equals(data.table.schema) for n in found)


def test_dictionaries_have_neighbours() -> None:
    table = pa.table({"town": pa.array(["a", "b", None, "a"]).dictionary_encode()})
    data = Dataset.single(one_table("t", [Category(name="town")]), table)
    names = {n.name: n.dataset.table["town"].to_pylist() for n in neighbours(data)}
    assert names["without the row of the rarest level of 'town'"] == ["a", None, "a"]
    huge = "with one more unit, new levels and huge numbers"
    assert names[huge] == ["a", "b", None, "a", NEW_LEVEL]


def test_an_entity_leaves_with_all_its_rows() -> None:
    unit = Unit(of="entity", table="visits", column="who")
    schema = one_table("visits", [Category(name="who"), Number(name="cost")], unit)
    table = pa.table({"who": ["a", "a", "b", "c", "a"], "cost": [1, 2, 3, 4, 5]})
    found = neighbours(Dataset.single(schema, table))
    removed = [n for n in found if n.name.startswith("without")]
    lost = [{"a", "b", "c"} - set(n.dataset.table["who"].to_pylist()) for n in removed]
    assert all(len(units) == 1 for units in lost)
    added = [n.dataset.table["who"].to_pylist()[-1] for n in found if "more" in n.name]
    assert set(added) == {NEW_LEVEL}


@pytest.mark.parametrize(
    ("admitted", "declared", "kinds"), [(1, 1, []), (3, 3, []), (3, 1, ["sensitivity"])]
)
def test_a_unit_moves_a_count_by_as_many_rows_as_are_admitted(
    admitted: int, declared: int, kinds: list[str]
) -> None:
    unit = Unit(of="entity", table="visits", column="who")
    schema = one_table("visits", [Category(name="who"), Number(name="cost")], unit)
    data = Dataset.single(schema, pa.table({"who": ["a", "a", "a", "b"], "cost": [1, 1, 1, 1]}))

    def fit(session: Any, rows: Dataset) -> bytes:
        door = session.admit(rows)
        mechanism = NoisyCounts(2.0, sensitivity=declared)
        return door.ask("rows", mechanism, lambda d: np.array([d.num_rows])).tobytes()

    report = replay(fit, data, rows_per_unit=admitted)
    assert [finding.kind for finding in report.findings] == kinds
    assert report.queries[0].measured == admitted


def test_parameters_that_follow_the_rows_are_named() -> None:
    data = example()

    def fit(session: Any, rows: Dataset) -> bytes:
        scale = float(rows.num_rows)
        door = session.admit(rows)
        return door.ask("rows", NoisyCounts(scale), lambda d: np.array([d.num_rows])).tobytes()

    report = replay(fit, data)
    assert [(finding.kind, finding.query) for finding in report.findings] == [("queries", "rows")]
    assert "NoisyCounts(multiplier=400.0" in str(report.findings[0])


def test_queries_in_another_order_are_named() -> None:
    data = example()

    def fit(session: Any, rows: Dataset) -> bytes:
        door = session.admit(rows)
        names = ["one", "two"] if rows.num_rows >= data.num_rows else ["two", "one"]
        for name in names:
            door.ask(name, NoisyCounts(2.0), lambda d: np.array([d.num_rows]))
        return b""

    kinds = {(finding.kind, finding.query) for finding in replay(fit, data).findings}
    assert kinds == {("queries", "one"), ("queries", "two")}


def test_a_clear_winner_is_not_taken_for_a_known_seed() -> None:
    def fit(session: Any, rows: Dataset) -> bytes:
        door = session.admit(rows)
        best = door.ask("best", Choice(5.0), lambda d: np.array([0.0, d.num_rows, 5.0]))
        only = door.ask("only", Choice(5.0), lambda d: np.array([float(d.num_rows)]))
        return best.tobytes() + only.tobytes()

    assert replay(fit, example()).clean


def test_neighbours_can_be_given() -> None:
    data = example()

    def fit(session: Any, rows: Dataset) -> bytes:
        return str(rows.table["stadt"][17]).encode()

    untouched = Neighbour("with the last row gone", data.with_table(data.table.slice(0, 399)))
    assert replay(fit, data, [untouched]).clean
    assert not replay(fit, data).clean


def test_what_fails_on_the_dataset_itself_is_passed_on() -> None:
    def fit(session: Any, rows: Dataset) -> bytes:
        raise EngineError("this engine wants a target")

    with pytest.raises(EngineError, match="wants a target"):
        replay(fit, example())


def test_no_rows_and_several_tables_are_refused() -> None:
    data = example()
    with pytest.raises(EngineError, match="has none"):
        neighbours(data.with_table(data.table.slice(0, 0)))
    one = Table(name="a", columns=(Number(name="x"),))
    table = pa.table({"x": [1.0]})
    two = Schema(tables=(one, one.model_copy(update={"name": "b"})))
    with pytest.raises(EngineError, match="who is protected"):
        neighbours(Dataset(two, {"a": table, "b": table}))


@dataclass(frozen=True)
class Correct(Planted):
    measure: Measure = correct


@dataclass(frozen=True)
class Divided(Planted):
    measure: Measure = divided_by_rows


@pytest.mark.parametrize(("engine", "code"), [("Correct", 0), ("Divided", 3)])
@pytest.mark.parametrize("json_wanted", [False, True])
def test_the_verb_says_what_was_found(
    engine: str,
    code: int,
    json_wanted: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Planted engines know the columns of the example only; canaries try another in their place.
    tried = audit_engine(MarginalSynthesizer(), count=100, subject=engine)
    monkeypatch.setattr(engine_audit, "audit_engine", lambda made, subject: tried)
    info = registry.EngineInfo(engine, f"{__name__}:{engine}", "", "", "", private=True)
    monkeypatch.setitem(registry.BUILT_IN, engine, info)
    with pytest.raises(typer.Exit) as stopped:
        verb(engine, json=json_wanted)
    assert stopped.value.exit_code == code
    said = capsys.readouterr().out
    if json_wanted:
        assert json.loads(said)["clean"] == (code == 0)
    else:
        assert said.startswith(f"{engine}: ")
        assert ("NOT PRIVATE" in said) == (code == 3)


def test_an_engine_without_privacy_is_not_replayed() -> None:
    with pytest.raises(EngineError, match="keeps no privacy budget"):
        verb("tree")
