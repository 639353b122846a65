"""Split, fit, sample, evaluate, attack, decide, bundle. DATA_OR_PLAN is a table or a plan.yaml.

Kill it at any moment and run it again: finished steps are kept. Exits 0 on PASS, 3 on FAIL, 4 on
INCONCLUSIVE.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from understudy.cli.options import (
    Balance,
    Delimiter,
    Encoding,
    Epsilon,
    Json,
    NoDp,
    Nulls,
    Seed,
    Threads,
    parse_balance,
    positive,
    require_no_dp,
)


def run(
    data_or_plan: Annotated[str, typer.Argument(help="CSV, Parquet, `-`, or a plan.yaml.")],
    no_dp: NoDp = False,
    epsilon: Epsilon = None,
    target: Annotated[str | None, typer.Option(help="The column to predict.")] = None,
    unit: Annotated[str | None, typer.Option(help="Column that names whom to protect.")] = None,
    rows: Annotated[int | None, typer.Option("-n", "--rows", help="Rows to make.")] = None,
    balance: Balance = None,
    engine: Annotated[str, typer.Option(help="See `understudy engines`.")] = "tree",
    seed: Seed = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; runs/NAME when not given.")] = None,
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
    from understudy.data import read
    from understudy.data.files import table_name
    from understudy.pipeline.run import data_of, execute, plan_for
    from understudy.schema.plan import Source, dump_plan, load_plan

    positive(rows)
    is_plan = data_or_plan.endswith((".yaml", ".yml"))
    if is_plan and Path(data_or_plan).is_file():
        plan = load_plan(Path(data_or_plan))
        changes = {"target": target, "rows": rows, "seed": seed, "balance": parse_balance(balance)}
        plan = plan.model_copy(update={k: v for k, v in changes.items() if v is not None})
        if plan.privacy is None or epsilon is not None:
            require_no_dp(no_dp, epsilon)
            from understudy.schema.plan import Privacy

            plan = plan.model_copy(update={"privacy": Privacy()})
        data = data_of(plan)
    else:
        require_no_dp(no_dp, epsilon)
        data = read(data_or_plan, nulls=null or (), delimiter=delimiter, encoding=encoding)
        if len(data.schema.tables) > 1 and not plan_only:
            from understudy.errors import EngineError

            names = ", ".join(spec.name for spec in data.schema.tables)
            raise EngineError(
                f"this version generates one table at a time; {data_or_plan} has {names}. Name a file."
            )
        source = Source(
            path=data_or_plan, nulls=tuple(null or ()), delimiter=delimiter, encoding=encoding
        )
        plan = plan_for(
            data,
            data_or_plan,
            target=target,
            engine=engine,
            rows=rows,
            balance=parse_balance(balance),
            unit=unit,
            seed=seed,
            source=source,
        )
    if plan_only:
        print(dump_plan(plan), end="")
        return
    data = replace(data, schema=plan.data)
    folder = out or Path("runs") / table_name(Path(plan.source.path)).replace("-", "stdin")
    with shown() as progress:
        done = execute(plan, data, folder, progress=progress, workers=threads)
    finish(done, json)


def finish(done: object, json: bool, *, exit_code: int | None = None) -> None:
    """Prints the verdict and exits with its code."""
    from understudy.cli.verdict import EXIT, print_json, print_verdict
    from understudy.pipeline.run import Run

    assert isinstance(done, Run)
    files = {
        "report": f"{done.folder}/report.html (internal: shows real aggregates)",
        "rows": f"{done.synthetic}/",
        "numbers": f"{done.folder}/scorecard.json",
        "bundle": f"{done.bundle}/" if done.bundle else "none: the verdict keeps it back",
    }
    if json:
        print_json({"folder": str(done.folder), **done.as_dict()})
    else:
        print_verdict(done.verdict, files)
    raise typer.Exit(EXIT[done.verdict.ruling] if exit_code is None else exit_code)
