"""Running balances in whole cents: worked out event by event, exact in every row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.encoding.columns import from_numbers, to_numbers
from understudy.errors import ColumnError
from understudy.schema.constraints import Running

MOST_DECIMALS = 9


@dataclass(frozen=True)
class Balance:
    """One rule and the `decimals` in which it is kept; `type` is the column's Arrow type."""

    rule: Running
    decimals: int
    type: pa.DataType

    @classmethod
    def fit(cls, rule: Running, table: pa.Table) -> Balance:
        """Raises `ColumnError` where the rule names a column that the events lack."""
        named = [rule.column, rule.amount, *([rule.sign] if rule.sign else [])]
        for name in named:
            if name not in table.column_names:
                raise ColumnError.unknown(name, table.column_names, where="rule: running")
        numbers, _ = to_numbers(table[rule.amount])
        return cls(rule, _decimals(numbers), table.schema.field(rule.column).type)

    def cents(self, amounts: NDArray[Any], plus: NDArray[np.bool_] | None) -> NDArray[np.int64]:
        """What each event adds, in units of the last decimal; `plus` None: as the amount says."""
        units = amounts.astype(np.int64)
        if self.decimals:
            units = np.rint(amounts * 10.0**self.decimals).astype(np.int64)
        return units if plus is None else np.where(plus, units, -units)

    def adds(self, signs: pa.Array | pa.ChunkedArray) -> NDArray[np.bool_]:
        """Whether each event's amount is added."""
        plus = pa.array(self.rule.plus, pa.string())
        found = pc.is_in(signs.cast(pa.string()), value_set=plus)
        return np.asarray(found, bool)

    def column(self, cents: NDArray[np.int64]) -> pa.Array:
        """Balances as the source holds them."""
        numbers: NDArray[Any] = cents
        if self.decimals or pa.types.is_floating(self.type):
            numbers = np.round(cents / 10.0**self.decimals, self.decimals)
        return from_numbers(numbers, np.zeros(len(cents), bool), self.type)


def _decimals(numbers: NDArray[Any]) -> int:
    if numbers.dtype.kind in "iu":
        return 0
    present = numbers[np.isfinite(numbers)]
    for digits in range(MOST_DECIMALS):
        if np.allclose(np.round(present, digits), present, rtol=1e-12, atol=1e-9):
            return digits
    return MOST_DECIMALS
