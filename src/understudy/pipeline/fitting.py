"""One engine on all rows given, under a budget or without one. No split, no audit."""

from __future__ import annotations

import secrets
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from understudy.contracts import Model
from understudy.data import Dataset, alone
from understudy.pipeline import private
from understudy.pipeline.race import Rules, race
from understudy.runtime.progress import Progress, silent
from understudy.schema.plan import DifferentialPrivacy, Privacy
from understudy.synthesizers.registry import AUTO, configured, resolve


def fit_model(
    data: Dataset,
    folder: Path,
    *,
    privacy: Privacy,
    engine: str,
    target: str | None,
    seed: int,
    workers: int = 1,
    progress: Progress = silent,
) -> Model:
    """Fits `engine` on `data` and saves the model in `folder`; with `auto` the winner of a race.

    Under a budget a fit that dies has spent what it asked: there is no run folder to go on from.
    """
    private_fit = isinstance(privacy, DifferentialPrivacy)
    name = resolve(engine, private=private_fit, tables=len(data.schema.tables))
    if name == AUTO:
        common: dict[str, Any] = {"target": target, "seed": seed, "workers": workers}
        name = race(data, Rules(), **common, progress=progress).winner
    made = configured(name, {}, target=target, seed=seed, workers=workers)
    if not isinstance(privacy, DifferentialPrivacy):
        model = made.fit(data, progress=progress)  # type: ignore[call-arg]
        model.save(folder)
        return model
    known = alone(replace(data, schema=private.as_private(data.schema)))
    run = f"{folder.resolve().name}-{secrets.token_hex(4)}"
    with tempfile.TemporaryDirectory() as scratch:
        answers = Path(scratch) / "answers.sqlite"
        with private.opened(privacy, known, known, run, answers) as session:
            model = made.fit(known, privacy=session, progress=progress)  # type: ignore[call-arg]
            model.save(folder)
            private.write_card(folder, session)
    return model
