"""What every mechanism does to numbers before it adds noise: no NaN, no infinity, no rounding."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.errors import BudgetError, EngineError

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

LARGEST = 1 << 62
LARGEST_SCALE = 2.0**55
"""Counts are held within the one and noise scales within the other, so that sums cannot overflow:
no stream returns more than 46 scales."""


def positive(name: str, value: float) -> None:
    """Raises `BudgetError` unless `value` is a positive finite number."""
    if not (math.isfinite(value) and value > 0):
        raise BudgetError(
            f"{name} of a mechanism must be a positive number, found {value}. Noise is made for "
            "what one unit can change, so neither may be zero, negative or unbounded."
        )


def addable(scale: float) -> None:
    """Raises `BudgetError` if noise of this scale might not fit beside a 64-bit count."""
    if scale > LARGEST_SCALE:
        raise BudgetError(
            f"noise of scale {scale:g} does not fit into whole numbers of 64 bits: at most "
            f"{LARGEST_SCALE:g}. So much noise leaves nothing; ask with less, or not at all."
        )


def finite(exact: NDArray[Any]) -> Floats:
    """`exact` as float64 with NaN and infinity as zero."""
    values = np.asarray(exact, np.float64)
    return np.where(np.isfinite(values), values, 0.0)


def whole(exact: NDArray[Any]) -> Integers:
    """`exact` as int64, every bit kept; NaN and infinity are zero.

    Raises `EngineError` for fractions: rounding them here could change a count by one where the
    sensitivity allows less.
    """
    values = np.asarray(exact)
    if values.dtype.kind == "f":
        values = np.clip(finite(values), -LARGEST, LARGEST)
        if (values != np.floor(values)).any():
            raise EngineError(
                "a mechanism for counts was given fractions. Give it whole numbers: multiply by a "
                "public constant and round inside, row by row, or count rows."
            )
    elif values.dtype.kind not in "iub":
        raise EngineError(f"a mechanism for counts takes whole numbers, found {values.dtype}.")
    if values.dtype.kind == "u":
        values = np.minimum(values, np.uint64(LARGEST))
    return np.clip(values.astype(np.int64), -LARGEST, LARGEST)


def add_noise(counts: Integers, noise: Floats) -> Integers:
    """`counts` plus the noise rounded to whole numbers, which is the noisy sum rounded."""
    return counts + np.rint(noise).astype(np.int64).reshape(counts.shape)


def changes(one: NDArray[Any], other: NDArray[Any]) -> Floats | None:
    """How much each number moves, or None when the shapes differ."""
    if one.shape != other.shape:
        return None
    if one.dtype.kind in "iub" and other.dtype.kind in "iub":
        return (whole(one) - whole(other)).astype(np.float64)
    return finite(one) - finite(other)
