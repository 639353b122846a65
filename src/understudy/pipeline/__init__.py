"""Plan -> steps -> run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from understudy.contracts import Released, Shares
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
    engine: str = "usual",
    releases: Released = "data",
    seed: int | None = None,
    out: str | Path | None = None,
    progress: Progress = silent,
    workers: int = 1,
) -> Run:
    """The whole journey on a path, a frame or a `Dataset`; see `understudy run --help`.

    Spends epsilon 3 unless another is named or `no_dp=True` says that nothing is to be guaranteed.
    `releases` says what the verdict is to be about: the rows, the model too, or queries to it.
    """
    from dataclasses import replace

    from understudy.data import read
    from understudy.pipeline.planning import plan_for, privacy_for
    from understudy.pipeline.run import execute
    from understudy.release.white_box_lines import object_of

    privacy = privacy_for(epsilon, no_dp)
    dataset = read(data, cell_by_cell=privacy.mode == "dp")
    name = str(data) if isinstance(data, (str, Path)) else dataset.schema.tables[0].name
    plan = plan_for(
        dataset,
        name,
        privacy=privacy,
        target=target,
        engine=engine,
        rows=n,
        balance=balance,
        unit=unit,
        releases=object_of(releases),
        seed=seed,
    )
    folder = Path(out) if out else Path("runs") / dataset.schema.tables[0].name
    planned = replace(dataset, schema=plan.data)
    return execute(plan, planned, folder, progress=progress, workers=workers)
