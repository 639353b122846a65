"""Rows from a fitted model: as many as asked, under conditions, with shares as asked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from understudy.cli.options import Balance, Json, Seed, Threads, parse_balance, positive


def sample(
    model: Annotated[Path, typer.Argument(help="Folder of a model or of a run.")],
    out: Annotated[
        str,
        typer.Option(
            "-o",
            "--out",
            help="CSV or Parquet file; of a database a folder, a URL or a .sqlite or .duckdb file.",
        ),
    ],
    rows: Annotated[int, typer.Option("-n", "--rows", help="Rows to make.")] = 1000,
    where: Annotated[
        str | None, typer.Option(help="SQL: comparisons, IN, BETWEEN, IS [NOT] NULL, AND.")
    ] = None,
    balance: Balance = None,
    seed: Seed = None,
    threads: Threads = 1,
    json: Json = False,
) -> None:
    from understudy.cli.verdict import print_json
    from understudy.data import write
    from understudy.pipeline.models import load

    positive(rows)
    made = load(model).sample(
        rows, where=where, balance=parse_balance(balance), seed=seed, workers=threads
    )
    place = str(write(made, out))
    if json:
        columns = {name: table.column_names for name, table in made.tables.items()}
        shown = next(iter(columns.values())) if len(columns) == 1 else columns
        print_json({"file": place, "rows": made.num_rows, "columns": shown})
    else:
        print(f"{place}: {made.num_rows:,} rows. They were not audited; a run's own rows are.")
