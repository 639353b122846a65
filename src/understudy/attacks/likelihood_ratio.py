"""Gen-LRA in closed form: did adding this record to the reference make the synthetic rows likelier?

For a record x the score is the sum, over the synthetic rows s nearest to it, of
`log p_{R+x}(s) - log p_R(s)`, with p a Gaussian kernel density of fixed bandwidth (Silverman's) on
the first principal components of the reference. Since

    p_{R+x}(s) = (m p_R(s) + K(s, x)) / (m + 1),

only the kernel between x and those few rows is needed once p_R is known, and up to a constant the
score is the sum of `log(1 + K(s, x) / (m p_R(s)))`. Refitting the density for every record, as the
attack was published (Gen-LRA; see Ward et al. 2025, arXiv:2509.18014), costs m times as much and
gives the same.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from understudy.encoding.metric import Points

COMPONENTS = 6
MOST_REFERENCE = 2_000
FLOOR = 1e-20
BLOCK = 1 << 22

Floats = NDArray[np.float64]


def gen_lra(pool: Points, near: NDArray[np.int64], synthetic: Points, reference: Points) -> Floats:
    """One score per pooled row; `near` [n, k] indexes its nearest synthetic rows."""
    known = reference[:: max(1, len(reference) // MOST_REFERENCE)]
    centre, basis = _principal(reference, len(known))
    places = [((rows - centre) @ basis).astype(np.float32) for rows in (pool, synthetic, known)]
    asked, made, known = places
    used, where = np.unique(near, return_inverse=True)
    base = np.maximum(kernel_sums(made[used], known), FLOOR)
    gaps = made[near] - asked[:, None, :]
    kernel = np.exp(-0.5 * np.einsum("nkd,nkd->nk", gaps, gaps).astype(np.float64))
    return np.asarray(np.log1p(kernel / base[where.reshape(near.shape)]).sum(axis=1))


def kernel_sums(rows: Points, centres: Points) -> Floats:
    """Sum of unit Gaussian kernels (unnormalised) of `centres` at each row."""
    found = np.empty(len(rows))
    half = 0.5 * np.einsum("ij,ij->i", centres, centres)
    step = max(1, BLOCK // len(centres))
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        own = 0.5 * np.einsum("ij,ij->i", part, part)
        exponent = part @ centres.T - half - own[:, None]
        found[start : start + step] = np.exp(np.minimum(exponent, 0.0)).sum(axis=1)
    return found


def _principal(points: Points, kernels: int) -> tuple[Floats, Floats]:
    """Centre and basis [d, c]: principal axes scaled so that the kernel has unit width."""
    values = points.astype(np.float64)
    centre = values.mean(axis=0)
    variance, axes = np.linalg.eigh(np.cov(values, rowvar=False).reshape(values.shape[1], -1))
    kept = np.argsort(-variance)[:COMPONENTS]
    kept = kept[variance[kept] > 1e-9]
    d = len(kept)
    silverman = (kernels * (d + 2) / 4.0) ** (-1.0 / (d + 4))
    return centre, axes[:, kept] / (silverman * np.sqrt(variance[kept]))
