"""The main job on real records: the RAND Health Insurance Experiment; writes runs/demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from understudy.cli.options import Json, Threads

NOTES = (
    "Source: RAND Health Insurance Experiment (United States, 1974-1982), 20,190 person-years of "
    "people assigned at random to insurance plans; public domain, shipped with statsmodels.",
    "mdvis: visits to a doctor in the year (the target). lncoins: log of the coinsurance rate + 1. "
    "idp: has an individual deductible. lpi: log of the yearly participation payment. fmde: log of "
    "the maximum deductible. physlm: physical limitation. disea: number of chronic diseases. "
    "hlthg, hlthf, hlthp: health self-rated good, fair, poor.",
    "The person behind a person-year is not in the table, and 55 % of rows repeat an earlier one "
    "(years in which nothing changed, and people of the same family plan). Rows that several "
    "people share give nobody away; copies are judged on records that only one row holds, against "
    "what chance repeats of rows never seen.",
)


def demo(
    out: Annotated[Path, typer.Option(help="Run folder.")] = Path("runs/demo"),
    threads: Threads = 1,
    json: Json = False,
) -> None:
    from understudy.cli.progress import shown
    from understudy.cli.run import finish
    from understudy.data import Dataset, read
    from understudy.pipeline.planning import plan_for
    from understudy.pipeline.run import execute
    from understudy.schema.plan import NoPrivacy

    data: Dataset = read(_records(), name="randhie")
    plan = plan_for(
        data, "randhie (shipped with statsmodels)", privacy=NoPrivacy(), target="mdvis", seed=0
    )
    with shown() as progress:
        done = execute(
            plan,
            data,
            out,
            progress=progress,
            workers=threads,
            title="Understudies of 20,190 health-insurance records",
            notes=NOTES,
        )
    finish(done, json, exit_code=0)


def _records() -> object:
    from understudy.errors import MissingExtraError

    try:
        from statsmodels.datasets import randhie
    except ImportError:
        raise MissingExtraError.of("the demo", "demo") from None
    frame = randhie.load_pandas().data
    whole = [name for name in frame.columns if (frame[name] % 1 == 0).all()]
    return frame.astype(dict.fromkeys(whole, "int64"))
