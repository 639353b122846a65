"""How far columns that rules work out can go, by interval arithmetic over the rules."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from understudy.encoding.constraints.checks import describe
from understudy.encoding.constraints.inequality import InequalityStep
from understudy.encoding.constraints.numbers import extremes
from understudy.encoding.constraints.ranges import out_of_range
from understudy.encoding.constraints.step import Step
from understudy.encoding.constraints.sums import SumStep
from understudy.errors import ConstraintError
from understudy.schema import Range


def require_within(bound: Range, owners: Mapping[str, Step], table: pa.Table) -> None:
    """Raises ConstraintError unless the rule that works the column out keeps it in range.

    `owners` gives for each such column the step that works it out; `table` is the source.
    """
    ends = reach(bound.column, owners, table)
    if not out_of_range(bound, pa.chunked_array([ends])).any():
        return
    raise ConstraintError(
        f"the constraint {describe(bound)} cannot be kept beside the {owners[bound.column].rule} "
        f"that decides {bound.column!r}: within their own ranges the other columns can carry it as "
        f"far as {ends[0]} to {ends[1]}. Put ranges on those columns, or drop one of the two."
    )


def reach(column: str, owners: Mapping[str, Step], table: pa.Table) -> pa.Array:
    """The least and the greatest value that may come `backward`, where an engine keeps every
    column it models within the source's range."""
    seen = extremes(table[column])
    step = owners.get(column)
    if isinstance(step, InequalityStep):
        lows = reach(step.low, owners, table)
        return extremes(pa.chunked_array([seen, step.least(lows[1:])]))
    if isinstance(step, SumStep):
        ends = [reach(part, owners, table) for part in step.parts]
        totals = [sum(end[side].as_py() or 0 for end in ends) for side in (0, 1)]
        return extremes(pa.chunked_array([seen, pa.array(totals).cast(seen.type)]))
    return seen
