"""Of several histories drawn for an entity the likelier one is kept.

Event by event a history is plausible, and as a whole it may still not be: where a balance runs,
small leans add up over a hundred events, until it is where none ever was. So a classifier is taught
to tell real histories from drawn ones by their totals, and each entity gets one of several
candidates, drawn with the classifier's odds that it is real: importance resampling with a learnt
density ratio (Sugiyama et al. 2012; Azadi et al. 2019 for generators). Where no balance runs or
nothing can be told, nothing is selected: it would only trade one margin for another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.encoding.columns import fit_codec, to_numbers
from understudy.synthesizers.sequential.clock import Numbers
from understudy.synthesizers.sequential.events import Index
from understudy.synthesizers.sequential.streams import matrix
from understudy.synthesizers.tabular.boosted import ClassHead, fit_head
from understudy.synthesizers.tabular.cart import Floats, stump
from understudy.synthesizers.tabular.leaves import Grove, Leaves

CANDIDATES = 12
TOLD = 0.6
"""AUC on entities not learnt from, from which on it is worth selecting."""
MOST_ODDS = 100.0
ROWS = 100_000


@dataclass(frozen=True)
class Selection:
    """`judge` gives the chance that a history with these totals is real."""

    judge: ClassHead

    def choose(self, totals: Floats, rng: np.random.Generator) -> Index:
        """Which of its candidates each entity gets; `totals` are by entity, then candidate."""
        chance = self.judge.probabilities(totals)[:, 1]
        odds = np.clip(chance / np.maximum(1 - chance, 1e-9), 1 / MOST_ODDS, MOST_ODDS)
        edges = odds.reshape(-1, CANDIDATES).cumsum(axis=1)
        u = rng.random(len(edges)) * edges[:, -1]
        chosen: Index = np.minimum((edges <= u[:, None]).sum(axis=1), CANDIDATES - 1)
        return chosen


def fit_selection(real: Floats, drawn: Floats, rng: np.random.Generator) -> Selection | None:
    """Learns from the totals of real and of drawn entities; None where they look the same."""
    from sklearn.metrics import roc_auc_score

    x = np.vstack([real, drawn])
    side = np.r_[np.ones(len(real)), np.zeros(len(drawn))].astype(np.int32)
    half = rng.random(len(side)) < 0.5
    tried = _judge(x[half], side[half], rng)
    if tried is None or len(np.unique(side[~half])) < 2:
        return None
    if roc_auc_score(side[~half], tried.probabilities(x[~half])[:, 1]) < TOLD:
        return None
    judge = _judge(x, side, rng)
    return None if judge is None else Selection(judge)


def _judge(x: Floats, side: NDArray[np.int32], rng: np.random.Generator) -> ClassHead | None:
    codec = fit_codec("side", pa.chunked_array([side]), numeric=False)
    head = fit_head(x, side, codec, numeric=False, grow=_no_leaves, rows=ROWS, rng=rng)
    return head if isinstance(head, ClassHead) else None


def _no_leaves(x: Floats, codes: NDArray[np.int32]) -> Grove:
    whole = Leaves(stump(x.shape[1]), codes, np.zeros(1, np.int64), np.array([len(codes)]))
    return Grove((whole,))


def totals(
    entities: int,
    entity: Index,
    kind: Index,
    kinds: int,
    day: Numbers,
    columns: Mapping[str, pa.Array | pa.ChunkedArray],
    numbers: Sequence[str],
) -> Floats:
    """One row [entities, figures] of counts by kind, gaps, and each number's means and extremes;
    events are sorted by entity and time.
    """
    count = np.bincount(entity, minlength=entities)
    found: list[Numbers] = [count.astype(np.float64)]
    by_kind = np.bincount(entity * kinds + kind, minlength=entities * kinds)
    found += list(by_kind.reshape(entities, kinds).T.astype(np.float64))
    same = entity[1:] == entity[:-1]
    gap, owner = (day[1:] - day[:-1])[same], entity[1:][same]
    found += _figures(owner, gap, entities)
    for name in numbers:
        values, missing = to_numbers(columns[name])
        value = values.astype(np.float64)[~missing]
        owner = entity[~missing]
        found += _figures(owner, value, entities)
        last = np.full(entities, np.nan)
        last[owner] = value
        cell = owner * kinds + kind[~missing]
        total = np.bincount(cell, value, minlength=entities * kinds).reshape(entities, kinds)
        found += [last, *(total / np.maximum(by_kind.reshape(entities, kinds), 1)).T]
    return matrix(*found)


def _figures(owner: Index, values: Numbers, entities: int) -> list[Numbers]:
    """Mean, spread, least and most of each entity's values; not-a-number where it has none."""
    count = np.bincount(owner, minlength=entities)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(owner, values, minlength=entities) / count
        square = np.bincount(owner, (values - mean[owner]) ** 2, minlength=entities) / count
    least, most = np.full(entities, np.inf), np.full(entities, -np.inf)
    np.minimum.at(least, owner, values)
    np.maximum.at(most, owner, values)
    return [mean, np.sqrt(square), least, most]
