"""Writes the bundle of a run that did not pass, stamped with its verdict and the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from understudy.cli.options import Json


def release(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    override: Annotated[
        str | None, typer.Option(help="Why it may leave all the same; stamped onto everything.")
    ] = None,
    json: Json = False,
) -> None:
    from understudy.cli.verdict import print_json
    from understudy.pipeline.finished import contents_of, rows_of, thresholds_of
    from understudy.release.bundle import build

    contents = contents_of(run)
    rows, bounds = rows_of(run), thresholds_of(run)
    files = build(run / "bundle", rows, contents, override=override, thresholds=bounds)
    if json:
        print_json({"bundle": str(run / "bundle"), "files": [str(file) for file in files]})
        return
    print(f"{run / 'bundle'}: {len(files)} files, verdict {contents['verdict']['ruling']}.")
