"""Replay from the file on: one row more, answers frozen, and all that may leave is equal.

Replay of engines begins with a dataset in memory. What a reader finds out about a whole file (a
type, a spelling, a format, a dialect) happens before, so here the neighbours are files.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from understudy.data import read, split
from understudy.pipeline import private
from understudy.pipeline.finished import rows_of
from understudy.pipeline.planning import data_of, plan_for, privacy_for
from understudy.pipeline.run import Journey, execute
from understudy.pipeline.store import RunStore
from understudy.privacy.budget import Budget
from understudy.privacy.events import dump_event
from understudy.privacy.replay_sessions import FrozenSession, RecordingSession
from understudy.release.bundle import build
from understudy.release.disclosure import public_view
from understudy.release.thresholds import DEFAULTS
from understudy.runtime.progress import silent
from understudy.schema import Datetime
from understudy.schema.plan import Plan, Source, dump_plan, load_plan

ROWS = 400
HEADER = "age,income,share,region,code,ill,born,seen,price"
NASTY = {
    "no numbers": 'old,much,"1,5",north,x,maybe,soon,then,dear',
    "decimals among whole numbers": "30.5,1.1234567,.5,north,1.5,true,01.02.1980,2020-01-02,9.999",
    "leading zeros": "007,00.5,0.10,007,007,1,01.02.1980,2020-01-02,01.00",
    "beyond 64 bits": f"{10**30},1e400,-1e-400,south,{10**20},false,01.02.1980,9999-12-31,1e30",
    "nan and infinity": "nan,inf,-inf,nan,0,true,01.02.1980,2020-01-02,nan",
    "nothing at all": ",,,,,,,,",
    "a date the other way round": "30,1.5,0.5,north,5,true,12.31.1980,02/01/2020,2.50",
    "a time of day": "30,1.5,0.5,north,5,true,01.02.1980,2020-01-02 10:11:12.131415,2.50",
    "other delimiters": '30,1.5,0.5,"a;b;c;d\te|f",5,true,01.02.1980,2020-01-02,2.50',
    "bytes that are no text": "30,1.5,0.5,\udcff\udcfe,5,true,01.02.1980,2020-01-02,2.50",
    "a new word": "30,1.5,0.5,elsewhere,5,TRUE,01.02.1980,2020-01-02,2.50",
}


@pytest.fixture(scope="module")
def rows() -> list[str]:
    rng = np.random.default_rng(3)
    made = []
    for _ in range(ROWS):
        day, age = f"{rng.integers(1, 29):02d}", rng.integers(18, 90)
        made.append(
            f"{age},{np.exp(rng.normal(10, 1)):.2f},{rng.random():.3f},"
            f"{('north', 'south', 'east')[rng.integers(3)]},{rng.integers(1, 9)},"
            f"{'true' if rng.random() < age / 120 else 'false'},"
            f"{day}.{rng.integers(1, 13):02d}.{rng.integers(1930, 2005)},2020-03-{day},"
            f"{rng.integers(1, 999) / 4:.2f}"
        )
    return made


def written(path: Path, rows: list[str]) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes("\n".join([HEADER, *rows, ""]).encode("utf-8", "surrogateescape"))
    return path


@pytest.fixture(scope="module")
def plan(rows: list[str], tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """What `inspect` writes and a person accepts, through its file and back."""
    folder = tmp_path_factory.mktemp("plan")
    path = written(folder / "people.csv", rows)
    data = read(str(path))
    assert any(isinstance(c, Datetime) and c.format for c in data.schema.table().columns)
    made = Plan(source=Source(path=str(path)), data=data.schema, privacy=privacy_for(8, False))
    made = made.model_copy(update={"target": "ill", "seed": 4})
    (folder / "plan.yaml").write_text(dump_plan(made))
    return load_plan(folder / "plan.yaml")


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Puts the session given here in the ledger's place."""
    sessions: list[Any] = []

    @contextmanager
    def opened(*_: Any, **__: Any) -> Iterator[Any]:
        yield sessions[-1]

    def stated(session: Any, public: dict[str, str], model: Any) -> dict[str, Any]:
        budget = {"epsilon": 8.0, "delta": 1e-6}
        told = {"unit": "row", **budget, "budget": budget, "assumptions": [], "relation": "add"}
        told |= {"tpr_at_fpr": [{"fpr": 0.01, "tpr": 0.9}], "curve": [], "rows_per_unit": 1}
        told |= {"accountant": {"method": "", "because": None, "dp_accounting": ""}}
        # What a real ledger would say of these rows and not of their neighbours.
        luck = secrets.token_hex(4)
        told |= {"dataset": luck, "all_runs": {"spent": secrets.randbelow(99) / 10, "cap": 10.0}}
        told["events"] = [
            {
                "query": "",
                "event": json.loads(dump_event(event)),
                "entry": secrets.randbelow(10**6),
                "hash": luck,
                "time": luck,
            }
            for event in session.spent
        ]
        told["public"] = [{"what": what, "from": source} for what, source in public.items()]
        return {"mode": "dp", "sentence": "", "statement": told}

    monkeypatch.setattr(private, "opened", opened)
    monkeypatch.setattr(private, "stated", stated)
    monkeypatch.setattr(private, "write_card", lambda *_: None)
    monkeypatch.setattr(RunStore, "coins", 99)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    return sessions


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def learnt(plan: Plan, file: Path, folder: Path) -> dict[str, bytes]:
    """The model, the rows drawn, and what is said of what was paid, of one file."""
    plan = plan.model_copy(update={"source": Source(path=str(file))})
    data = data_of(plan)
    store = RunStore(folder, "test")
    journey = Journey(plan, data, store, DEFAULTS, silent, 1, True)
    try:
        journey._fit(split(data, seed=store.coins, alone=True))
        journey._sample()
    finally:
        store.close()
    places = ("model", "synthetic", "work")
    found = {f"{p}/{name}": raw for p in places for name, raw in contents(folder / p).items()}
    paid = public_view({"privacy": json.loads(found.pop("work/privacy.json"))})["privacy"]
    return {**found, "privacy": json.dumps(paid).encode()}


