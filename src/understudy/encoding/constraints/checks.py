"""Which rows of a table break a rule: asked of the source before fitting, and of any output."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.encoding.constraints.numbers import common_type, decimals_of
from understudy.encoding.constraints.ranges import out_of_range
from understudy.encoding.constraints.rows import find_rows, first_rows, row_codes
from understudy.encoding.constraints.running import unbalanced
from understudy.encoding.constraints.sums import all_present, summed
from understudy.errors import ConstraintError
from understudy.schema import (
    Constraint,
    Dependency,
    FixedCombinations,
    Inequality,
    Range,
    Running,
    Sum,
    Table,
    Unique,
)

Rows = NDArray[np.bool_]


def violations(rule: Constraint, table: pa.Table, source: pa.Table | None = None) -> Rows:
    """bool[n]: the rows of `table` that break the rule.

    Fixed combinations and dependencies are what the `source` shows; without one a dependency is
    held against the table itself, and combinations cannot be broken.
    """
    match rule:
        case Inequality():
            return _disordered(rule, table)
        case Sum():
            return _missummed(rule, table)
        case Range():
            return out_of_range(rule, table[rule.column])
        case Unique():
            return duplicates(table, [rule.columns])
        case FixedCombinations():
            return _unseen(rule.columns, table, source)
        case Dependency():
            alone = _inconsistent(rule, table)
            return alone | _unseen((*rule.by, rule.determines), table, source)
        case Running():
            return unbalanced(rule, table)


def describe(rule: Constraint) -> str:
    """The rule in a few words, for messages."""
    match rule:
        case Inequality():
            return f"inequality {rule.low!r} {'<' if rule.strict else '<='} {rule.high!r}"
        case Sum():
            return f"sum {rule.total!r} = {' + '.join(map(repr, rule.parts))}"
        case Range():
            return f"range {rule.minimum} <= {rule.column!r} <= {rule.maximum}"
        case Unique():
            return f"unique {', '.join(map(repr, rule.columns))}"
        case FixedCombinations():
            return f"fixed_combinations {', '.join(map(repr, rule.columns))}"
        case Dependency():
            return f"dependency {', '.join(map(repr, rule.by))} -> {rule.determines!r}"
        case Running():
            return f"running {rule.column!r} by {', '.join(map(repr, rule.by))}"


def require(rules: Sequence[Constraint], table: pa.Table) -> None:
    """Raises ConstraintError for the first rule that the source itself breaks."""
    for rule in rules:
        broken = violations(rule, table)
        if broken.any():
            raise ConstraintError(
                f"the source breaks the constraint {describe(rule)} in {int(broken.sum())} of "
                f"{table.num_rows} rows (the first is row {int(np.argmax(broken)) + 1}). Correct "
                "those rows, or drop or loosen the constraint in the plan."
            )


def duplicates(table: pa.Table, keys: Sequence[Sequence[str]]) -> Rows:
    """bool[n]: rows that repeat an earlier row in one of the `keys`; a null repeats nothing."""
    repeated = np.zeros(table.num_rows, dtype=bool)
    for key in keys:
        codes = row_codes(table, key)
        later = np.ones(table.num_rows, dtype=bool)
        later[first_rows(codes)] = False
        repeated |= later & all_present(table, tuple(key))
    return repeated


def kept_keys(spec: Table) -> tuple[tuple[str, ...], ...]:
    """Unique keys made of learnt columns only: identifiers are unique by the way they are made."""
    keys = [rule.columns for rule in spec.constraints if isinstance(rule, Unique)]
    keys += [spec.primary_key] if spec.primary_key else []
    learnt = {column.name for column in spec.learnt}
    return tuple(dict.fromkeys(key for key in keys if learnt.issuperset(key)))


def _disordered(rule: Inequality, table: pa.Table) -> Rows:
    low, high = table[rule.low], table[rule.high]
    line = common_type([low.type, high.type], describe(rule))
    low, high = low.cast(line), high.cast(line)
    wrong = pc.greater_equal(low, high) if rule.strict else pc.greater(low, high)
    return np.asarray(pc.fill_null(wrong, False).to_numpy(), dtype=bool)


def _missummed(rule: Sum, table: pa.Table) -> Rows:
    total = table[rule.total]
    if pa.types.is_null(total.type):
        return np.zeros(table.num_rows, dtype=bool)
    if not pa.types.is_floating(total.type):
        wrong = pc.not_equal(total, summed(table, rule.parts, total.type, None))
        return np.asarray(pc.fill_null(wrong, False).to_numpy(), dtype=bool)
    expected = summed(table, rule.parts, total.type, None)
    # Floats agree to half a unit of the total's last digit, or to the noise of adding them.
    digits = decimals_of(total)
    unit = 0.0 if digits is None else 0.5 * 10.0**-digits
    known = pc.fill_null(pc.subtract(total, expected), 0.0).to_numpy()
    size = np.maximum(1.0, np.abs(total.fill_null(0.0).to_numpy()))
    return np.asarray(np.abs(known) > 1e-9 * size + unit, dtype=bool)


def _inconsistent(rule: Dependency, table: pa.Table) -> Rows:
    """Rows whose determined value differs from that of the first row with the same `by`."""
    if table.num_rows == 0:
        return np.zeros(0, dtype=bool)
    by = row_codes(table, rule.by)
    value = row_codes(table, [rule.determines])
    return np.asarray(value != value[first_rows(by)][by], dtype=bool)


def _unseen(columns: Sequence[str], table: pa.Table, source: pa.Table | None) -> Rows:
    if source is None:
        return np.zeros(table.num_rows, dtype=bool)
    seen = source.select(list(columns))
    seen = seen.take(first_rows(row_codes(seen, columns)))
    return find_rows(table, columns, seen) < 0
