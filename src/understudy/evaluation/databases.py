"""The card of a database: every table by itself, what holds between tables, histories, judges.

Real samples are parted by entity, so floors are what entities that nobody learnt from score. What
is named `*_holdout` compares with them at equal sizes; everything else compares all synthetic with
all training entities, beside train's own resampling (see `relational.comparing`). Judges compare
with the holdout, as they do for single tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from understudy.contracts import Measurement
from understudy.data.dataset import Dataset
from understudy.encoding.profiles import Profiler
from understudy.evaluation import fidelity
from understudy.evaluation.relational.association import associations
from understudy.evaluation.relational.comparing import Draws, Statistic, compare, draw
from understudy.evaluation.relational.database import Database, database
from understudy.evaluation.relational.integrity import KeyCheck, empty_keys, integrity
from understudy.evaluation.relational.judging import entity_judge, row_judges, target_of, utility
from understudy.evaluation.relational.structure import child_counts, loads, pairings
from understudy.evaluation.relational.workload import workload
from understudy.evaluation.samples import ROLES, Samples
from understudy.evaluation.sequential import Sequences, sequences
from understudy.evaluation.sequential.identities import Held, identities
from understudy.evaluation.statistics import plain
from understudy.evaluation.utility import Utility
from understudy.runtime.progress import Progress, ProgressEvent, silent
from understudy.runtime.random import stream

STEPS = ("tables", "structure", "associations", "workload", "histories", "judges", "utility")
MOST_LISTED = 40
"""Associations and queries listed, the worst first."""

Findings = list[Measurement]


@dataclass(frozen=True)
class DatabaseCard:
    """What was measured; `as_dict` is its JSON, with the keys of a `Scorecard` where they agree."""

    rows: dict[str, int]
    table_rows: dict[str, dict[str, int]]
    entities: dict[str, int]
    unit: str | None
    reference: tuple[str, ...]
    target: str | None
    budget: tuple[float, float] | None
    measurements: dict[str, Measurement]
    tables: tuple[dict[str, Any], ...]
    keys: tuple[KeyCheck, ...]
    identities: tuple[Held, ...]
    structure: tuple[dict[str, Any], ...]
    associations: tuple[dict[str, Any], ...]
    workload: tuple[dict[str, Any], ...]
    sequences: tuple[Sequences, ...]
    utility: tuple[Utility, ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        card: dict[str, Any] = plain(
            {
                "format": 1,
                "kind": "database",
                "rows": self.rows,
                "table_rows": self.table_rows,
                "entities": self.entities,
                "unit": self.unit,
                "reference_tables": self.reference,
                "target": self.target,
                "budget": self.budget,
                "measurements": {name: m.as_dict() for name, m in self.measurements.items()},
                "tables": self.tables,
                "keys": [one.as_dict() for one in self.keys],
                "identities": [one.as_dict() for one in self.identities],
                "structure": self.structure,
                "associations": self.associations,
                "workload": self.workload,
                "sequences": [one.as_dict() for one in self.sequences],
                "utility": [one.as_dict() for one in self.utility],
                "notes": self.notes,
            }
        )
        return card


def evaluate_database(
    train: Dataset,
    holdout: Dataset,
    reference: Dataset,
    synthetic: Dataset,
    *,
    target: str | None = None,
    budget: tuple[float, float] | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> DatabaseCard:
    """Measures a synthetic database against entities learnt from and entities never seen.

    The real samples share no entity; reference tables are whole in each. `target` is written
    `table.column` and adds utility: models that predict it from joined rows and profiles. `budget`
    is the (epsilon, delta) spent, for the record. Deterministic in `seed`. Raises `ColumnError` for
    a target that no table has, `SourceError` where rows belong to no entity.
    """
    begin = _steps(progress)
    base = database(train, holdout, reference, synthetic, seed=seed)
    wanted = target_of(base, target) if target is not None else None
    notes = list(base.notes)
    draws = draw(base.entities, stream(seed, "database", "draws"))
    begin("tables")
    tables = [_table(base, spec.name, draws) for spec in base.schema.tables]
    found = _over_tables(base, tables)
    begin("structure")
    checks, kept = integrity(train, synthetic)
    held, exact = identities(train, synthetic)
    measured, structure = _structure(base, draws)
    found += [*kept, *exact, *measured]
    begin("associations")
    measured, pairs = _associations(base, draws)
    found += measured
    begin("workload")
    measured, queries = workload(base, draws, stream(seed, "database", "workload"))
    found += measured
    begin("histories")
    told = sequences(base, draws)
    found += [one for each in told for one in each.measurements]
    begin("judges")
    profiler = Profiler.fit(base.data["reference"], base.entity["reference"])
    found += [one for one in (entity_judge(base, profiler, seed),) if one is not None]
    found += row_judges(base, seed)
    begin("utility")
    results = utility(base, profiler, *wanted, seed) if wanted is not None else []
    rows = base.rows("holdout", wanted[0]) if wanted is not None else 0
    found += _useful(target, results, rows, notes)
    progress(ProgressEvent("evaluate", len(STEPS), len(STEPS), "done"))
    given = dict(zip(ROLES, (train, holdout, reference, synthetic), strict=True))
    return DatabaseCard(
        {role: data.num_rows for role, data in given.items()},
        {role: {n: t.num_rows for n, t in data.tables.items()} for role, data in given.items()},
        dict(base.entities),
        _unit(base),
        tuple(sorted(base.reference)),
        target,
        budget,
        {one.name: one for one in found},
        tuple(tables),
        tuple(checks),
        tuple(held),
        tuple(structure),
        tuple(pairs[:MOST_LISTED]),
        tuple(queries[:MOST_LISTED]),
        tuple(told),
        tuple(results),
        tuple(notes),
    )


def _steps(progress: Progress) -> Callable[[str], None]:
    def begin(step: str) -> None:
        progress(ProgressEvent("evaluate", STEPS.index(step), len(STEPS), step))

    return begin


def _unit(base: Database) -> str | None:
    unit = base.schema.unit
    return f"{base.schema.table(unit.table).name}.{unit.column}" if unit.column else None


def _table(base: Database, name: str, draws: Draws) -> dict[str, Any]:
    """Columns and pairs of one table, as in a scorecard, with draws of entities."""
    samples = Samples(
        base.features[name], {role: base.data[role].tables[name] for role in ROLES}, ()
    )
    card: dict[str, Any] = {
        "name": name,
        "reference": name in base.reference,
        "rows": {role: base.rows(role, name) for role in ROLES},
        "measurements": {},
        "columns": [],
        "pairs": {"columns": [], "error": [], "floor": []},
    }
    if not (samples.features and samples.size("train") and samples.size("synthetic")):
        return card
    weights = {
        role: draws.resampled[role][:, base.entity[role][name]] for role in ("synthetic", "train")
    }
    drawn = fidelity.Draws(weights["synthetic"], weights["train"])
    card["columns"], measured = fidelity.of_columns(samples, drawn)
    card["pairs"], more = fidelity.of_pairs(samples.features, drawn)
    found = [replace(m, n=samples.size("synthetic")) for m in (*measured, *more) if m is not None]
    card["measurements"] = {m.name: m.as_dict() for m in found}
    return card


def _over_tables(base: Database, tables: Iterable[dict[str, Any]]) -> Findings:
    """Shape and pair error, the mean over owned tables: intervals too, so they are wide."""
    found = []
    for name in ("shape_error", "pair_error", "trend_error"):
        each = [
            one["measurements"][name]
            for one in tables
            if name in one["measurements"] and not one["reference"]
        ]
        if not each:
            continue
        ends = ("value", "low", "high", "floor", "floor_low", "floor_high")
        mean = {end: float(np.mean([one[end] for one in each])) for end in ends}
        said = f"mean over {len(each)} tables: {each[0]['meaning']}"
        n = sum(one["n"] for one in each)
        found.append(Measurement(name, n=n, meaning=said, unit=each[0]["unit"], **mean))
    return found


def _structure(base: Database, draws: Draws) -> tuple[Findings, list[dict[str, Any]]]:
    found: Findings = []
    cards: list[dict[str, Any]] = []
    measures: tuple[tuple[str, Iterable[Statistic], str], ...] = (
        (
            "child_counts",
            child_counts(base),
            "Kolmogorov-Smirnov distance of the number of children a parent has, mean over keys",
        ),
        (
            "reference_loads",
            loads(base),
            "Kolmogorov-Smirnov distance of how unequally rows fall on reference rows",
        ),
        (
            "pairings",
            pairings(base),
            "distance of how rows with two parents pair them up: joint degrees and repeated pairs",
        ),
        ("empty_keys", empty_keys(base), "difference in how often foreign keys are empty"),
    )
    for name, statistics, meaning in measures:
        compared = compare(statistics, draws)
        found += compared.measured(name, meaning)
        cards += [{"measure": name, **card} for card in compared.cards()]
    return found, cards


def _associations(base: Database, draws: Draws) -> tuple[Findings, list[dict[str, Any]]]:
    made = associations(base)
    found: Findings = []
    cards: list[dict[str, Any]] = []
    said = "mean 2-way total variation of column pairs"
    for name, pairs, meaning in (
        ("parent_child", made.one_hop(), f"{said} of child and parent"),
        (
            "two_hop",
            made.two_hops(),
            f"{said} two keys apart: grandparents, all children of a parent, sibling tables",
        ),
    ):
        compared = compare(pairs, draws)
        found += compared.measured(name, meaning)
        found += compared.worst(
            f"{name}_worst", "largest excess of a pair's total variation over its floor"
        )
        cards += [{"measure": name, **card} for card in compared.cards()]
    excess = [-np.nan_to_num(card["holdout"] - card["holdout_floor"], nan=-1.0) for card in cards]
    return found, [cards[i] for i in np.argsort(excess, kind="stable")]


def _useful(target: str | None, results: list[Utility], rows: int, notes: list[str]) -> Findings:
    """The model that real data serves best speaks for utility."""
    if target is None:
        return []
    if not results:
        notes.append(f"utility of target {target}: too few rows or values to compare")
        return []
    best = max(results, key=lambda result: result.trained_on_real)
    return [
        Measurement(
            f"tstr_{best.metric}",
            best.trained_on_synthetic,
            best.trained_on_real + best.low,
            best.trained_on_real + best.high,
            best.trained_on_real,
            rows,
            f"{best.model} that learns {target} from synthetic joined rows and profiles, judged on "
            "held-out entities; floor: trained on as many real rows; the interval is that of the "
            "paired difference",
            "higher",
        )
    ]
