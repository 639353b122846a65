"""Which pairs of columns to measure together, and how coarsely: the exponential mechanism.

The score of a pair is how far its exact table is from independence within each class (L1), less
what sampling and the noise of measuring it would blur: a table too big to measure well loses. Its
reference is made of noisy one-way tables, so one row moves only the exact table, in one cell by
one, and the score by at most one.

Columns are then joined one after the other to up to `width` columns that already hang together,
where the sum of scores is largest. The result is a k-tree (Rose 1974): its cliques form a junction
tree, so rows can be drawn, and conditioned, exactly.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from understudy.encoding.discrete import Codes
from understudy.privacy.session import Private
from understudy.synthesizers.tabular.marginals.grain import Ladder, summed
from understudy.synthesizers.tabular.marginals.oneway import Classes, Coded, grouped
from understudy.synthesizers.tabular.marginals.planning import MarginalPlan
from understudy.synthesizers.tabular.marginals.tables import Floats, independent

ABSOLUTE = math.sqrt(2 / math.pi)
"""Mean size of a standard normal."""
SAMPLING = 0.5
"""How much of the rows' own sampling error counts as blur."""
Rungs = tuple[int, int]
Grain = tuple[bool, int, int]
"""Whether a table is by class, and the rungs of its two columns' ladders."""


@dataclass(frozen=True)
class Pair:
    """Two columns to be measured together, at these rungs of their ladders, by class or not."""

    one: str
    other: str
    rungs: Rungs
    by_class: bool


@dataclass(frozen=True)
class Structure:
    """Columns in drawing order, each with the columns it is drawn from; and the pairs to measure.

    Parents of one column are all neighbours of each other, so that they lie in one clique.
    """

    parents: Mapping[str, tuple[str, ...]]
    pairs: tuple[Pair, ...]


Scores = dict[tuple[str, str], Floats]
"""For each pair of columns the score of each grain."""


def select(
    codes: Private[Coded],
    ladders: Mapping[str, Ladder],
    tables: Mapping[str, Floats],
    classes: Classes,
    plan: MarginalPlan,
) -> Structure:
    """The structure, by the plan's choices."""
    names = list(ladders)
    if len(names) < 2:
        return Structure(dict.fromkeys(names, ()), ())
    sigma = plan.sigma("pair 1")
    scored = codes.map(lambda rows: score_all(rows, ladders, tables, classes, sigma))
    parents = _grow(scored, names, plan)
    wanted = [(c, p) for c in parents for p in parents[c]]
    pairs = []
    for number, (child, parent) in enumerate(wanted, 1):
        i, j = sorted((names.index(child), names.index(parent)))
        key = (names[i], names[j])
        grains = _grains(ladders[key[0]], ladders[key[1]], classes.number)
        query = f"grain {number}"
        chosen = scored.ask(query, plan.mechanisms[query], _values_of(key))
        by_class, *rungs = grains[int(chosen[0])]
        pairs.append(Pair(*key, (rungs[0], rungs[1]), by_class))
    return Structure(parents, tuple(pairs))


def _grow(
    scored: Private[Scores], names: Sequence[str], plan: MarginalPlan
) -> dict[str, tuple[str, ...]]:
    """The k-tree, column by column."""
    best = scored.map(lambda s: _best(s, names))
    upper = np.triu_indices(len(names), 1)
    first = best.ask("choice 1", plan.mechanisms["choice 1"], lambda scores: scores[upper])
    one, other = (int(index[int(first[0])]) for index in upper)
    parents: dict[int, tuple[int, ...]] = {one: (), other: (one,)}
    bases = {(one,), (other,), (one, other)}
    for number in range(2, len(names)):
        widest = min(plan.width, max(map(len, bases)))
        candidates = sorted(base for base in bases if len(base) == widest)
        rest = [i for i in range(len(names)) if i not in parents]
        member = np.zeros((len(candidates), len(names)))
        for row, base in enumerate(candidates):
            member[row, list(base)] = 1.0
        query = f"choice {number}"
        chosen = best.ask(query, plan.mechanisms[query], _sums(member, rest))
        row, column = divmod(int(chosen[0]), len(rest))
        child, base = rest[column], candidates[row]
        parents[child] = base
        for size in range(1, plan.width + 1):
            bases.update(itertools.combinations(sorted((*base, child)), size))
    return {names[c]: tuple(names[p] for p in ps) for c, ps in parents.items()}


