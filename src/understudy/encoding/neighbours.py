"""Exact nearest neighbours by chunked matrix products, in bounded memory.

Single precision finds the candidates (`|p|^2 - 2 q.p`, which cancels badly for near copies);
the distances returned are computed anew in double precision from coordinate differences, so a row
and its copy are at distance zero exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from understudy.encoding.metric import Points

SPARE = 4
"""Candidates beyond `k` kept for the exact pass."""
CELLS = 1 << 22
"""Distances held at once (16 MiB)."""
LANES = 16


@dataclass(frozen=True)
class Neighbours:
    """`distance` float64 [queries, k], ascending; `index` int64 [queries, k] into the points."""

    distance: NDArray[np.float64]
    index: NDArray[np.int64]

    def to(self, k: int) -> NDArray[np.float64]:
        """Distance to the k-th neighbour, or to the farthest known when there are fewer."""
        return self.distance[:, min(k, self.distance.shape[1]) - 1]


def nearest(queries: Points, points: Points, k: int = 1) -> Neighbours:
    """The `k` nearest of `points` [m, d] to each of `queries` [n, d] (fewer when m < k)."""
    if len(points) == 0:
        raise ValueError("no points to be near to")
    k = min(k, len(points))
    centre = points.mean(axis=0, dtype=np.float64).astype(np.float32)
    centred = np.ascontiguousarray(points - centre)
    half_norms = 0.5 * np.einsum("ij,ij->i", centred, centred)
    step = max(1, CELLS // len(points))
    distance = np.empty((len(queries), k))
    index = np.empty((len(queries), k), np.int64)
    for start in range(0, len(queries), step):
        rows = slice(start, start + step)
        # Half the squared distance less the query's own norm, which orders nothing.
        near = (queries[rows] - centre) @ centred.T
        np.subtract(half_norms, near, out=near)
        candidates = _smallest(near, k + SPARE)
        gaps = points[candidates].astype(np.float64) - queries[rows, None, :]
        exact = np.sqrt(np.einsum("ijk,ijk->ij", gaps, gaps))
        order = np.argsort(exact, axis=1, kind="stable")[:, :k]
        distance[rows] = np.take_along_axis(exact, order, axis=1)
        index[rows] = np.take_along_axis(candidates, order, axis=1)
    return Neighbours(distance, index)


def _smallest(values: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Indices of each row's `count` smallest values, in no order.

    Columns are dealt into `LANES` rows of a tile; the `count` smallest values lie under the `count`
    smallest column minima, so that only those columns are searched.
    """
    rows, width = values.shape
    if count >= width:
        return np.broadcast_to(np.arange(width), values.shape)
    stride = width // LANES
    if stride <= count:
        return np.argpartition(values, count - 1, axis=1)[:, :count]
    tile = values[:, : stride * LANES].reshape(rows, LANES, stride)
    best = np.argpartition(tile.min(axis=1), count - 1, axis=1)[:, :count]
    under = (best[:, None, :] + stride * np.arange(LANES)[:, None]).reshape(rows, -1)
    rest = np.broadcast_to(np.arange(stride * LANES, width), (rows, width - stride * LANES))
    under = np.concatenate([under, rest], axis=1)
    found = np.argpartition(np.take_along_axis(values, under, axis=1), count - 1, axis=1)
    return np.take_along_axis(under, found[:, :count], axis=1)
