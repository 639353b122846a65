"""Engines race on rows that the audit never sees, and one that leaks does not win."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from understudy.cli.run import _racing
from understudy.data import Dataset, read
from understudy.errors import EngineError, MissingExtraError, PlanError, SourceError
from understudy.pipeline import race as module
from understudy.pipeline import synthesize
from understudy.pipeline.race import Race, Rules, measured, race
from understudy.release.disclosure import public_view
from understudy.release.report import render
from understudy.runtime.progress import Progress, ProgressEvent
from understudy.schema.plan import Engine
from understudy.synthesizers import registry
from understudy.synthesizers.registry import EngineInfo, resolve


@dataclass(frozen=True)
class Copy:
    """Hands out the rows it learnt from: as near as can be, and a leak."""

    rows: Dataset
    engine = "copier"

    def sample(self, n: int, **_: Any) -> Dataset:
        return self.rows


@dataclass(frozen=True, kw_only=True)
class Copier:
    def fit(self, data: Dataset, *, progress: Progress) -> Copy:
        return Copy(data)


@dataclass(frozen=True, kw_only=True)
class Endless:
    def fit(self, data: Dataset, *, progress: Progress) -> None:
        for done in count():
            sum(range(10_000))
            progress(ProgressEvent("fit", done, 0))


@dataclass(frozen=True, kw_only=True)
class Broken:
    def fit(self, data: Dataset, *, progress: Progress) -> None:
        raise EngineError("the loss is not a number")


@dataclass(frozen=True, kw_only=True)
class Absent:
    def fit(self, data: Dataset, *, progress: Progress) -> None:
        raise MissingExtraError.of("this engine", "deep")


PLANTED = {"copier": Copier, "endless": Endless, "broken": Broken, "absent": Absent}


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines that misbehave, under names of their own."""
    for name, made in PLANTED.items():
        info = EngineInfo(name, f"{made.__module__}:{made.__name__}", "", "", "")
        monkeypatch.setitem(registry.BUILT_IN, name, info)


def people(rows: int = 2_000) -> Dataset:
    rng = np.random.default_rng(0)
    age = rng.integers(18, 90, rows)
    return read(
        pa.table(
            {
                "age": age,
                "income": np.round(np.exp(rng.normal(10, 1, rows)), 2),
                "region": np.array(["north", "south", "east"])[rng.integers(0, 3, rows)],
                "ill": np.where(rng.random(rows) < age / 120, "yes", "no"),
            }
        )
    )


def test_a_leak_is_out_however_near_it_comes_and_every_fate_is_told(planted: None) -> None:
    names = ("marginals", "copier", "broken", "absent")
    told: list[str] = []
    found = race(
        people(600), Rules(engines=names), target="ill", progress=lambda e: told.append(e.note)
    )
    fates = {entry.engine: entry.outcome for entry in found.entries}
    assert found.winner == "marginals"
    assert fates == {
        "marginals": "won",
        "copier": "leaks",
        "broken": "failed",
        "absent": "not installed",
    }
    scores = {entry.engine: entry.score for entry in found.entries}
    assert scores["copier"] < 0.5  # near: its rows are real
    assert scores["broken"] is None
    assert "not a number" in found.entries[2].because
    assert found.sentence() == told[-1]
    assert (found.rows, found.judged_on) == (360, 240)


def test_who_takes_too_long_is_stopped_and_the_next_does_not_start(planted: None) -> None:
    """The cheap engine comes first; what is left of a second goes to one that has no end."""
    rules = Rules(seconds=1.0, engines=("endless", "copier"))
    with pytest.raises(
        EngineError, match=r"no engine finished.*endless: stopped.*copier: the time"
    ):
        race(people(200), rules)


def test_where_all_leak_the_nearest_goes_on_to_the_gate(planted: None) -> None:
    found = race(people(400), Rules(engines=("copier",)))
    assert found.winner == "copier"
    assert [entry.outcome for entry in found.entries] == ["leaks"]


