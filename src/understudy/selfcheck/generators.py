"""Generators that leak in known ways, and two that do not (G0 and G8).

Each takes the samples and a random stream and returns as many synthetic rows as there are training
rows. What each must be caught by stands in `cases`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from understudy.selfcheck.population import Rows, Samples, draw

Generator = Callable[[Samples, np.random.Generator], Rows]


def oracle(real: Samples, rng: np.random.Generator) -> Rows:
    """G0: a fresh draw of the population; truly safe."""
    return draw(len(real.train), rng)


def memoriser(real: Samples, rng: np.random.Generator) -> Rows:
    """G1: a bootstrap of the training rows."""
    n = len(real.train)
    return real.train.take(rng.integers(0, n, n))


def jittered(rows: Rows, share: float, span: NDArray[np.float64], rng: np.random.Generator) -> Rows:
    """Numbers moved by `share` of the usual range, levels kept."""
    noise = rng.normal(size=rows.numbers.shape) * share * span
    return Rows(rows.numbers + noise, rows.levels)


def jitter_2(real: Samples, rng: np.random.Generator) -> Rows:
    """G2: a bootstrap, numbers moved by 2 % of their range."""
    return jittered(memoriser(real, rng), 0.02, real.span, rng)


def jitter_10(real: Samples, rng: np.random.Generator) -> Rows:
    """G2b: a bootstrap, numbers moved by 10 % of their range."""
    return jittered(memoriser(real, rng), 0.10, real.span, rng)


def outliers_only(real: Samples, rng: np.random.Generator) -> Rows:
    """G3: a fresh draw in which the most outlying 0.5 % of the training rows stand verbatim."""
    n = len(real.train)
    worst = np.argsort(-outlierness(real.train, real.reference))[: n // 200]
    return oracle(real, rng).put(rng.choice(n, len(worst), replace=False), real.train.take(worst))


def verbatim(share: float) -> Generator:
    """G4: a fresh draw in which `share` of the rows are random training rows."""

    def make(real: Samples, rng: np.random.Generator) -> Rows:
        n = len(real.train)
        count = max(1, round(share * n))
        places, taken = (rng.choice(n, count, replace=False) for _ in range(2))
        return oracle(real, rng).put(places, real.train.take(taken))

    return make


def shifted(real: Samples, rng: np.random.Generator) -> Rows:
    """G5: the training rows, every number plus a quarter of its range."""
    return Rows(real.train.numbers + 0.25 * real.span, real.train.levels)


def other_units(real: Samples, rng: np.random.Generator) -> Rows:
    """G5 in other units: the training rows, numbers times a thousand and rounded."""
    return Rows(np.round(real.train.numbers * 1000.0), real.train.levels)


def midpoints(real: Samples, rng: np.random.Generator) -> Rows:
    """G6: each training row half-way to its nearest other one, as interpolation does."""
    from scipy.spatial import cKDTree

    scaled = real.train.numbers / real.span
    _, near = cKDTree(scaled).query(scaled, 2)
    other = real.train.numbers[near[:, 1]]
    return Rows((real.train.numbers + other) / 2, real.train.levels)


def filtered(real: Samples, rng: np.random.Generator) -> Rows:
    """G7: G2b less the rows that lie closer to a training row than held-out rows mostly do."""
    made = jitter_10(real, rng)
    limit = np.quantile(_gaps(real.holdout, real.train, real.span), 0.05)
    return made.take(np.flatnonzero(_gaps(made, real.train, real.span) >= limit))


def without_tail(real: Samples, rng: np.random.Generator) -> Rows:
    """G8: a fresh draw without its most outlying 2 %; safe, and useless for rare rows."""
    n = len(real.train)
    made = draw(2 * n, rng)
    far = outlierness(made, real.reference)
    return made.take(np.flatnonzero(far <= np.quantile(far, 0.98))[:n])


def without_neighbours(real: Samples, rng: np.random.Generator) -> Rows:
    """A fresh draw less every row near a training row: safe-looking, and leaking by omission."""
    n = len(real.train)
    made = draw(3 * n, rng)
    gap = _gaps(made, real.train, real.span)
    return made.take(np.flatnonzero(gap > np.quantile(gap, 0.5))[:n])


def tail_copied(real: Samples, rng: np.random.Generator) -> Rows:
    """C9: an ordinary bulk, and the hundred most outlying training rows moved by 5 %."""
    n = len(real.train)
    far = outlierness(real.train, real.reference)
    made = draw(2 * n, rng)
    bulk = np.flatnonzero(outlierness(made, real.reference) < np.quantile(far, 0.98))[: n - 100]
    tail = jittered(real.train.take(np.argsort(-far)[:100]), 0.05, real.span, rng)
    rows = made.take(bulk)
    return Rows(
        np.concatenate([rows.numbers, tail.numbers]), np.concatenate([rows.levels, tail.levels])
    )


PLANTED: Mapping[str, Generator] = {
    "G0": oracle,
    "G1": memoriser,
    "G2": jitter_2,
    "G2b": jitter_10,
    "G3": outliers_only,
    "G4": verbatim(0.01),
    "G5": shifted,
    "G6": midpoints,
    "G7": filtered,
    "G8": without_tail,
}


def outlierness(rows: Rows, reference: Rows) -> NDArray[np.float64]:
    """Mean distance to the five nearest reference rows, as the audit measures it."""
    from understudy.encoding.metric import MetricSpace
    from understudy.encoding.neighbours import nearest
    from understudy.selfcheck.population import SCHEMA

    space = MetricSpace.fit(reference.dataset().table, SCHEMA.table())
    points = (space.transform(part.dataset().table) for part in (rows, reference))
    return np.asarray(nearest(*points, 5).distance.mean(axis=1))


def _gaps(rows: Rows, real: Rows, span: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance to the nearest real row, in ranges of the numbers and mismatches of the levels."""
    from understudy.encoding.neighbours import nearest

    def points(part: Rows) -> NDArray[np.float32]:
        hot = [np.eye(20)[part.levels[:, j]] for j in range(part.levels.shape[1])]
        stacked = np.concatenate([part.numbers / span, np.sqrt(0.5) * np.concatenate(hot, 1)], 1)
        return stacked.astype(np.float32)

    return np.asarray(nearest(points(rows), points(real), 1).to(1))
