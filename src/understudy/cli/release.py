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
    to: Annotated[
        str | None, typer.Option(help="Database to write the rows to as well; see `run --to`.")
    ] = None,
    json: Json = False,
) -> None:
    from understudy.cli.verdict import print_json
    from understudy.pipeline.delivering import deliver, refuse_target
    from understudy.pipeline.finished import contents_of, rows_of, thresholds_of
    from understudy.release.bundle import build

    if to is not None:
        refuse_target(to)
    contents = contents_of(run)
    rows, bounds = rows_of(run), thresholds_of(run)
    files = build(run / "bundle", rows, contents, override=override, thresholds=bounds)
    place = None if to is None else deliver(run, to, override)
    if json:
        print_json(
            {"bundle": str(run / "bundle"), "files": [str(file) for file in files], "to": place}
        )
        return
    print(f"{run / 'bundle'}: {len(files)} files, verdict {contents['verdict']['ruling']}.")
    if place is not None:
        print(f"{place}: the same rows.")
