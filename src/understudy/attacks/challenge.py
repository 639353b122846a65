"""The challenge: equal numbers of members and others, and every distance the attacks share.

Members are drawn from train, others from the holdout; the attacker sees the synthetic table and a
reference sample, never the labels. All nearest-neighbour searches happen here, once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.encoding.metric import MetricSpace, Points
from understudy.encoding.neighbours import Neighbours, nearest
from understudy.evaluation.samples import subsample
from understudy.schema import Table

MOST_CHALLENGED = 10_000
"""Members, and as many others: intervals depend on these, not on the size of the table."""
MOST_REFERENCE = 10_000
MOST_SYNTHETIC = 50_000
REACH = 5


@dataclass(frozen=True)
class Distances:
    """From the pooled real rows (members first) to synthetic and reference rows, in one space."""

    to_synthetic: Neighbours
    to_reference: Neighbours


@dataclass(frozen=True)
class Challenge:
    """Points, labels and neighbours. `values` is the linear space, `ranks` the rank space."""

    members: int
    others: int
    values: Distances
    ranks: Distances
    to_train: Neighbours
    """Synthetic rows (at most as many as challenged) to the members, two nearest."""
    to_holdout: Neighbours
    left_out: tuple[str, ...]

    @property
    def is_member(self) -> NDArray[np.bool_]:
        return np.arange(self.members + self.others) < self.members


def set_up(
    tables: Mapping[str, pa.Table], spec: Table, rng: np.random.Generator
) -> Challenge | None:
    """Draws the challenge; None if a side is empty or no column carries distance."""
    size = min(tables["train"].num_rows, tables["holdout"].num_rows, MOST_CHALLENGED)
    if min(size, tables["reference"].num_rows, tables["synthetic"].num_rows) == 0:
        return None
    most = {
        "train": size,
        "holdout": size,
        "reference": MOST_REFERENCE,
        "synthetic": MOST_SYNTHETIC,
    }
    drawn = {role: subsample(tables[role], most[role], rng) for role in most}
    linear = MetricSpace.fit(drawn["reference"], spec)
    if linear.width == 0:
        return None
    ranked = MetricSpace.fit(drawn["reference"], spec, ranks=True)
    points = {role: linear.transform(table) for role, table in drawn.items()}
    asking = points["synthetic"]
    if len(asking) > MOST_CHALLENGED:
        asking = asking[np.sort(rng.choice(len(asking), MOST_CHALLENGED, replace=False))]
    return Challenge(
        size,
        size,
        _distances(points),
        _distances({role: ranked.transform(table) for role, table in drawn.items()}),
        nearest(asking, points["train"], 2),
        nearest(asking, points["holdout"], 2),
        linear.left_out,
    )


def _distances(points: Mapping[str, Points]) -> Distances:
    pool = np.concatenate([points["train"], points["holdout"]])
    return Distances(
        nearest(pool, points["synthetic"], REACH), nearest(pool, points["reference"], REACH)
    )
