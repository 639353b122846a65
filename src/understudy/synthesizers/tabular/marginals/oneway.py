"""One-way tables: how many rows there are, and each column by class.

Counts of a column alone fix its fine shape, a coarser table by class says how the classes differ
in it. Both are noisy views of the same rows and are combined by precision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from understudy.encoding.discrete import Axis, Codes, GridAxis
from understudy.encoding.private_bins import SUPPORT, Binned
from understudy.errors import BudgetError
from understudy.privacy.session import Private
from understudy.synthesizers.tabular.marginals.grain import owner, runs
from understudy.synthesizers.tabular.marginals.planning import MarginalPlan
from understudy.synthesizers.tabular.marginals.tables import (
    TINY,
    Cells,
    Floats,
    rake,
    reconcile,
    residual_share,
    shrink,
    simplex,
    simplex_by_class,
    total_by,
    weighted,
)

Coded = Mapping[str, Codes]
DROWNED = 4.0
"""A table needs this many standard deviations of the noise in its row count to be learnt."""


@dataclass(frozen=True)
class Classes:
    """What every table is broken down by: groups of the target's codes, or a single class.

    `of_code` maps the target's codes to classes, `counts` is how many rows each class has, `fine`
    how many each code of the target has.
    """

    target: str | None
    of_code: Cells
    counts: Floats
    fine: Floats

    @property
    def number(self) -> int:
        return len(self.counts)

    @property
    def total(self) -> float:
        return float(self.counts.sum())

    def rows(self, codes: Coded, length: int) -> Codes:
        """int[n]: the class of each row."""
        if self.target is None:
            return np.zeros(length, np.intp)
        return self.of_code[codes[self.target]]


def row_total(columns: Sequence[Binned], epsilon: float) -> float:
    """The number of rows, each column's total weighted by its precision.

    Raises `BudgetError` when the noise of all columns together drowns it.
    """
    sums = [np.array(column.counts.sum()) for column in columns]
    variances = [float(column.variance.sum()) for column in columns]
    total = float(weighted(sums, variances))
    noise = float(np.sqrt(1 / sum(1 / v for v in variances)))
    if total < DROWNED * noise:
        needed = epsilon * DROWNED * noise / max(total, noise / 2)
        raise BudgetError(
            f"epsilon {epsilon:g} is too small for this table: counts carry noise of about "
            f"{noise:,.0f} rows, which hides how many rows there are. The smallest epsilon that "
            f"works is about {needed:.2g}; levels and bounds declared in the plan cost nothing."
        )
    return total


def smooth(binned: Binned, total: float) -> Floats:
    """A column's counts without negatives, summing to `total`; labels too rare to tell apart share
    what they have evenly."""
    counts = binned.counts.copy()
    if not isinstance(binned.axis, GridAxis):
        rare = counts < SUPPORT * np.sqrt(binned.variance)
        if rare.any():
            counts[rare] = max(counts[rare].sum(), 0.0) / rare.sum()
    return simplex(counts, total)


def classes_of(name: str, binned: Binned, counts: Floats, most: int, smallest: float) -> Classes:
    """Groups of the target's codes: the codes themselves as far as they are full enough.

    Levels that hold less than `smallest` rows are one class together; numbers are cut into at most
    `most` runs of equal weight.
    """
    size = len(counts)
    if isinstance(binned.axis, GridAxis) or binned.axis.ordered:
        starts = runs(counts, max(2, min(most, int(counts.sum() / max(smallest, 1.0)))))
        of_code = owner(starts, size)
    else:
        order = np.argsort(-counts, kind="stable")
        own = max(1, min(int((counts >= smallest).sum()), most))
        rest = order[own:]
        # What is left over is a class of its own unless it is but noise.
        real = counts[rest].sum() >= SUPPORT * np.sqrt(binned.variance[rest].sum())
        of_code = np.zeros(size, np.intp)
        of_code[order[:own]] = np.arange(own)
        of_code[rest] = own if real and len(rest) else 0
    return Classes(name, of_code, total_by(of_code, counts), counts)


def by_class(
    codes: Private[Coded],
    binned: Mapping[str, Binned],
    alone: Mapping[str, Floats],
    classes: Classes,
    plan: MarginalPlan,
) -> tuple[Classes, dict[str, Floats], dict[str, float]]:
    """[class, code] tables of every column but the target, the class counts refined by them, and
    the variance of a cell."""
    measured: dict[str, tuple[Cells, Floats, float]] = {}
    for name in alone:
        query = f"{name} by target"
        sigma = plan.sigma(query)
        groups = _groups(binned[name].axis, alone[name], classes, sigma)
        table = codes.ask(query, plan.mechanisms[query], _counting(name, groups, classes))
        measured[name] = (groups, table.astype(np.float64), sigma**2)
    classes = _refined(classes, list(measured.values()), binned)
    tables = {
        name: _combined(alone[name], binned[name].variance, groups, table, variance, classes)
        for name, (groups, table, variance) in measured.items()
    }
    return classes, tables, {name: found[2] for name, found in measured.items()}


def _groups(axis: Axis, counts: Floats, classes: Classes, sigma: float) -> Cells:
    """As many groups of a column's codes as the noise allows: about one sigma of rows in a cell."""
    most = max(2, int(counts.sum() / (sigma * classes.number)))
    if isinstance(axis, GridAxis) or axis.ordered or most >= len(counts):
        return owner(runs(counts, most), len(counts))
    order = np.argsort(-counts, kind="stable")
    groups = np.empty(len(counts), np.intp)
    groups[order] = np.minimum(np.arange(len(counts)), most - 1)
    return groups


