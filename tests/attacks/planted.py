"""A population with known outliers, and tables planted to leak in known ways.

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
    component = rng.choice(6, n, p=[0.40, 0.25, 0.15, 0.10, 0.08, 0.02])
    numbers = (MEANS[component] + rng.normal(size=(n, 10))) @ MIXING
    far = rng.random(n) < 0.01
    numbers[far] += 8 * rng.standard_t(2, size=(int(far.sum()), 10))
    steps = rng.geometric(0.5, size=(n, 5))
    return Rows(numbers, (3 * component[:, None] + steps) % np.array(LEVELS))


def jittered(rows: Rows, share: float, rng: np.random.Generator) -> Rows:
    """Numbers moved by `share` of the usual range, levels kept."""
    low, high = np.quantile(rows.numbers, [0.01, 0.99], axis=0)
    noise = rng.normal(size=rows.numbers.shape) * share * (high - low)
    return Rows(rows.numbers + noise, rows.levels)


def most_outlying(rows: Rows, count: int) -> Rows:
    """The `count` rows farthest from the middle, in robust units."""
    middle = np.median(rows.numbers, axis=0)
    spread = np.quantile(np.abs(rows.numbers - middle), 0.9, axis=0)
    distance = (((rows.numbers - middle) / spread) ** 2).sum(axis=1)
    return rows.take(np.argsort(-distance)[:count])
