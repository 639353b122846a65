"""Opens a run's report (`report RUN`), or compares two runs (`report diff A B`)."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from understudy.errors import PlanError, RunFolderError


def report(
    words: Annotated[list[str], typer.Argument(help="RUN, or: diff RUN_A RUN_B")],
) -> None:
    if words[0] == "diff":
        if len(words) != 3:
            raise PlanError("say which two runs: understudy report diff RUN_A RUN_B")
        from understudy.pipeline.finished import contents_of
        from understudy.release.comparison import as_text, compare

        a, b = (contents_of(Path(word)) for word in words[1:])
        print(as_text(compare(a, b), (words[1], words[2])))
        return
    page = Path(words[0]) / "report.html"
    if not page.is_file():
        raise RunFolderError(f"{words[0]} holds no report. Make one with: understudy run")
    print(page.resolve())
    if sys.stdout.isatty() and (os.environ.get("DISPLAY") or sys.platform in ("darwin", "win32")):
        import webbrowser

        webbrowser.open(page.resolve().as_uri())
