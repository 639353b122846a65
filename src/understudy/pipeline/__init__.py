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
    """The whole journey on a path, a database, a frame or a `Dataset`; see `understudy run --help`.

    Of several tables `unit` and `target` are written TABLE.COLUMN, and `n` counts units.

    Spends epsilon 3 unless another is named or `no_dp=True` says that nothing is to be guaranteed.
    `releases` says what the verdict is to be about: the rows, the model too, or queries to it.
    """
    from dataclasses import replace

    from understudy.data import read
    from understudy.data.databases import is_database, parse_url
    from understudy.pipeline.delivering import folder_name
    from understudy.pipeline.planning import plan_for, privacy_for, whole
    from understudy.pipeline.run import execute
    from understudy.release.white_box_lines import object_of

    privacy = privacy_for(epsilon, no_dp)
    dataset = read(data, cell_by_cell=privacy.mode == "dp")
    several = len(dataset.schema.tables) > 1
    name = "database" if several else dataset.schema.tables[0].name
    if isinstance(data, (str, Path)):
        name = str(parse_url(data)) if is_database(data) else str(data)
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
    own = folder_name(name) if several else dataset.schema.tables[0].name
    folder = Path(out) if out else Path("runs") / own
    planned = whole(replace(dataset, schema=plan.data), plan)
    return execute(plan, planned, folder, progress=progress, workers=workers)
