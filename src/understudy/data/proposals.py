"""Rules that the rows happen to obey, proposed for the plan: mined, never imposed.

Conservative: a rule is proposed only when many rows support it, so that chance does not pass for
law. Accepting one is the user's decision, since a rule that holds today may be a coincidence.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.schema import Constraint, Dependency, Inequality, Sum, Table

ROWS_A_VALUE = 5
"""Rows per distinct value that a determining column needs."""
MOST_COLUMNS = 60


def propose(table: pa.Table, spec: Table) -> tuple[Constraint, ...]:
    """Functional dependencies, inequalities and sums that hold in every row."""
    if table.num_rows < 50:
        return ()
    return (*_dependencies(table, spec), *_inequalities(table, spec), *_sums(table, spec))


def _dependencies(table: pa.Table, spec: Table) -> list[Constraint]:
    codes = {}
    for column in spec.of_kind("category", "boolean", "number")[:MOST_COLUMNS]:
        values = table[column.name]
        encoded = values.combine_chunks().dictionary_encode(null_encoding="encode")
        size = len(encoded.dictionary)
        if 2 <= size <= table.num_rows / ROWS_A_VALUE:
            codes[column.name] = (encoded.indices.to_numpy(), size)
    found: list[Constraint] = []
    for by, what in ((a, b) for a in codes for b in codes if a != b):
        if spec.column(by).kind == "number" and codes[by][1] > 50:
            continue
        # The other way round too when both determine each other: one of them is enough.
        mirrored = any(
            isinstance(r, Dependency) and r.by == (what,) and r.determines == by for r in found
        )
        if not mirrored and codes[what][1] > 2 and _determines(codes[by], codes[what]):
            found.append(Dependency(by=(by,), determines=what))
    return found


def _determines(by: tuple[NDArray[np.int64], int], what: tuple[NDArray[np.int64], int]) -> bool:
    (a, size), (b, other) = by, what
    if other > size:
        return False
    seen = np.full(size, -1, dtype=np.int64)
    for rows in (slice(0, 1000), slice(None)):
        seen[a[rows]] = b[rows]
        if np.any(seen[a[rows]] != b[rows]):
            return False
    counts = np.bincount(a, minlength=size)
    return bool(np.mean(counts >= ROWS_A_VALUE) > 0.5)


def _inequalities(table: pa.Table, spec: Table) -> list[Constraint]:
    found: list[Constraint] = []
    for kinds in (("datetime",), ("number",)):
        columns = [c.name for c in spec.of_kind(*kinds)][:MOST_COLUMNS]
        for low, high in ((a, b) for a in columns for b in columns if a != b):
            if table[low].type != table[high].type:
                continue
            if kinds == ("number",) and not _same_measure(table[low], table[high]):
                continue
            holds = pc.less_equal(table[low].slice(0, 1000), table[high].slice(0, 1000))
            if not pc.all(holds, min_count=20).as_py():
                continue
            holds = pc.less_equal(table[low], table[high])
            differs = pc.any(pc.less(table[low], table[high])).as_py()
            if differs and pc.all(holds).as_py():
                found.append(Inequality(low=low, high=high))
    return found


def _same_measure(a: pa.ChunkedArray, b: pa.ChunkedArray) -> bool:
    """Ranges that overlap by half: a count below 5 and a salary obey no law of theirs."""
    (low_a, high_a), (low_b, high_b) = (pc.min_max(x).as_py().values() for x in (a, b))
    if None in (low_a, low_b):
        return False
    overlap = min(high_a, high_b) - max(low_a, low_b)
    widest = max(high_a - low_a, high_b - low_b)
    return bool(widest > 0 and overlap >= 0.5 * float(widest)) and pc.count_distinct(a).as_py() > 20


def _sums(table: pa.Table, spec: Table) -> list[Constraint]:
    """`c = a + b` among numbers, looked for in a few rows first."""
    names = [c.name for c in spec.of_kind("number") if table[c.name].null_count == 0][:25]
    if len(names) < 3:
        return []
    head = np.stack([table[n].slice(0, 500).to_numpy().astype(float) for n in names])
    found: list[Constraint] = []
    for i, j in combinations(range(len(names)), 2):
        if not head[i].any() or not head[j].any():
            continue
        match = np.all(np.isclose(head, head[i] + head[j], rtol=0, atol=1e-9), axis=1)
        for k in np.flatnonzero(match):
            if k in (i, j):
                continue
            a, b, c = (table[names[m]].to_numpy().astype(float) for m in (i, j, k))
            if np.allclose(a + b, c, rtol=0, atol=1e-9):
                found.append(Sum(total=names[k], parts=(names[i], names[j])))
    return found
