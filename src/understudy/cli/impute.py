"""Missing cells filled from a fitted model, given the cells that are there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from understudy.cli.options import Delimiter, Encoding, Json, Nulls, Seed


def impute(
    model: Annotated[Path, typer.Argument(help="Folder of a model or of a run.")],
    data: Annotated[str, typer.Argument(help="CSV, Parquet or `-`, with the model's columns.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="CSV or Parquet file.")],
    seed: Seed = None,
    null: Nulls = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    json: Json = False,
) -> None:
    from understudy.cli.verdict import print_json
    from understudy.data import write
    from understudy.pipeline.models import imputed

    made, cells, left = imputed(
        model, data, seed=seed, nulls=null or (), delimiter=delimiter, encoding=encoding
    )
    write(made, out)
    if json:
        print_json({"file": str(out), "rows": made.num_rows, "filled": cells, "missing": left})
        return
    print(f"{out}: {cells:,} missing cells filled, {left:,} left (identifiers, text, rules).")
    print("Cells that were there are real: the file is as private as the data.")
