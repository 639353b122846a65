"""How a number is drawn where it repeats none before it: as such, or as a share of the balance.

What people take out of an account depends on what is in it, and interest does by contract. Drawn as
a share, such an amount follows the balance wherever the history has led it, also where no real one
ever was; drawn as such it would let balances drift away. Shares come with a grain, because people
take out round sums. The data decide for each kind of event.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.encoding.columns import to_numbers
from understudy.synthesizers.sequential.balances import Balance
from understudy.synthesizers.sequential.clock import Numbers
from understudy.synthesizers.sequential.events import Index
from understudy.synthesizers.tabular.cart import Floats
from understudy.synthesizers.tabular.conditional import Conditional, fit_conditional

Exact = tuple[NDArray[Any], NDArray[np.bool_]]
"""Values in their own type, and where they are missing."""
TIGHTER = 1.0
"""Shares must spread less than this many times what amounts do, on a log scale."""
WITHIN = 0.97
"""... and this part of them be no more than the balance, or they could feed on themselves."""
FEWEST = 200
OTHERS, NO_KIND = -1, -2
COARSEST = 4
"""Grains go up to ten thousand of the column's units."""


@dataclass(frozen=True)
class Amount:
    """Draws one number. Each kind of event with rows enough has trees of its own, or a leaf would
    lend the rent to the interest: `plain` and `share` are by kind, -1 for all others together.
    `shared` [kinds] are drawn as a share of the balance before the event, others as such; a kind
    that has both is drawn as such unless it would take more than there is.
    """

    name: str
    plain: Mapping[int, Conditional]
    share: Mapping[int, Conditional]
    shared: NDArray[np.bool_]
    decimals: int
    type: pa.DataType

    def draw(self, given: Floats, kind: Index, balance: Numbers, rng: np.random.Generator) -> Exact:
        """One value for each row of `given` [rows, predictors]; `balance` [rows] is before it."""
        values = np.zeros(len(given), to_numbers(pa.array([], self.type))[0].dtype)
        missing = np.zeros(len(given), bool)
        by_share = self.shared[kind] & (balance > 0)
        for part, conditional in _parted(np.where(by_share, kind, NO_KIND), self.share):
            values[part] = self._share(conditional, given[part], balance[part], rng)
        for part, conditional in _parted(np.where(by_share, NO_KIND, kind), self.plain):
            rows = conditional.draw(given[part], rng)
            values[part], missing[part] = conditional.exact(rows, self.name)
        over = ~by_share & (balance > 0) & (values > balance)
        own = np.isin(kind, [k for k in self.share if k != OTHERS])
        for part, conditional in _parted(np.where(over & own, kind, NO_KIND), self.share):
            values[part] = self._share(conditional, given[part], balance[part], rng)
        return values, missing

    def _share(
        self, conditional: Conditional, given: Floats, balance: Numbers, rng: np.random.Generator
    ) -> Numbers:
        rows = conditional.draw(given, rng)
        grain = 10.0 ** np.nan_to_num(conditional.numbers(rows, "grain"))
        unit = 10.0**self.decimals
        amount = conditional.numbers(rows, "share") * balance * unit
        units = np.maximum(np.rint(amount / grain), 1) * grain
        return np.round(units / unit, self.decimals)


def _parted(
    kind: Index, conditionals: Mapping[int, Conditional]
) -> Iterator[tuple[NDArray[np.bool_], Conditional]]:
    """The rows of each conditional; those of `NO_KIND` are nobody's."""
    for each, conditional in conditionals.items():
        others = (kind != NO_KIND) & ~np.isin(kind, list(conditionals))
        part = others if each == OTHERS else kind == each
        if part.any():
            yield part, conditional


