"""The scorecard: every measure of a synthetic table, each beside what real data scores.

`floor` is real against real at the synthetic's size: for statistics judged against train, the mean
over bootstrap resamples of train against train; for the C2ST, a train sample against the holdout;
for utility, the same model trained on as many real rows. Measurements called `*_holdout` judge the
synthetic table against the holdout, at equal sizes, with a train sample as floor: they also carry
the holdout's own sampling noise. What cannot be measured is left out, with a note.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from understudy.contracts import Measurement
from understudy.data.dataset import Dataset
from understudy.evaluation import fidelity
from understudy.evaluation.discriminator import c2st, rows_a_side
from understudy.evaluation.samples import ROLES, Feature, Samples, collect
from understudy.evaluation.statistics import plain
from understudy.evaluation.utility import Utility, tstr
from understudy.runtime.parallel import run_all
from understudy.runtime.progress import Progress, ProgressEvent, silent
from understudy.runtime.random import stream

STEPS = ("columns", "pairs", "correlations", "discriminator", "utility")
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
    utility: tuple[Utility, ...]
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
                "utility": [result.as_dict() for result in self.utility],
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
    seed: int = 0,
    progress: Progress = silent,
    workers: int = 1,
) -> Scorecard:
    """Measures `synthetic` against `train` (what it learnt) and `holdout` (what it never saw).

    `target` adds utility: models that predict it. Deterministic in `seed`, for any number of
    `workers`. Raises `ColumnError` for a target that the table does not have.
    """
    spec = train.schema.table()
    if target is not None:
        spec.column(target)
    samples = collect(train, holdout, reference, synthetic, seed=seed)
    notes = list(samples.notes)

    def begin(step: str) -> None:
        progress(ProgressEvent("evaluate", STEPS.index(step), len(STEPS), step))

    begin("columns")
    columns: list[dict[str, Any]] = []
    pairs: dict[str, Any] = {"columns": [], "error": [], "floor": []}
    related: dict[str, Any] = {"columns": [], "real": [], "synthetic": [], "measure": []}
    found: list[Measurement | None] = []
    if samples.size("train") and samples.size("synthetic") and samples.features:
        rng = stream(seed, "evaluation", "bootstrap")
        draws = fidelity.resample(samples, samples.size("synthetic"), rng)
        columns, of_columns = fidelity.of_columns(samples, draws)
        on_holdout = fidelity.shape_on_holdout(samples, rng)
        few = _few(samples.features, notes)
        begin("pairs")
        pairs, of_pairs = fidelity.of_pairs(few, draws)
        begin("correlations")
        related, of_correlations = fidelity.of_correlations(few, draws)
        found += [*of_columns, on_holdout, *of_pairs, *of_correlations]
    else:
        notes.append("nothing to compare: no rows, or no column of a kind that is learnt")
    begin("discriminator")
    found.append(_discriminator(samples, seed, workers, notes))
    begin("utility")
    utility = []
    if target is not None:
        utility = tstr(samples, spec, target, stream(seed, "evaluation", "utility"))
        found.append(_utility(target, utility, samples, notes))
    progress(ProgressEvent("evaluate", len(STEPS), len(STEPS), "done"))
    datasets = zip(ROLES, (train, holdout, reference, synthetic), strict=True)
    return Scorecard(
        {role: data.num_rows for role, data in datasets} | {"compared": samples.size("synthetic")},
        target,
        {one.name: one for one in found if one is not None},
        tuple(columns),
        pairs,
        related,
        tuple(utility),
        tuple(notes),
    )


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


def _few(features: Sequence[Feature], notes: list[str]) -> Sequence[Feature]:
    if len(features) <= MOST_PAIR_COLUMNS:
        return features
    notes.append(f"pairs: the first {MOST_PAIR_COLUMNS} of {len(features)} columns")
    return features[:MOST_PAIR_COLUMNS]
