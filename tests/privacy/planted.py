"""Tiny engines with one privacy bug each, and one without, for replay to judge.

Every engine measures something behind the door and keeps it in a model of one JSON file.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from understudy.data import Dataset
from understudy.privacy.mechanisms import (
    Bounds,
    Choice,
    NoisyCounts,
    NoisyTotal,
    Quantiles,
    StableHistogram,
    magnitudes,
    tally,
)
from understudy.privacy.noise import NoiseStream
from understudy.privacy.session import Array
from understudy.schema import Number, one_table

AGES = np.arange(15, 100, 5)
Measure = Callable[[Any, Dataset], dict[str, Any]]


@dataclass(frozen=True)
class PlantedModel:
    learnt: dict[str, Any]
    engine: str = "planted"
    holds_training_values: bool = False

    def sample(self, n: int, *, seed: int | None = None, **_: Any) -> Dataset:
        made = np.random.default_rng(seed).integers(0, 100, n)
        return Dataset.single(one_table("t", [Number(name="x")]), pa.table({"x": made}))

    def save(self, path: Path) -> None:
        path.mkdir()
        (path / "model.json").write_text(json.dumps(self.learnt))


@dataclass(frozen=True)
class Planted:
    """An engine that learns what `measure` returns."""

    measure: Measure

    def fit(self, dataset: Dataset, *, privacy: Any = None) -> PlantedModel:
        return PlantedModel(self.measure(privacy, dataset))


def column(dataset: Dataset, name: str) -> Array:
    """The numbers of a column, missing ones as NaN."""
    values = dataset.table[name].to_pylist()
    return np.array([np.nan if value is None else value for value in values], np.float64)


def ages(dataset: Dataset) -> Array:
    return np.histogram(np.clip(np.nan_to_num(column(dataset, "age")), 15, 95), AGES)[0]


def correct(session: Any, dataset: Dataset) -> dict[str, Any]:
    """Everything through a mechanism: bounds, labels, the number of rows, a choice."""
    rows = session.admit(dataset)
    low, high = rows.ask(
        "größe, bounds", Bounds(2.0), lambda d: magnitudes(column(d, "größe"))
    ).tolist()
    towns = rows.ask(
        "stadt, labels", StableHistogram(2.0, 1e-7), lambda d: tally(d.table["stadt"].to_pylist())
    )
    total = rows.ask("rows", NoisyTotal(2.0), lambda d: np.array([d.num_rows]))
    counts = rows.ask("age, 1-way", NoisyCounts(2.0), ages)
    best = rows.ask("best age", Choice(1.0), lambda d: ages(d).astype(float))
    quantiles = Quantiles(1.0, (0.25, 0.5, 0.75), low, high)
    middle = rows.ask("größe, quartiles", quantiles, lambda d: column(d, "größe")[_present(d)])
    return {
        "towns": towns["label"].tolist(),
        "ages": (counts / max(int(total[0]), 1)).tolist(),
        "best": int(best[0]),
        "quartiles": middle.tolist(),
    }


def _present(dataset: Dataset) -> Array:
    return np.isfinite(column(dataset, "größe"))


def uncharged_range(session: Any, dataset: Dataset) -> dict[str, Any]:
    """Bins between the smallest and the largest value that were read off the rows."""
    sizes = column(dataset, "größe")
    sizes = sizes[np.isfinite(sizes)]
    edges = np.linspace(sizes.min(), sizes.max(), 11)
    counts = session.admit(dataset).ask(
        "größe, 1-way", NoisyCounts(2.0), lambda d: np.histogram(sizes, edges)[0]
    )
    return {"edges": edges.tolist(), "counts": counts.tolist()}


def labels_from_data(session: Any, dataset: Dataset) -> dict[str, Any]:
    """A table over the labels that happen to occur."""
    towns = sorted({town for town in dataset.table["stadt"].to_pylist() if town is not None})
    counts = session.admit(dataset).ask(
        "stadt, 1-way",
        NoisyCounts(2.0),
        lambda d: np.array([d.table["stadt"].to_pylist().count(town) for town in towns]),
    )
    return {"towns": towns, "counts": counts.tolist()}


def divided_by_rows(session: Any, dataset: Dataset) -> dict[str, Any]:
    """Noisy counts turned into shares by the number of rows there really are."""
    counts = session.admit(dataset).ask("age, 1-way", NoisyCounts(2.0), ages)
    return {"shares": (counts / dataset.num_rows).tolist()}


def seeded_by_itself(session: Any, dataset: Dataset) -> dict[str, Any]:
    """Noise, but of a generator whose seed is in the source."""
    noise = np.rint(np.random.default_rng(0).normal(0, 2, len(AGES) - 1))
    return {"counts": (ages(dataset) + noise).tolist()}


@dataclass(frozen=True)
class SeededCounts(NoisyCounts):
    """A mechanism that ignores the stream it is given."""

    def release(self, exact: Array, noise: NoiseStream) -> Array:
        own = np.random.default_rng(0).normal(0, self.sigma, exact.shape)
        return exact + np.rint(own).astype(np.int64)


def seeded_mechanism(session: Any, dataset: Dataset) -> dict[str, Any]:
    """A seed again, inside a mechanism that is charged as if it were private."""
    counts = session.admit(dataset).ask("age, 1-way", SeededCounts(2.0), ages)
    return {"counts": counts.tolist()}


def nan_passes_clip(session: Any, dataset: Dataset) -> dict[str, Any]:
    """`clip` leaves NaN as it is, so one row makes the whole sum NaN, which is taken as zero."""

    def total(d: Dataset) -> Array:
        present = [v for v in d.table["größe"].to_pylist() if v is not None]
        return np.rint(np.clip(np.array(present), 0, 300)).sum()

    noisy = session.admit(dataset).ask("größe, sum", NoisyTotal(2.0, sensitivity=300.0), total)
    return {"sum": int(noisy)}


def twice_the_sensitivity(session: Any, dataset: Dataset) -> dict[str, Any]:
    """A row adds 2 to its cell, and 1 is declared."""
    counts = session.admit(dataset).ask("age, 1-way", NoisyCounts(2.0), lambda d: 2 * ages(d))
    return {"counts": counts.tolist()}


def random_outside(session: Any, dataset: Dataset) -> dict[str, Any]:
    """Post-processing that no seed controls: leaks cannot be told from it."""
    counts = session.admit(dataset).ask("age, 1-way", NoisyCounts(2.0), ages)
    return {"counts": np.random.default_rng().permutation(counts).tolist()}


def asked_if_rare(session: Any, dataset: Dataset) -> dict[str, Any]:
    """Whether a second query is asked depends on the rows."""
    rows = session.admit(dataset)
    counts = rows.ask("age, 1-way", NoisyCounts(2.0), ages)
    if "Nowhere-on-Sea" in dataset.table["stadt"].to_pylist():
        rows.ask("rows", NoisyTotal(2.0), lambda d: np.array([d.num_rows]))
    return {"counts": counts.tolist()}


def fails_on_missing(session: Any, dataset: Dataset) -> dict[str, Any]:
    """A row without an age stops the run, which everybody can see."""
    if dataset.table["age"].null_count:
        raise ValueError("an age is missing")
    return {"counts": session.admit(dataset).ask("age, 1-way", NoisyCounts(2.0), ages).tolist()}


BUGS: dict[Measure, set[tuple[str, str]]] = {
    uncharged_range: {
        ("leak", "model.json"),
        ("sensitivity", "größe, 1-way"),
    },
    labels_from_data: {("leak", "model.json"), ("sensitivity", "stadt, 1-way")},
    divided_by_rows: {("leak", "model.json")},
    seeded_by_itself: {("leak", "model.json"), ("seed", "model.json")},
    seeded_mechanism: {("seed", "age, 1-way")},
    nan_passes_clip: {("sensitivity", "größe, sum"), ("not finite", "größe, sum")},
    twice_the_sensitivity: {("sensitivity", "age, 1-way")},
    random_outside: {("not repeatable", "model.json")},
    asked_if_rare: {("queries", "rows")},
    fails_on_missing: {("crash", "fit")},
}
"""Each bug with exactly what replay must say of it: kind, and query or file."""
