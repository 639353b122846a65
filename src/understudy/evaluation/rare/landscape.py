"""Where the unusual rows lie: outlierness of every row, and tails frozen from the reference.

Outlierness is the mean distance to the five nearest rows of the reference, in the metric space
fitted on it; a reference row does not count itself. A tail is what lies beyond a quantile of the
reference's own outlierness, so neither train, holdout nor the synthetic table moves its edge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.encoding.metric import MetricSpace, Points
from understudy.encoding.neighbours import nearest
from understudy.evaluation.samples import ROLES, Samples
from understudy.evaluation.statistics import Floats
from understudy.schema import Table

MOST_ROWS = 50_000
MOST_REFERENCE = 10_000
FEWEST_REFERENCE = 50
NEIGHBOURS = 5
SHARES = (0.01, 0.003)
WIDER = (0.02, 0.05, 0.10)
WANTED = 200
"""Held-out rows a tail should have; where 1 % has fewer, a wider tail is judged as well."""
BLOCK = 4096


@dataclass(frozen=True)
class Tail:
    """The `share` most unusual rows: outlierness above `edge`."""

    name: str
    share: float
    edge: float


@dataclass(frozen=True)
class Landscape:
    """Points and outlierness per sample, the tails, and each reference row's own reach.

    `reach` is the distance to the fifth neighbour among the other reference rows.
    """

    points: Mapping[str, Points]
    outlierness: Mapping[str, Floats]
    reach: Floats
    tails: tuple[Tail, ...]
    notes: tuple[str, ...]

    def rows(self, role: str, tail: Tail) -> NDArray[np.int64]:
        """Rows of a sample in a tail."""
        return np.flatnonzero(self.outlierness[role] > tail.edge)

    def size(self, role: str) -> int:
        return len(self.points[role])


def survey(samples: Samples, spec: Table, rng: np.random.Generator) -> Landscape | None:
    """Places all samples; None where the reference is too small or no column carries distance."""
    if min(samples.size(role) for role in ROLES) == 0:
        return None
    if samples.size("reference") < FEWEST_REFERENCE:
        return None
    tables = {role: _shuffled(samples.tables[role], role, rng) for role in ROLES}
    space = MetricSpace.fit(tables["reference"], spec)
    if space.width == 0:
        return None
    points = {role: space.transform(table) for role, table in tables.items()}
    reference = points["reference"]
    own = nearest(reference, reference, NEIGHBOURS + 1).distance[:, 1:]
    outlierness = {
        role: nearest(rows, reference, NEIGHBOURS).distance.mean(axis=1)
        for role, rows in points.items()
        if role != "reference"
    }
    outlierness["reference"] = own.mean(axis=1)
    notes = [
        f"rare rows: {len(table):,} of {samples.size(role):,} {role} rows looked at"
        for role, table in tables.items()
        if len(table) < samples.size(role)
    ]
    tails = _tails(outlierness["reference"], len(points["holdout"]))
    return Landscape(points, outlierness, own[:, -1], tails, tuple(notes))


def _shuffled(table: pa.Table, role: str, rng: np.random.Generator) -> pa.Table:
    """Rows in random order, so that the first of them are a random sample."""
    most = MOST_REFERENCE if role == "reference" else MOST_ROWS
    return table.take(pa.array(rng.permutation(len(table))[:most]))


def _tails(outlierness: Floats, held_out: int) -> tuple[Tail, ...]:
    shares = list(SHARES)
    if SHARES[0] * held_out < WANTED:
        enough = [share for share in WIDER if share * held_out >= WANTED]
        shares.append(enough[0] if enough else WIDER[-1])
    return tuple(
        Tail(f"top {100 * share:g} %", share, float(np.quantile(outlierness, 1 - share)))
        for share in shares
    )


def within(queries: Points, points: Points, radius: Floats) -> NDArray[np.int64]:
    """How many `points` lie within each query's `radius`, in blocks of bounded memory."""
    wide = queries.astype(np.float64)
    limit = radius**2 + 1e-9
    norms = np.einsum("ij,ij->i", wide, wide)
    counts = np.zeros(len(queries), np.int64)
    for start in range(0, len(points), BLOCK):
        block = points[start : start + BLOCK].astype(np.float64)
        squares = norms[:, None] + np.einsum("ij,ij->i", block, block) - 2 * wide @ block.T
        counts += (squares <= limit[:, None]).sum(axis=1)
    return counts


def chance_of_any(marked: NDArray[np.int64], total: int, drawn: int) -> Floats:
    """P[`drawn` of `total` rows, without replacement, hold at least one of the `marked`].

    Samples of different sizes are compared at one size by it, without drawing.
    """
    from scipy.special import gammaln

    left = total - marked
    room = left - drawn
    possible = room >= 0
    safe = np.where(possible, room, 0)
    none = (gammaln(left + 1.0) - gammaln(safe + 1.0) - gammaln(total + 1.0)) + gammaln(
        total - drawn + 1.0
    )
    return np.where(possible, -np.expm1(np.minimum(none, 0.0)), 1.0)
