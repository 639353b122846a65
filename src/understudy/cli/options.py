"""Options that several verbs share, and the reading of `--balance`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from understudy.errors import ConditionError, PlanError

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
    float | None, typer.Option(help="Privacy budget (smaller is more private); not built yet.")
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


def require_no_dp(no_dp: bool, epsilon: float | None) -> None:
    from understudy.pipeline.run import NEEDS_NO_DP

    if epsilon is not None or not no_dp:
        raise PlanError(NEEDS_NO_DP)
