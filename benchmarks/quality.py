"""Fidelity, utility and closeness on four real tables, each beside what two real samples score.

Fitted on the published training split, as many rows drawn as it has, judged against the published
test split by `understudy.evaluate`. CPU-seconds are those of a whole process: reading, fitting,
drawing, writing. Copies are shares of the records that occur once, learnt from (T) and held back
(H).

    python -m benchmarks quality                            the tree engine, all tables
    python -m benchmarks.quality autoregressive adult       another engine, on the tables named
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import cost_of, table
from benchmarks.tables import task

NAMES = ("adult", "default", "shoppers", "beijing")


def run(engine: str = "tree", names: Sequence[str] = NAMES) -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            made = Path(folder) / f"{name}.parquet"
            command = [sys.executable, "-m", "benchmarks.quality", "make", engine, name, str(made)]
            cost = cost_of(command)
            rows.append([name, f"{cost.cpu:.1f}", *judge(name, made)])
    table(
        f"Quality of the {engine} engine",
        [
            "table",
            "CPU-s",
            "C2ST (floor)",
            "Shape x floor",
            "pair error x floor",
            "TSTR - TRTR",
            "copies T / H",
            "closer to train",
            "membership AUC",
            "TPR at 1 % FPR",
        ],
        rows,
    )


def judge(name: str, made: Path) -> list[str]:
    """The figures of one synthetic table, as printed."""
    from understudy.attacks import attack
    from understudy.data import read
    from understudy.evaluation import evaluate

    train, test, target = (found := task(name)).train, found.test, found.target
    synthetic = read(made, name=name, schema=train.schema)
    card = evaluate(train, test, test, synthetic, target=target)
    half = test.num_rows // 2
    holdout = test.with_table(test.table.slice(0, half))
    reference = test.with_table(test.table.slice(half))
    battery = attack(train, holdout, reference, synthetic).as_dict()
    m = card.measurements
    c2st = m["c2st"]
    utility = next(u for u in card.utility if u.model == "boosted trees")
    copies, closer = battery["copies"], battery["closeness"]
    return [
        f"{c2st.value:.3f} [{c2st.low:.3f}, {c2st.high:.3f}] ({c2st.floor:.3f})",
        f"{m['shape_error'].value / m['shape_error'].floor:.2f}",
        f"{m['pair_error'].value / m['pair_error'].floor:.2f}",
        f"{utility.difference:+.4f}",
        f"{copies['share_train']:.3%} / {copies['share_holdout']:.3%} (p {copies['p']:.2f})",
        f"{closer['closer_to_train']:.1%} [{closer['low']:.1%}, {closer['high']:.1%}]",
        f"{max(one['auc'] for one in battery['attacks']):.3f}",
        f"{max(one['tpr_at_1'] for one in battery['attacks']):.1%}",
    ]


def make(engine: str, name: str, path: str) -> None:
    """Fit and sample, as a user would."""
    from understudy.data import write
    from understudy.synthesizers.registry import create

    found = task(name)
    model = create(engine, target=found.target).fit(found.train)
    write(model.sample(found.train.num_rows), path)


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(*sys.argv[2:])
    else:
        run(sys.argv[1], sys.argv[2:] or NAMES)
