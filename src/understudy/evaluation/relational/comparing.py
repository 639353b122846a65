"""Statistics of samples made of entities, their distances, and what two real samples score.

Every statistic is a vector under weights of the entities: a histogram, correlations, a curve. It is
compared twice, as single tables are. `<name>`: all synthetic entities against all of train; floor:
bootstrap resamples of train's entities, as many as the synthetic sample has. `<name>_holdout`: the
synthetic sample against entities that no engine saw, at equal sizes; floor: train's entities in its
place. Resampling by entity and not by row, since rows of one entity resemble each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from understudy.contracts import Measurement
from understudy.evaluation.fidelity import summary
from understudy.evaluation.relational.database import Rows
from understudy.evaluation.statistics import Floats, around

REPEATS = 8
MOST_OF = 0.8
"""Share of a sample's entities that a draw may take: draws of all of them would all be the same."""
HOLDOUT = "_holdout"


class Statistic(Protocol):
    """Something to compare; `weights` [entities + 1] are multiplicities, the last for no entity."""

    @property
    def name(self) -> str: ...

    def of(self, role: str, weights: Floats) -> Floats: ...

    def distance(self, a: Floats, b: Floats) -> float: ...


@dataclass(frozen=True)
class Items:
    """Observations as cells 0..size-1, each owned by an entity (-1: by none).

    Cells that are `points` of a line are compared by Kolmogorov-Smirnov, others by total variation.
    """

    name: str
    codes: Mapping[str, Rows]
    owner: Mapping[str, Rows]
    size: int
    points: Floats | None = None

    @property
    def ordered(self) -> bool:
        return self.points is not None

    def of(self, role: str, weights: Floats) -> Floats:
        counts = np.bincount(self.codes[role], weights[self.owner[role]], self.size)
        total = counts.sum()
        return counts / total if total else np.full(self.size, np.nan)

    def distance(self, a: Floats, b: Floats) -> float:
        if self.ordered:
            return float(np.abs(np.cumsum(a - b)).max(initial=0.0))
        return float(0.5 * np.abs(a - b).sum())


def ordered(name: str, values: Mapping[str, Floats], owner: Mapping[str, Rows]) -> Items:
    """Numbers as the cells of their pooled distinct values; NaN is left out."""
    kept = {role: ~np.isnan(found) for role, found in values.items()}
    points = np.unique(np.concatenate([values[role][kept[role]] for role in values]))
    codes = {role: np.searchsorted(points, found[kept[role]]) for role, found in values.items()}
    owners = {role: owner[role][kept[role]] for role in values}
    return Items(name, codes, owners, len(points), points)


@dataclass(frozen=True)
class Draws:
    """Multiplicities float64 [draws, entities + 1] per role; the last column is 1.

    `even`: `size` entities without replacement, of the roles that are compared with the holdout;
    `resampled`: with replacement, as many as the synthetic sample has.
    """

    size: int
    everyone: Mapping[str, Floats]
    even: Mapping[str, Floats]
    resampled: Mapping[str, Floats]

    @property
    def overlap(self) -> float:
        """The share of synthetic entities that two even draws have in common."""
        return self.size / max(1, len(self.everyone["synthetic"]) - 1)


def draw(entities: Mapping[str, int], rng: np.random.Generator) -> Draws:
    """Weights for all comparisons of one database."""
    roles = ("holdout", "train", "synthetic")
    made = (int(MOST_OF * entities[role]) for role in ("train", "synthetic"))
    size = max(1, min(entities["holdout"], *made))
    even = {role: _subsamples(entities[role], size, rng) for role in roles}
    drawn = {
        role: _resampled(entities[role], entities["synthetic"], rng)
        for role in ("train", "synthetic")
    }
    everyone = {role: np.ones(entities[role] + 1) for role in roles}
    return Draws(size, everyone, even, drawn)


def _subsamples(entities: int, size: int, rng: np.random.Generator) -> Floats:
    if size == entities:
        return np.ones((1, entities + 1))
    weights = np.zeros((REPEATS, entities))
    for row in weights:
        row[rng.permutation(entities)[:size]] = 1.0
    return _with_none(weights)


def _resampled(entities: int, size: int, rng: np.random.Generator) -> Floats:
    if not entities:
        return np.ones((REPEATS, 1))
    drawn = rng.multinomial(size, np.full(entities, 1 / entities), REPEATS)
    return _with_none(drawn.astype(np.float64))


def _with_none(weights: Floats) -> Floats:
    return np.concatenate([weights, np.ones((len(weights), 1))], axis=1)


