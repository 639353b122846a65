"""Judges anybody's synthetic data: the same measures, attacks and gate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from understudy.cli.options import Delimiter, Encoding, Json, Junit, Nulls, Releases, Threads


def audit(
    train: Annotated[str, typer.Option(help="The rows the generator learnt from.")],
    synthetic: Annotated[str, typer.Option(help="The rows to judge.")],
    holdout: Annotated[
        str | None,
        typer.Option(help="Rows of the same people-pool it never saw; little is said without."),
    ] = None,
    reference: Annotated[
        str | None, typer.Option(help="A third real sample; part of the holdout when not given.")
    ] = None,
    target: Annotated[str | None, typer.Option(help="The column to predict.")] = None,
    unit: Annotated[str | None, typer.Option(help="Column that names whom to protect.")] = None,
    group: Annotated[
        list[str] | None, typer.Option(help="Rows to judge separately, as a condition; repeatable.")
    ] = None,
    releases: Releases = None,
    protocol: Annotated[
        str | None,
        typer.Option(help="`tabsyn`: the figures of the TabSyn papers instead of a verdict."),
    ] = None,
    null: Nulls = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Folder for the report.")] = None,
    junit: Junit = None,
    threads: Threads = 1,
    json: Json = False,
) -> None:
    from understudy.cli.progress import shown
    from understudy.cli.verdict import EXIT, print_json, print_verdict, write_junit
    from understudy.errors import PlanError
    from understudy.pipeline.audit import audit as judge
    from understudy.release.white_box_lines import object_of

    spelled = {"nulls": tuple(null or ()), "delimiter": delimiter, "encoding": encoding}
    if protocol is not None:
        if junit is not None:
            raise PlanError("--protocol gives figures and no verdict: it has no lines for --junit.")
        _papers_figures(protocol, (train, holdout, synthetic), target, spelled, json)
        return
    with shown() as progress:
        done = judge(
            train,
            holdout,
            synthetic,
            reference,
            target=target,
            unit=unit,
            groups=tuple(group or ()),
            releases=object_of(releases or "data"),
            progress=progress,
            **spelled,
        )
    files = {}
    if out is not None:
        import json as plain

        from understudy.data.writing import whole
        from understudy.release.report import render

        page = render({**done.contents, "leaked": done.leaked}, public=False)
        whole(out / "report.html", lambda p: p.write_text(page, encoding="utf-8"))
        whole(out / "scorecard.json", lambda p: p.write_text(plain.dumps(done.contents)))
        files = {"report": f"{out}/report.html (internal: shows real aggregates)"}
    if junit is not None:
        files |= write_junit(junit, done.as_dict())
    if json:
        print_json(done.as_dict())
    else:
        print_verdict(done.verdict, files)
    raise typer.Exit(EXIT[done.verdict.ruling])


def _papers_figures(
    protocol: str,
    tables: tuple[str, str | None, str],
    target: str | None,
    spelled: dict[str, Any],
    json: bool,
) -> None:
    """Prints what papers report, so that figures can be set side by side."""
    from understudy.cli.verdict import print_json
    from understudy.errors import PlanError, suggest
    from understudy.pipeline.audit import tabsyn

    if protocol != "tabsyn":
        raise PlanError(f"no protocol called {protocol!r}. {suggest(protocol, ['tabsyn'])}")
    found = tabsyn(*tables, target=target, **spelled)
    if json:
        print_json(found)
        return
    for measure in found["measures"]:
        told = f"{measure['name']:<28} {measure['value']:>10.4f}"
        real = measure.get("floor")
        print(told + (f"   real rows in its place {real:.4f}" if real is not None else ""))
