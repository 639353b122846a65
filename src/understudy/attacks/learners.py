"""What models that learnt from a table can guess about a person's column from the others.

One model per column, trained on synthetic rows and again on as many reference rows, which is what
anybody could do without the synthetic table. Error profile and attribute inference share them.

Numbers are guessed by boosted trees, as their ranks in the reference, so that outliers do not rule
the fit; levels by extremely randomised trees (Geurts et al. 2006), which remember rows better than
boosting does and cost the same for two levels as for twenty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from understudy.attacks.challenge import POOL, REFERENCE, SYNTHETIC
from understudy.evaluation.discriminator import declared_categories, design, filled
from understudy.evaluation.samples import Feature

MOST_ROWS = 5_000
ITERATIONS = 30
TREES = 20
MOST_CLASSES = 20
"""Commonest levels guessed one by one; rarer ones are guessed as one."""
MOST_COLUMNS = 12
TOLERANCE = 0.02
"""A number is guessed right within this share of its usual range (1 % to 99 % quantile)."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Secret:
    """The column to guess, as every model of it sees it."""

    name: str
    numeric: bool
    truth: Floats
    """Of the pooled rows: class numbers, or values; NaN where the cell is missing."""
    tolerance: float
    shares: Floats
    """How common each class is in the reference; empty for numbers."""


@dataclass(frozen=True)
class Guesses:
    """Of the pooled rows: whether the guess was right, and how surprised the model was."""

    right: NDArray[np.bool_]
    loss: Floats


@dataclass(frozen=True)
class Learnt:
    """One column guessed by who learnt from synthetic rows and by who learnt from reference."""

    secret: Secret
    synthetic: Guesses
    reference: Guesses


def learn(features: Sequence[Feature], column: int, rng: np.random.Generator) -> Learnt | None:
    """None for a column that holds one value only, or too few rows to learn from."""
    feature = features[column]
    rest = [other for i, other in enumerate(features) if i != column]
    roles = (SYNTHETIC, REFERENCE)
    targets = {role: _target(feature, role) for role in (POOL, *roles)}
    known = {role: ~np.isnan(targets[role]) for role in roles}
    size = min(MOST_ROWS, *(int(mask.sum()) for mask in known.values()))
    if not rest or size < 30:
        return None
    secret = _secret(feature, targets)
    declared = declared_categories(rest)
    sorted_known = np.sort(feature.present(REFERENCE).astype(np.float64))
    asked = design(rest, POOL)
    found = []
    for role in roles:
        rows = rng.choice(np.flatnonzero(known[role]), size, replace=False)
        y = targets[role][rows]
        if y.min() == y.max():
            return None
        seed = int(rng.integers(2**31))
        lesson = (design(rest, role)[rows], y)
        found.append(
            _guess_number(secret, sorted_known, lesson, asked, declared, seed)
            if feature.numeric
            else _guess_level(secret.truth, lesson, asked, seed)
        )
    return Learnt(secret, *found)


def chosen(features: Sequence[Feature]) -> list[int]:
    """At most `MOST_COLUMNS` columns worth guessing: levels and numbers in turn, and of each those
    that are hardest to guess blindly.
    """

    def blind(index: int) -> float:
        values = features[index].values[REFERENCE]
        _, counts = np.unique(values[~features[index].missing(REFERENCE)], return_counts=True)
        return float(counts.max(initial=0)) / max(1, len(values))

    kinds = [
        sorted((i for i in range(len(features)) if features[i].numeric == numeric), key=blind)
        for numeric in (False, True)
    ]
    in_turn = [i for pair in zip_longest(*kinds) for i in pair if i is not None]
    return sorted(in_turn[:MOST_COLUMNS])


def _secret(feature: Feature, targets: dict[str, Floats]) -> Secret:
    known = targets[REFERENCE][~np.isnan(targets[REFERENCE])]
    if not feature.numeric:
        shares = np.bincount(known.astype(int)) / len(known)
        return Secret(feature.name, False, targets[POOL], 0.0, shares)
    low, high = np.quantile(known, [0.01, 0.99])
    return Secret(feature.name, True, targets[POOL], TOLERANCE * float(high - low), np.zeros(0))


def _target(feature: Feature, role: str) -> Floats:
    """Numbers as they are; levels as classes from 0, missing being one, rare ones another."""
    values = feature.values[role].astype(np.float64)
    return values if feature.numeric else np.minimum(values, MOST_CLASSES)


def _guess_level(truth: Floats, lesson: tuple[Floats, Floats], asked: Floats, seed: int) -> Guesses:
    from sklearn.ensemble import ExtraTreesClassifier

    x, y = lesson
    model = ExtraTreesClassifier(TREES, min_samples_leaf=3, max_features=0.4, random_state=seed)
    model.fit(np.nan_to_num(x, nan=-1.0), y)
    odds = model.predict_proba(np.nan_to_num(asked, nan=-1.0))
    place = np.searchsorted(model.classes_, truth).clip(0, len(model.classes_) - 1)
    met = model.classes_[place] == truth
    own = np.where(met, odds[np.arange(len(truth)), place], 0.0)
    return Guesses(model.classes_[odds.argmax(axis=1)] == truth, -np.log(own + 0.01))


def _guess_number(
    secret: Secret,
    known: Floats,
    lesson: tuple[Floats, Floats],
    asked: Floats,
    declared: NDArray[np.bool_],
    seed: int,
) -> Guesses:
    from sklearn.ensemble import HistGradientBoostingRegressor

    model = HistGradientBoostingRegressor(
        max_iter=ITERATIONS,
        learning_rate=0.2,
        min_samples_leaf=5,
        early_stopping=False,
        categorical_features=declared,
        random_state=seed,
    )
    x, y = lesson
    guess = model.fit(filled(x), _rank(y, known)).predict(asked)
    missing = np.isnan(secret.truth)
    value = np.quantile(known, guess.clip(0, 1))
    right = ~missing & (np.abs(value - secret.truth) <= secret.tolerance)
    loss = np.log(np.abs(guess - _rank(secret.truth, known)) + 0.01)
    return Guesses(right, np.where(missing, 0.0, loss))


def _rank(values: Floats, known: Floats) -> Floats:
    below, through = (np.searchsorted(known, values, side=side) for side in ("left", "right"))
    return np.asarray((below + through) / (2.0 * len(known)))
