"""From noisy tables to a distribution that rows can be drawn from: one table per clique.

Every column is drawn given the class and its parents. That table is the one of maximum entropy
that agrees with the parents' joint table and with each measured pair, found by raking, the clique's
only unknown being the column itself (Deming & Stephan 1940; Lauritzen 1996, section 4.4).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from understudy.encoding.discrete import Codes
from understudy.privacy.session import Private
from understudy.synthesizers.tabular.marginals.grain import Ladder, owner, summed
from understudy.synthesizers.tabular.marginals.oneway import (
    Classes,
    Coded,
    grouped,
    updated,
)
from understudy.synthesizers.tabular.marginals.planning import MarginalPlan
from understudy.synthesizers.tabular.marginals.selection import Pair, Structure
from understudy.synthesizers.tabular.marginals.tables import (
    RAKES,
    TINY,
    Floats,
    fitted_pair,
    simplex,
    simplex_by_class,
    weighted,
)

MOST_CELLS = 200_000
"""Of one clique; rungs are stepped down until it fits."""
ALL_CELLS = 20_000_000
"""Of all cliques of a model together."""


@dataclass(frozen=True)
class Measured:
    """A pair's noisy table, [class, group of one, group of other], and its standard deviation.

    A pair that is not by class has one class here, all rows.
    """

    pair: Pair
    table: Floats
    sigma: float


def measure(
    codes: Private[Coded],
    ladders: Mapping[str, Ladder],
    classes: Classes,
    structure: Structure,
    plan: MarginalPlan,
) -> list[Measured]:
    """Asks for the table of every pair, in the plan's order."""
    found = []
    for number, pair in enumerate(structure.pairs, 1):
        query = f"pair {number}"
        exact = _tallying(pair, ladders, classes)
        table = codes.ask(query, plan.mechanisms[query], exact)
        found.append(Measured(pair, table.astype(np.float64), plan.sigma(query)))
    return found


def _tallying(
    pair: Pair, ladders: Mapping[str, Ladder], classes: Classes
) -> Callable[[Coded], Codes]:
    one, other = (
        ladders[name].groups(rung)
        for name, rung in zip((pair.one, pair.other), pair.rungs, strict=True)
    )
    shape = (classes.number if pair.by_class else 1, int(one.max()) + 1, int(other.max()) + 1)

    def exact(rows: Coded) -> Codes:
        joint = one[rows[pair.one]] * shape[2] + other[rows[pair.other]]
        if pair.by_class:
            joint = classes.rows(rows, len(joint)) * (shape[1] * shape[2]) + joint
        return np.bincount(joint, minlength=math.prod(shape)).reshape(shape)

    return exact


def refined(
    tables: Mapping[str, Floats],
    variances: Mapping[str, float],
    ladders: Mapping[str, Ladder],
    measured: Sequence[Measured],
    totals: Floats,
) -> dict[str, Floats]:
    """[class, code] tables brought nearer to the margins of every pair that a column is in."""
    better = dict(tables)
    for found in measured:
        names = (found.pair.one, found.pair.other)
        for axis, (name, rung) in enumerate(zip(names, found.pair.rungs, strict=True)):
            lad = ladders[name]
            groups, size = lad.groups(rung), lad.size(rung)
            now = grouped(better[name], groups, size)
            cells = np.diff(np.append(lad.starts[rung], lad.cells))
            noise = found.sigma**2 * found.table.shape[2 - axis]
            margin = found.table.sum(2 - axis)
            if found.pair.by_class:
                both = weighted([now, margin], [variances[name] * cells, noise])
                both = simplex_by_class(both, totals)
            else:
                whole = now.sum(0)
                spread = variances[name] * cells * len(totals)
                both = simplex(weighted([whole, margin[0]], [spread, noise]), totals.sum())
                both = now * both / np.maximum(whole, TINY)
            better[name] = updated(better[name], groups, both, totals)
    return better


@dataclass(frozen=True)
class Clique:
    """[class, parents..., own]: probability of a column's groups given class and parents' groups.

    `groups` maps the column's codes to its groups.
    """

    parents: tuple[str, ...]
    groups: np.ndarray[tuple[int], np.dtype[np.intp]]
    table: Floats


def fit_cliques(
    structure: Structure,
    measured: Sequence[Measured],
    tables: Mapping[str, Floats],
    ladders: Mapping[str, Ladder],
    totals: Floats,
) -> dict[str, Clique]:
    """A clique for every column, in drawing order."""
    rungs = _rungs(structure, ladders, len(totals))
    margins = {
        name: grouped(tables[name], lad.groups(rungs[name]), lad.size(rungs[name]))
        for name, lad in ladders.items()
    }
    pairs = {
        frozenset((m.pair.one, m.pair.other)): _consistent(m, rungs, tables, ladders, totals)
        for m in measured
    }
    joints: dict[str, Floats] = {}
    cliques = {}
    for name, parents in structure.parents.items():
        known = _joint(parents, structure, joints) if parents else totals
        start = _independent(known, margins[name], totals)
        views = [
            _View.of(place, name, parent, pairs[frozenset((name, parent))], rungs, ladders)
            for place, parent in enumerate(parents)
        ]
        joints[name] = _raked(start, known, views)
        size = joints[name].shape[-1]
        given = joints[name].sum(-1, keepdims=True)
        conditional = np.where(given > TINY, joints[name] / np.maximum(given, TINY), 1.0 / size)
        cliques[name] = Clique(parents, ladders[name].groups(rungs[name]), conditional)
    return cliques


