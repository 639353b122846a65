"""The planted cases: what is planted, and what the audit must say about it.

Numbered as in the specification. Trainers under a privacy budget (C14, C15) are in `budget_cases`;
text (C16) is checked where that part is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from understudy.contracts import Ruling
from understudy.selfcheck import generators as g
from understudy.selfcheck import tables
from understudy.selfcheck.population import Rows, Samples
from understudy.selfcheck.tables import Audited

Findings = Mapping[str, Any]
Make = Callable[[Samples, np.random.Generator], Audited]

AVERAGE = "membership, on average"
UNUSUAL = "membership, unusual people"


@dataclass(frozen=True)
class Case:
    """One planted table.

    `expected` is the ruling of the privacy lines together; `lines` must hold that ruling each.
    `findings` looks at the findings themselves, where the ruling does not say it all. `rare` cases
    are also judged by the rare-event lines, which must rule as `rare` says.
    """

    code: str
    what: str
    expected: tuple[Ruling, ...]
    make: Make
    lines: tuple[str, ...] = ()
    findings: Callable[[Findings], bool] = lambda battery: True
    rare: Ruling | None = None
    fast: bool = False


def _planted(generator: g.Generator) -> Make:
    return lambda real, rng: tables.with_rows(real, generator(real, rng))


def _sized(generator: g.Generator, factor: float) -> Make:
    """The generator's rows, drawn again to another size."""

    def make(real: Samples, rng: np.random.Generator) -> Audited:
        made = generator(real, rng)
        size = max(1, round(factor * len(made)))
        return tables.with_rows(real, made.take(rng.integers(0, len(made), size)))

    return make


def _time_split(real: Samples, rng: np.random.Generator) -> Audited:
    """Everything drifts between the rows learnt from and the rows held out."""
    late = Rows(real.holdout.numbers + 0.3 * real.span, real.holdout.levels)
    return tables.with_rows(Samples(real.train, late, real.reference), g.oracle(real, rng))


def _inference(battery: Findings, secret: str) -> list[Findings]:
    return [one for one in battery["inference"] if one["secret"] == secret]


def _covers_nothing(battery: Findings) -> bool:
    """C18: high accuracy, no advantage, and an interval narrow enough to say so."""
    model = next(one for one in _inference(battery, "flag") if one["method"] == "model")
    low, high = model["advantage_low"], model["advantage_high"]
    return bool(model["attack"] > 0.75 and low <= 0 <= high and high - low <= 0.04)


def _by_chance(battery: Findings) -> bool:
    """C19: strangers' balances are guessed about as often as the tolerance makes likely."""
    return all(one["control"] < 0.15 for one in _inference(battery, "balance"))


def _says_key(battery: Findings) -> bool:
    return any("key" in note for note in battery["notes"])


CASES: tuple[Case, ...] = (
    Case("C0", "a fresh draw of the population", ("PASS",), _planted(g.oracle), fast=True),
    Case(
        "C1",
        "bootstrap copy",
        ("FAIL",),
        _planted(g.memoriser),
        ("copies", AVERAGE, "membership, few false alarms", "singling out", "inference"),
        fast=True,
    ),
    Case("C2a", "copy, numbers moved by 2 %", ("FAIL",), _planted(g.jitter_2), (AVERAGE,)),
    Case(
        "C2b",
        "copy, numbers moved by 10 %",
        ("FAIL",),
        _planted(g.jitter_10),
        (AVERAGE, UNUSUAL),
        fast=True,
    ),
    Case(
        "C3",
        "only the 0.5 % most outlying rows copied",
        ("FAIL",),
        _planted(g.outliers_only),
        ("copies", UNUSUAL),
    ),
    Case("C4", "1 % of rows copied", ("FAIL",), _planted(g.verbatim(0.01)), ("copies",), fast=True),
    Case("C4b", "0.1 % of rows copied", ("FAIL",), _planted(g.verbatim(0.001)), ("copies",)),
    Case(
        "C5a",
        "training rows, every number shifted",
        ("FAIL",),
        _planted(g.shifted),
        (AVERAGE,),
        fast=True,
    ),
    Case(
        "C5b",
        "training rows in other units, rounded",
        ("FAIL",),
        _planted(g.other_units),
        (AVERAGE,),
    ),
    Case("C6", "half-way between neighbours", ("FAIL",), _planted(g.midpoints), (AVERAGE,)),
    Case(
        "C7a",
        "copy, moved by 10 %, near rows filtered out",
        ("FAIL",),
        _planted(g.filtered),
        (AVERAGE,),
    ),
    Case(
        "C7b",
        "a fresh draw less every row near a training row",
        ("FAIL",),
        _planted(g.without_neighbours),
        (UNUSUAL,),
        fast=True,
    ),
    Case("C8", "no tail", ("PASS",), _planted(g.without_tail), rare="FAIL"),
    Case("C9", "only the tail copied", ("FAIL",), _planted(g.tail_copied), (UNUSUAL,), rare="FAIL"),
    Case(
        "C10",
        "copy of 288 common combinations, distances tie",
        ("INCONCLUSIVE", "FAIL"),
        lambda real, rng: tables.few_categories(len(real.train), rng),
        ("closeness",),
        fast=True,
    ),
    Case(
        "C11",
        "holdout of another time",
        ("INCONCLUSIVE",),
        _time_split,
        ("a fair comparison",),
        fast=True,
    ),
    Case(
        "C12",
        "account numbers of real people",
        ("FAIL",),
        lambda real, rng: tables.account_numbers(real, g.oracle(real, rng), rng),
        ("copies",),
        lambda battery: "account" in battery["copies"]["rare_keys"]["columns"],
    ),
    Case(
        "C13a",
        "people's amounts in new rows, judged by row",
        ("PASS",),
        lambda real, rng: tables.histories(len(real.train) // 4, rng, by_entity=False),
    ),
    Case(
        "C13b",
        "people's amounts in new rows, judged by person",
        ("FAIL",),
        lambda real, rng: tables.histories(len(real.train) // 4, rng, by_entity=True),
        ("copies", AVERAGE),
        fast=True,
    ),
    Case("C17a", "copy, a hundred rows only", ("FAIL",), _sized(g.memoriser, 0.01), ("copies",)),
    Case("C17b", "copy, five times as many rows", ("FAIL",), _sized(g.memoriser, 5.0), ("copies",)),
    Case(
        "C18",
        "a flag that the other columns tell, no leak",
        ("PASS",),
        lambda real, rng: tables.predictive(real, g.oracle(real, rng)),
        ("inference",),
        _covers_nothing,
    ),
    Case(
        "C19",
        "a balance around zero that nothing tells, no leak",
        ("PASS",),
        lambda real, rng: tables.balances(len(real.train), rng),
        ("inference",),
        _by_chance,
    ),
    Case(
        "C20",
        "missing cells, a constant, repeats, a key per row",
        ("PASS", "INCONCLUSIVE"),
        lambda real, rng: tables.dirt(len(real.train), rng),
        (),
        _says_key,
        fast=True,
    ),
)
