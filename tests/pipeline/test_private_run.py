"""A run under a budget, end to end: what it spends, what it says, and what survives a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.bank import bank
from understudy.data import Dataset, read
from understudy.errors import BudgetError, PlanError, SourceError, UserError
from understudy.pipeline import synthesize
from understudy.pipeline.costs import costs, prices
from understudy.pipeline.finished import rows_of
from understudy.pipeline.models import load
from understudy.pipeline.planning import data_of, plan_for, privacy_for, with_unit
from understudy.pipeline.private import as_private, declared, default_delta, opened
from understudy.privacy.ledger import Ledger
from understudy.privacy.statement import recompute
from understudy.release.bundle import build
from understudy.schema import Category, Datetime, Number, one_table
from understudy.schema.plan import DifferentialPrivacy

ROWS = 3000


def people(rows: int = ROWS, seed: int = 0) -> pa.Table:
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 90, rows)
    ill = rng.random(rows) < age / 120
    return pa.table(
        {
            "age": pa.array(age),
            "income": pa.array(np.round(np.exp(rng.normal(10, 1, rows)), 2)),
            "region": pa.array(np.array(["north", "south", "east"])[rng.integers(0, 3, rows)]),
            "ill": pa.array(np.where(ill, "yes", "no")),
        }
    )


def test_a_private_run_on_real_rows(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    rows = read(real_data("adult") / "train.csv.gz", nulls=["?"]).table.slice(0, 6000)
    run = synthesize(rows, epsilon=1, target="income", seed=1, out=tmp_path / "run")
    rulings = {line.name: line.ruling for line in run.verdict.lines}
    assert rulings["the guarantee"] == "PASS"
    # The noise is fresh each time, and one audit in twenty of a harmless table raises an alarm.
    build(tmp_path / "bundle", rows_of(run.folder), run.contents, override="read by a test")
    paper = json.loads((tmp_path / "bundle" / "certificate.json").read_text())
    stated = paper["privacy"]["statement"]
    assert stated["epsilon"] <= 1
    assert recompute(stated).epsilon == pytest.approx(stated["epsilon"])
    with Ledger() as ledger:
        (account,) = ledger.accounts()
        assert account == (run.contents["privacy"]["statement"]["dataset"], "row")
        assert account[0] not in json.dumps(paper)
        charges = ledger.charges(*account, stated["run"])
    assert [c.query for c in charges] == [event["query"] for event in stated["events"]]
    assert ledger.folder == Path(os.environ["UNDERSTUDY_HOME"])
    assert "number of units" in [c.query for c in charges]


@pytest.mark.parametrize("engine", ["autoregressive", "ctgan", "tabdiff", "tvae"])
def test_a_network_is_trained_and_tried_by_canaries_in_the_same_run(
    engine: str, tmp_path: Path
) -> None:
    """A sound run is called broken once in 1,000; the canaries' bound is above zero nearly always,
    as the distance between their groups is several standard errors."""
    run = synthesize(people(), epsilon=8, engine=engine, out=tmp_path / "run")
    lines = {line.name: line for line in run.verdict.lines}
    assert lines["the guarantee"].ruling == "PASS"
    assert lines["the guarantee, tried"].ruling == "PASS"
    stated = run.contents["privacy"]["statement"]
    assert stated["audit"]["canaries"] == 1000
    assert 0 < stated["audit"]["sure"] < stated["epsilon"] <= 8
    assert recompute(stated).epsilon == pytest.approx(stated["epsilon"])
    with Ledger() as ledger:
        charges = ledger.charges(*ledger.accounts()[0], stated["run"])
    assert "training" in [charge.query for charge in charges]


def test_the_same_rows_shared_by_two_runs_compose(tmp_path: Path) -> None:
    for name in ("a", "b"):
        synthesize(people(), epsilon=1, seed=1, out=tmp_path / name)
    with Ledger() as ledger:
        standing = ledger.standing(*ledger.accounts()[0])
    assert len(standing.by_run) == 2
    assert 1 < standing.spent.epsilon < 2


def test_more_than_the_cap_is_refused_before_anything_is_spent(tmp_path: Path) -> None:
    with pytest.raises(BudgetError, match=r"above the cap of 10.*ledger cap"):
        synthesize(people(), epsilon=11, out=tmp_path / "run")
    with Ledger() as ledger:
        assert not ledger.accounts()


@pytest.mark.parametrize("epsilon", [0.0, -1.0, float("nan"), float("inf")])
def test_an_epsilon_that_promises_nothing_is_refused(epsilon: float, tmp_path: Path) -> None:
    with pytest.raises(BudgetError, match="epsilon must be a positive number"):
        synthesize(people(100), epsilon=epsilon, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_killed_in_the_fit_and_run_again_no_answer_is_paid_twice(tmp_path: Path) -> None:
    pq.write_table(people(), tmp_path / "people.parquet")
    words = ["run", "people.parquet", "--epsilon", "1", "--target", "ill", "--seed", "4"]
    command = [sys.executable, "-m", "understudy", *words, "--out", "run"]

    def go(**environment: str) -> int:
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, env={**os.environ, **environment}
        )
        return done.returncode

    assert go(UNDERSTUDY_CRASH_AFTER="fit") == -signal.SIGKILL
    model = (tmp_path / "run" / "model" / "model.json").read_bytes()
    with Ledger() as ledger:
        account = ledger.accounts()[0]
        before = ledger.standing(*account).spent.epsilon
        # As if it had died just before the step was recorded: the fit is done again.
        forget(tmp_path / "run", "fit")
    assert go() in (0, 3, 4)
    assert (tmp_path / "run" / "model" / "model.json").read_bytes() == model
    with Ledger() as ledger:
        assert ledger.standing(*account).spent.epsilon == before
        assert ledger.verify() is None


def forget(folder: Path, step: str) -> None:
    import sqlite3

    with sqlite3.connect(folder / "run.sqlite") as database:
        database.execute("DELETE FROM steps WHERE name = ?", (step,))


def test_a_model_without_its_ledger_entry_is_not_sampled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synthesize(people(), epsilon=1, seed=1, out=tmp_path / "run")
    assert load(tmp_path / "run").sample(10).num_rows == 10
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path / "elsewhere"))
    with pytest.raises(UserError, match="has no entry for it"):
        load(tmp_path / "run")


def test_inference_is_kept_from_saying_what_cells_say() -> None:
    schema = as_private(read(people()).schema)
    assert all(column.nullable and not column.why for column in schema.table().columns)


@pytest.mark.parametrize(
    ("units", "delta"), [(5, 1e-5), (10_000, 1e-5), (22_793, 1e-6), (1_000_000, 1e-7)]
)
def test_delta_is_a_power_of_ten_below_a_tenth_of_a_unit(units: int, delta: float) -> None:
    assert default_delta(units) == pytest.approx(delta)
    assert default_delta(units) <= 1 / (10 * units)


def test_what_names_the_unit_is_never_learnt() -> None:
    data = read(people())
    named = with_unit(data.schema, "region")
    assert named.unit.column == "region"
    assert named.table().column("region").kind == "identifier"


def test_the_price_list_spends_nothing_and_names_every_column() -> None:
    plan = plan_for(read(people()), "people.csv", privacy=privacy_for(1.0, False), target="ill")
    told = costs(plan)
    assert all(line.startswith("# ") for line in told.splitlines())
    for name in ("age", "income", "region", "ill"):
        assert f"# {name}: " in told
    assert "nothing was spent" in told
    assert "public by standing in this plan" in prices(plan)
    with Ledger() as ledger:
        assert not ledger.accounts()


def test_rows_beyond_public_bounds_are_clipped_and_nobody_is_named(tmp_path: Path) -> None:
    data = read(people())
    spec = data.schema.table()
    narrow = tuple(
        c.model_copy(update={"minimum": 30, "maximum": 60}) if c.name == "age" else c
        for c in spec.columns
    )
    schema = data.schema.with_table(spec.model_copy(update={"columns": narrow}))
    bounded = Dataset(schema, data.tables)
    run = synthesize(bounded, epsilon=3, seed=1, out=tmp_path / "run")
    made = pq.read_table(run.synthetic / "table.parquet")["age"].drop_null().to_numpy()
    assert 30 <= made.min() <= made.max() <= 60
    public = json.dumps(run.contents["privacy"]["statement"]["public"])
    assert "lower and upper bound of age" in public


def test_a_delta_that_would_publish_somebody_is_refused(tmp_path: Path) -> None:
    from understudy.pipeline.run import execute

    data = read(people())
    privacy = DifferentialPrivacy(epsilon=1, delta=0.01, public_units=ROWS)
    plan = plan_for(data, "people.csv", privacy=privacy, seed=1)
    with pytest.raises(BudgetError, match="not below one in the 3,000 people"):
        execute(plan, Dataset(plan.data, data.tables), tmp_path / "run")


def test_a_refused_run_leaves_its_folder_to_the_corrected_one(tmp_path: Path) -> None:
    with pytest.raises(BudgetError, match="smallest epsilon that works"):
        synthesize(people(500), epsilon=0.01, target="ill", seed=1, out=tmp_path / "run")
    with pytest.raises(BudgetError, match="above the cap"):
        synthesize(people(500), epsilon=20, target="ill", seed=1, out=tmp_path / "run")
    run = synthesize(people(500), epsilon=3, target="ill", seed=1, out=tmp_path / "run")
    assert run.contents["privacy"]["statement"]["budget"]["epsilon"] == 3


def test_a_seed_does_not_tell_who_was_learnt_from(tmp_path: Path) -> None:
    from understudy.pipeline.store import RunStore

    sides = []
    for name in ("a", "b"):
        synthesize(people(400), epsilon=3, seed=7, out=tmp_path / name)
        store = RunStore(tmp_path / name, identity_of(tmp_path / name))
        sides.append(store.coins)
        store.close()
    assert sides[0] != sides[1]


def identity_of(folder: Path) -> str:
    import sqlite3

    with sqlite3.connect(folder / "run.sqlite") as database:
        found = database.execute("SELECT value FROM meta WHERE key = 'identity'").fetchone()
    return str(found[0])


@pytest.mark.parametrize(("rows", "epsilon"), [(30, 1.0), (200, 0.2), (3000, 0.05)])
def test_no_noise_makes_delta_large(rows: int, epsilon: float, tmp_path: Path) -> None:
    """A count is too small once in 2,000: 40 draws raise a false alarm once in 50, and only where
    the ceiling of 1e-5 does not hold already."""
    data = read(people(rows))
    for nth in range(40):
        wanted = DifferentialPrivacy(epsilon=epsilon)
        with opened(wanted, data, data, f"run {nth}", tmp_path / f"{nth}.sqlite") as session:
            assert session.budget.delta <= min(1e-5, 1 / (10 * rows))
        with Ledger() as ledger:
            ledger.cap(*ledger.accounts()[0], 1000.0, "this test asks forty times")


def test_dates_written_as_text_need_a_plan_under_a_budget(tmp_path: Path) -> None:
    days = [f"{1 + i % 12:02d}/12/2020" for i in range(3000)]
    table = people().append_column("when", pa.array(days))
    with pytest.raises(PlanError, match=r"'when'.*read off the rows.*inspect"):
        synthesize(table, epsilon=1, seed=1, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_frame_does_not_get_its_real_categories_back() -> None:
    import pandas as pd

    from understudy.privacy.budget import Budget
    from understudy.privacy.sessions import SeededSession
    from understudy.synthesizers.registry import create

    names = ["Oslo"] * 1500 + ["Rome"] * 1499 + ["village of one"]
    frame = pd.DataFrame({"city": pd.Categorical(names), "age": range(3000)})
    model = create("marginals").fit(frame, privacy=SeededSession(Budget(1.0, 1e-6), 0))
    made = model.sample(50)
    assert isinstance(made, Dataset)
    assert "village of one" not in str(made.table.schema) + str(made.table.to_pylist())


def test_a_refused_delta_does_not_loosen_the_cap(tmp_path: Path) -> None:
    from understudy.pipeline.run import execute

    data = read(people())
    for delta in (0.5, 1e-4):
        wanted = DifferentialPrivacy(epsilon=9, delta=delta)
        plan = plan_for(data, "people.csv", privacy=wanted, seed=1)
        with pytest.raises(BudgetError, match="at most 1e-05 is taken"):
            execute(plan, Dataset(plan.data, data.tables), tmp_path / "refused")
    with Ledger() as ledger:
        assert not ledger.accounts()
        with pytest.raises(BudgetError, match="at most 1e-05 is taken"):
            ledger.cap("0" * 64, "row", 20.0, "a typo", delta=0.5)
    synthesize(people(), epsilon=9, seed=1, out=tmp_path / "a")
    with pytest.raises(BudgetError, match="does not fit into what is left"):
        synthesize(people(), epsilon=9, seed=2, out=tmp_path / "b")


def test_a_rule_that_needs_rows_is_refused_before_anything_is_spent(tmp_path: Path) -> None:
    from understudy.errors import EngineError
    from understudy.schema import Dependency

    data = read(people())
    rule = Dependency(by=("region",), determines="ill")
    table = data.schema.table().model_copy(update={"constraints": (rule,)})
    ruled = Dataset(data.schema.with_table(table), data.tables)
    with pytest.raises(EngineError, match="dependency"):
        synthesize(ruled, epsilon=1, seed=1, out=tmp_path / "run")
    with Ledger() as ledger:
        assert not ledger.accounts()


def test_a_run_without_room_is_refused_before_its_units_are_counted(tmp_path: Path) -> None:
    rows = people(800)
    synthesize(rows, epsilon=7, seed=1, out=tmp_path / "first")
    with Ledger() as ledger:
        before = len(ledger.entries())
    with pytest.raises(
        BudgetError, match=r"a run with .* does not fit .*remaining .*raise the cap"
    ):
        synthesize(rows, epsilon=7, seed=2, out=tmp_path / "second")
    with Ledger() as ledger:
        assert len(ledger.entries()) == before


def test_what_a_person_declares_with_the_data_stays_public() -> None:
    day = Datetime(name="day", nullable=False, format="%d.%m.%Y")
    schema = one_table("t", [day, Number(name="n", minimum=0, maximum=9)])
    assert as_private(schema) == schema
    public = declared(schema, DifferentialPrivacy(epsilon=1), by_plan=False)
    assert public["day is never missing"] == "declared with the data"
    assert public["lower and upper bound of n"] == "declared with the data"


@pytest.mark.parametrize(
    ("bounds", "told"),
    [
        (1, "bought for each table"),
        ({"event": 90}, "event 90; bought for each other table"),
    ],
)
def test_of_a_database_it_is_told_table_by_table(bounds: int | dict[str, int], told: str) -> None:
    wanted = DifferentialPrivacy(epsilon=1, rows_per_unit=bounds)
    public = declared(bank(10).schema, wanted, by_plan=True)
    assert public["customer.age is never missing"] == "the plan"
    assert public["lower and upper bound of event.amount"] == "the plan"
    assert public["rows of one unit that are learnt from, at most"] == told


def test_a_schema_declared_by_hand_says_the_types_that_come_out(tmp_path: Path) -> None:
    """The cells would say whole numbers; the schema says numbers, and one row more may not tell."""
    schema = one_table("t", [Number(name="n", minimum=0, maximum=9), Category(name="c")])
    table = pa.table({"n": pa.array([i % 10 for i in range(600)]), "c": ["x", "y"] * 300})
    run = synthesize(Dataset.single(schema, table), epsilon=3, seed=1, out=tmp_path / "run")
    assert pq.read_schema(run.synthetic / "t.parquet").types == [pa.float64(), pa.string()]


def test_a_budget_needs_keys_and_roles_on_somebodys_word(tmp_path: Path) -> None:
    town = pa.table({"town_id": range(100, 130), "size": [i % 3 for i in range(30)]})
    person = pa.table({"person_id": range(900), "town_id": [100 + i % 30 for i in range(900)]})
    data = read({"town": town, "person": person})
    with pytest.raises(
        PlanError, match=r"keys of tables \(person\) were read off the rows.*--unit"
    ):
        plan_for(data, "shop", privacy=DifferentialPrivacy(), unit="person.person_id")
    free = plan_for(data, "shop", privacy=privacy_for(None, True), unit="person.person_id")
    assert free.data.table("town").role == "reference"
    public = declared(free.data, DifferentialPrivacy(), by_plan=True)
    assert public["all rows of town, a reference table"] == "the plan"
    assert public["person.town_id points at town"] == "the plan"


def test_a_plan_of_a_database_is_checked_before_and_after_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "town.csv").write_text("town_id\n" + "".join(f"{i}\n" for i in range(100, 130)))
    rows = "".join(f"{i},{100 + i % 30}\n" for i in range(300))
    (tmp_path / "person.csv").write_text("person_id,town_id\n" + rows)
    data = read(tmp_path)
    unit = "person.person_id"
    plan = plan_for(data, str(tmp_path), privacy=privacy_for(None, True), unit=unit)
    assert data_of(plan).tables == data.tables
    (tmp_path / "person.csv").write_text("person_id,town_id\n" + rows + "300,7\n")
    with pytest.raises(SourceError, match=r"1 of 301 rows of 'person' are orphans"):
        data_of(plan)
    person = plan.data.table("person")
    key = person.foreign_keys[0].model_copy(update={"orphans": "drop"})
    schema = plan.data.with_table(person.model_copy(update={"foreign_keys": (key,)}))
    assert data_of(plan.model_copy(update={"data": schema})).tables == data.tables
    town = schema.table("town").model_copy(update={"role": None})
    with pytest.raises(PlanError, match="table 'town': the unit's rows point at it"):
        data_of(plan.model_copy(update={"data": schema.with_table(town)}))
