"""All engines on the same tables without a budget, judged alike; seed 0, one core.

    python -m benchmarks.engines [TABLE ...] [--engines NAME,NAME]

Fitted on the published training split, as many rows drawn as it has, judged against the published
test split. CPU-seconds are those of a whole process: reading, fitting, drawing, writing. A line is
printed as soon as it is known. `python -m benchmarks.quality ENGINE TABLE` adds the attacks.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import cost_of
from benchmarks.quality import NAMES
from benchmarks.tables import task

ENGINES = ("tree", "marginals", "autoregressive", "tvae", "ctgan", "tabdiff")
FIGURES = (
    "C2ST [95 %] (floor)",
    "Shape error % (floor)",
    "pair error % (x floor)",
    "TSTR - TRTR",
)


def measured(engine: str, name: str, **options: int) -> list[str]:
    """CPU-seconds and figures of one fit, as printed."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "made.parquet"
        words = [f"{key}={value}" for key, value in options.items()]
        own = [sys.executable, "-m", "benchmarks.engines", "make", engine, name, str(made), *words]
        return [f"{cost_of(own).cpu:.0f}", *fidelity(name, made)]


def make(engine: str, name: str, path: str, *words: str) -> None:
    """Fit and sample, as a user would."""
    from understudy.data import write
    from understudy.synthesizers.registry import create

    found = task(name)
    options = {key: int(value) for key, _, value in (word.partition("=") for word in words)}
    model = create(engine, target=found.target, **options).fit(found.train)
    write(model.sample(found.train.num_rows), path)


def fidelity(name: str, made: Path) -> list[str]:
    """The figures of one synthetic table, as printed."""
    from understudy.data import read
    from understudy.evaluation import evaluate

    train, test, target = (found := task(name)).train, found.test, found.target
    synthetic = read(made, name=name, schema=train.schema)
    card = evaluate(train, test, test, synthetic, target=target)
    c2st, shape, pairs = (card.measurements[m] for m in ("c2st", "shape_error", "pair_error"))
    utility = next(u for u in card.utility if u.model == "boosted trees")
    return [
        f"{c2st.value:.3f} [{c2st.low:.3f}, {c2st.high:.3f}] ({c2st.floor:.3f})",
        f"{shape.value:.2f} ({shape.floor:.2f})",
        f"{pairs.value:.2f} ({pairs.value / pairs.floor:.2f})",
        f"{utility.difference:+.4f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("tables", nargs="*", default=NAMES)
    parser.add_argument("--engines", default=",".join(ENGINES))
    asked = parser.parse_args()
    header = ("table", "engine", "CPU-s", *FIGURES)
    print("| " + " | ".join(header) + " |\n" + "|---" * len(header) + "|", flush=True)
    for name in asked.tables:
        for engine in asked.engines.split(","):
            print("| " + " | ".join((name, engine, *measured(engine, name))) + " |", flush=True)


if __name__ == "__main__":
    make(*sys.argv[2:]) if sys.argv[1:2] == ["make"] else main()
