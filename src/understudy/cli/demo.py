"""Real health-insurance records, twice: without a guarantee, then with one; writes runs/demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from understudy.cli.options import Json, Threads

if TYPE_CHECKING:
    from understudy.data import Dataset
    from understudy.pipeline.run import Run
    from understudy.schema.plan import Privacy

EPSILON = 3.0
TARGET = "visits"
SOURCE = "randhie (shipped with statsmodels)"
NOTES = (
    "Source: RAND Health Insurance Experiment (United States, 1974-1982), 20,190 person-years of "
    "people assigned at random to insurance plans; public domain, shipped with statsmodels.",
    "visits: to a doctor in the year (the target). coinsurance: per cent of the bill paid by the "
    "person. deductible: whether the plan has an individual one. payment: yearly incentive to take "
    "part, in dollars. fmde: log of the maximum deductible. limitation: physical. chronic: index "
    "of chronic diseases. health: as rated by the person. The published logarithms and one-hot "
    "columns are undone.",
    "The published table does not name people, but their years follow one another: runs of equal "
    "person-years come in threes and fives, the two terms of enrolment, and are taken for one "
    "person. All years of a person are on one side of the split, and attacks look for people.",
)


def demo(
    out: Annotated[Path, typer.Option(help="Run folder.")] = Path("runs/demo"),
    threads: Threads = 1,
    json: Json = False,
) -> None:
    from understudy.cli.verdict import print_json
    from understudy.schema.plan import DifferentialPrivacy, NoPrivacy

    data = records()
    first = _act(data, out / "without", NoPrivacy(), threads)
    budget = DifferentialPrivacy(epsilon=EPSILON, rows_per_unit=5)
    second = _act(data, out / "with", budget, threads)
    if json:
        acts = {"without": first, "with": second}
        print_json({name: {"folder": str(a.folder), **a.as_dict()} for name, a in acts.items()})
        return
    _tell("1. Without a guarantee: the tree engine, and what the attacks say of it.", first)
    _tell(f"2. With one: epsilon {EPSILON:g} for each person with all their years.", second)


def _act(data: Dataset, folder: Path, privacy: Privacy, threads: int) -> Run:
    from dataclasses import replace

    from understudy.cli.progress import shown
    from understudy.pipeline.planning import plan_for
    from understudy.pipeline.run import execute

    plan = plan_for(data, SOURCE, privacy=privacy, target=TARGET, unit="person", seed=0)
    planned = replace(data, schema=plan.data)
    title = "Understudies of health-insurance records"
    with shown() as progress:
        return execute(
            plan, planned, folder, progress=progress, workers=threads, title=title, notes=NOTES
        )


def _tell(heading: str, done: Run) -> None:
    from understudy.cli.run import files_of
    from understudy.cli.verdict import print_verdict

    print(f"\n{heading}\n")
    print_verdict(done.verdict, files_of(done))


def records() -> Dataset:
    """The person-years, in the units a person would use."""
    import numpy as np

    from understudy.data import read
    from understudy.errors import MissingExtraError

    try:
        from statsmodels.datasets import randhie
    except ImportError:
        raise MissingExtraError.of("the demo", "demo") from None
    raw = randhie.load_pandas().data
    fixed = raw.drop(columns="mdvis").to_numpy()
    person = np.cumsum(np.r_[True, (fixed[1:] != fixed[:-1]).any(axis=1)])
    rated = [raw[name] > 0 for name in ("hlthp", "hlthf", "hlthg")]
    columns: dict[str, Any] = {
        "person": [f"P-{number:05d}" for number in person],
        "visits": raw["mdvis"].astype("int64"),
        "coinsurance": np.expm1(raw["lncoins"]).round().astype("int64"),
        "deductible": raw["idp"] > 0,
        "payment": np.where(raw["lpi"] > 0, np.exp(raw["lpi"]), 0).round().astype("int64"),
        "fmde": raw["fmde"].round(2),
        "limitation": raw["physlm"] > 0.5,
        "chronic": raw["disea"].round(1),
        "health": np.select(rated, ["poor", "fair", "good"], "excellent"),
    }
    return read(type(raw)(columns), name="randhie")
