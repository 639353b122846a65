"""Does the model itself tell whom it learnt from? Engines trained too long, as usual, and under DP.

    python -m benchmarks.white_box [ENGINE ...]

Fitted on 2,000 rows of Adult; the model's own scores (`Inspectable`) of these and of 2,000 rows it
never saw. AUC with DeLong's 95 % interval: of the score that tells best, so a little more than
chance where there is nothing to tell. Noise under a budget is real but seeded.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.measure import table
from benchmarks.tables import task
from understudy.data import Dataset
from understudy.evaluation.statistics import delong
from understudy.privacy.budget import Budget
from understudy.privacy.sessions import SeededSession
from understudy.synthesizers.registry import create

ROWS = 2_000
BUDGET = Budget(1.0, 1e-5)
TOO_LONG: Mapping[str, Mapping[str, Any]] = {
    "autoregressive": {"epochs": 200, "patience": 0},
    "tvae": {"epochs": 300, "patience": 0},
    "ctgan": {"epochs": 500, "patience": 0, "critic": 512, "width": 64, "matching": 0.0},
    "tabdiff": {"epochs": 800, "patience": 0, "width": 384},
}


def run(names: Sequence[str] = tuple(TOO_LONG), seed: int = 0) -> None:
    data = task("adult")
    learnt = data.train.with_table(data.train.table.slice(0, ROWS))
    strangers = data.test.with_table(data.test.table.slice(0, ROWS))
    rows = []
    for name in names:
        for how, options, budget in (
            ("trained too long", TOO_LONG[name], None),
            ("as usual", {}, None),
            (f"epsilon {BUDGET.epsilon:g}", {}, BUDGET),
        ):
            session = None if budget is None else SeededSession(budget, seed)
            started = time.process_time()
            made = create(name, target=data.target, seed=seed, **options)
            model = made.fit(learnt, privacy=session)
            cost = time.process_time() - started
            rows.append([name, how, *best(model, learnt, strangers), f"{cost:.0f}"])
    header = ["engine", "how", "score", "AUC [95 %]", "half-width", "CPU-s of the fit"]
    table(f"White box, {ROWS:,} rows of Adult against {ROWS:,} strangers", header, rows)


def best(model: Any, learnt: Dataset, strangers: Dataset) -> list[str]:
    """The score that tells best, as printed."""
    inside, outside = model.scores(learnt), model.scores(strangers)
    found = {name: delong(inside[name], outside[name]) for name in inside}
    name = max(found, key=lambda n: abs(found[n].value - 0.5))
    one = found[name]
    half = (one.high - one.low) / 2
    return [name, f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]", f"{half:.3f}"]


if __name__ == "__main__":
    run(sys.argv[1:] or tuple(TOO_LONG))
