"""Closed forms that turn noisy tables into consistent ones: all of it is post-processing.

Tables are arrays whose first axis is the class (one class when there is no target), so every
function works on all classes at once. A one-way table is [classes, cells], a two-way one
[classes, cells, cells].
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Cells = NDArray[np.intp]

TINY = 1e-12
SEED = 1e-9
"""Added to every cell before raking, so that a cell emptied by noise can be filled again."""
RAKES = 20
NEVER, FAR = 5.0, 1e15
"""A cell expected to hold so many standard deviations and found empty cannot happen: it is put far
below all others before counts are projected."""


def total_by(groups: Cells, values: Floats, size: int = 0) -> Floats:
    """float64[groups]: the values of each group added up."""
    return np.bincount(groups, values, minlength=size).astype(np.float64)


def simplex(values: Floats, total: float) -> Floats:
    """The nearest point with no negative entry and sum `total` (Held, Wolfe & Crowder 1974)."""
    if total <= 0:
        return np.zeros_like(values)
    flat = values.ravel()
    descending = np.sort(flat)[::-1]
    excess = np.cumsum(descending) - total
    rank = np.arange(1, flat.size + 1)
    last = np.flatnonzero(descending > excess / rank)[-1]
    shifted = np.maximum(flat - excess[last] / rank[last], 0.0)
    return np.asarray(shifted.reshape(values.shape))


def simplex_by_class(table: Floats, totals: Floats) -> Floats:
    """`simplex` of each class's part."""
    return np.stack([simplex(part, total) for part, total in zip(table, totals, strict=True)])


def reconcile(table: Floats, rows: Floats, columns: Floats) -> Floats:
    """Margins by adding the same to every cell of a row, then of a column: the least change."""
    for _ in range(3):
        table = table + ((rows - table.sum(2)) / table.shape[2])[:, :, None]
        table = table + ((columns - table.sum(1)) / table.shape[1])[:, None, :]
    return table


def rake(table: Floats, rows: Floats, columns: Floats, rounds: int = RAKES) -> Floats:
    """Margins by scaling rows and columns in turn: iterative proportional fitting."""
    table = table + SEED
    for _ in range(rounds):
        table = table * (rows / np.maximum(table.sum(2), TINY))[:, :, None]
        table = table * (columns / np.maximum(table.sum(1), TINY))[:, None, :]
    return table


def residual_share(*sizes: int) -> float:
    """Share of the noise's variance that is left once margins are given.

    Of a x b independent errors (a - 1)(b - 1) directions survive the reconciliation.
    """
    return float(np.prod([(size - 1) / size for size in sizes]))


def shrink(found: Floats, base: Floats, variance: float) -> Floats:
    """`found` drawn towards `base` by how much of their difference is noise (empirical Bayes).

    The true difference in a cell is taken as normal with variance proportional to the cell's base
    count: full cells may depart, empty ones are all noise. The proportion is estimated from the
    table itself. The base count is also added to the noise, as what other rows of the same
    population would have shown.
    """
    difference = found - base
    expected = np.maximum(base, SEED)
    noise = variance + expected
    strength = max(float((difference**2 - noise).sum()), 0.0) / float(expected.sum())
    signal = strength * expected
    return base + difference * signal / (signal + noise)


def weighted(estimates: Sequence[Floats], variances: Sequence[Floats | float]) -> Floats:
    """Independent estimates of the same counts, each weighted by its precision."""
    precision = sum(1.0 / np.asarray(variance) for variance in variances)
    total = sum(e / np.asarray(v) for e, v in zip(estimates, variances, strict=True))
    return np.asarray(total / precision)


def independent(one: Floats, other: Floats, totals: Floats) -> Floats:
    """The two-way table of columns that are independent within each class."""
    return one[:, :, None] * other[:, None, :] / np.maximum(totals, TINY)[:, None, None]


def fitted_pair(noisy: Floats, one: Floats, other: Floats, totals: Floats, sigma: float) -> Floats:
    """A consistent [class, a, b] table from a noisy one and the one-way tables of its columns.

    `noisy` is by class or, with one class only, of all rows. Shrinks twice: the table of all
    classes together towards independence, then each class's towards the table that follows from
    the three two-way margins alone (maximum entropy), since what two columns do together differs
    less between classes than from independence. A cell found empty that independence would fill
    well is taken to be empty.
    """
    apart = independent(one, other, totals)
    free = sigma**2 * residual_share(*noisy.shape[1:])
    by_class = len(noisy) == len(totals)
    if by_class:
        exact = reconcile(noisy, one, other)
    else:
        exact = reconcile(noisy, one.sum(0)[None], other.sum(0)[None])
    shared = shrink(exact.sum(0), apart.sum(0), len(noisy) * free)
    if len(totals) == 1:
        found = shared[None]
    else:
        found = _three_margins(apart, np.maximum(shared, 0.0), one, other)
    if by_class and len(totals) > 1:
        free *= residual_share(len(totals))
        found = np.stack([shrink(e, b, free) for e, b in zip(exact, found, strict=True)])
    expected = apart if by_class else apart.sum(0)[None]
    never = (noisy <= sigma) & (expected > NEVER * np.sqrt(expected + sigma**2))
    return rake(simplex_by_class(np.where(never, -FAR, found), totals), one, other)


def _three_margins(start: Floats, shared: Floats, one: Floats, other: Floats) -> Floats:
    """[class, a, b] with margins (a, b), (class, a) and (class, b), by raking from `start`."""
    table = start + SEED
    for _ in range(RAKES):
        table = table * (shared / np.maximum(table.sum(0), TINY))[None]
        table = table * (one / np.maximum(table.sum(2), TINY))[:, :, None]
        table = table * (other / np.maximum(table.sum(1), TINY))[:, None, :]
    return table
