"""Precision and recall of samples as clouds of points, from one set of neighbour searches.

* alpha-precision, beta-recall (Alaa et al. 2022, arXiv:2102.08921): the share of synthetic rows
  within the ball that holds a share alpha of the real ones, and of real rows that a synthetic row
  among the central beta reaches; each curve's mean distance from the diagonal becomes a score,
  1 - 2 * integral |P(alpha) - alpha|.
* density, coverage (Naeem et al. 2020, arXiv:2002.09797), k = 5.

Corrected here: the real rows are held-out ones (judged on train, recall rewards copies), both sides
have equally many rows, and the floor is train in the synthetic rows' place. The radius of a real
row is that to its nearest other real row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from understudy.contracts import Measurement
from understudy.encoding.metric import MetricSpace, Points
from understudy.encoding.neighbours import nearest
from understudy.evaluation.samples import ROLES, Samples
from understudy.evaluation.statistics import Floats
from understudy.schema import Table

MOST_ROWS = 4_000
FEWEST_ROWS = 100
STEPS = 30
NEIGHBOURS = 5
DRAWS = 50
BLOCK = 512


@dataclass(frozen=True)
class Cloud:
    """What one sample scores against real rows, row by row where a mean follows.

    `precise` [rows]: distance of each row to the real centre, as the share of real rows nearer to
    it. `reached` [real rows]: the share of the sample nearer to its own centre than the row's
    nearest sample row, or infinity where that is out of reach. `dense` [rows], `covered` [real].
    """

    precise: Floats
    reached: Floats
    dense: Floats
    covered: Floats


def cloud(real: Points, other: Points) -> Cloud:
    """Every statistic of `other` against `real`."""
    own = nearest(real, real, NEIGHBOURS + 1).distance[:, 1:]
    met = nearest(real, other, 1)
    centre = real.mean(axis=0, dtype=np.float64)
    radii = np.sort(np.linalg.norm(real - centre, axis=1))
    away = np.linalg.norm(other - centre, axis=1)
    own_centre = other.mean(axis=0, dtype=np.float64)
    inner = np.linalg.norm(other - own_centre, axis=1)
    rank = np.searchsorted(np.sort(inner), inner, side="left") / len(inner)
    reached = np.where(met.to(1) <= own[:, 0], rank[met.index[:, 0]], np.inf)
    counts = _balls(other, real, own[:, -1])
    return Cloud(
        np.searchsorted(radii, away, side="left") / len(radii),
        reached,
        counts / NEIGHBOURS,
        (met.to(1) <= own[:, -1]).astype(np.float64),
    )


def _balls(rows: Points, centres: Points, radius: Floats) -> Floats:
    """How many balls around `centres` hold each row."""
    wide = centres.astype(np.float64)
    norms, limit = np.einsum("ij,ij->i", wide, wide), radius**2 + 1e-9
    counts = np.zeros(len(rows))
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK].astype(np.float64)
        squares = np.einsum("ij,ij->i", block, block)[:, None] + norms - 2 * block @ wide.T
        counts[start : start + BLOCK] = (squares <= limit).sum(axis=1)
    return counts


def diagonal_score(shares: Floats, weights: Floats | None = None) -> float:
    """1 - 2 * integral |P(share <= alpha) - alpha| over a grid of alpha."""
    alphas = np.linspace(0, 1, STEPS)
    order = np.argsort(shares)
    mass = np.ones(len(shares)) if weights is None else weights[order]
    below = np.searchsorted(shares[order], alphas, side="right")
    curve = np.concatenate([[0.0], np.cumsum(mass)])[below] / mass.sum()
    return float(1 - np.abs(curve - alphas).sum() / alphas.sum())


def manifold(
    samples: Samples, spec: Table, rng: np.random.Generator, *, most: int = MOST_ROWS
) -> list[Measurement]:
    """alpha-precision, beta-recall, density and coverage against held-out rows."""
    size = min(most, *(samples.size(role) for role in ("holdout", "synthetic", "train")))
    if size < FEWEST_ROWS or samples.size("reference") == 0:
        return []
    space = MetricSpace.fit(samples.tables["reference"], spec)
    if space.width == 0:
        return []
    points = {
        role: space.transform(samples.tables[role].take(rng.permutation(samples.size(role))[:size]))
        for role in ROLES
        if role != "reference"
    }
    ours = cloud(points["holdout"], points["synthetic"])
    real = cloud(points["holdout"], points["train"])
    return [_measured(name, ours, real, rng) for name in MEANINGS]


MEANINGS: Mapping[str, str] = {
    "alpha_precision": "how evenly synthetic rows fill the real cloud from its centre out (Alaa et "
    "al. 2022, judged on the holdout)",
    "beta_recall": "how evenly held-out rows are reached by synthetic ones from their centre out",
    "density": "real balls that a synthetic row lies in, over their five neighbours",
    "coverage": "held-out rows whose ball of five neighbours holds a synthetic row",
}


def _measured(name: str, ours: Cloud, real: Cloud, rng: np.random.Generator) -> Measurement:
    def of(found: Cloud, weights: Floats | None = None) -> float:
        if name == "alpha_precision":
            return diagonal_score(found.precise, weights)
        if name == "beta_recall":
            return diagonal_score(found.reached, weights)
        values = found.dense if name == "density" else found.covered
        return float(np.average(values, weights=weights))

    n = len(ours.precise)
    weights = rng.multinomial(n, np.full(n, 1 / n), size=DRAWS).astype(np.float64)
    ends = [1.96 * float(np.std([of(one, w) for w in weights])) for one in (ours, real)]
    value, floor = of(ours), of(real)
    return Measurement(
        name,
        value,
        value - ends[0],
        value + ends[0],
        floor,
        n,
        f"{MEANINGS[name]}; floor: train in their place",
        "near" if name == "density" else "higher",
        floor - ends[1],
        floor + ends[1],
    )
