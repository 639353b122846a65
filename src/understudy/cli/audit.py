"""Judges anybody's synthetic data: the same measures, attacks and gate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from understudy.cli.options import Json, Threads


def audit(
    train: Annotated[str, typer.Option(help="The rows the generator learnt from.")],
    holdout: Annotated[str, typer.Option(help="Rows of the same people-pool it never saw.")],
    synthetic: Annotated[str, typer.Option(help="The rows to judge.")],
    reference: Annotated[
        str | None, typer.Option(help="A third real sample; part of the holdout when not given.")
    ] = None,
    target: Annotated[str | None, typer.Option(help="The column to predict.")] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Folder for the report.")] = None,
    threads: Threads = 1,
    json: Json = False,
) -> None:
    from understudy.cli.progress import shown
    from understudy.cli.verdict import EXIT, print_json, print_verdict
    from understudy.pipeline.audit import audit as judge

    with shown() as progress:
        done = judge(train, holdout, synthetic, reference, target=target, progress=progress)
    files = {}
    if out is not None:
        import json as plain

        from understudy.data.writing import whole
        from understudy.release.report import render

        page = render(done.contents, public=False)
        whole(out / "report.html", lambda p: p.write_text(page, encoding="utf-8"))
        whole(out / "scorecard.json", lambda p: p.write_text(plain.dumps(done.contents)))
        files = {"report": f"{out}/report.html (internal: shows real aggregates)"}
    if json:
        print_json(done.as_dict())
    else:
        print_verdict(done.verdict, files)
    raise typer.Exit(EXIT[done.verdict.ruling])