def _sums(member: Floats, rest: Sequence[int]) -> Callable[[Floats], Floats]:
    return lambda best: (member @ best[:, rest]).ravel()


def _best(scores: Scores, names: Sequence[str]) -> Floats:
    """[column, column]: a pair's score at its best rungs."""
    best = np.zeros((len(names), len(names)))
    for i, j in itertools.combinations(range(len(names)), 2):
        best[i, j] = best[j, i] = scores[names[i], names[j]].max()
    return best


def score_all(
    rows: Coded,
    ladders: Mapping[str, Ladder],
    tables: Mapping[str, Floats],
    classes: Classes,
    sigma: float,
) -> Scores:
    """Looks at the rows: the score of every pair at every grain."""
    cells = {name: lad.cell_of.astype(np.uint8)[rows[name]] for name, lad in ladders.items()}
    length = len(next(iter(cells.values())))
    of_class = classes.rows(rows, length)
    fine = {name: grouped(tables[name], lad.cell_of, lad.cells) for name, lad in ladders.items()}
    scores: Scores = {}
    for i, one in enumerate(names := list(ladders)):
        lead = of_class * ladders[one].cells + cells[one]
        for other in names[i + 1 :]:
            size = ladders[other].cells
            shape = (classes.number, ladders[one].cells, size)
            exact = np.bincount(lead * size + cells[other], minlength=math.prod(shape))
            base = independent(fine[one], fine[other], classes.counts)
            scores[one, other] = _by_grain(
                exact.reshape(shape), base, ladders[one], ladders[other], sigma
            )
    return scores


def _by_grain(exact: Codes, base: Floats, one: Ladder, other: Ladder, sigma: float) -> Floats:
    """The scores of one pair, in the order of `_grains`."""
    values = []
    for by_class in _breakdowns(len(base)):
        expected = base if by_class else base.sum(0)[None]
        difference = (exact if by_class else exact.sum(0)[None]) - expected
        for starts in one.starts:
            apart, coarse = summed(difference, starts, 1), summed(expected, starts, 1)
            for others in other.starts:
                found = float(np.abs(summed(apart, others, 2)).sum())
                values.append(gain(found, summed(coarse, others, 2), sigma))
    return np.array(values)


def _values_of(pair: tuple[str, str]) -> Callable[[Scores], Floats]:
    return lambda scores: scores[pair]


def gain(distance: float, expected: Floats, sigma: float) -> float:
    """How much of an L1 `distance` from `expected` counts a table measured with `sigma` would show.

    What sampling alone would give is taken off first. A cell's true difference of size d, measured
    with noise and shrunk, is missed by about d sigma / sqrt(d^2 + sigma^2). Rises by at most one
    when `distance` rises by one.
    """
    blurred = ABSOLUTE * SAMPLING * float(np.sqrt(np.maximum(expected, 0.0)).sum())
    left = max(distance - blurred, 0.0)
    clear = left / (ABSOLUTE * sigma * expected.size)
    return left * (1.0 - 1.0 / math.hypot(clear, 1.0))


def _breakdowns(classes: int) -> tuple[bool, ...]:
    return (True, False) if classes > 1 else (True,)


def _grains(one: Ladder, other: Ladder, classes: int) -> tuple[Grain, ...]:
    rungs = range(len(one.starts)), range(len(other.starts))
    return tuple(itertools.product(_breakdowns(classes), *rungs))
