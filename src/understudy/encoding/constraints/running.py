"""Running balances: a column that is its value before plus or minus an amount, per account."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.encoding.columns import to_numbers
from understudy.encoding.constraints.rows import row_codes
from understudy.schema import Running

HALF_A_CENT = 0.005
RELATIVE = 1e-12


def unbalanced(rule: Running, table: pa.Table) -> NDArray[np.bool_]:
    """bool[n]: rows, in the order in which they stand, whose balance does not follow."""
    if table.num_rows == 0:
        return np.zeros(0, bool)
    balance, gone = to_numbers(table[rule.column])
    amount, empty = to_numbers(table[rule.amount])
    moved = np.where(empty, 0.0, amount.astype(np.float64))
    if rule.sign is not None:
        plus = pc.is_in(table[rule.sign].cast(pa.string()), value_set=pa.array(rule.plus))
        moved = np.where(np.asarray(plus.to_numpy(), bool), moved, -moved)
    account = row_codes(table, rule.by)
    order = np.lexsort((np.arange(len(account)), account))
    sorted_account, held = account[order], balance.astype(np.float64)[order]
    first = np.diff(sorted_account, prepend=-1) != 0
    before = np.where(first, 0.0, np.roll(held, 1))
    apart = np.abs(before + moved[order] - held)
    wrong = (apart > HALF_A_CENT + RELATIVE * np.abs(held)) | gone[order]
    found = np.empty(len(account), bool)
    found[order] = wrong
    return found
