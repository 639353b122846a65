"""A whole database, the Czech bank of eight tables: structure, histories, utility, attacks.

    python -m benchmarks bank
    python -m benchmarks.bank [--epsilon E] [--code-book] [--seeds N] [--unit account|client]

Split .7/.2/.1 by unit, fitted on train, as many units drawn; one judge, `evaluate_database` and
`attack_database`, means over seeds of split, engine and judge. Associations, C2ST and TSTR compare
with held-out entities at equal sizes; numbers of children and times between events compare all
drawn with all training entities. Floors are what real entities score in place of the drawn ones.

With `--epsilon` the noise is that of `SeededSession`: real mechanisms and the real budget, and
noise that anybody can repeat. That is for measuring, and protects nobody. `--code-book` declares
the codes that the bank published and round bounds as public.

Costs are those of a whole process that reads, fits, draws and writes; wall-clock seconds depend on
what else the machine does.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks.berka import berka
from benchmarks.measure import Cost, cost_of, table
from benchmarks.tables import FOLDER
from understudy.data import Dataset, Split, read, split, write

TARGET = "loan.status"
DELTA = 1e-5
Figures = dict[str, float]


class Measure(NamedTuple):
    """A row of the table: how it is computed from what was measured, and what must be reached."""

    name: str
    bound: str
    form: str


MEASURES = (
    Measure("foreign keys that resolve", "100 %", "{integrity:.2%}"),
    Measure("children a parent has, KS", "<= .03", "{child_counts:.4f}"),
    Measure("parent-child error / floor", "<= 1.5", "{parent_child:.2f}"),
    Measure("two-hop error / floor", "<= 1.5", "{two_hop:.2f}"),
    Measure("rows whose balance adds up", "100 %", "{balance:.2%}"),
    Measure("time between events, KS", "<= .05", "{gaps:.4f}"),
    Measure("events a history, KS", "", "{lengths:.4f}"),
    Measure("entity C2ST", "<= .65", "{c2st:.3f} [{c2st_low:.3f}, {c2st_high:.3f}]"),
    Measure("TSTR AUC of loan.status", "", "{tstr:.3f} [{tstr_low:.3f}, {tstr_high:.3f}]"),
    Measure("strongest membership AUC", "covers .5", "{auc:.3f} [{auc_low:.3f}, {auc_high:.3f}]"),
    Measure("half-width of that", "<= .05", "{half:.3f}"),
    Measure("p of all attacks, least", "", "{p:.3f}"),
    Measure("entities drawn", "", "{entities:,.0f}"),
    Measure("CPU-s", "", "{cpu:.0f}"),
    Measure("wall s", "<= 300", "{wall:.0f}"),
    Measure("peak MiB", "", "{peak:.0f}"),
)
LEAST = ("p",)
MOST = ("peak",)


def run(
    *, epsilon: float | None = None, code_book: bool = False, seeds: int = 3, unit: str = "account"
) -> None:
    """Prints the table: real entities beside ours."""
    ours, floors = [], []
    for seed in range(seeds):
        parts = parted(seed, unit=unit, code_book=code_book, alone=epsilon is not None)
        with tempfile.TemporaryDirectory() as folder:
            words = [str(seed), unit, str(epsilon or 0), str(int(code_book)), folder]
            cost = cost_of([sys.executable, "-m", "benchmarks.bank", "make", *words])
            made = read(folder, schema=parts.train.schema)
        found, floor = judge(parts, made, seed)
        ours.append({**found, **costs(cost)})
        floors.append(floor)
        print(f"seed {seed}: {ours[-1]}", file=sys.stderr, flush=True)
    private = f", epsilon {epsilon:g} an {unit}, delta {DELTA:g}" if epsilon else ", no budget"
    known = ", with the code book" if code_book else ""
    title = f"The bank, unit {unit}{private}{known}, {seeds} seeds"
    report(title, {"real entities": floors, "understudy": ours})
    if epsilon:
        print("\nNoise from a known seed, for measuring only: NOT PRIVATE.")


def parted(seed: int, *, unit: str = "account", code_book: bool = False, alone: bool) -> Split:
    """The bank, split by unit; `alone` as a run under a budget splits."""
    return split(berka(FOLDER / "berka", unit=unit, code_book=code_book), seed=seed, alone=alone)


def make(seed: str, unit: str, epsilon: str, code_book: str, folder: str) -> None:
    """Fit and draw, in a process of its own."""
    from understudy.privacy.budget import Budget
    from understudy.privacy.sessions import SeededSession
    from understudy.synthesizers.relational.engine import RelationalSynthesizer

    private = float(epsilon) > 0
    parts = parted(int(seed), unit=unit, code_book=bool(int(code_book)), alone=private)
    session = SeededSession(Budget(float(epsilon), DELTA), int(seed)) if private else None
    model = RelationalSynthesizer(seed=int(seed)).fit(parts.train, privacy=session)
    write(model.sample(model.rows), folder)


def judge(parts: Split, made: Dataset, seed: int) -> tuple[Figures, Figures]:
    """Figures of a synthetic database, and those of real entities in its place."""
    from understudy.attacks import attack_database
    from understudy.evaluation import evaluate_database

    real = parts.train, parts.holdout, parts.reference
    target = TARGET if "loan" in made.tables else None
    card = evaluate_database(*real, made, target=target, seed=seed).as_dict()
    found, floor = fidelity(card["measurements"])
    found["entities"], floor["entities"] = (card["entities"][r] for r in ("synthetic", "train"))
    return {**found, **secrecy(attack_database(*real, made, seed=seed).as_dict())}, floor


def fidelity(measured: Mapping[str, Any]) -> tuple[Figures, Figures]:
    """What of a card goes into the table; a measure that a part of the tables has not is absent."""
    found: Figures = {}
    floor: Figures = {}
    for name, key in (
        ("integrity", "integrity"),
        ("child_counts", "child_counts"),
        ("balance", "identity_trans.balance"),
        ("gaps", "gaps_trans"),
        ("lengths", "lengths_trans"),
        ("c2st", "c2st"),
        ("tstr", "tstr_auc"),
    ):
        if key in measured:
            found[name], floor[name] = (measured[key][side] for side in ("value", "floor"))
    for name in ("parent_child", "two_hop"):
        if one := measured.get(f"{name}_holdout"):
            found[name], floor[name] = one["value"] / one["floor"], 1.0
    for name, key in (("c2st", "c2st"), ("tstr", "tstr_auc")):
        if key in measured:
            found |= {f"{name}_{end}": measured[key][end] for end in ("low", "high")}
    return found, floor


def secrecy(battery: Mapping[str, Any]) -> Figures:
    """The attack that is furthest from .5 on either side, and what all attacks together say."""
    worst = max(battery["attacks"], key=lambda one: abs(one["auc"] - 0.5))
    low, high = worst["auc_low"], worst["auc_high"]
    found = {"auc": worst["auc"], "auc_low": low, "auc_high": high, "half": (high - low) / 2}
    p = battery["family"]["p"]
    return found if p is None else {**found, "p": p}


def costs(cost: Cost) -> Figures:
    return {"cpu": cost.cpu, "wall": cost.wall, "peak": cost.peak}


def report(title: str, columns: Mapping[str, Sequence[Figures]]) -> None:
    """One row a measure, one column an engine."""
    means = {name: _means(found) for name, found in columns.items()}
    rows = [
        [measure.name, measure.bound, *(_cell(measure, found) for found in means.values())]
        for measure in MEASURES
    ]
    table(title, ["measure", "must reach", *means], rows)


def _means(found: Sequence[Figures]) -> Figures:
    """Over seeds; of a p value the least, of memory the most."""
    names = found[0].keys() if found else ()
    values = {name: [one[name] for one in found if name in one] for name in names}
    least = {name: min(values[name]) for name in LEAST if name in values}
    most = {name: max(values[name]) for name in MOST if name in values}
    return {**{name: float(np.mean(each)) for name, each in values.items()}, **least, **most}


def _cell(measure: Measure, found: Figures) -> str:
    """The figure as it is printed; of a floor, which has no interval, the value alone."""
    for form in (measure.form, measure.form.partition(" [")[0]):
        try:
            return form.format(**found)
        except KeyError:
            continue
    return "-"


def main(words: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bank")
    parser.add_argument("--epsilon", type=float)
    parser.add_argument("--code-book", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--unit", choices=("account", "client"), default="account")
    run(**vars(parser.parse_args(words)))


if __name__ == "__main__":
    make(*sys.argv[2:]) if sys.argv[1:2] == ["make"] else main(sys.argv[1:])
