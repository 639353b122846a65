"""Split, fit, sample, evaluate, attack, decide, bundle. DATA_OR_PLAN is a table or a plan.yaml.

Kill it at any moment and run it again: finished steps are kept, and answers that were paid for. An
answer that was being drawn when it died stays spent, and may end the run. Exits 0 on PASS, 3 on
FAIL, 4 on INCONCLUSIVE.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from understudy.cli.options import (
    Balance,
    Delimiter,
    Encoding,
    Epsilon,
    Json,
    Junit,
    NoDp,
    Nulls,
    Releases,
    Seed,
    Threads,
    parse_balance,
    positive,
    say_default,
)
from understudy.schema.plan import Source

if TYPE_CHECKING:
    from understudy.data import Dataset
    from understudy.pipeline.run import Run
    from understudy.schema.plan import Engine, Plan


def run(
    data_or_plan: Annotated[
        str,
        typer.Argument(
            help="CSV, Parquet, a folder of either, a database (postgresql://..., .sqlite, "
            ".duckdb), `-`, or a plan.yaml."
        ),
    ],
    no_dp: NoDp = False,
    epsilon: Epsilon = None,
    target: Annotated[str | None, typer.Option(help="The column to predict.")] = None,
    unit: Annotated[
        str | None,
        typer.Option(help="Column that names whom to protect; TABLE.COLUMN of a database."),
    ] = None,
    rows: Annotated[
        int | None, typer.Option("-n", "--rows", help="Rows to make; of a database units.")
    ] = None,
    balance: Balance = None,
    engine: Annotated[
        str, typer.Option(help="See `understudy engines`; `auto` lets them race (with --no-dp).")
    ] = "usual",
    seconds: Annotated[
        float | None, typer.Option(help="How long engines may race, in CPU time; 180.")
    ] = None,
    releases: Releases = None,
    seed: Seed = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; runs/NAME when not given.")] = None,
    to: Annotated[
        str | None,
        typer.Option(
            help="Database to write the rows to where they pass: postgresql://...?schema=NEW, or a "
            ".sqlite or .duckdb file."
        ),
    ] = None,
    junit: Junit = None,
    plan_only: Annotated[
        bool, typer.Option("--plan-only", help="Show the plan, do nothing.")
    ] = False,
    null: Nulls = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    threads: Threads = 1,
    json: Json = False,
) -> None:
    from understudy.cli.progress import shown
    from understudy.data.databases import is_database, parse_url
    from understudy.pipeline.costs import costs
    from understudy.pipeline.delivering import deliver, folder_name, refuse_target
    from understudy.pipeline.run import execute
    from understudy.pipeline.sourcing import streamed
    from understudy.release.white_box_lines import object_of
    from understudy.schema.plan import Engine, dump_plan, load_plan

    positive(rows)
    request: dict[str, Any] = {
        "target": target,
        "rows": rows,
        "seed": seed,
        "balance": parse_balance(balance),
    }
    if releases is not None:
        request["releases"] = object_of(releases)
    if to is not None:
        refuse_target(to)
    is_plan = data_or_plan.endswith((".yaml", ".yml")) and Path(data_or_plan).is_file()
    path, racing = data_or_plan, Engine(name=engine)
    if is_plan:
        path, racing = (found := load_plan(Path(data_or_plan))).source.path, found.engine
    if seconds is not None:
        racing = _racing(racing, seconds)
        request["engine"] = racing
    folder = out or Path("runs") / folder_name(path)
    with streamed(path, folder) as into:
        if is_plan:
            plan, data = _of_plan(Path(data_or_plan), epsilon, no_dp, request, into)
        else:
            address = str(parse_url(path)) if is_database(path) else path
            source = Source(
                path=address, nulls=tuple(null or ()), delimiter=delimiter, encoding=encoding
            )
            more = {**request, "engine": racing, "unit": unit}
            plan, data = _of_data(path, source, epsilon, no_dp, more, into)
        if plan_only:
            print(dump_plan(plan), end="")
            print(costs(plan), end="")
            return
        with shown() as progress:
            done = execute(plan, data, folder, progress=progress, workers=threads, by_plan=is_plan)
    told = {}
    if to is not None:
        passed = done.verdict.ruling == "PASS"
        kept = "nothing was written: the verdict keeps the rows back"
        told["database"] = deliver(done.folder, to) if passed else kept
    finish(done, json, junit, told)


def _racing(engine: Engine, seconds: float) -> Engine:
    """`engine`, which must be the race, with so much time."""
    from understudy.errors import EngineError
    from understudy.synthesizers.registry import AUTO

    if engine.name != AUTO:
        raise EngineError(
            f"--seconds is for a race, and engine {engine.name!r} runs alone. Take the engine auto "
            "(--engine, or `engine:` in the plan), or leave --seconds out."
        )
    return engine.model_copy(update={"options": {**engine.options, "seconds": seconds}})


def _of_plan(
    path: Path, epsilon: float | None, no_dp: bool, request: dict[str, Any], into: Path | None
) -> tuple[Plan, Dataset]:
    """The plan in a file, with what the command line says on top of it."""
    from understudy.pipeline.planning import data_of, privacy_for
    from understudy.schema.plan import load_plan

    plan = load_plan(path)
    changes = {k: v for k, v in request.items() if v is not None}
    if plan.privacy is None or epsilon is not None or no_dp:
        if plan.privacy is None:
            say_default(epsilon, no_dp)
        asked = privacy_for(epsilon, no_dp)
        both = plan.privacy is not None and plan.privacy.mode == asked.mode == "dp"
        changes["privacy"] = (
            plan.privacy.model_copy(update={"epsilon": epsilon}) if both else asked  # type: ignore[union-attr]
        )
    plan = plan.model_copy(update=changes)
    return plan, data_of(plan, into)


def _of_data(
    path: str,
    source: Source,
    epsilon: float | None,
    no_dp: bool,
    request: dict[str, Any],
    into: Path | None,
) -> tuple[Plan, Dataset]:
    """The plan that inference makes of a table or a database; `path` may hold a password."""
    from dataclasses import replace

    from understudy.data import read
    from understudy.pipeline.planning import plan_for, privacy_for, whole

    privacy = privacy_for(epsilon, no_dp)
    say_default(epsilon, no_dp)
    data = read(
        path,
        nulls=source.nulls,
        delimiter=source.delimiter,
        encoding=source.encoding,
        cell_by_cell=privacy.mode == "dp",
        into=into,
    )
    plan = plan_for(data, source.path, privacy=privacy, source=source, **request)
    return plan, whole(replace(data, schema=plan.data), plan)


def files_of(done: Run) -> dict[str, str]:
    """Where a run left what, for the last screen."""
    race = done.contents.get("race")
    return {
        **({"engine": race["sentence"]} if race else {}),
        "report": f"{done.folder}/report.html (internal: shows real aggregates)",
        "rows": f"{done.synthetic}/",
        "numbers": f"{done.folder}/scorecard.json",
        "bundle": f"{done.bundle}/" if done.bundle else "none: the verdict keeps it back",
    }


def finish(
    done: Run, json: bool, junit: Path | None, more: Mapping[str, str] | None = None
) -> None:
    """Prints the verdict and exits with its code."""
    from understudy.cli.verdict import EXIT, print_json, print_verdict, write_junit

    told = {**(more or {}), **({} if junit is None else write_junit(junit, done.as_dict()))}
    if json:
        print_json({"folder": str(done.folder), **done.as_dict()})
    else:
        print_verdict(done.verdict, {**files_of(done), **told})
    raise typer.Exit(EXIT[done.verdict.ruling])
