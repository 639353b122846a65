"""End to end on a real table: a verdict, reports, a bundle only after PASS, and what follows it."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.conftest import REAL_DATA
from understudy import audit, load, read, synthesize
from understudy.data import write
from understudy.data.splitting import split
from understudy.errors import ReleaseError, RunFolderError, SourceError
from understudy.pipeline import Run
from understudy.pipeline.finished import contents_of, rows_of
from understudy.release.bundle import build
from understudy.release.comparison import as_text, compare

ROWS = 4000
LINES = 11


@dataclass(frozen=True)
class Journey:
    """A run on 4,000 people of the census, and where its source is."""

    source: Path
    run: Run


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Journey:
    table = REAL_DATA / "adult" / "train.csv.gz"
    if not table.is_file():
        pytest.skip(f"the adult table is not on this machine ({table})")
    folder = tmp_path_factory.mktemp("adult")
    with gzip.open(table, "rt") as lines:
        head = [next(lines) for _ in range(ROWS + 1)]
    (folder / "adult.csv").write_text("".join(head).replace("?", ""))
    run = synthesize(folder / "adult.csv", no_dp=True, target="income", seed=5, out=folder / "run")
    return Journey(folder / "adult.csv", run)


def _pages(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def _rows(table: pa.Table) -> list[tuple[Any, ...]]:
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def test_there_is_a_verdict_and_the_worst_line_decided(journey: Journey) -> None:
    verdict = journey.run.verdict
    rulings = {line.ruling for line in verdict.lines}
    worst = next(r for r in ("FAIL", "INCONCLUSIVE", "PASS") if r in rulings)
    assert verdict.ruling == worst
    assert len(verdict.lines) >= LINES
    decided = [line.detail for line in verdict.lines if line.ruling == worst]
    assert any(detail.casefold() in verdict.because.casefold() for detail in decided)


def test_a_bundle_is_there_only_after_pass(journey: Journey) -> None:
    assert (journey.run.bundle is not None) == (journey.run.verdict.ruling == "PASS")


def test_the_rows_have_the_form_of_the_source_and_none_of_its_people(journey: Journey) -> None:
    real, made = read(journey.source).table, rows_of(journey.run.folder).table
    assert made.schema.remove_metadata() == real.schema
    assert made.num_rows == round(0.7 * ROWS)
    people = set(map(tuple, _rows(real)))
    copies = sum(row in people for row in _rows(made))
    assert copies <= 0.01 * made.num_rows


def test_two_reports_and_only_the_internal_one_shows_the_real(
    journey: Journey, tmp_path: Path
) -> None:
    """A level that no synthetic row has stands in the internal report alone."""
    internal = (journey.run.folder / "report.html").read_text(encoding="utf-8")
    contents = contents_of(journey.run.folder)
    files = build(
        tmp_path / "bundle", rows_of(journey.run.folder), contents, override="to be looked at"
    )
    assert [str(f.relative_to(tmp_path / "bundle")) for f in files] == [
        "data/adult.parquet", "certificate.json", "card.md", "report.html",
    ]  # fmt: skip
    public = "".join(
        (tmp_path / "bundle" / name).read_text(encoding="utf-8")
        for name in ("report.html", "card.md", "certificate.json")
    )
    real, made = read(journey.source).table, rows_of(journey.run.folder).table
    unseen = [
        level
        for name in ("native.country", "occupation", "workclass", "education", "marital.status")
        for level in pc.unique(real[name].drop_null()).to_pylist()
        if level not in set(made[name].to_pylist())
    ]
    assert unseen, "some country is rare enough to be missed"
    assert not [level for level in unseen if level in public]
    assert "adult" in internal
    assert len(internal) > len((tmp_path / "bundle" / "report.html").read_text()) / 2


def test_values_of_exposed_people_stay_in_the_internal_report(journey: Journey) -> None:
    folder = journey.run.folder
    shown = json.loads((folder / "work" / "leaked.json").read_text(encoding="utf-8"))
    assert shown["records"]
    assert 'class="masked"' in (folder / "report.html").read_text(encoding="utf-8")
    for path in folder.rglob("*.json"):
        if path.name != "leaked.json":
            assert "leaked" not in json.loads(path.read_text(encoding="utf-8")), path
            assert '"synthetic": "' not in path.read_text(encoding="utf-8"), path
    assert "leaked" not in journey.run.as_dict()
    assert "leaked" not in json.dumps(journey.run.as_dict()["battery"])


def test_an_override_is_stamped_and_asked_for(journey: Journey, tmp_path: Path) -> None:
    contents = contents_of(journey.run.folder)
    failed = {**contents, "verdict": {**contents["verdict"], "ruling": "FAIL"}}
    with pytest.raises(ReleaseError, match="its verdict is FAIL"):
        build(tmp_path / "bundle", rows_of(journey.run.folder), failed)
    assert _pages(tmp_path) == []
    build(tmp_path / "bundle", rows_of(journey.run.folder), failed, override="board's decision 7")
    for name in ("report.html", "card.md", "certificate.json"):
        text = (tmp_path / "bundle" / name).read_text(encoding="utf-8")
        assert "decision 7" in text, name


def test_the_audit_of_the_same_rows_comes_to_the_same_figures(
    journey: Journey, tmp_path: Path
) -> None:
    parts = split(read(journey.source), seed=5)
    paths = {}
    for role in ("train", "holdout", "reference"):
        paths[role] = write(getattr(parts, role), tmp_path / f"{role}.parquet")
    made = write(rows_of(journey.run.folder), tmp_path / "synthetic.parquet")
    judged = audit(
        paths["train"], paths["holdout"], made, paths["reference"], target="income", seed=5
    )
    ours = {line.name: (line.ruling, line.value) for line in journey.run.verdict.lines}
    theirs = {line.name: (line.ruling, line.value) for line in judged.verdict.lines}
    assert theirs == ours


def test_an_audit_catches_the_source_sold_as_synthetic(journey: Journey, tmp_path: Path) -> None:
    parts = split(read(journey.source), seed=5)
    judged = audit(parts.train.table, parts.holdout.table, parts.train.table, target="income")
    assert judged.verdict.ruling == "FAIL"


def test_the_model_answers_conditions_and_balance(journey: Journey) -> None:
    model = load(journey.run.folder)
    where = model.sample(300, where="age > 60 AND sex = 'Female'", seed=1).table
    assert where.num_rows == 300
    assert pc.all(pc.greater(where["age"], 60)).as_py()
    assert set(where["sex"].to_pylist()) == {"Female"}
    even = model.sample(1000, balance={"income": "uniform"}, seed=1).table
    rich = pc.sum(pc.equal(even["income"], ">50K")).as_py()
    assert rich == pytest.approx(500, abs=2)
    assert even.column_names[-1] == "weight"
    assert model.sample(50, seed=2).table.equals(model.sample(50, seed=2, workers=2).table)


def test_two_runs_compare(journey: Journey) -> None:
    contents = contents_of(journey.run.folder)
    told = as_text(compare(contents, contents), ("a", "b"))
    assert journey.run.verdict.ruling in told
    with pytest.raises(RunFolderError, match="holds no finished run"):
        contents_of(journey.source.parent)


def test_the_scorecard_is_plain_json_with_floors(journey: Journey) -> None:
    card = json.loads((journey.run.folder / "scorecard.json").read_text())
    for measured in card["scorecard"]["measurements"].values():
        assert {"value", "low", "high", "floor", "n", "meaning"} <= set(measured)


def test_the_keys_of_a_run_stay_keys(tmp_path: Path) -> None:
    """Every row its own number, none of a real person's, learnt from or held out."""
    table = tmp_path / "visits.csv"
    lines = [f"{1000 + 2 * i},{i % 7},{'abc'[i % 3]}" for i in range(3000)]
    table.write_text("\n".join(["visit_id,count,kind", *lines]) + "\n")
    run = synthesize(table, no_dp=True, seed=1, out=tmp_path / "run")
    made = pq.read_table(run.synthetic / "visits.parquet")["visit_id"].to_pylist()
    assert not set(made) & {1000 + 2 * i for i in range(3000)}
    assert len(set(made)) == len(made)


