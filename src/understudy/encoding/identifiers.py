"""Identifiers made anew: valid in form, none equal to a real one, repeated as often.

Real values enter only by their looks (see `identifier_forms`) and as a list of what must not come
out.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.encoding.identifier_forms import drawing
from understudy.errors import ConstraintError
from understudy.schema import Identifier

ROUNDS = 40


def make(column: Identifier, real: pa.ChunkedArray, n: int, rng: np.random.Generator) -> pa.Array:
    """`n` identifiers of the Arrow type of `real`, which holds the values never to be made.

    Unique when the real ones are, repeated as often on average when not; missing at the real rate.
    Raises `ConstraintError` when the form has too few values left.
    """
    present = real.drop_null()
    if len(present) == 0:
        return pa.nulls(n, real.type)
    distinct = pc.unique(present)
    repeats = len(present) / len(distinct)
    share = 1 - len(present) / len(real)
    needed = n if repeats == 1 else max(1, min(n, int(np.ceil(n * (1 - share) / repeats))))
    made = _distinct(column, distinct, needed, rng)
    if needed < n:
        made = made.take(pa.array(rng.integers(0, needed, n)))
    if share == 0:
        return made
    return pc.if_else(pa.array(rng.random(n) < share), pa.scalar(None, real.type), made)


def apart(
    column: Identifier, made: pa.ChunkedArray, real: pa.ChunkedArray, rng: np.random.Generator
) -> pa.Array:
    """`made` with every value that is one of `real` remade; rows that shared it share the new one.

    For identifiers of people the engine never saw: holdout and reference.
    """
    known = pc.unique(real.drop_null())
    values = made.combine_chunks()
    clashing = pc.unique(values.filter(pc.is_in(values, value_set=known)))
    if len(clashing) == 0:
        return values
    taken = pc.unique(pa.chunked_array([known, pc.unique(values.drop_null())], known.type))
    fresh = _distinct(column, taken, len(clashing), rng)
    place = pc.index_in(values, value_set=clashing)
    return pc.if_else(place.is_valid(), fresh.take(place), values)


def _distinct(column: Identifier, taken: pa.Array, n: int, rng: np.random.Generator) -> pa.Array:
    """`n` different identifiers of the form and type of `taken`, none of them in it."""
    kind = taken.type
    if pa.types.is_integer(kind) and column.form not in ("card", "national"):
        return _integers(taken, n, rng).cast(kind)
    whole = pa.types.is_floating(kind) and pc.all(pc.equal(taken, pc.floor(taken))).as_py()
    if whole:  # numbers that a missing cell turned into decimals
        return _integers(taken.cast(pa.int64()), n, rng).cast(kind)
    return _texts(column, taken.cast(pa.string()), n, rng).cast(kind)


def _integers(distinct: pa.Array, n: int, rng: np.random.Generator) -> pa.Array:
    """Whole numbers of the same number of digits; one digit more when those are used up."""
    taken = distinct.to_numpy()
    low, high = int(taken.min()), int(taken.max())
    top = 10 ** len(str(abs(high))) - 1
    bottom = min(low, 10 ** (len(str(abs(low))) - 1)) if low > 0 else low
    most = int(np.iinfo(taken.dtype).max)
    while (min(top, most) - bottom + 1) < 2 * (len(taken) + n):
        if top >= most:
            raise ConstraintError(
                f"column type {taken.dtype} has too few whole numbers for {n} keys."
            )
        top = top * 10 + 9
    top = min(top, most)

    def draw(count: int) -> NDArray[np.integer]:
        return rng.integers(bottom, top, count, dtype=taken.dtype, endpoint=True)

    made = np.zeros(0, taken.dtype)
    for _ in range(ROUNDS):
        fresh = np.concatenate([made, draw(2 * (n - len(made)) + 10)])
        _, first = np.unique(fresh, return_index=True)
        fresh = fresh[np.sort(first)]
        made = fresh[~np.isin(fresh, taken)][:n]
        if len(made) == n:
            return pa.array(made)
    raise ConstraintError(f"could not make {n} whole numbers that are none of the real ones.")


def _texts(column: Identifier, distinct: pa.Array, n: int, rng: np.random.Generator) -> pa.Array:
    looks = distinct.take(pa.array(rng.integers(0, len(distinct), min(500, len(distinct)))))
    draw = drawing(column.form, looks.to_pylist())
    taken = _bare(distinct)
    made = pa.array([], pa.string())
    for attempt in range(ROUNDS):
        fresh = pa.array(draw(int(1.1 * (n - len(made))) + 10 * (attempt + 1), rng), pa.string())
        fresh = pc.unique(pa.concat_arrays([made, fresh]))
        real = pc.is_in(_bare(fresh), value_set=taken)
        made = fresh.filter(pc.invert(real))[:n]
        if len(made) == n:
            return made
    raise ConstraintError(
        f"column {column.name!r}: only {len(made):,} of {n:,} {column.form} identifiers could be "
        "made that are none of the real ones; its form has too few values. Ask for fewer rows."
    )


def _bare(texts: pa.Array) -> pa.Array:
    """Letters and digits alone: a number is the same number however it is spaced."""
    return pc.utf8_lower(pc.replace_substring_regex(texts, r"[^\p{L}\p{N}]", ""))
