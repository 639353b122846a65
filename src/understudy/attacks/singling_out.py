"""Singling out: predicates that hold for one synthetic row and, the attacker bets, for one person.

One-column predicates ask for a value that one synthetic row has, or for the largest or smallest;
many-column predicates take cells of a synthetic row until no other synthetic row has them all,
numbers as "about so much", or "at least" above the median and "at most" below. Each predicate is
tried on the people learnt from and on as many never seen; predicates that single out the same
person are one piece of evidence.

Article 29 Working Party, Opinion 05/2014 (WP216); predicates as in Giomi et al. 2023
(arXiv:2211.10459).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.attacks.challenge import POOL, SYNTHETIC, Challenge
from understudy.attacks.membership import OUTSIDER, Attacker
from understudy.attacks.risk import Risk, compare
from understudy.evaluation.samples import Feature

MOST_ONE_COLUMN = 20_000
MOST_MANY_COLUMNS = 20_000
"""So many bets bring the interval of 20,000 harmless rows to a half-width of .01 to .02."""
MOST_DRAWN = 50_000
MOST_TERMS = 12
FEWEST = 50

GUESSER = Attacker(
    "a few cells of the person looked for",
    OUTSIDER.access,
    "tens of thousands of predicates read off the synthetic table; seconds on a laptop",
)

ABOUT = (0.03, 0.01, 0.003)
"""Half-widths of "about so much", as shares of the usual range, taken at random: in a table of few
columns only narrow ones single anybody out."""

Term = tuple[int, float, float]
"""Column, least and largest value."""


@dataclass(frozen=True)
class SinglingOut:
    """Risk of one-column and of many-column predicates; None where too few could be made."""

    one_column: Risk | None
    many_columns: Risk | None

    def as_dict(self) -> dict[str, Any]:
        found = {"one_column": self.one_column, "many_columns": self.many_columns}
        return {
            "attacker": GUESSER.as_dict(),
            **{name: risk.as_dict() if risk else None for name, risk in found.items()},
        }


def single_out(challenge: Challenge, rng: np.random.Generator) -> SinglingOut:
    """Tries predicates of the synthetic rows on members and on as many others."""
    size = min(challenge.member_rows, len(challenge.unit_of) - challenge.member_rows)
    sides = _values(challenge.features, POOL)
    members = sides[:, :size]
    others = sides[:, challenge.member_rows : challenge.member_rows + size]
    made = _values(challenge.features, SYNTHETIC)
    # A bet on one person among `size` is read off as many synthetic rows.
    if made.shape[1] > size:
        made = made[:, np.sort(rng.choice(made.shape[1], size, replace=False))]
    one = list(_one_column(challenge.features, made, rng))
    many = list(islice(_many_columns(challenge.features, made, rng), MOST_MANY_COLUMNS))
    owners = challenge.unit_of[:size], challenge.unit_of[challenge.member_rows :]
    return SinglingOut(_risk(one, members, others, owners), _risk(many, members, others, owners))


def _risk(
    predicates: Sequence[tuple[Term, ...]],
    members: NDArray[np.float64],
    others: NDArray[np.float64],
    owners: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> Risk | None:
    if len(predicates) < FEWEST:
        return None
    hits, hung = [], []
    for rows, owner in zip((members, others), owners, strict=True):
        found = [alone(rows, predicate) for predicate in predicates]
        whom = np.array([-1 if row is None else owner[row] for row in found])
        hits.append(whom >= 0)
        # A failed try hangs on nobody: each is a unit of its own.
        _, group = np.unique(
            np.where(whom >= 0, whom, -1 - np.arange(len(whom))), return_inverse=True
        )
        hung.append(group)
    return compare(hits[0], hits[1], hung)


def alone(rows: NDArray[np.float64], predicate: Sequence[Term]) -> int | None:
    """The only row of `rows` [columns, n] for which the predicate holds, if there is just one."""
    left = np.arange(rows.shape[1])
    for term in predicate:
        left = left[_meets(rows[term[0], left], term)]
        if len(left) == 0:
            return None
    return int(left[0]) if len(left) == 1 else None


def _meets(cells: NDArray[np.float64], term: Term) -> NDArray[np.bool_]:
    _, least, largest = term
    return (cells >= least) & (cells <= largest)


def _values(features: Sequence[Feature], role: str) -> NDArray[np.float64]:
    return np.stack([feature.values[role].astype(np.float64) for feature in features])


def _one_column(
    features: Sequence[Feature], made: NDArray[np.float64], rng: np.random.Generator
) -> Iterator[tuple[Term, ...]]:
    most = max(2, MOST_ONE_COLUMN // len(features))
    for column, feature in enumerate(features):
        values, counts = np.unique(made[column], return_counts=True)
        values, counts = values[~np.isnan(values)], counts[~np.isnan(values)]
        once = values[counts == 1]
        if feature.numeric and len(once):
            if counts[0] == 1:
                yield ((column, -np.inf, float(values[0])),)
            if counts[-1] == 1:
                yield ((column, float(values[-1]), np.inf),)
        if len(once) > most:
            once = rng.choice(once, most, replace=False)
        for value in once:
            yield ((column, float(value), float(value)),)


def _many_columns(
    features: Sequence[Feature], made: NDArray[np.float64], rng: np.random.Generator
) -> Iterator[tuple[Term, ...]]:
    """Cells of random synthetic rows, added one by one until no other row meets them all."""
    count, size = made.shape
    if count < 2:
        return
    makers = [_terms(features[column], column, made[column]) for column in range(count)]
    seen: set[tuple[Term, ...]] = set()
    for _ in range(MOST_DRAWN):
        row = made[:, rng.integers(size)]
        # Half of the cells by one side, half as about so much.
        about = np.where(rng.random(count) < 0.5, rng.choice(ABOUT, count), 0.0)
        left = np.arange(size)
        terms: list[Term] = []
        for column in rng.permutation(count)[:MOST_TERMS]:
            value = float(row[column])
            if np.isnan(value):
                continue
            term = makers[column](value, float(about[column]))
            left = left[_meets(made[column, left], term)]
            terms.append(term)
            if len(left) == 1:
                break
        predicate = tuple(sorted(terms))
        if len(left) == 1 and len(terms) > 1 and predicate not in seen:
            seen.add(predicate)
            yield predicate


def _terms(
    feature: Feature, column: int, made: NDArray[np.float64]
) -> Callable[[float, float], Term]:
    """How a cell of the column becomes a term: levels as they are, numbers by one side or both."""
    present = made[~np.isnan(made)]
    if not feature.numeric or len(present) == 0:
        return lambda value, about: (column, value, value)
    low, middle, high = np.quantile(present, [0.01, 0.5, 0.99])
    span = float(high - low)

    def make(value: float, about: float) -> Term:
        if about:
            return (column, value - about * span, value + about * span)
        return (column, value, np.inf) if value > middle else (column, -np.inf, value)

    return make