@dataclass(frozen=True)
class Compared:
    """Distances of several statistics: [statistics], and [draws, statistics] for the others."""

    names: tuple[str, ...]
    values: Floats
    replicates: Floats
    floors: Floats
    held: Floats
    held_floors: Floats
    size: int
    entities: int
    overlap: float

    def __len__(self) -> int:
        return len(self.names)

    def measured(self, name: str, meaning: str, unit: str = "") -> list[Measurement]:
        """The mean over all statistics, against train and against the holdout."""
        if not len(self):
            return []
        found = []
        if np.isfinite(self.floors).any():
            sides = self.values, self.replicates, self.floors
            found.append(summary(name, *sides, self.entities, meaning, unit))
        if np.isfinite(self.held_floors).any():
            held, said = f"{name}{HOLDOUT}", f"{meaning}; against held-out entities, at equal sizes"
            sides = means(self.held), self.wider, self.held_floors
            found.append(summary(held, *sides, self.size, said, unit))
        return [one for one in found if one is not None]

    @property
    def wider(self) -> Floats:
        """`held`, as far around its mean as means over so many draws of other synthetic samples.

        Draws that share a part of their entities are correlated by that part, so they scatter less
        than new samples would; their mean scatters less than one draw.
        """
        draws, middle = len(self.held), means(self.held)
        shared = min(self.overlap, MOST_OF)
        factor = np.sqrt((1 / draws + (1 - 1 / draws) * shared) / (1 - shared))
        return np.asarray(middle + factor * (self.held - middle))

    def worst(self, name: str, meaning: str) -> list[Measurement]:
        """The largest excess of any statistic over its floor at equal sizes.

        A mean over hundreds of pairs hides the one that is wrong. Floor: the largest excess of one
        draw of train over the mean of the others. Where nothing could be compared, nothing.
        """
        excess = means(self.held) - means(self.held_floors)
        if not np.isfinite(excess).any():
            return []
        at = int(np.nanargmax(excess))
        interval = around(float(excess[at]), self.wider[:, at] - means(self.held_floors)[at])
        draws = len(self.held_floors)
        others = (self.held_floors.sum(axis=0) - self.held_floors) / (draws - 1)
        nulls = np.nanmax(self.held_floors - others, axis=1)
        low, high = np.nanquantile(nulls, [0.025, 0.975])
        said = f"{meaning}; {self.names[at]}"
        ends = (interval.low, interval.high, float(nulls.mean()))
        return [
            Measurement(
                f"{name}{HOLDOUT}",
                interval.value,
                *ends,
                self.size,
                said,
                "lower",
                float(low),
                float(high),
            )
        ]

    def cards(self) -> list[dict[str, object]]:
        """One entry per statistic, the largest excess over its holdout floor first."""
        floors, held, held_floors = (means(x) for x in (self.floors, self.held, self.held_floors))
        order = np.argsort(-np.nan_to_num(held - held_floors, nan=-1.0), kind="stable")
        return [
            {
                "name": self.names[i],
                "value": float(self.values[i]),
                "floor": float(floors[i]),
                "holdout": float(held[i]),
                "holdout_floor": float(held_floors[i]),
            }
            for i in order
        ]


def compare(statistics: Iterable[Statistic], draws: Draws) -> Compared:
    """All distances of all statistics, which may be made one after another."""
    names, found = [], []
    for one in statistics:
        names.append(one.name)
        found.append(_compare(one, draws))
    columns = [np.array([one[0] for one in found])]
    columns += [
        np.stack([one[k] for one in found], axis=1) if found else np.zeros((REPEATS, 0))
        for k in range(1, 5)
    ]
    synthetic = len(draws.everyone["synthetic"]) - 1
    return Compared(tuple(names), *columns, draws.size, synthetic, draws.overlap)


def _compare(one: Statistic, draws: Draws) -> tuple[float, Floats, Floats, Floats, Floats]:
    real, made = (one.of(role, draws.everyone[role]) for role in ("train", "synthetic"))

    def against_train(role: str) -> Floats:
        return np.array([one.distance(real, one.of(role, w)) for w in draws.resampled[role]])

    held = [one.of("holdout", weights) for weights in draws.even["holdout"]]

    def against_holdout(role: str) -> Floats:
        sample = [one.of(role, weights) for weights in draws.even[role]]
        return np.array(
            [one.distance(held[k % len(held)], sample[k % len(sample)]) for k in range(REPEATS)]
        )

    return (
        one.distance(real, made),
        against_train("synthetic"),
        against_train("train"),
        against_holdout("synthetic"),
        against_holdout("train"),
    )


def means(values: Floats) -> Floats:
    """Mean over draws, NaN where there is none."""
    there = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(there, values, 0.0).sum(axis=0) / there.sum(axis=0))
