"""Plan -> steps -> run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from understudy.contracts import Shares
from understudy.pipeline.audit import Audit, audit
from understudy.pipeline.run import Run
from understudy.runtime.progress import Progress, silent

__all__ = ["Audit", "Run", "audit", "synthesize"]


def synthesize(
    data: Any,
    *,
    epsilon: float | None = None,
    no_dp: bool = False,
    target: str | None = None,
    unit: str | None = None,
    n: int | None = None,
    balance: Shares | None = None,
    engine: str = "tree",
    seed: int | None = None,
    out: str | Path | None = None,
    progress: Progress = silent,
    workers: int = 1,
) -> Run:
    """The whole journey on a path, a frame or a `Dataset`; see `understudy run --help`.

    Raises `PlanError` unless `no_dp=True`: this version keeps no privacy budget.
    """
    from understudy.data import read
    from understudy.errors import PlanError
    from understudy.pipeline.run import NEEDS_NO_DP, execute, plan_for

    if epsilon is not None or not no_dp:
        raise PlanError(NEEDS_NO_DP)
    dataset = read(data)
    name = str(data) if isinstance(data, (str, Path)) else dataset.schema.tables[0].name
    plan = plan_for(
        dataset,
        name,
        target=target,
        engine=engine,
        rows=n,
        balance=balance,
        unit=unit,
        seed=seed,
    )
    folder = Path(out) if out else Path("runs") / dataset.schema.tables[0].name
    return execute(plan, _planned(plan, dataset), folder, progress=progress, workers=workers)


def _planned(plan: Any, dataset: Any) -> Any:
    from dataclasses import replace

    return replace(dataset, schema=plan.data)
