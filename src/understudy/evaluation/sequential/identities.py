"""Running balances: does every row's balance follow from the one before and the amount?

Checked in whole steps of the columns' smallest digit, over all rows as they were given, in the
order of the table's clock; events at the same time stand as they do in the table.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.contracts import Measurement
from understudy.data.dataset import Dataset
from understudy.encoding.columns import to_numbers
from understudy.schema import Table

MOST_DECIMALS = 6


class Identity(Protocol):
    """`column` is its value before plus `amount`, within rows that agree on `by`, from nought on.

    Rows whose `sign` is none of `plus` take the amount away.
    """

    column: str
    amount: str
    by: tuple[str, ...]
    sign: str | None
    plus: tuple[str, ...]


@dataclass(frozen=True)
class Held:
    """One identity of one table: in how many of the rows that have a balance it holds."""

    table: str
    column: str
    rows: int
    broken: int

    @property
    def share(self) -> float:
        return 1.0 - self.broken / self.rows if self.rows else 1.0

    def as_dict(self) -> dict[str, Any]:
        return {
            "table": self.table,
            "column": self.column,
            "rows": self.rows,
            "broken": self.broken,
            "share": self.share,
        }


def identities(real: Dataset, synthetic: Dataset) -> tuple[list[Held], list[Measurement]]:
    """Every declared running balance of the synthetic database, beside real rows' share."""
    checks, found = [], []
    for spec in synthetic.schema.tables:
        for identity in declared(spec):
            ours, theirs = (
                holds(identity, spec, data.tables[spec.name]) for data in (synthetic, real)
            )
            held = Held(spec.name, identity.column, len(ours), int((~ours).sum()))
            checks.append(held)
            share, floor = held.share, float(theirs.mean()) if len(theirs) else float("nan")
            found.append(
                Measurement(
                    f"identity_{spec.name}.{identity.column}",
                    share,
                    share,
                    share,
                    floor,
                    len(ours),
                    f"share of rows whose {identity.column} is the one before plus "
                    f"{identity.amount}",
                    "higher",
                )
            )
    return checks, found


def declared(spec: Table) -> list[Any]:
    """The table's constraints that are running balances."""
    rules: Iterable[Any] = spec.constraints
    return [rule for rule in rules if rule.rule == "running"]


def holds(identity: Identity, spec: Table, table: pa.Table) -> NDArray[np.bool_]:
    """Of each row with a balance, in the order of time, whether the identity holds."""
    balance, amount = (_floats(table[name]) for name in (identity.column, identity.amount))
    owner = np.zeros(table.num_rows, np.int64)
    for name in identity.by:
        coded = table[name].combine_chunks().dictionary_encode()
        codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        owner = owner * (len(coded.dictionary) + 1) + codes + 1
    if identity.sign is not None:
        plus = pa.array(identity.plus, table[identity.sign].type)
        adds = pc.fill_null(pc.is_in(table[identity.sign], value_set=plus), False).to_numpy()
        amount = np.where(adds, amount, -amount)
    times = np.zeros(table.num_rows)
    if spec.order_by is not None:
        times = _floats(table[spec.order_by])
    order = np.lexsort((times, owner))
    order = order[~np.isnan(balance[order])]
    now, step, owner = balance[order], amount[order], owner[order]
    before = np.where(np.diff(owner, prepend=-1) == 0, np.roll(now, 1), 0.0)
    digits = _decimals(np.concatenate([now, step]))
    if digits is None:
        return np.isclose(before + step, now, rtol=1e-9, atol=1e-9)
    now, before, step = (np.rint(x * 10.0**digits) for x in (now, before, step))
    return np.asarray(before + step == now)


def _floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    numbers, missing = to_numbers(column)
    return np.where(missing, np.nan, numbers.astype(np.float64))


def _decimals(values: NDArray[np.float64]) -> int | None:
    """Digits after the point that all values share; None for more than `MOST_DECIMALS`."""
    present = values[~np.isnan(values)]
    for digits in range(MOST_DECIMALS + 1):
        steps = present * 10.0**digits
        if np.all(np.abs(np.rint(steps) - steps) <= 1e-6 * np.maximum(1.0, np.abs(present))):
            return digits
    return None
