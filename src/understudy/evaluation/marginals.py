"""Beyond pairs: three columns at a time, and how much two columns tell of each other.

* 3-way marginals: total variation of the joint of three columns, numbers in fifths, over triples
  drawn at random (the k-marginal score of NIST's challenges, without its scaling).
* mutual information in nats over the pairs' decile tables, less the bias of a finite table
  (Miller 1955); its mean absolute difference.

Floors are resamples of train at the synthetic's size, as for pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from understudy.contracts import Measurement
from understudy.evaluation.fidelity import Draws, summary
from understudy.evaluation.pairs import Binned, by_quantiles, variation
from understudy.evaluation.samples import Feature
from understudy.evaluation.statistics import Floats

MOST_TRIPLES = 60
MOST_PAIRS = 300
DRAWS = 10


def triple_error(
    features: Sequence[Feature], draws: Draws, rng: np.random.Generator
) -> Measurement | None:
    """Mean 3-way total variation from train, in %."""
    keys = _some(len(features), 3, MOST_TRIPLES, rng)
    if not keys:
        return None
    bins = [_halved(by_quantiles(feature), feature.numeric) for feature in features]
    found = [_triple([bins[i] for i in key], draws) for key in keys]
    return summary(
        "triple_error",
        100 * np.array([one[0] for one in found]),
        100 * np.stack([one[1] for one in found], axis=1),
        100 * np.stack([one[2] for one in found], axis=1),
        draws.synthetic.shape[1],
        f"mean 3-way total variation from train over {len(keys)} triples, numbers in fifths",
        "%",
    )


def _some(columns: int, width: int, most: int, rng: np.random.Generator) -> list[tuple[int, ...]]:
    """At most `most` sets of columns, all of them where there are few."""
    if columns < width:
        return []
    if columns > 60:
        drawn = [np.sort(rng.choice(columns, width, replace=False)) for _ in range(most)]
        return list(dict.fromkeys(tuple(int(i) for i in key) for key in drawn))
    every = list(combinations(range(columns), width))
    return [every[i] for i in np.sort(rng.permutation(len(every))[:most])]


def _halved(column: Binned, numeric: bool) -> Binned:
    """Deciles to fifths; missing stays 0."""
    if not numeric:
        return column
    return Binned({r: (codes + 1) // 2 for r, codes in column.codes.items()}, column.size // 2 + 1)


def _triple(columns: Sequence[Binned], draws: Draws) -> tuple[float, Floats, Floats]:
    """(error, replicates, floors) of one joint, counted over the cells that occur."""
    codes = {}
    for role in ("train", "synthetic"):
        code = np.zeros(len(columns[0].codes[role]), np.int64)
        for column in columns:
            code = code * column.size + column.codes[role]
        codes[role] = code
    used, cell = np.unique(
        np.concatenate([codes["train"], codes["synthetic"]]), return_inverse=True
    )
    real, ours = cell[: len(codes["train"])], cell[len(codes["train"]) :]
    truth = np.bincount(real, minlength=len(used)) / len(real)

    def errors(cells: NDArray[np.int64], weights: Floats) -> Floats:
        counts = (np.bincount(cells, w, len(used)) for w in weights[:DRAWS])
        return np.array([variation(truth, count) for count in counts])

    value = variation(truth, np.bincount(ours, minlength=len(used)))
    return value, errors(ours, draws.synthetic), errors(real, draws.train)


def information_error(
    features: Sequence[Feature], draws: Draws, rng: np.random.Generator
) -> Measurement | None:
    """Mean absolute difference of pairwise mutual information from train's."""
    keys = _some(len(features), 2, MOST_PAIRS, rng)
    if not keys:
        return None
    bins = [by_quantiles(feature) for feature in features]
    values, replicates, floors = [], [], []
    for i, j in keys:
        joint = {
            r: bins[i].codes[r] * bins[j].size + bins[j].codes[r] for r in ("train", "synthetic")
        }
        shape = (bins[i].size, bins[j].size)
        real = information(joint["train"], shape)
        values.append(abs(information(joint["synthetic"], shape) - real))
        replicates.append(
            [abs(information(joint["synthetic"], shape, w) - real) for w in draws.synthetic[:DRAWS]]
        )
        floors.append(
            [abs(information(joint["train"], shape, w) - real) for w in draws.train[:DRAWS]]
        )
    return summary(
        "information_error",
        np.array(values),
        np.array(replicates).T,
        np.array(floors).T,
        draws.synthetic.shape[1],
        f"mean absolute difference of mutual information from train over {len(keys)} pairs, "
        "numbers in deciles",
        "nats",
    )


def information(
    cells: NDArray[np.int64], shape: tuple[int, int], weights: Floats | None = None
) -> float:
    """Mutual information of a joint code, less (cells - rows - columns + 1) / 2n."""
    if shape[0] * shape[1] > 1 << 18:
        used, cells = np.unique(cells, return_inverse=True)
        counts = np.bincount(cells, weights, len(used))
        rows, columns = used // shape[1], used % shape[1]
    else:
        full = np.bincount(cells, weights, shape[0] * shape[1])
        used = np.flatnonzero(full)
        counts, rows, columns = full[used], used // shape[1], used % shape[1]
    n = counts.sum()
    if n == 0:
        return float("nan")
    some = counts > 0
    p, rows, columns = counts[some] / n, rows[some], columns[some]
    a, b = np.bincount(rows, p, shape[0]), np.bincount(columns, p, shape[1])
    plain = float((p * np.log(p / (a[rows] * b[columns]))).sum())
    bias = (len(p) - (a > 0).sum() - (b > 0).sum() + 1) / (2 * n)
    return plain - float(bias)
