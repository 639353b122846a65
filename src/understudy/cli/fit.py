"""One engine on all rows given; the model's folder is internal, it holds training values."""

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
    require_no_dp,
)


def fit(
    data: Annotated[str, typer.Argument(help="CSV, Parquet or `-`.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the model.")],
    engine: Annotated[str, typer.Option(help="See `understudy engines`.")] = "tree",
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
    from understudy.runtime.random import fresh_seed
    from understudy.synthesizers.registry import MODEL_FILE, create

    require_no_dp(no_dp, epsilon)
    if out.exists() and not (out / MODEL_FILE).is_file():
        raise RunFolderError(f"{out} exists and is no model. Give --out a new folder.")
    seed = fresh_seed() if seed is None else seed
    made = create(engine, target=target, seed=seed, workers=threads)
    rows = read(data, nulls=null or (), delimiter=delimiter, encoding=encoding)
    with shown() as progress:
        model = made.fit(rows, progress=progress)  # type: ignore[call-arg]
    model.save(out)
    if json:
        print_json({"model": str(out), "engine": engine, "seed": seed, "rows": rows.num_rows})
        return
    print(f"{out}: {engine} fitted on {rows.num_rows:,} rows, seed {seed}.")
    print("INTERNAL: it holds training values. No audit was made; `understudy run` makes one.")
