from __future__ import annotations

import json
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from understudy.data.dataset import Dataset
from understudy.errors import ColumnError
from understudy.evaluation import evaluate
from understudy.schema import (
    Boolean,
    Category,
    Datetime,
    Duration,
    Identifier,
    Number,
    Schema,
    Text,
    one_table,
)

EVERY_KIND = one_table(
    "kinds",
    [
        Number(name="value"),
        Number(name="constant"),
        Number(name="empty"),
        Category(name="many"),
        Category(name="single"),
        Category(name="nothing"),
        Boolean(name="flag"),
        Datetime(name="day"),
        Duration(name="wait"),
        Identifier(name="key"),
        Text(name="note"),
    ],
)


def every_kind(rows: int, seed: int) -> Dataset:
    rng = np.random.default_rng(seed)
    value = rng.normal(size=rows)
    table = pa.table(
        {
            "value": pa.array(value, mask=rng.random(rows) < 0.1),
            "constant": pa.array(np.full(rows, 7.0)),
            "empty": pa.nulls(rows, pa.float64()),
            "many": pa.array([f"level {i}" for i in rng.integers(0, 10_000, rows)]),
            "single": pa.array(["one"] * rows),
            "nothing": pa.nulls(rows, pa.string()),
            "flag": pa.array(value + rng.normal(size=rows) > 0),
            "day": pa.array(rng.integers(0, 9000, rows).astype(np.int32)).cast(pa.date32()),
            "wait": pa.array([timedelta(seconds=int(s)) for s in rng.integers(0, 999, rows)]),
            "key": pa.array(np.arange(rows)),
            "note": pa.array(["free text"] * rows),
        }
    )
    return Dataset.single(EVERY_KIND, table)


@pytest.mark.parametrize(
    ("rows", "target"), [(400, "flag"), (400, "value"), (10, "flag"), (1, None)]
)
def test_every_kind_and_tiny_tables_are_measured_or_noted(rows, target):
    data = [every_kind(rows, seed) for seed in range(4)]
    card = evaluate(*data, target=target, seed=0).as_dict()
    assert json.loads(json.dumps(card, allow_nan=False)) == card
    assert set(card) == {
        "format", "rows", "target", "measurements", "columns",
        "pairs", "correlations", "lost_levels", "utility", "classes", "fairness", "rare", "notes",
    }  # fmt: skip
    assert card["rows"] == dict.fromkeys(
        ("train", "holdout", "reference", "synthetic", "compared"), rows
    )
    assert {column["name"] for column in card["columns"]}.isdisjoint({"key", "note"})
    assert any("key: identifier" in note for note in card["notes"])
    if rows == 400:
        metric = "tstr_auc" if target == "flag" else "tstr_r2"
        assert metric in card["measurements"]
        assert card["measurements"]["c2st"]["low"] < 0.5
    else:
        assert any("c2st" in note for note in card["notes"])


def test_no_rows_is_said():
    full, empty = every_kind(50, 0), every_kind(0, 1)
    card = evaluate(full, full, full, empty, seed=0).as_dict()
    assert card["measurements"] == {}
    assert any("nothing to compare" in note for note in card["notes"])


def test_holes_constants_and_one_answer_are_noted_not_fatal():
    schema = one_table("holes", [Number(name="x"), Number(name="c"), Category(name="y")])

    def holed(seed: int) -> Dataset:
        rng = np.random.default_rng(seed)
        x = pa.array(rng.normal(size=300), mask=rng.random(300) < 0.97)
        return Dataset.single(schema, pa.table({"x": x, "c": np.ones(300), "y": ["one"] * 300}))

    data = [holed(seed) for seed in range(4)]
    card = evaluate(*data, target="y", sensitive="y", full=True, seed=0).as_dict()
    assert json.loads(json.dumps(card, allow_nan=False)) == card
    assert any("utility of target y" in note for note in card["notes"])
    assert any("fairness over y" in note for note in card["notes"])


