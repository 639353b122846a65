"""The diffusion engine: quality against CPU-seconds, an attack on its model, and a budget.

    python -m benchmarks.tabdiff curve [STEPS ...]       Adult, one training a line
    python -m benchmarks.tabdiff tables [NAME ...]       the default preset, one training a table
    python -m benchmarks.tabdiff attack                  2,000 rows of Adult, trained far too long
    python -m benchmarks.tabdiff private [EPSILON ...]   Adult as collected, TSTR under DP-SGD

CPU-seconds are those of a whole process: reading, fitting, drawing, writing; of a private fit those
of fit and sample. `python -m benchmarks.quality tabdiff TABLE ...` judges the default preset.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.measure import cost_of, table
from benchmarks.quality import NAMES
from benchmarks.tables import task

STEPS = (500, 1_000, 2_000, 4_000)
FIGURES = ["C2ST (floor)", "Shape error % (floor)", "pair error x floor", "TSTR - TRTR"]
ROWS = 2_000
DELTA = 1e-5


def run(steps: Sequence[int] = STEPS) -> None:
    """The curve, on Adult."""
    rows = [[f"{count:,}", *measured("adult", str(count))] for count in steps]
    title = "Quality of the tabdiff engine on adult by training length"
    table(title, ["steps", "CPU-s", *FIGURES], rows)


def tables(names: Sequence[str] = NAMES) -> None:
    """The default preset."""
    rows = [[name, *measured(name)] for name in names]
    table("Quality of the tabdiff engine", ["table", "CPU-s", *FIGURES], rows)


def measured(name: str, steps: str = "") -> list[str]:
    """CPU-seconds and figures of one training, as printed."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "made.parquet"
        own = [sys.executable, "-m", "benchmarks.tabdiff", "make", name, str(made), steps]
        return [f"{cost_of(own).cpu:.0f}", *fidelity(name, made)]


def make(name: str, path: str, steps: str) -> None:
    """Fit and sample, as a user would."""
    from understudy.data import write
    from understudy.synthesizers.registry import create

    found = task(name)
    options = {"steps": int(steps)} if steps else {}
    model = create("tabdiff", target=found.target, **options).fit(found.train)
    write(model.sample(found.train.num_rows), path)


def fidelity(name: str, made: Path) -> list[str]:
    """The figures of one synthetic table, as printed."""
    from understudy.data import read
    from understudy.evaluation import evaluate

    train, test, target = (found := task(name)).train, found.test, found.target
    synthetic = read(made, name=name, schema=train.schema)
    card = evaluate(train, test, test, synthetic, target=target)
    m = card.measurements
    utility = next(u for u in card.utility if u.model == "boosted trees")
    return [
        f"{m['c2st'].value:.3f} ({m['c2st'].floor:.3f})",
        f"{m['shape_error'].value:.2f} ({m['shape_error'].floor:.2f})",
        f"{m['pair_error'].value / m['pair_error'].floor:.2f}",
        f"{utility.difference:+.4f}",
    ]


def attack() -> None:
    """Members against others by the model's own scores: as it stops by itself, and over-trained."""
    from sklearn.metrics import roc_auc_score

    from understudy.synthesizers.registry import create

    train = task("adult").train
    order = np.random.default_rng(0).permutation(train.num_rows)
    members, others = (
        train.with_table(train.table.take(pa.array(order[first : first + ROWS])))
        for first in (0, ROWS)
    )
    rows = []
    told = [0] * ROWS + [1] * ROWS
    usual = {"target": "income"}
    far = {"target": "income", "epochs": 300, "patience": 0}
    for what, options in (("default", usual), (str(far), far)):
        model = create("tabdiff", **options).fit(members)
        own, beside = model.scores(members), model.scores(others)  # type: ignore[attr-defined]
        for name, score in own.items():
            auc = roc_auc_score(told, np.concatenate((beside[name], score)))
            rows.append([what, name, f"{auc:.3f}"])
    title = f"AUC of {ROWS:,} members against as many others (floor .5, standard error .009)"
    table(title, ["fit", "score", "AUC"], rows)


def private(epsilons: Sequence[float] = (1.0, 3.0, 10.0), seeds: int = 1) -> None:
    """TSTR under a budget, as `benchmarks.autoregressive` measures it."""
    from benchmarks.marginals import adult_raw, auc, plain_codes
    from understudy.privacy.budget import Budget
    from understudy.privacy.sessions import SeededSession
    from understudy.synthesizers.registry import create

    train, test = adult_raw()
    place = [c.name for c in train.schema.table().learnt].index("income")
    real = auc(*plain_codes(train.table, test.table, train.schema), place)
    rows = [["real rows", f"{real:.4f}", "-"]]
    for epsilon in epsilons:
        for seed in range(seeds):
            session = SeededSession(Budget(epsilon, DELTA), seed)
            started = time.process_time()
            model = create("tabdiff", target="income", seed=seed).fit(train, privacy=session)
            made = model.sample(train.num_rows).table
            cpu = time.process_time() - started
            found = auc(*plain_codes(made, test.table, train.schema), place)
            rows.append([f"epsilon {epsilon:g}, seed {seed}", f"{found:.4f}", f"{cpu:.0f}"])
    title = f"Adult as collected, delta {DELTA:g}"
    table(title, ["rows", "TSTR AUC", "CPU-s fit + sample"], rows)


if __name__ == "__main__":
    verb, words = sys.argv[1], sys.argv[2:]
    if verb == "make":
        make(*words)
    elif verb == "tables":
        tables(words or NAMES)
    elif verb == "attack":
        attack()
    elif verb == "private":
        private([float(word) for word in words] or (1.0, 3.0, 10.0))
    else:
        run([int(word) for word in words] or STEPS)