def fit_amount(
    given: Floats,
    column: pa.ChunkedArray,
    name: str,
    kind: Index,
    balance: Numbers,
    sharing: Sharing,
    decimals: int,
    **whole: Any,
) -> Amount:
    """Learns the number `name` [rows] given predictors and the balances before."""
    values, missing = to_numbers(column)
    usable = (balance > 0) & (values > 0) & ~missing
    by_share = sharing.shared[kind] & usable
    plain: dict[int, Conditional] = {}
    share: dict[int, Conditional] = {}
    for each, rows in _by_kind(kind, np.flatnonzero(~by_share)):
        table = pa.table({name: column.take(pa.array(rows))})
        plain[each] = fit_conditional(given[rows], table, name=f"number {name} {each}", **whole)
    for each, rows in _by_kind(kind, np.flatnonzero(by_share | (sharing.bounded[kind] & usable))):
        table = pa.table(
            {
                "share": values[rows] / balance[rows],
                "grain": grain_of(values[rows], decimals),
            }
        )
        share[each] = fit_conditional(
            given[rows], table, name=f"share {name} {each}", order=("share", "grain"),
            steady=("grain",), **whole,
        )  # fmt: skip
    return Amount(name, plain, share, sharing.shared, decimals, column.type)


def _by_kind(kind: Index, rows: Index) -> Iterator[tuple[int, Index]]:
    """`rows` by kind, those of rare kinds together last; there always is an answer for others."""
    if len(rows) == 0:
        return
    own = np.bincount(kind[rows])[kind[rows]] >= FEWEST
    for each in np.unique(kind[rows][own]):
        yield int(each), rows[kind[rows] == each]
    yield OTHERS, rows if own.all() else rows[~own]


def grain_of(values: Numbers, decimals: int) -> Index:
    """The largest power of ten [rows] that divides each value, in units of the last decimal."""
    units = np.rint(values * 10.0**decimals).astype(np.int64)
    grain = np.zeros(len(units), np.int64)
    for power in range(1, COARSEST + decimals + 1):
        grain[units % 10**power == 0] = power
    return grain


@dataclass(frozen=True)
class Sharing:
    """What a number has to do with the balance before it: `shared` [kinds] are steadier as shares
    of it, `bounded` [kinds] are limited by it. `share` [events] is not-a-number where it cannot be.
    """

    shared: NDArray[np.bool_]
    bounded: NDArray[np.bool_]
    share: Numbers

    def places(self, kind: Index, place: Numbers) -> Numbers:
        """`place` [events], of shared kinds the shares' places within their kind."""
        found = place.copy()
        for each in np.flatnonzero(self.shared):
            mine = np.flatnonzero((kind == each) & np.isfinite(self.share))
            found[mine] = (np.argsort(np.argsort(self.share[mine])) + 0.5) / max(len(mine), 1)
        return found


def sharing_of(kind: Index, kinds: int, values: Numbers, balance: Numbers | None) -> Sharing:
    """Decides for each kind; `balance` [events] is None for a number that moves none."""
    shared, bounded = np.zeros(kinds, bool), np.zeros(kinds, bool)
    share = np.full(len(values), np.nan)
    if balance is None:
        return Sharing(shared, bounded, share)
    usable = (balance > 0) & (values > 0)
    share[usable] = values[usable] / balance[usable]
    rare = np.bincount(kind[usable], minlength=kinds) < FEWEST
    for each in range(kinds):
        mine = usable & (rare[kind] if rare[each] else kind == each)
        if not mine.any():
            continue
        bounded[each] = np.mean(share[mine] <= 1) >= WITHIN
        apart = _spread(np.log(share[mine])), _spread(np.log(values[mine]))
        shared[each] = bounded[each] and apart[0] < TIGHTER * apart[1]
    return Sharing(shared, bounded, share)


def balances_before(
    balances: tuple[Balance, ...],
    entity: Index,
    exact: Mapping[str, Exact],
    plus: Mapping[str, NDArray[np.bool_]],
) -> dict[str, Numbers]:
    """For each amount the first balance that it moves, before each event; sorted by entity."""
    found: dict[str, Numbers] = {}
    first = np.flatnonzero(np.r_[True, entity[1:] != entity[:-1]])
    for balance in balances:
        if balance.rule.amount in found:
            continue
        values, missing = exact[balance.rule.amount]
        cents = balance.cents(np.where(missing, 0, values), plus.get(balance.rule.column))
        total = np.cumsum(cents) - cents
        start = np.repeat(total[first], np.diff(np.r_[first, len(entity)]))
        found[balance.rule.amount] = (total - start) / 10.0**balance.decimals
    return found


def _spread(values: Numbers) -> float:
    """Half the width of the middle two thirds: a standard deviation that tails do not move."""
    return float(np.ptp(np.quantile(values, [1 / 6, 5 / 6])) / 2)