def test_the_rows_of_the_race_are_parted_by_unit_and_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "ROWS", 500)
    data = people()
    parts = module._parts(data, seed=3)
    rows = [parts.train, parts.holdout, parts.reference]
    assert [part.num_rows for part in rows] == [300, 100, 100]
    incomes = [set(part.table["income"].to_pylist()) for part in rows]
    assert not incomes[0] & incomes[1]


def test_the_score_counts_in_what_the_gate_admits() -> None:
    card = {
        "measurements": {
            "shape_error": {"value": 3.0, "floor": 1.0},  # at the bound of three times
            "pair_error": {"value": 0.9, "floor": 1.0},  # nearer than two real samples
            "c2st": {"value": 0.55, "floor": 0.5},
        },
        "utility": [
            {"trained_on_real": 0.8, "difference": -0.5},  # not the model that real rows serve best
            {"trained_on_real": 0.9, "difference": -0.025},
        ],
    }
    assert measured(card) == pytest.approx(
        {"single columns": 1.0, "pairs": 0.0, "the judge": 0.5, "usefulness": 0.5}
    )


def test_rules() -> None:
    assert Rules.of({}).entrants[0] == "tree"
    assert Rules.of({"engines": ["marginals", "tree"]}).entrants == ("tree", "marginals")
    with pytest.raises(PlanError, match=r"no option 'second'.*seconds"):
        Rules.of({"second": 3})
    with pytest.raises(EngineError, match=r"no engine called 'tre'.*tree"):
        Rules.of({"engines": ["tre"]})
    with pytest.raises(PlanError, match="more than 0"):
        Rules.of({"seconds": 0})


def test_names_that_stand_for_an_engine() -> None:
    assert resolve("usual", private=False) == "tree"
    assert resolve("usual", private=True) == "marginals"
    assert resolve("auto", private=True) == "marginals"  # a race would have to be paid for
    assert resolve("auto", private=False) == "auto"


def test_a_run_tells_its_race_and_keeps_the_scores_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def held(*_: Any, **__: Any) -> Race:
        entries = (
            module.Entry("tree", "leaks", "copies: too many", 0.125, {"pairs": 0.125}, 1.0),
            module.Entry("marginals", "won", "", 0.375, {"pairs": 0.375}, 2.0),
        )
        return Race("marginals", 120, 80, Rules(), entries)

    monkeypatch.setattr("understudy.pipeline.run.race", held)
    run = synthesize(people(300), no_dp=True, engine="auto", seed=1, out=tmp_path / "run")
    assert run.contents["engine"]["name"] == "marginals"
    inside, outside = (render(run.contents, public=public) for public in (False, True))
    assert "The race between engines" in inside
    assert "0.38" in inside
    assert "copies: too many" in inside
    assert "marginals made the rows" in outside
    assert "copies: too many" not in outside
    assert public_view(run.contents)["race"] == {
        "winner": "marginals",
        "entries": [
            {"engine": "tree", "outcome": "leaks"},
            {"engine": "marginals", "outcome": "won"},
        ],
    }
    assert "--engine marginals --" in inside


def test_a_plan_can_name_who_races() -> None:
    asked = Engine(name="auto", options={"seconds": 20, "engines": ["tree"]})
    assert Rules.of(asked.options) == Rules(20.0, ("tree",))


def test_under_a_budget_a_rule_takes_the_place_of_the_race_and_is_told(tmp_path: Path) -> None:
    run = synthesize(people(600), epsilon=5, engine="auto", seed=1, out=tmp_path / "run")
    assert run.contents["engine"]["name"] == "marginals"
    for public in (False, True):
        assert "marginals, by rule" in render(run.contents, public=public)


def test_too_few_units_to_race_on() -> None:
    with pytest.raises(SourceError, match=r"parts the 8 units.*at least 10.*instead of auto"):
        race(people(8), Rules())


def test_time_for_a_race_is_taken_beside_a_plan_and_refused_where_nobody_races() -> None:
    asked = Engine(name="auto", options={"engines": ["tree"]})
    assert _racing(asked, 5.0).options == {"engines": ["tree"], "seconds": 5.0}
    with pytest.raises(EngineError, match=r"'tree' runs alone"):
        _racing(Engine(name="tree"), 5.0)
