"""Planted leaks must be caught, harmless tables must pass; exit code 3 on any miss."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from understudy.cli.options import Json, Threads

MISSED = 3


def selfcheck(
    fast: Annotated[bool, typer.Option("--fast", help="Fewer cases and rows; a minute.")] = False,
    threads: Threads = 1,
    json: Json = False,
) -> None:
    from understudy.cli.progress import shown
    from understudy.cli.verdict import print_json
    from understudy.selfcheck import selfcheck as check

    with shown() as progress:
        outcomes = list(check(fast=fast, progress=progress))
    if json:
        cases = [outcome.as_dict() for outcome in outcomes]
        print_json({"ok": all(outcome.ok for outcome in outcomes), "cases": cases})
    else:
        _print(outcomes)
    raise typer.Exit(0 if all(outcome.ok for outcome in outcomes) else MISSED)


def _print(outcomes: list[Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("case", "planted", "expected", "said", "deciding line"):
        table.add_column(name)
    for outcome in outcomes:
        expected = " or ".join(outcome.case.expected)
        said = f"[green]{outcome.ruling}[/]" if outcome.ok else f"[red]{outcome.ruling}[/]"
        because = f"{outcome.line}: {outcome.because}"
        if outcome.misses:
            because = f"[red]MISSED: {'; '.join(outcome.misses)}.[/] {because}"
        table.add_row(outcome.case.code, outcome.case.what, expected, said, because)
    console = Console()
    console.print(table)
    missed = [outcome.case.code for outcome in outcomes if not outcome.ok]
    verdict = f"{len(outcomes) - len(missed)} of {len(outcomes)} cases as they must be"
    console.print(verdict + (f"; missed: {', '.join(missed)}." if missed else "."))
