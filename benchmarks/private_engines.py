"""Engines that train a network under a budget, and the marginal engine: what a classifier learns.

    python -m benchmarks.private_engines [ENGINE ...] [EPSILON ...]

On Adult as collected, seeds 0 and 1; without names all engines, without numbers epsilon 1, 3, 10.

Everything is bought: bounds, bins, labels. Noise is real but seeded, so that a figure can be had
again. TSTR is that of `benchmarks.marginals`. CPU-seconds include the accountant's.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from benchmarks.marginals import Score, adult_raw, auc, plain_codes, summary
from benchmarks.measure import table
from understudy.privacy.budget import Budget
from understudy.privacy.sessions import SeededSession
from understudy.synthesizers.registry import create

ENGINES = ("marginals", "autoregressive", "ctgan", "tvae", "tabdiff")
EPSILONS = (1.0, 3.0, 10.0)
DELTA = 1e-5


def run(
    engines: Sequence[str] = ENGINES, epsilons: Sequence[float] = EPSILONS, seeds: int = 2
) -> None:
    train, test = adult_raw()
    place = [c.name for c in train.schema.table().learnt].index("income")
    real = auc(*plain_codes(train.table, test.table, train.schema), place)
    rows = [["real rows", "-", f"{real:.4f}", "-"]]
    for epsilon in epsilons:
        for engine in engines:
            scores = []
            for seed in range(seeds):
                session = SeededSession(Budget(epsilon, DELTA), seed)
                started = time.process_time()
                model = create(engine, target="income", seed=seed).fit(train, privacy=session)
                made = model.sample(train.num_rows).table
                cpu = time.process_time() - started
                codes = plain_codes(made, test.table, train.schema)
                scores.append(Score(auc(*codes, place), 0.0, cpu))
            found, _, cost = summary(scores)
            rows.append([f"epsilon {epsilon:g}", engine, found, cost])
    title = f"Adult as collected, delta {DELTA:g}, {seeds} seeds"
    table(title, ["rows", "engine", "TSTR AUC (least, most)", "CPU-s fit + sample"], rows)


if __name__ == "__main__":
    names = [word for word in sys.argv[1:] if word in ENGINES]
    run(names or ENGINES, [float(w) for w in sys.argv[1:] if w not in ENGINES] or EPSILONS)
