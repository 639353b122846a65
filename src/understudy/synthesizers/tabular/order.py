"""Which column is drawn when: the target first, then by mutual information with what is drawn.

Starting at the target makes every later column learn its class-conditional shape, so minorities
can be asked for directly; the boosted head redraws the target at the end. Columns that follow from
an earlier one (a functional dependency of the training rows) are looked up instead of drawn.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from understudy.encoding.columns import Codec, Codes, Ranks
from understudy.synthesizers.tabular.leaves import Lookup

SAMPLE = 20_000
BINS = 10
CLASSES = 32
MANY_LEVELS = 64


def classes_of(codec: Codec, codes: Codes, bins: int = CLASSES) -> NDArray[np.int64]:
    """Codes as tree classes: 0 missing, levels as they are, many values as `bins` quantile bins.

    Quantile classes let a leaf hold the shape of a conditional distribution, not only its mean.
    """
    if isinstance(codec, Ranks) or codec.size > MANY_LEVELS:
        present = codes[codes >= 0]
        if len(present) == 0:
            return np.zeros(len(codes), np.int64)
        inner = np.linspace(0, 1, bins + 1)[1:-1]
        cuts = np.unique(np.quantile(present, inner, method="lower"))
        return np.where(codes < 0, 0, np.searchsorted(cuts, codes, side="left") + 1)
    return codes.astype(np.int64) + 1


def by_information(
    codecs: dict[str, Codec], codes: dict[str, Codes], first: str | None, rng: np.random.Generator
) -> list[str]:
    """Greedy order: next comes the column with most mutual information with those before it."""
    names = list(codecs)
    if len(names) <= 1:
        return names
    rows = len(codes[names[0]])
    rows_used = rng.permutation(rows)[:SAMPLE]
    binned = {n: _coarse(codecs[n], codes[n][rows_used]) for n in names}
    information = _mutual_information(binned)
    start = first or names[int(information.sum(axis=1).argmax())]
    order = [names.index(start)]
    gain = information[order[0]].copy()
    while len(order) < len(names):
        gain[order] = -np.inf
        order.append(int(gain.argmax()))
        gain = gain + information[order[-1]]
    return [names[i] for i in order]


def dependencies(
    order: list[str], codecs: dict[str, Codec], codes: dict[str, Codes]
) -> dict[str, Lookup]:
    """Columns that an earlier one determines in every training row, with their lookup tables.

    The determinant must repeat (five rows a value on average), or anything would follow from it.
    """
    found: dict[str, Lookup] = {}
    for place, name in enumerate(order):
        for by in order[:place]:
            codec = codecs[by]
            if isinstance(codec, Ranks) or codec.size * 5 > len(codes[by]) or codec.size < 2:
                continue
            table = _lookup(codes[by], codes[name], codec.size)
            if table is not None:
                found[name] = Lookup(by, table)
                break
    return found


def _lookup(by: Codes, follows: Codes, size: int) -> Codes | None:
    for rows in (slice(0, 2000), slice(None)):
        low = np.full(size + 1, np.iinfo(np.int32).max, np.int32)
        high = np.full(size + 1, -1, np.int32)
        np.minimum.at(low, by[rows], follows[rows])
        np.maximum.at(high, by[rows], follows[rows])
        if np.any((low < high) & (low != np.iinfo(np.int32).max)):
            return None
    return high


def _coarse(codec: Codec, codes: Codes) -> NDArray[np.int64]:
    binned = classes_of(codec, codes, BINS)
    if binned.max(initial=0) <= 4 * BINS:
        return binned
    cuts = np.unique(np.quantile(binned, np.linspace(0, 1, 2 * BINS + 1)[1:-1], method="lower"))
    return np.searchsorted(cuts, binned, side="left")


def _mutual_information(binned: dict[str, NDArray[np.int64]]) -> NDArray[np.float64]:
    """[p, p] in nats, zero diagonal."""
    names = list(binned)
    result = np.zeros((len(names), len(names)))
    sizes = [int(binned[n].max()) + 1 for n in names]
    for i, a in enumerate(names):
        for j in range(i):
            joint = np.bincount(
                binned[a] * sizes[j] + binned[names[j]], minlength=sizes[i] * sizes[j]
            ).reshape(sizes[i], sizes[j])
            joint = joint / joint.sum()
            apart = joint.sum(1, keepdims=True) @ joint.sum(0, keepdims=True)
            both = joint > 0
            result[i, j] = result[j, i] = np.sum(joint[both] * np.log(joint[both] / apart[both]))
    return result
