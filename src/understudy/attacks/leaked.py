"""The people whom the surest attack is surest of, each beside the synthetic row nearest to theirs.

For whoever mends a leak: which records, in which group, and which of their columns the table tells.
It holds values of real people, so it is no part of a battery's JSON: it goes into the internal
report, hidden there until asked for, and nowhere else. Identifiers and free text are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from understudy.attacks.challenge import POOL, REFERENCE, SYNTHETIC, Challenge
from understudy.attacks.family import Stratum
from understudy.attacks.membership import Membership, Score
from understudy.evaluation.samples import Feature

MOST_RECORDS = 50
MOST_COLUMNS = 40
NEAR = 0.01
"""Share of a number's usual range (1 % to 99 % of the reference) within which it counts as near."""

Agreement = Literal["matches", "near", "differs"]


@dataclass(frozen=True)
class Cell:
    """One column of a record and of its nearest synthetic row; None is a missing cell."""

    column: str
    agreement: Agreement
    real: str | None
    synthetic: str | None


@dataclass(frozen=True)
class Record:
    """`place`: among all challenged units, strangers too, the surest guess first, from 1.

    `twins`: challenged rows of strangers that are the same in every column. Where there are some
    the record is common, and a synthetic row that equals it gives nobody away.
    """

    place: int
    score: float
    stratum: str
    distance: float
    twins: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Leaked:
    """`right` of the `guesses` surest guesses were people learnt from; a coin gets half of them.

    Records show the first `MOST_COLUMNS` of `columns`.
    """

    attack: str
    guesses: int
    right: int
    columns: int
    records: tuple[Record, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def leaked(
    challenge: Challenge,
    tried: Sequence[Score],
    judged: Sequence[Membership],
    groups: Sequence[Stratum],
) -> Leaked:
    """At most `MOST_RECORDS` members, by the attack with most members at few false alarms."""
    best = max(range(len(tried)), key=lambda i: (judged[i].tpr_at_1.low, judged[i].auc.value, -i))
    values, member = tried[best].values, challenge.is_member
    # Members lie first in the pool: among equal scores a stranger goes before them.
    order = np.lexsort((member, -values))
    guesses = min(MOST_RECORDS, len(order))
    places = np.flatnonzero(member[order])[:MOST_RECORDS]
    shown = [(one, NEAR * _range(one)) for one in challenge.features[:MOST_COLUMNS]]
    records = [
        _record(challenge, int(order[at]), int(at) + 1, float(values[order[at]]), groups, shown)
        for at in places
    ]
    right = int(member[order[:guesses]].sum())
    return Leaked(tried[best].name, guesses, right, len(challenge.features), tuple(records))


Shown = Sequence[tuple[Feature, float]]
"""Columns, each with the distance within which its numbers are near."""


def _record(
    challenge: Challenge,
    unit: int,
    place: int,
    score: float,
    groups: Sequence[Stratum],
    shown: Shown,
) -> Record:
    """A unit by the one of its rows that lies nearest to a synthetic row."""
    near = challenge.values.to_synthetic
    rows = np.flatnonzero(challenge.unit_of == unit)
    row = int(rows[np.argmin(near.distance[rows, 0])])
    made = int(near.index[row, 0])
    smallest = min((g for g in groups if g.rows[unit]), key=lambda g: int(g.rows.sum()))
    cells = tuple(_cell(challenge, feature, room, row, made) for feature, room in shown)
    distance = float(near.distance[row, 0])
    return Record(place, score, smallest.name, distance, _twins(challenge, row), cells)


def _twins(challenge: Challenge, row: int) -> int:
    same = ~challenge.row_is_member
    for feature in challenge.features:
        values, missing = feature.values[POOL], feature.missing(POOL)
        same = same & (missing if missing[row] else values == values[row])
        if not same.any():
            break
    return int(same.sum())


def _cell(challenge: Challenge, feature: Feature, room: float, row: int, made: int) -> Cell:
    real = challenge.pool[feature.name][row].as_py()
    synthetic = challenge.synthetic[feature.name][made].as_py()
    agreement: Agreement = "differs"
    if real == synthetic:
        agreement = "matches"
    elif feature.numeric and None not in (real, synthetic):
        ours, theirs = feature.values[POOL][row], feature.values[SYNTHETIC][made]
        if abs(float(ours) - float(theirs)) <= room:  # type: ignore[arg-type]
            agreement = "near"
    return Cell(feature.name, agreement, _written(real), _written(synthetic))


def _range(feature: Feature) -> float:
    values = feature.present(REFERENCE)
    if not feature.numeric or len(values) == 0:
        return 0.0
    low, high = np.quantile(values.astype(np.float64), [0.01, 0.99])
    return float(high - low)


def _written(value: object) -> str | None:
    return None if value is None else str(value)