def test_a_table_of_keys_alone_is_said():
    schema = one_table("keys", [Identifier(name="key")])
    data = [Dataset.single(schema, pa.table({"key": np.arange(60) + 60 * i})) for i in range(4)]
    card = evaluate(*data, seed=0).as_dict()
    assert card["rare"]["entries"] == []
    assert any("key: identifier" in note for note in card["notes"])


def test_unknown_target_is_refused():
    data = every_kind(20, 0)
    with pytest.raises(ColumnError, match="Did you mean 'flag'"):
        evaluate(data, data, data, data, target="flg")


def test_levels_nobody_saw_before_do_not_give_the_sample_away():
    """Ten thousand levels over 400 rows: nearly every row of any sample has a level of its own."""
    schema = one_table("crowded", [Category(name="many"), Number(name="x")])

    def draw(seed: int) -> Dataset:
        rng = np.random.default_rng(seed)
        many = pa.array([f"level {i}" for i in rng.integers(0, 10_000, 400)])
        return Dataset.single(schema, pa.table({"many": many, "x": rng.normal(size=400)}))

    found = evaluate(*(draw(seed) for seed in range(4)), seed=0).measurements["c2st"]
    assert found.low <= 0.5 <= found.high
    assert found.floor_low <= 0.5 <= found.floor_high


def test_same_seed_same_scorecard():
    data = [every_kind(120, seed) for seed in range(4)]
    first = evaluate(*data, target="flag", seed=3).as_dict()
    assert evaluate(*data, target="flag", seed=3).as_dict() == first


def test_broken_dependence_is_seen_beyond_its_floor():
    schema = one_table("two", [Number(name="x"), Number(name="y")])
    rng = np.random.default_rng(0)

    def draw(linked: float) -> Dataset:
        x = rng.normal(size=1500)
        y = linked * x + rng.normal(size=1500)
        return Dataset.single(schema, pa.table({"x": x, "y": y / np.sqrt(1 + linked**2)}))

    train, holdout, reference = draw(2.0), draw(2.0), draw(2.0)
    good = evaluate(train, holdout, reference, draw(2.0), target="y").measurements
    bad = evaluate(train, holdout, reference, draw(0.0), target="y").measurements
    for name in ("pair_error", "trend_error", "correlation_error"):
        assert good[name].value < 2 * good[name].floor_high
        assert bad[name].low > 3 * bad[name].floor_high
    assert bad["shape_error"].value < 3 * bad["shape_error"].floor
    assert bad["c2st"].low > 0.6
    # Trend of one numeric pair is half the lost correlation: 100 * .894 / 2.
    assert bad["trend_error"].value == pytest.approx(44.7, abs=3)
    assert bad["tstr_r2"].high < 0.5 < bad["tstr_r2"].floor


def test_two_halves_of_adult_look_alike(real_data):
    """Seeds are fixed; the bounds lie three standard errors out."""
    table = pa.csv.read_csv(
        real_data("adult") / "train.csv.gz",
        convert_options=pa.csv.ConvertOptions(null_values=["?"], strings_can_be_null=True),
    )
    order = np.random.default_rng(0).permutation(table.num_rows)
    parts = [table.take(pa.array(order[start : start + 3000])) for start in range(0, 12_000, 3000)]
    datasets = [Dataset.single(_kinds(table), part) for part in parts]
    found = evaluate(*datasets, target="income", seed=0).measurements
    assert abs(found["c2st"].value - 0.5) < 0.03
    # An independent sample differs from train by sqrt(2) of what a resample of train does.
    for name in ("shape_error", "pair_error", "trend_error"):
        assert found[name].value < 1.8 * found[name].floor
    assert abs(found["tstr_auc"].value - found["tstr_auc"].floor) < 0.02


def _kinds(table: pa.Table) -> Schema:
    columns = [
        Category(name=field.name) if pa.types.is_string(field.type) else Number(name=field.name)
        for field in table.schema
    ]
    return one_table("adult", columns)
