"""Identifiers made up without looking at any: valid in form, plainly not real.

Under a privacy budget not even the look of real identifiers may be known. Each form has a public
specimen in a range that is set aside for examples where there is one; keys are running numbers far
above what a table counts to, so that they join nothing by accident.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from understudy.encoding.identifier_forms import drawing
from understudy.errors import ConstraintError
from understudy.schema import Identifier

SPECIMENS = {
    "phone": "+1 202 555 0100",
    "iban": "XX00 0000 0000 0000 0000",
    "account": "000000000000",
    "card": "9000 0000 0000 0000",
    "national": "900-00-0000",
    "ip": "10.0.0.0",
    "name": "First Last",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "code": "SYN-00000000",
    "key": "SYN-00000000",
}
ROUNDS = 40


def invent(column: Identifier, type: pa.DataType, n: int, rng: np.random.Generator) -> pa.Array:
    """`n` different identifiers of the column's form and Arrow type; none is missing.

    Raises `ConstraintError` when the form or type has too few values.
    """
    if pt.is_integer(type):
        return _numbers(type, n)
    if not (pt.is_string(type) or pt.is_large_string(type)):
        return pa.nulls(n, type)
    specimen = SPECIMENS.get(column.form, "")
    draw = drawing(column.form, [specimen])
    made = pa.array([], pa.string())
    for attempt in range(ROUNDS):
        fresh = pa.array(draw(int(1.1 * (n - len(made))) + 10 * (attempt + 1), rng), pa.string())
        made = pc.unique(pa.concat_arrays([made, fresh]))[:n]
        if len(made) == n:
            return made.cast(type)
    raise ConstraintError(
        f"column {column.name!r}: only {len(made):,} of {n:,} {column.form} identifiers could be "
        "made up; the form has too few values. Ask for fewer rows."
    )


def _numbers(type: pa.DataType, n: int) -> pa.Array:
    """The largest round numbers of the type that leave room for `n`, in order."""
    most = (1 << (type.bit_width - (0 if pt.is_unsigned_integer(type) else 1))) - 1
    if n > most:
        raise ConstraintError(f"column type {type} has too few whole numbers for {n:,} keys.")
    first = 9 * 10 ** (len(str(most)) - 2)
    first = first if first + n <= most else most - n
    return pa.array(np.arange(n, dtype=np.int64) + first).cast(type)
