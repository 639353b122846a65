"""The papers' protocol: floors, what a copy scores, and closed forms of DCR."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from understudy.data.dataset import Dataset
from understudy.errors import ColumnError
from understudy.evaluation.samples import collect
from understudy.evaluation.tabsyn import _city_block, evaluate_tabsyn
from understudy.schema import Category, Number, one_table

SCHEMA = one_table("t", [Number(name="x"), Category(name="k"), Number(name="y")])


def table(seed: int, rows: int = 500) -> Dataset:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    k = np.where(x + rng.normal(size=rows) > 0, "up", "down")
    y = np.exp(x + 2)
    return Dataset.single(SCHEMA, pa.table({"x": x, "k": pa.array(k), "y": y}))


def test_a_fresh_sample_scores_its_floor_and_a_copy_shows_in_dcr():
    train, test = table(0), table(1)
    fair = evaluate_tabsyn(train, test, table(2), target="k")
    copy = evaluate_tabsyn(train, test, train, target="k")
    assert json.loads(json.dumps(fair.as_dict(), allow_nan=False)) == fair.as_dict()
    floors = {one["name"]: one["floor"] for one in fair.measures}
    for name, room in (("alpha_precision", 0.1), ("beta_recall", 0.1), ("auc", 0.06)):
        assert fair[name] == pytest.approx(floors[name], abs=room)
    assert fair["dcr_share"] == pytest.approx(0.5, abs=0.07)
    assert copy["dcr_share"] > 0.98
    assert copy["shape"] == copy["trend"] == 0.0
    assert copy["beta_recall"] > fair["beta_recall"] + 0.3


def test_a_number_is_judged_by_the_error_of_its_logarithm():
    found = evaluate_tabsyn(table(0), table(1), table(2), target="y")
    assert found["rmse"] < 0.5 * np.log(np.clip(table(1).table["y"].to_numpy(), 1, 2e4)).std()


def test_city_block_distance_by_hand():
    """Range of x in train is 4; another level costs 2."""
    schema = one_table("t", [Number(name="x"), Category(name="k")])

    def of(x: list[float], k: list[str]) -> Dataset:
        return Dataset.single(schema, pa.table({"x": x, "k": k}))

    train, fake = of([0.0, 4.0], ["a", "b"]), of([1.0, 4.0, 9.0], ["a", "a", "b"])
    samples = collect(train, train, train, fake, seed=0)
    found = _city_block(samples.features, np.arange(3), "train", np.arange(2))
    assert found.tolist() == [0.25, 1.0, 1.25]


@pytest.mark.parametrize("rows", [0, 5, 40])
def test_tiny_tables_are_noted_or_measured(rows):
    found = evaluate_tabsyn(table(0), table(1), table(2, rows), target="k")
    assert found.notes or found.measures


def test_unknown_target_is_refused():
    with pytest.raises(ColumnError):
        evaluate_tabsyn(table(0), table(1), table(2), target="kk")
