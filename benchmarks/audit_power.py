"""How often the audit alarms on harmless tables, and how often it sees planted leaks.

    python -m benchmarks.audit_power --out power.jsonl --seeds 100 [--generators G0,G3]
    python -m benchmarks.audit_power --out power.jsonl --report

One JSON line per (population, generator, seed) in the file given; a run that was stopped goes on
where it left off. Populations: the planted one, and Berka's bank transactions where they are
present (read in place). An alarm is a FAIL among the privacy lines.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.measure import table
from benchmarks.tables import FOLDER
from understudy.data.dataset import Dataset
from understudy.runtime.random import stream
from understudy.schema import Category, Datetime, Number, Schema, one_table
from understudy.selfcheck import generators, population
from understudy.selfcheck.tables import Audited, with_rows

HARMLESS = ("G0", "G8")
BERKA_ROWS = 9_000


def planted(name: str, rows: int, seed: int) -> Audited:
    real = population.samples(rows, stream(seed, "power", "real"))
    return with_rows(real, generators.PLANTED[name](real, stream(seed, "power", name)))


def berka(name: str, rows: int, seed: int) -> Audited:
    """Transactions: three disjoint samples and an oracle pool; leaks planted as in `generators`."""
    schema, everything = _transactions()
    rng = stream(seed, "power", "berka")
    parts = np.split(rng.permutation(everything.num_rows)[: 4 * rows], 4)
    train, holdout, reference, oracle = (everything.take(pa.array(part)) for part in parts)
    made = oracle
    if name in ("G1", "G2", "G2b"):
        made = train.take(pa.array(rng.integers(0, rows, rows)))
        made = _jitter(made, {"G1": 0.0, "G2": 0.02, "G2b": 0.10}[name], reference, rng)
    elif name == "G4":
        count = rows // 100
        kept = oracle.take(pa.array(np.sort(rng.permutation(rows)[count:])))
        made = pa.concat_tables(
            [kept, train.take(pa.array(rng.choice(rows, count, replace=False)))]
        )
    return Audited(*(Dataset.single(schema, t) for t in (train, holdout, reference, made)))


def _transactions() -> tuple[Schema, pa.Table]:
    import pyarrow.csv as csv

    raw = csv.read_csv(FOLDER / "berka" / "trans.csv.gz")
    days = np.array(
        [f"19{d[:2]}-{d[2:4]}-{d[4:]}" for d in raw["date"].cast(pa.string()).to_pylist()],
        "datetime64[D]",
    )
    columns: dict[str, Any] = {"date": pa.array(days)}
    for name in ("amount", "balance"):
        columns[name] = raw[name].cast(pa.float64())
    for name in ("type", "operation", "k_symbol", "bank"):
        columns[name] = raw[name].cast(pa.string())
    kinds = [
        Datetime(name="date"),
        *(Number(name=name) for name in ("amount", "balance")),
        *(Category(name=name) for name in ("type", "operation", "k_symbol", "bank")),
    ]
    return one_table("trans", kinds), pa.table(columns)


def _jitter(
    rows: pa.Table, share: float, reference: pa.Table, rng: np.random.Generator
) -> pa.Table:
    if share == 0:
        return rows
    for i, name in enumerate(("date", "amount", "balance")):
        days = name == "date"
        values = rows[name].cast(pa.int32()) if days else rows[name]
        known = reference[name].cast(pa.int32()) if days else reference[name]
        low, high = np.quantile(known.to_numpy(), [0.01, 0.99])
        moved = values.to_numpy() + share * (high - low) * rng.normal(size=len(values))
        rounded = (
            pa.array(np.rint(moved).astype(np.int32)) if days else pa.array(np.round(moved, 2))
        )
        rows = rows.set_column(i, name, rounded.cast(rows.schema.field(name).type))
    return rows


POPULATIONS: dict[str, tuple[Callable[[str, int, int], Audited], tuple[str, ...]]] = {
    "planted": (planted, tuple(generators.PLANTED)),
    "berka": (berka, ("G0", "G1", "G2", "G2b", "G4")),
}


def one(where: str, name: str, rows: int, seed: int) -> dict[str, Any]:
    """Audits one planted table: its privacy lines and what they cost."""
    from understudy.attacks import attack
    from understudy.release.privacy_lines import privacy_lines
    from understudy.release.thresholds import DEFAULTS

    tables = POPULATIONS[where][0](name, rows, seed)
    started = time.process_time()
    battery = attack(*tables, seed=seed).as_dict()
    lines = privacy_lines(battery, DEFAULTS)
    return {
        "population": where,
        "generator": name,
        "rows": rows,
        "seed": seed,
        "lines": {line.name: line.ruling for line in lines},
        # So that a changed bound can be held against what was measured.
        "intervals": {line.name: [line.value, line.low, line.high] for line in lines},
        "p": battery["family"]["p"],
        "strongest": battery["family"]["strongest"],
        "cpu": round(time.process_time() - started, 2),
    }


def report(path: Path) -> None:
    """The rates so far, with exact 95 % intervals."""
    from understudy.evaluation.statistics import clopper_pearson

    found = defaultdict(list)
    for line in path.read_text().splitlines():
        outcome = json.loads(line)
        found[outcome["population"], outcome["generator"], outcome["rows"]].append(outcome)
    rows = []
    for (where, name, size), outcomes in found.items():
        failed = [o for o in outcomes if "FAIL" in o["lines"].values()]
        unsure = sum(
            "FAIL" not in o["lines"].values() and "INCONCLUSIVE" in o["lines"].values()
            for o in outcomes
        )
        rate = clopper_pearson(len(failed), len(outcomes))
        by_line: dict[str, int] = defaultdict(int)
        for outcome in failed:
            for line, ruling in outcome["lines"].items():
                by_line[line] += ruling == "FAIL"
        named = ", ".join(f"{line} {count}" for line, count in by_line.items() if count)
        share = f"{100 * rate.value:.1f} % [{100 * rate.low:.1f}, {100 * rate.high:.1f}]"
        mean_cpu = np.mean([o["cpu"] for o in outcomes])
        what = "false alarms" if name in HARMLESS else "detected"
        rows.append(
            [
                where,
                name,
                f"{size:,}",
                f"{len(outcomes)}",
                what,
                share,
                f"{unsure}",
                named,
                f"{mean_cpu:.1f}",
            ]
        )
    table(
        "Power of the audit",
        ["population", "generator", "rows", "seeds", "", "rate", "inconclusive", "lines", "CPU-s"],
        rows,
    )


def _wanted(options: argparse.Namespace) -> Iterator[tuple[str, str, int, int]]:
    """Seed by seed, so that every generator has as many at any time."""
    names = options.generators.split(",") if options.generators else None
    for seed in range(options.first, options.first + options.seeds):
        for where in options.populations.split(","):
            if where == "berka" and not (FOLDER / "berka" / "trans.csv.gz").exists():
                continue
            rows = min(options.rows, BERKA_ROWS) if where == "berka" else options.rows
            for name in POPULATIONS[where][1]:
                if names is None or name in names:
                    yield where, name, rows, seed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--generators")
    parser.add_argument("--populations", default="planted,berka")
    parser.add_argument("--minutes", type=float, help="Stop after so many CPU-minutes.")
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args()
    if not options.report:
        done = set()
        if options.out.exists():
            for line in options.out.read_text().splitlines():
                o = json.loads(line)
                done.add((o["population"], o["generator"], o["rows"], o["seed"]))
        for key in _wanted(options):
            if options.minutes and time.process_time() > 60 * options.minutes:
                break
            if key in done:
                continue
            with options.out.open("a") as file:
                file.write(json.dumps(one(*key)) + "\n")
    report(options.out)


if __name__ == "__main__":
    main()
