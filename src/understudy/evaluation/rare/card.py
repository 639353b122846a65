"""The rare-event scorecard: thirteen lines, judged on rows the engine never saw.

An average hides the tail twice: a table that drops every rare row passes all average fidelity and
all privacy measures, and one that copies only its rare rows passes too. So coverage is measured on
held-out rare rows, leak among rare training rows, and one chart shows both.

Three lists of "rare" are frozen from the reference: the most unusual rows in the metric space of
all audits, combinations of levels with 3 to 50 rows, and levels a user names (by default the
rarest answer of the target).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from understudy.evaluation.predictions import Predictions
from understudy.evaluation.rare.cells import combinations_kept, rare_cells
from understudy.evaluation.rare.coverage import (
    copied_coverage,
    rates,
    tail_coverage,
    tail_precision,
)
from understudy.evaluation.rare.detector import detector_transfer
from understudy.evaluation.rare.entry import Entry
from understudy.evaluation.rare.extremes import extremal_dependence, extreme_quantiles
from understudy.evaluation.rare.groups import Group, named_groups
from understudy.evaluation.rare.landscape import Landscape, survey
from understudy.evaluation.rare.leak import tail_leak
from understudy.evaluation.rare.learning import augmentation_gain, rare_answer_learnt
from understudy.evaluation.rare.sequences import event_timing
from understudy.evaluation.samples import Samples
from understudy.runtime.random import stream
from understudy.schema import Schema

FEWEST = 30
"""Held-out rows behind a dot of the quadrant chart."""


@dataclass(frozen=True)
class RareCard:
    """`definition`: what counted as rare. `quadrant`: coverage ratio against leak AUC."""

    definition: Mapping[str, Any]
    entries: tuple[Entry, ...]
    quadrant: Mapping[str, Any] | None
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return {
            "definition": self.definition,
            "entries": [entry.as_dict() for entry in self.entries],
            "quadrant": self.quadrant,
            "notes": self.notes,
        }


def rare_events(
    samples: Samples,
    people: Samples,
    schema: Schema,
    *,
    target: str | None,
    found: Predictions | None,
    named: Mapping[str, object] | None = None,
    budget: tuple[float, float] | None = None,
    seed: int = 0,
) -> RareCard:
    """Every line that the data allow; the others are left out with a note.

    `people` are the samples with one row a protected unit, so that tests of who is unusual and who
    was copied count people and not their rows; where the unit is the row they are `samples`.

    `found` are predictions of the target; `named` are levels a user calls rare; `budget` is
    (epsilon, delta), under which groups too small to keep and protect are said.
    """

    def rng(name: str) -> np.random.Generator:
        return stream(seed, "evaluation", "rare", name)

    groups = named_groups(samples.features, target, named)
    land = survey(people, schema.table(), rng("landscape"))
    notes = [] if land is None else list(land.notes)
    entries: list[Entry | None] = []
    if land is None:
        notes.append("rare rows: too few rows, or no column with a distance, to find unusual rows")
    else:
        entries += _of_tails(land, groups, rng)
    entries += [
        extreme_quantiles(samples.features, rng("quantiles")),
        extremal_dependence(samples.features, rng("dependence")),
        combinations_kept(rare_cells(samples, rng("cells")), rng("combinations")),
    ]
    for group in groups[-1:]:
        if found is not None and group.column == found.target:
            entries += [rare_answer_learnt(found, group), augmentation_gain(found, group)]
        entries.append(event_timing(samples, schema, group, rng("timing")))
    if budget is not None:
        entries.append(budget_floor(groups, land, *budget))
    measured = sorted(
        (entry for entry in entries if entry is not None), key=lambda e: int(e.code[1:])
    )
    return RareCard(_definition(land, groups), tuple(measured), _quadrant(measured), tuple(notes))


def _of_tails(land: Landscape, groups: list[Group], rng: Any) -> list[Entry | None]:
    return [
        tail_coverage(land, rng("coverage")),
        tail_precision(land),
        rates(land, groups),
        detector_transfer(land, rng("detector")),
        tail_leak(land, rng("leak")),
        copied_coverage(land),
    ]


def budget_floor(
    groups: list[Group], land: Landscape | None, epsilon: float, delta: float
) -> Entry:
    """R13: the smallest group that a budget lets through, k = ln(1 / delta) / epsilon.

    A group of k rows moves any count by k, and noise that hides one row has a spread of about
    1 / epsilon with tails to ln(1 / delta) / epsilon.
    """
    smallest = float(np.log(1 / delta) / epsilon)
    sizes = [(group.name, group.counts("train")[0]) for group in groups]
    if land is not None:
        sizes += [(f"{t.name} most unusual", len(land.rows("train", t))) for t in land.tails]
    below = [name for name, size in sizes if size < smallest]
    said = f" Below it here: {', '.join(below)}." if below else ""
    return Entry(
        "R13",
        "what the budget allows",
        smallest,
        smallest,
        smallest,
        None,
        len(sizes),
        f"groups below {np.ceil(smallest):.0f} rows cannot both be kept and protected at epsilon "
        f"{epsilon:g}, delta {delta:.0e}.{said}",
        "near",
    )


def _definition(land: Landscape | None, groups: list[Group]) -> dict[str, Any]:
    tails = land.tails if land is not None else ()
    return {
        "tails": [
            {
                "name": tail.name,
                "share": tail.share,
                "edge": tail.edge,
                "holdout": len(land.rows("holdout", tail)) if land is not None else 0,
            }
            for tail in tails
        ],
        "groups": [{"name": group.name, "holdout": group.counts("holdout")[0]} for group in groups],
        "cells": "combinations of up to three columns with 3 to 50 real rows",
    }


def _quadrant(entries: list[Entry]) -> dict[str, Any] | None:
    """Coverage ratio (right: kept) against leak AUC (up: leaked), each with its interval.

    Of the first tail with enough held-out rows to draw, else of the one with most.
    """
    by_code = {entry.code: entry for entry in entries}
    if "R1" not in by_code or "R11" not in by_code:
        return None
    leaks = {part["tail"]: part for part in by_code["R11"].parts if "tail" in part}
    both = [part for part in by_code["R1"].parts if part["tail"] in leaks]
    if not both:
        return None
    part = next((one for one in both if one["n"] >= FEWEST), max(both, key=lambda one: one["n"]))
    leak = leaks[part["tail"]]
    return {
        "tail": part["tail"],
        "n": part["n"],
        "coverage": part["ratio"],
        "coverage_low": part["ratio_low"],
        "coverage_high": part["ratio_high"],
        "leak": leak["auc"],
        "leak_low": leak["auc_low"],
        "leak_high": leak["auc_high"],
    }
