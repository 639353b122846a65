"""Looking inside a tree model: it holds training values, and says so loudly."""

from __future__ import annotations

import numpy as np
import pytest

from tests.attacks import planted
from understudy.attacks import attack
from understudy.contracts import Inspectable
from understudy.evaluation.statistics import auc
from understudy.release.privacy_lines import privacy_lines
from understudy.release.thresholds import DEFAULTS
from understudy.synthesizers.tabular.inspection import scores
from understudy.synthesizers.tabular.tree import TreeSynthesizer
from understudy.synthesizers.tabular.tree_model import TreeModel


@pytest.fixture(scope="module")
def sides() -> list[planted.Rows]:
    rng = np.random.default_rng(0)
    return [planted.draw(800, rng) for _ in range(3)]


@pytest.fixture(scope="module")
def model(sides) -> TreeModel:
    return TreeSynthesizer(seed=1).fit(sides[0].dataset())


def test_leaves_and_values_give_members_away(sides, model):
    inside, outside = (scores(model, rows.dataset().table) for rows in sides[:2])
    assert auc(inside["likelihood"], outside["likelihood"]) > 0.7
    assert inside["known values"] == pytest.approx(1.0)
    assert outside["known values"] == pytest.approx(0.0)


def test_a_tree_lets_itself_be_looked_into(sides, model):
    assert isinstance(model, Inspectable)
    rows = sides[1].dataset()
    for name, values in scores(model, rows.table).items():
        assert np.array_equal(model.scores(rows)[name], values)


def test_the_line_decides_only_where_the_model_leaves(sides, model):
    made = model.sample(800, seed=2)
    datasets = [rows.dataset() for rows in sides]
    battery = attack(*datasets, made, model=model, seed=3).as_dict()
    assert battery["white_box"]["family"]["p"] == pytest.approx(0.001)

    def ruling(released: str) -> str:
        lines = privacy_lines(battery, DEFAULTS, released=released)
        return next(line.ruling for line in lines if line.name == "the model itself")

    assert ruling("data") == "INFO"
    assert ruling("model") == "FAIL"
    assert ruling("query") == "FAIL"
    lines = privacy_lines({**battery, "white_box": {}}, DEFAULTS, released="model")
    assert lines[-1].ruling == "INCONCLUSIVE"
