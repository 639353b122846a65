"""One engine on all rows given, without a split and without an audit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from understudy.cli.options import (
    Delimiter,
    Encoding,
    Epsilon,
    Json,
    NoDp,
    Nulls,
    Seed,
    Threads,
    say_default,
)


def fit(
    data: Annotated[str, typer.Argument(help="CSV, Parquet or `-`.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the model.")],
    engine: Annotated[str, typer.Option(help="See `understudy engines`.")] = "usual",
    no_dp: NoDp = False,
    epsilon: Epsilon = None,
    target: Annotated[str | None, typer.Option(help="The column to predict.")] = None,
    seed: Seed = None,
    null: Nulls = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    threads: Threads = 1,
    json: Json = False,
) -> None:
    from understudy.cli.progress import shown
    from understudy.cli.verdict import print_json
    from understudy.data import read
    from understudy.errors import RunFolderError
    from understudy.pipeline.fitting import fit_model
    from understudy.pipeline.planning import privacy_for
    from understudy.runtime.random import fresh_seed
    from understudy.synthesizers.registry import MODEL_FILE

    privacy = privacy_for(epsilon, no_dp)
    say_default(epsilon, no_dp)
    if out.exists() and not (out / MODEL_FILE).is_file():
        raise RunFolderError(f"{out} exists and is no model. Give --out a new folder.")
    seed = fresh_seed() if seed is None else seed
    rows = read(
        data,
        nulls=null or (),
        delimiter=delimiter,
        encoding=encoding,
        cell_by_cell=privacy.mode == "dp",
    )
    with shown() as progress:
        model = fit_model(
            rows,
            out,
            privacy=privacy,
            engine=engine,
            target=target,
            seed=seed,
            workers=threads,
            progress=progress,
        )
    if json:
        print_json({"model": str(out), "engine": model.engine, "seed": seed, "rows": model.rows})
        return
    print(f"{out}: {model.engine} fitted, seed {seed}.")
    if model.holds_training_values:
        print("INTERNAL: it holds training values.")
    print("No audit was made; `understudy run` makes one.")
