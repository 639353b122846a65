"""Opens a run's report, compares two runs, or draws several as privacy against usefulness.

`report RUN`, `report diff RUN_A RUN_B`, `report frontier RUN... -o FILE`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from understudy.errors import PlanError, RunFolderError


def report(
    words: Annotated[
        list[str], typer.Argument(help="RUN, or: diff RUN_A RUN_B, or: frontier RUN...")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Page that `frontier` writes.")] = Path(
        "frontier.html"
    ),
) -> None:
    if words[0] == "diff":
        _diff(words[1:])
    elif words[0] == "frontier":
        _frontier(words[1:], out)
    else:
        _open(Path(words[0]))


def _diff(runs: list[str]) -> None:
    from understudy.pipeline.finished import contents_of
    from understudy.release.comparison import as_text, compare

    if len(runs) != 2:
        raise PlanError("say which two runs: understudy report diff RUN_A RUN_B")
    a, b = (contents_of(Path(run)) for run in runs)
    print(as_text(compare(a, b), (runs[0], runs[1])))


def _frontier(runs: list[str], out: Path) -> None:
    from understudy.data.writing import whole
    from understudy.pipeline.finished import contents_of
    from understudy.release.report.frontier import page

    if not runs:
        raise PlanError("say which runs: understudy report frontier RUN_A RUN_B ... -o FILE")
    text = page({run: contents_of(Path(run)) for run in runs})
    whole(out, lambda path: path.write_text(text, encoding="utf-8"))
    print(f"{out.resolve()} (internal: shows figures of real rows)")


def _open(run: Path) -> None:
    page = run / "report.html"
    if not page.is_file():
        raise RunFolderError(f"{run} holds no report. Make one with: understudy run")
    print(page.resolve())
    if sys.stdout.isatty() and (os.environ.get("DISPLAY") or sys.platform in ("darwin", "win32")):
        import webbrowser

        webbrowser.open(page.resolve().as_uri())