@pytest.mark.parametrize("name", NASTY)
def test_one_row_more_in_the_file_changes_nothing_but_answers(
    name: str, rows: list[str], plan: Plan, frozen: list[Any], tmp_path: Path
) -> None:
    record = RecordingSession(Budget(8.0, 1e-6), seed=1)
    frozen.append(record)
    before = learnt(plan, written(tmp_path / "a" / "people.csv", rows), tmp_path / "run a")
    frozen.append(FrozenSession(record.budget, record))
    file = written(tmp_path / "b" / "people.csv", [*rows, NASTY[name]])
    after = learnt(plan, file, tmp_path / "run b")
    frozen[-1].finish()
    assert not frozen[-1].differences
    assert before == after


def test_the_bundle_of_a_neighbour_is_the_same(
    rows: list[str], plan: Plan, frozen: list[Any], tmp_path: Path
) -> None:
    """All that leaves, whatever the ledger knows of either source."""
    record = RecordingSession(Budget(8.0, 1e-6), seed=1)
    bundles = []
    for place, more in (("a", []), ("b", list(NASTY.values())[:1])):
        frozen.append(FrozenSession(record.budget, record) if bundles else record)
        file = written(tmp_path / place / "people.csv", [*rows, *more])
        here = plan.model_copy(update={"source": Source(path=str(file))})
        run = execute(here, data_of(here), tmp_path / f"run {place}", by_plan=True)
        told = {**run.contents, "verdict": {**run.contents["verdict"], "ruling": "PASS"}}
        build(tmp_path / f"bundle {place}", rows_of(run.folder), told)
        files = contents(tmp_path / f"bundle {place}")
        bundles.append(files)
    assert bundles[0] == bundles[1]


def test_without_a_plan_the_types_that_were_found_are_said_to_be_assumed() -> None:
    data = read(pa.table({"age": [1, 2, 3], "name": ["x", "y", "z"]}))
    plan = plan_for(data, "people.csv", privacy=privacy_for(1, False))
    assert [column.stored for column in plan.data.table().columns] == ["int64", "string"]
    public = private.declared(plan.data, plan.privacy, by_plan=False)  # type: ignore[arg-type]
    assert (
        "assumed" in public["names, kinds (and forms of identifiers) and storage types of columns"]
    )
