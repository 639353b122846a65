"""The last screen: the ruling, its lines, where the files are."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from understudy.contracts import Verdict

EXIT = {"PASS": 0, "FAIL": 3, "INCONCLUSIVE": 4}
COLOUR = {"PASS": "green", "FAIL": "red", "INCONCLUSIVE": "yellow", "INFO": "cyan"}


def print_verdict(verdict: Verdict, files: dict[str, str]) -> None:
    from rich.console import Console
    from rich.panel import Panel
    from rich.table import Table

    console = Console()
    colour = COLOUR[verdict.ruling]
    console.print(
        Panel(verdict.because, title=f"[bold]{verdict.ruling}[/bold]", border_style=colour)
    )
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("line", "ruling", "what was found"):
        table.add_column(name)
    for line in verdict.lines:
        table.add_row(line.name, f"[{COLOUR[line.ruling]}]{line.ruling}[/]", line.detail)
    console.print(table)
    for what, where in files.items():
        console.print(f"{what:<9} {where}", markup=False, highlight=False)


def write_junit(path: Path, contents: Mapping[str, Any]) -> dict[str, str]:
    """Leaves the gate's lines for continuous integration; the file's line for the last screen."""
    from understudy.data.writing import whole
    from understudy.release.junit import junit

    text = junit(contents)
    whole(path, lambda place: place.write_text(text, encoding="utf-8"))
    return {"junit": f"{path} (internal)"}


def print_json(content: Any) -> None:
    json.dump(content, sys.stdout, ensure_ascii=False, default=str)
    print()
