"""Options that several verbs share, and the reading of `--balance`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from understudy.errors import ConditionError

Threads = Annotated[int, typer.Option(help="Threads of each process; workers for shards.", min=1)]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
Nulls = Annotated[
    list[str] | None, typer.Option("--null", help="A spelling of a missing cell; repeatable.")
]
Delimiter = Annotated[str | None, typer.Option(help="Of a CSV; found out when not given.")]
Encoding = Annotated[str | None, typer.Option(help="Of a CSV; UTF-8 when not given.")]
Seed = Annotated[int | None, typer.Option(help="Drives sampling; recorded when not given.", min=0)]
NoDp = Annotated[bool, typer.Option("--no-dp", help="Run without differential privacy, knowingly.")]
Epsilon = Annotated[
    float | None,
    typer.Option(help="Privacy budget: 1 is strong, 3 moderate (and the default), 10 weak."),
]
Releases = Annotated[
    str | None,
    typer.Option(help="What will leave, to be judged: data (the default), model, or query."),
]
Junit = Annotated[
    Path | None, typer.Option("--junit", help="File for the gate's lines as JUnit XML.")
]
Balance = Annotated[
    str | None, typer.Option(help="COL=uniform, or COL:LEVEL=SHARE with shares between 0 and 1.")
]


def parse_balance(text: str | None) -> dict[str, Any] | None:
    """`income=uniform` or `income:>50K=0.5` as the engines take it."""
    if text is None:
        return None
    name, found, share = text.rpartition("=")
    if not found:
        raise ConditionError(f"--balance {text!r}: write COL=uniform or COL:LEVEL=SHARE.")
    if share == "uniform":
        return {name: "uniform"}
    column, colon, level = name.partition(":")
    try:
        wanted = float(share)
    except ValueError:
        wanted = -1.0
    if not colon or not 0 <= wanted <= 1:
        raise ConditionError(f"--balance {text!r}: write COL=uniform or COL:LEVEL=SHARE.")
    return {column: {level: wanted}}


def positive(rows: int | None) -> int | None:
    if rows is not None and rows < 1:
        raise ConditionError(f"asked for {rows} rows; ask for at least 1.")
    return rows


def say_default(epsilon: float | None, no_dp: bool) -> None:
    """Says aloud what a run spends when nobody named a budget."""
    if epsilon is None and not no_dp:
        print(
            "No budget was named: this run spends epsilon 3. Name another with --epsilon, or say "
            "--no-dp to run without a guarantee.",
            file=sys.stderr,
        )
