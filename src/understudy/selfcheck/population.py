"""A population with known outliers, whose every leak is planted by us.

Ten numeric columns of a six-component mixture, five categorical ones that follow the component, and
one row in a hundred thrown far out (Student t with 2 degrees of freedom, times 8).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.data.dataset import Dataset
from understudy.schema import Category, Number, one_table

LEVELS = (2, 4, 6, 10, 20)
SCHEMA = one_table(
    "planted",
    [*(Number(name=f"x{i}") for i in range(10)), *(Category(name=f"c{j}") for j in range(5))],
)
SHARES = (0.40, 0.25, 0.15, 0.10, 0.08, 0.02)


@dataclass(frozen=True)
class Rows:
    """`numbers` [n, 10] and `levels` [n, 5]."""

    numbers: NDArray[np.float64]
    levels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, index: NDArray[np.integer]) -> Rows:
        return Rows(self.numbers[index], self.levels[index])

    def put(self, index: NDArray[np.integer], other: Rows) -> Rows:
        numbers, levels = self.numbers.copy(), self.levels.copy()
        numbers[index], levels[index] = other.numbers, other.levels
        return Rows(numbers, levels)

    def dataset(self) -> Dataset:
        columns = {f"x{i}": pa.array(self.numbers[:, i]) for i in range(10)}
        for j in range(5):
            columns[f"c{j}"] = pa.array([f"level {value}" for value in self.levels[:, j]])
        return Dataset.single(SCHEMA, pa.table(columns))


_shape = np.random.default_rng(11)
MEANS = 1.5 * _shape.normal(size=(6, 10))
MIXING = np.eye(10) + 0.5 * _shape.normal(size=(10, 10))


def draw(n: int, rng: np.random.Generator) -> Rows:
    """An independent sample of the population."""
    component = rng.choice(6, n, p=SHARES)
    numbers = (MEANS[component] + rng.normal(size=(n, 10))) @ MIXING
    far = rng.random(n) < 0.01
    numbers[far] += 8 * rng.standard_t(2, size=(int(far.sum()), 10))
    steps = rng.geometric(0.5, size=(n, 5))
    return Rows(numbers, (3 * component[:, None] + steps) % np.array(LEVELS))


@dataclass(frozen=True)
class Samples:
    """Three independent samples, as an audit takes them, and the usual range of the third."""

    train: Rows
    holdout: Rows
    reference: Rows

    @property
    def span(self) -> NDArray[np.float64]:
        low, high = np.quantile(self.reference.numbers, [0.01, 0.99], axis=0)
        return np.asarray(high - low)


def samples(n: int, rng: np.random.Generator) -> Samples:
    return Samples(draw(n, rng), draw(n, rng), draw(n, rng))
