"""The scorecard: every measure of a synthetic table, each beside what real data scores.

`floor` is real against real at the synthetic's size: for statistics judged against train, the mean
over bootstrap resamples of train against train; for the C2ST, a train sample against the holdout;
for utility, the same model trained on as many real rows; for clouds of points and rare events,
train in the synthetic table's place. Measurements called `*_holdout` judge the synthetic table
against the holdout, at equal sizes, with a train sample as floor: they also carry the holdout's own
sampling noise. What cannot be measured is left out, with a note.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from understudy.contracts import Measurement
from understudy.data.dataset import Dataset
from understudy.evaluation import fidelity
from understudy.evaluation.classes import fairness, per_class
from understudy.evaluation.detection import detection
from understudy.evaluation.discriminator import c2st, rows_a_side
from understudy.evaluation.levels import levels_kept
from understudy.evaluation.manifold import manifold
from understudy.evaluation.marginals import information_error, triple_error
from understudy.evaluation.predictions import Predictions, predict
from understudy.evaluation.rare import RareCard, rare_events
from understudy.evaluation.samples import ROLES, Feature, Samples, collect, one_row_per_unit
from understudy.evaluation.statistics import plain
from understudy.evaluation.utility import Utility, augmentation, trts, tstr
from understudy.runtime.parallel import run_all
from understudy.runtime.progress import Progress, ProgressEvent, silent
from understudy.runtime.random import stream
from understudy.schema import Table

STEPS = ("columns", "pairs", "correlations", "manifold", "discriminator", "utility", "rare events")
MOST_PAIR_COLUMNS = 60


@dataclass(frozen=True)
class Scorecard:
    """What was measured; `as_dict` is its JSON."""

    rows: dict[str, int]
    target: str | None
    measurements: dict[str, Measurement]
    columns: tuple[dict[str, Any], ...]
    pairs: dict[str, Any]
    correlations: dict[str, Any]
    lost_levels: tuple[dict[str, Any], ...]
    utility: tuple[Utility, ...]
    classes: tuple[dict[str, Any], ...]
    fairness: dict[str, Any] | None
    rare: RareCard
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        card: dict[str, Any] = plain(
            {
                "format": 1,
                "rows": self.rows,
                "target": self.target,
                "measurements": {name: m.as_dict() for name, m in self.measurements.items()},
                "columns": self.columns,
                "pairs": self.pairs,
                "correlations": self.correlations,
                "lost_levels": self.lost_levels,
                "utility": [result.as_dict() for result in self.utility],
                "classes": self.classes,
                "fairness": self.fairness,
                "rare": self.rare.as_dict(),
                "notes": self.notes,
            }
        )
        return card


def evaluate(
    train: Dataset,
    holdout: Dataset,
    reference: Dataset,
    synthetic: Dataset,
    *,
    target: str | None = None,
    rare: Mapping[str, object] | None = None,
    sensitive: str | None = None,
    budget: tuple[float, float] | None = None,
    full: bool = False,
    seed: int = 0,
    progress: Progress = silent,
    workers: int = 1,
) -> Scorecard:
    """Measures `synthetic` against `train` (what it learnt) and `holdout` (what it never saw).

    `target` adds utility: models that predict it. `rare` names levels to watch (column -> level or
    levels), `sensitive` a column whose groups are compared for fairness, `budget` the (epsilon,
    delta) spent. `full` repeats models and adds what takes longer. Deterministic in `seed`, for any
    number of `workers`. Raises `ColumnError` for a column that the table does not have.
    """
    spec = train.schema.table()
    for name in (target, sensitive, *(rare or ())):
        if name is not None:
            spec.column(name)
    samples = collect(train, holdout, reference, synthetic, seed=seed)
    people = samples
    if train.schema.unit.column is not None:
        people = _one_row_each(train, holdout, reference, synthetic, seed)
    notes = list(samples.notes)

    def begin(step: str) -> None:
        progress(ProgressEvent("evaluate", STEPS.index(step), len(STEPS), step))

    compared = _distributions(samples, target, seed, begin, notes)
    judged = _clouds(samples, people, spec, compared, seed, workers, begin, notes)
    begin("utility")
    learnt = _learning(samples, spec, target, seed, full, notes)
    gaps = _fairness(samples, learnt.models, sensitive, notes)
    begin("rare events")
    schema, found = train.schema, learnt.models
    events = rare_events(
        samples, people, schema, target=target, found=found, named=rare, budget=budget, seed=seed
    )
    progress(ProgressEvent("evaluate", len(STEPS), len(STEPS), "done"))
    datasets = zip(ROLES, (train, holdout, reference, synthetic), strict=True)
    measured = (*compared.found, *judged, *learnt.found)
    return Scorecard(
        {role: data.num_rows for role, data in datasets} | {"compared": samples.size("synthetic")},
        target,
        {one.name: one for one in measured if one is not None},
        compared.columns,
        compared.pairs,
        compared.related,
        compared.lost,
        learnt.results,
        tuple(per_class(learnt.models)) if learnt.models is not None else (),
        gaps,
        events,
        (*notes, *events.notes),
    )


def _one_row_each(
    train: Dataset, holdout: Dataset, reference: Dataset, synthetic: Dataset, seed: int
) -> Samples:
    """The samples for judges that must not recognise entities: one row of each real one."""
    rng = stream(seed, "evaluation", "one row a unit")
    apart = (one_row_per_unit(data, rng) for data in (train, holdout, reference))
    return collect(*apart, synthetic, seed=seed)


@dataclass(frozen=True)
class _Compared:
    """Columns, pairs and what lies beyond them; empty where there is nothing to compare."""

    columns: tuple[dict[str, Any], ...]
    pairs: dict[str, Any]
    related: dict[str, Any]
    lost: tuple[dict[str, Any], ...]
    found: tuple[Measurement | None, ...]


def _distributions(
    samples: Samples,
    target: str | None,
    seed: int,
    begin: Callable[[str], None],
    notes: list[str],
) -> _Compared:
    """Everything that counts rows, under one set of bootstrap draws."""
    begin("columns")
    if not (samples.size("train") and samples.size("synthetic") and samples.features):
        notes.append("nothing to compare: no rows, or no column of a kind that is learnt")
        pairs: dict[str, Any] = {"columns": [], "error": [], "floor": []}
        related: dict[str, Any] = {"columns": [], "real": [], "synthetic": [], "measure": []}
        return _Compared((), pairs, related, (), ())
    rng = stream(seed, "evaluation", "bootstrap")
    draws = fidelity.resample(samples, samples.size("synthetic"), rng)
    columns, of_columns = fidelity.of_columns(samples, draws)
    on_holdout = fidelity.shape_on_holdout(samples, rng)
    few = _few(samples.features, notes)
    begin("pairs")
    pairs, of_pairs = fidelity.of_pairs(few, draws)
    triples = triple_error(samples.features, draws, stream(seed, "evaluation", "triples"))
    information = information_error(few, draws, stream(seed, "evaluation", "information"))
    kept, lost = levels_kept(few, target, stream(seed, "evaluation", "levels"))
    begin("correlations")
    related, of_correlations = fidelity.of_correlations(few, draws)
    found = (*of_columns, on_holdout, *of_pairs, triples, information, *of_correlations, *kept)
    return _Compared(tuple(columns), pairs, related, tuple(lost), found)


def _clouds(
    samples: Samples,
    people: Samples,
    spec: Table,
    compared: _Compared,
    seed: int,
    workers: int,
    begin: Callable[[str], None],
    notes: list[str],
) -> list[Measurement | None]:
    """Rows as points among points, and judges that tell them apart."""
    found: list[Measurement | None] = []
    if compared.columns:
        begin("manifold")
        found += manifold(samples, spec, stream(seed, "evaluation", "manifold"))
    begin("discriminator")
    found.append(_discriminator(people, seed, workers, notes))
    found.append(detection(people.features, stream(seed, "evaluation", "detection")))
    return found


@dataclass(frozen=True)
class _Learning:
    """What models learn from the rows; nothing where there is no target, or too little of it."""

    models: Predictions | None
    results: tuple[Utility, ...]
    found: tuple[Measurement | None, ...]


def _learning(
    samples: Samples, spec: Table, target: str | None, seed: int, full: bool, notes: list[str]
) -> _Learning:
    if target is None:
        return _Learning(None, (), ())
    models = predict(samples, spec, target, stream(seed, "evaluation", "utility"), full=full)
    results = tstr(models) if models is not None else []
    found = [_utility(target, results, samples, notes)]
    if models is not None:
        found += [trts(models, stream(seed, "evaluation", "reversed")), *augmentation(models)]
    return _Learning(models, tuple(results), tuple(found))


def _discriminator(
    samples: Samples, seed: int, workers: int, notes: list[str]
) -> Measurement | None:
    calls = [
        (samples.features, "holdout", other, stream(seed, "evaluation", "c2st", other))
        for other in ("synthetic", "train")
    ]
    found, floor = run_all(c2st, calls, workers=workers, threads=True)
    if found is None or floor is None:
        notes.append("c2st: too few rows to train a judge")
        return None
    return Measurement(
        "c2st",
        found.value,
        found.low,
        found.high,
        floor.value,
        rows_a_side(samples.features, "holdout", "synthetic"),
        "AUC of boosted trees that tell synthetic rows from held-out real rows",
        "near",
        floor.low,
        floor.high,
    )


def _utility(
    target: str, results: Sequence[Utility], samples: Samples, notes: list[str]
) -> Measurement | None:
    """The model that real data serves best speaks for utility."""
    if not results:
        notes.append(f"utility of target {target}: too few rows or values to compare")
        return None
    best = max(results, key=lambda r: r.trained_on_real)
    return Measurement(
        f"tstr_{best.metric}",
        best.trained_on_synthetic,
        best.trained_on_real + best.low,
        best.trained_on_real + best.high,
        best.trained_on_real,
        samples.size("holdout"),
        f"{best.model} trained on synthetic rows, judged on the holdout; floor: trained on as many "
        "real rows; the interval is that of the paired difference",
        "higher",
    )


def _fairness(
    samples: Samples, learnt: Predictions | None, sensitive: str | None, notes: list[str]
) -> dict[str, Any] | None:
    if sensitive is None:
        return None
    feature = next((f for f in samples.features if f.name == sensitive), None)
    gaps = fairness(learnt, feature) if learnt is not None and feature is not None else None
    if gaps is None:
        notes.append(
            f"fairness over {sensitive}: needs a target with classes and two groups that are large "
            "enough to compare"
        )
    return gaps


def _few(features: Sequence[Feature], notes: list[str]) -> Sequence[Feature]:
    if len(features) <= MOST_PAIR_COLUMNS:
        return features
    notes.append(f"pairs: the first {MOST_PAIR_COLUMNS} of {len(features)} columns")
    return features[:MOST_PAIR_COLUMNS]