def _rungs(structure: Structure, ladders: Mapping[str, Ladder], classes: int) -> dict[str, int]:
    """The finest rung that any of a column's pairs uses, less what cliques have no room for."""
    rungs = dict.fromkeys(ladders, 0)
    for pair in structure.pairs:
        for name, rung in zip((pair.one, pair.other), pair.rungs, strict=True):
            rungs[name] = max(rungs[name], rung)
    room = max(min(MOST_CELLS, ALL_CELLS // max(len(ladders), 1)), 64)
    for name, parents in structure.parents.items():
        members = (name, *parents)
        while classes * np.prod([ladders[m].size(rungs[m]) for m in members]) > room:
            widest = max(members, key=lambda m: (ladders[m].size(rungs[m]) if rungs[m] else 0, m))
            if rungs[widest] == 0:
                break
            rungs[widest] -= 1
    return rungs


@dataclass(frozen=True)
class _Pair:
    """A consistent table of two columns at rungs no finer than their cliques use."""

    one: str
    rungs: tuple[int, int]
    table: Floats


def _consistent(
    measured: Measured,
    rungs: Mapping[str, int],
    tables: Mapping[str, Floats],
    ladders: Mapping[str, Ladder],
    totals: Floats,
) -> _Pair:
    table, variance = measured.table, measured.sigma**2
    kept, margins = [], []
    names = (measured.pair.one, measured.pair.other)
    for axis, (name, rung) in enumerate(zip(names, measured.pair.rungs, strict=True)):
        lad, coarse = ladders[name], min(rung, rungs[name])
        if coarse < rung:
            table = summed(table, lad.between(rung, coarse), axis + 1)
            variance *= lad.size(rung) / lad.size(coarse)
        kept.append(coarse)
        margins.append(grouped(tables[name], lad.groups(coarse), lad.size(coarse)))
    found = fitted_pair(table, margins[0], margins[1], totals, float(np.sqrt(variance)))
    return _Pair(names[0], (kept[0], kept[1]), found)


@dataclass(frozen=True)
class _View:
    """A pair's table as a constraint on a clique: the parent's axis, and how groups map."""

    axis: int
    table: Floats
    parent_starts: np.ndarray[tuple[int], np.dtype[np.intp]]
    own_starts: np.ndarray[tuple[int], np.dtype[np.intp]]

    @classmethod
    def of(
        cls,
        place: int,
        name: str,
        parent: str,
        pair: _Pair,
        rungs: Mapping[str, int],
        ladders: Mapping[str, Ladder],
    ) -> _View:
        turned = pair.one == name
        table = pair.table.transpose(0, 2, 1) if turned else pair.table
        of_parent, own = pair.rungs[::-1] if turned else pair.rungs
        return cls(
            1 + place,
            table,
            ladders[parent].between(rungs[parent], of_parent),
            ladders[name].between(rungs[name], own),
        )

    def scaled(self, joint: Floats) -> Floats:
        """The clique's table with this pair's margin."""
        others = tuple(i for i in range(1, joint.ndim - 1) if i != self.axis)
        margin = joint.sum(axis=others) if others else joint
        sizes = (margin.shape[1], margin.shape[2])
        margin = summed(summed(margin, self.parent_starts, 1), self.own_starts, 2)
        factor = self.table / np.maximum(margin, TINY)
        factor = factor[:, owner(self.parent_starts, sizes[0])]
        factor = factor[:, :, owner(self.own_starts, sizes[1])]
        shape = [1] * joint.ndim
        shape[0], shape[self.axis], shape[-1] = joint.shape[0], *sizes
        return joint * factor.reshape(shape)


def _raked(joint: Floats, parents: Floats, views: Sequence[_View]) -> Floats:
    for _ in range(RAKES if len(views) > 1 else 1):
        for view in views:
            joint = view.scaled(joint)
        joint = joint * (parents / np.maximum(joint.sum(-1), TINY))[..., None]
    return joint


def _independent(parents: Floats, own: Floats, totals: Floats) -> Floats:
    """[class, parents..., own] of a column independent of its parents within each class."""
    share = own / np.maximum(totals, TINY)[:, None]
    shape = (len(totals),) + (1,) * (parents.ndim - 1) + (own.shape[1],)
    joint: Floats = parents[..., None] * share.reshape(shape) if parents.ndim > 1 else own
    return joint


def _joint(parents: tuple[str, ...], structure: Structure, joints: Mapping[str, Floats]) -> Floats:
    """[class, parents...] from the clique of the parent drawn last, which holds the others."""
    order = list(structure.parents)
    last = max(parents, key=order.index)
    members = (*structure.parents[last], last)
    gone = tuple(1 + i for i, member in enumerate(members) if member not in parents)
    table = joints[last].sum(axis=gone) if gone else joints[last]
    left = [member for member in members if member in parents]
    return table.transpose(0, *(1 + left.index(parent) for parent in parents))
