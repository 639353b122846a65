"""Counts of labels when the list of labels is itself private: a stability-based histogram.

Labels are kept only if their noisy count reaches a threshold so high that a label which one unit
alone holds passes with probability at most `delta` (Korolova et al. 2009; Bun, Nissim & Stemmer
2016). That probability is charged beside the noise: on the labels that both neighbours share the
answer is a Gaussian mechanism, on those that one unit brings along it differs with `delta`.

A unit with k rows may bring k labels of one row, or one label of k rows. The Gaussian tail is
convex above its centre, so one of these two ends is the worst of all ways to spread them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from understudy.errors import BudgetError
from understudy.privacy.events import Approximate, Composed, Gaussian
from understudy.privacy.mechanisms.values import add_noise, addable, positive, whole
from understudy.privacy.noise import NoiseStream
from understudy.privacy.session import Array

LONGEST = 100
"""Characters of a label that count; the rest is cut, each label by itself."""


@dataclass(frozen=True)
class StableHistogram:
    """Labels and their noisy counts, those that reach `threshold`, sorted by label.

    `exact` and the answer are structured arrays with the fields `label` and `count`, as `tally`
    makes them. `sensitivity` is the number of rows of a unit; or, where a unit brings each of at
    most `labels` labels once (see `once_each`), the square root of that.
    """

    multiplier: float
    delta: float
    sensitivity: float = 1.0
    labels: int | None = None

    def __post_init__(self) -> None:
        positive("multiplier", self.multiplier)
        positive("sensitivity", self.sensitivity)
        addable(self.sigma)
        if not 0 < self.delta < 0.5:
            raise BudgetError(
                f"a histogram over unknown labels needs a delta between 0 and 0.5, found "
                f"{self.delta}: the chance of showing a label that one unit alone holds."
            )

    @classmethod
    def once_each(cls, multiplier: float, delta: float, labels: int) -> StableHistogram:
        """For units that bring at most `labels` different labels, each of them once."""
        return cls(multiplier, delta, math.sqrt(labels), labels)

    @property
    def sigma(self) -> float:
        return self.multiplier * self.sensitivity

    @property
    def threshold(self) -> int:
        """The least noisy count that is shown.

        A count c passes threshold t when the noise, rounded, is at least t - c, so with the normal
        tail beyond (t - c - 1/2) / sigma.
        """
        rows = math.ceil(self.sensitivity) if self.labels is None else self.labels
        alone = 1 if self.labels is not None else rows
        together = alone - self.sigma * NormalDist().inv_cdf(self.delta)
        apart = 1 - self.sigma * NormalDist().inv_cdf(self.delta / rows)
        return math.ceil(max(together, apart) + 0.5)

    @property
    def event(self) -> Composed:
        return Composed((Gaussian(self.multiplier), Approximate(0.0, self.delta)))

    def distance(self, one: Array, other: Array) -> float:
        """L2 over the labels of both; a label that one of them lacks counts as zero there."""
        counts: Counter[str] = Counter()
        for sign, side in ((1, one), (-1, other)):
            for label, count in side.tolist():
                counts[label] += sign * count
        return math.hypot(*counts.values())

    def release(self, exact: Array, noise: NoiseStream) -> Array:
        counts = whole(exact["count"])
        noisy = add_noise(counts, self.sigma * noise.normals(counts.size))
        return _kept(exact["label"], noisy, self.threshold)

    def noiseless(self, exact: Array) -> Array:
        return _kept(exact["label"], whole(exact["count"]), 1)


def tally(labels: Iterable[str | None]) -> Array:
    """The exact histogram of `labels`; None is missing and not counted."""
    counts = Counter(label[:LONGEST].rstrip("\0") for label in labels if label is not None)
    return labelled(list(counts), list(counts.values()))


def labelled(labels: list[str], counts: list[int]) -> Array:
    """A structured array, its width that of the longest label and nothing else's."""
    width = max(map(len, labels), default=1)
    rows = sorted(zip(labels, counts, strict=True))
    return np.array(rows, dtype=[("label", f"U{max(width, 1)}"), ("count", np.int64)])


def _kept(labels: Array, counts: Array, least: int) -> Array:
    keep = counts >= least
    return labelled(labels[keep].tolist(), counts[keep].tolist())