def _counting(name: str, groups: Cells, classes: Classes) -> Callable[[Coded], Codes]:
    size = int(groups.max()) + 1

    def exact(codes: Coded) -> Codes:
        column = groups[codes[name]]
        joint = classes.rows(codes, len(column)) * size + column
        return np.bincount(joint, minlength=classes.number * size).reshape(-1, size)

    return exact


def _refined(
    classes: Classes, measured: Sequence[tuple[Cells, Floats, float]], binned: Mapping[str, Binned]
) -> Classes:
    """Class counts from the target's own and from every table by class."""
    assert classes.target is not None
    own = total_by(classes.of_code, binned[classes.target].variance)
    estimates = [classes.counts, *(table.sum(1) for _, table, _ in measured)]
    variances = [own, *(np.full(len(own), v * t.shape[1]) for _, t, v in measured)]
    counts = np.maximum(simplex(weighted(estimates, variances), classes.total), 1.0)
    scale = counts / np.maximum(classes.counts, TINY)
    fine = np.where(classes.counts[classes.of_code] > 0, classes.fine * scale[classes.of_code], 0.0)
    empty = total_by(classes.of_code, fine, len(counts)) <= 0
    fine = np.where(empty[classes.of_code], 1.0, fine)
    return Classes(classes.target, classes.of_code, counts, fine)


def _combined(
    alone: Floats,
    alone_variance: Floats,
    groups: Cells,
    table: Floats,
    variance: float,
    classes: Classes,
) -> Floats:
    """[class, code]: the classes' shares of groups, each group's inner shape as it is overall."""
    number, size = table.shape
    coarse = total_by(groups, alone, size)
    spread = total_by(groups, alone_variance, size)
    margin = weighted([coarse, table.sum(0)], [spread, variance * number])
    margin = simplex(margin, classes.total)
    base = np.outer(classes.counts, margin) / classes.total
    exact = reconcile(table[None], classes.counts[None], margin[None])[0]
    found = shrink(exact, base, variance * residual_share(number, size))
    found = simplex_by_class(found, classes.counts)
    found = rake(found[None], classes.counts[None], margin[None])[0]
    inner = alone + TINY
    inner = inner / total_by(groups, inner, size)[groups]
    combined: Floats = found[:, groups] * inner
    return combined


def updated(table: Floats, groups: Cells, found: Floats, totals: Floats) -> Floats:
    """A [class, code] table scaled so that its groups hold what `found` says."""
    size = found.shape[1]
    now = grouped(table, groups, size)
    table = table * (found / np.maximum(now, TINY))[:, groups]
    scale: Floats = totals / np.maximum(table.sum(1), TINY)
    return table * scale[:, None]


def grouped(table: Floats, groups: Cells, size: int) -> Floats:
    """[class, group] from [class, code]."""
    return np.stack([total_by(groups, part, size) for part in table])
