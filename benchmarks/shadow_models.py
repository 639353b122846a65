"""What an attacker gains who has the generator: shadow models beside all other attacks.

    python -m benchmarks.shadow_models [--seeds 5] [--rows 2000]

The planted population; generators that draw training rows again and move every number by a share of
its range, and one that draws from the population whatever it is shown.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from benchmarks.measure import table
from understudy.attacks import attack
from understudy.attacks.shadow import NAME, Shadows
from understudy.data.dataset import Dataset
from understudy.runtime.random import stream
from understudy.selfcheck import population

SPAN = population.samples(4_000, stream(0, "shadow", "span")).span
NUMBERS = 10


def jittered(share: float) -> Callable[[Dataset, int], Dataset]:
    def make(dataset: Dataset, seed: int) -> Dataset:
        rng, n = np.random.default_rng(seed), dataset.num_rows
        rows = dataset.table.take(pa.array(rng.integers(0, n, n)))
        for i in range(NUMBERS):
            moved = rows[f"x{i}"].to_numpy() + share * SPAN[i] * rng.normal(size=n)
            rows = rows.set_column(i, f"x{i}", pa.array(moved))
        return dataset.with_table(rows)

    return make


def oracle(dataset: Dataset, seed: int) -> Dataset:
    return population.draw(dataset.num_rows, np.random.default_rng(seed)).dataset()


GENERATORS = {
    "rows moved by 10 %": jittered(0.10),
    "rows moved by 25 %": jittered(0.25),
    "harmless": oracle,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=2_000)
    options = parser.parse_args()
    rows = []
    for name, make in GENERATORS.items():
        for seed in range(options.seeds):
            real = population.samples(options.rows, stream(seed, "shadow", "real"))
            train, holdout, reference = (
                part.dataset() for part in (real.train, real.holdout, real.reference)
            )
            made = make(train, seed + 1_000)
            found = attack(train, holdout, reference, made, shadows=Shadows(make), seed=seed)
            by_name = {one.name: one for one in found.attacks}
            own = by_name.pop(NAME)
            other = max(by_name.values(), key=lambda one: one.auc.value)
            assert found.shadow is not None
            rows.append(
                [
                    name,
                    f"{seed}",
                    f"{own.auc.value:.3f} [{own.auc.low:.3f}, {own.auc.high:.3f}]",
                    f"{found.shadow.validation.value:.3f}",
                    f"{100 * own.tpr_at_1.value:.1f} %",
                    f"{other.auc.value:.3f} ({other.name})",
                    f"{100 * max(one.tpr_at_1.value for one in by_name.values()):.1f} %",
                ]
            )
    header = ["generator", "seed", "shadow models, AUC", "on held-out shadows", "found at 1 %"]
    title = f"Shadow models, {options.rows:,} rows a side"
    table(title, [*header, "best other, AUC", "found at 1 %"], rows)


if __name__ == "__main__":
    main()