def test_an_engine_gets_only_the_options_that_it_takes(tmp_path: Path) -> None:
    rows = pa.table({"a": [i % 7 for i in range(600)], "b": [str(i % 5) for i in range(600)]})
    run = synthesize(rows, no_dp=True, engine="marginals", seed=1, out=tmp_path / "run", workers=2)
    assert run.contents["engine"]["name"] == "marginals"


def test_a_few_cells_that_cannot_be_are_a_finding_and_many_a_refusal() -> None:
    """A generator writes `_RARE_` for some days; nobody's audit should end with that."""
    days = [f"2020-01-{1 + i % 28:02d}" for i in range(400)]
    real = pa.table({"day": pa.array(days).cast(pa.date32()), "n": [i % 9 for i in range(400)]})
    odd = pa.table({"day": ["_RARE_", *days[1:]], "n": real["n"]})
    found = audit(train=real.slice(0, 200), holdout=real.slice(200), synthetic=odd)
    assert found.contents["validity"]["problems"][0] == (
        "column 'day' has 1 cells that are no date32[day]"
    )
    assert found.verdict.ruling == "FAIL"
    with pytest.raises(SourceError, match="cannot be read as that"):
        audit(train=real, synthetic=pa.table({"day": ["_RARE_"] * 400, "n": real["n"]}))
