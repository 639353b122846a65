"""Numbers that are the product of two others in every row: a loan is its rate times its months."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.encoding.columns import from_numbers, to_numbers

FEWEST = 100
"""Rows that must say so, and a quarter as many different products: less may be chance."""
MOST = 16
"""Numbers of a table among which products are looked for."""


@dataclass(frozen=True)
class Product:
    """Column `of`, of Arrow type `kind`, is `a` times `b`; it is worked out and never learnt."""

    of: str
    a: str
    b: str
    kind: pa.DataType

    def append_to(self, table: pa.Table) -> pa.Table:
        """`table` with the column; missing where either factor is."""
        a, no_a = to_numbers(table[self.a])
        b, no_b = to_numbers(table[self.b])
        made = a.astype(np.float64) * b.astype(np.float64)
        made = np.rint(made) if pa.types.is_integer(self.kind) else made
        return table.append_column(self.of, from_numbers(made, no_a | no_b, self.kind))


def products_in(table: pa.Table, taken: Collection[str]) -> tuple[Product, ...]:
    """Products among the numbers of `table` that hold in every row, none of columns `taken`."""
    numbers: dict[str, NDArray[np.float64]] = {}
    for name in table.column_names:
        kind = table.schema.field(name).type
        if name in taken or not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            continue
        values, gone = to_numbers(table[name])
        numbers[name] = np.where(gone, np.nan, values.astype(np.float64))
    found: list[Product] = []
    for a, b in combinations(list(numbers)[:MOST], 2):
        for of in list(numbers)[:MOST]:
            used = {name for product in found for name in (product.of, product.a, product.b)}
            if len({of, a, b}) < 3 or used & {of, a, b}:
                continue
            if _holds(numbers[of], numbers[a], numbers[b]):
                found.append(Product(of, a, b, table.schema.field(of).type))
    return tuple(found)


def _holds(of: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64]) -> bool:
    # A few rows first: most triples fail there.
    head = slice(0, FEWEST)
    if not _equal(of[head], a[head], b[head]).all() or not _equal(of, a, b).all():
        return False
    there = ~np.isnan(of)
    several = min(len(np.unique(x[there])) for x in (a, b)) > 1
    return bool(several and there.sum() >= FEWEST and len(np.unique(of[there])) >= FEWEST // 4)


def _equal(
    of: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64]
) -> NDArray[np.bool_]:
    product = a * b
    gone = np.isnan(of)
    near = np.abs(of - product) <= 1e-9 * np.maximum(np.abs(product), 1)
    return np.where(gone, np.isnan(product), near)
