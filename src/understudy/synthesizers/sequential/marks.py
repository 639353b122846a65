"""What each event carries: numbers and categories, event after event, all histories side by side.

A number is first asked whether it repeats what its stream had before (a standing order's amount),
and drawn only where it does not. Every step knows the calendar, the stream's and the entity's last
values and means, and the running balance before it (see `memory`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.encoding.columns import from_numbers, to_numbers
from understudy.synthesizers.sequential.amounts import (
    Amount,
    Exact,
    Sharing,
    balances_before,
    fit_amount,
)
from understudy.synthesizers.sequential.balances import Balance
from understudy.synthesizers.sequential.clock import Clock, Numbers
from understudy.synthesizers.sequential.events import Index
from understudy.synthesizers.sequential.memory import Account, Memory, Places, State, Timeline
from understudy.synthesizers.sequential.streams import Streams, matrix
from understudy.synthesizers.tabular.cart import Floats
from understudy.synthesizers.tabular.conditional import (
    Codes,
    Conditional,
    Growth,
    Rows,
    fit_conditional,
)

REPEATED = 0.05
"""Share of repeats from which a number is asked about them."""


@dataclass(frozen=True)
class Marks:
    """`repeats` draws how far back a number repeats itself (0: it does not), `numbers` draws it
    where it does not, `words` the categories. `types` are the numbers' Arrow types.
    """

    clock: Clock
    places: Mapping[str, Places]
    types: Mapping[str, pa.DataType]
    repeats: Conditional | None
    numbers: Mapping[str, Amount]
    words: Conditional | None
    balances: tuple[Balance, ...]

    def draw(
        self,
        x: Floats,
        streams: Streams,
        line: Timeline,
        known: Mapping[str, pa.Array],
        rng: np.random.Generator,
    ) -> dict[str, pa.Array]:
        """Columns of the events of `line`; `known` are their kinds' columns."""
        state = start(self, x, streams, line, {n: a.shared for n, a in self.numbers.items()})
        spent = signed(self.balances, known)
        values = {n: np.zeros(len(line), state.numbers[n].past.dtype) for n in self.numbers}
        absent = {n: np.zeros(len(line), bool) for n in self.numbers}
        codes: dict[str, Codes] = {}
        if self.words is not None:
            codes = {n: np.full(len(line), -1, np.int32) for n in self.words.names}
        cents = {b.rule.column: np.zeros(len(line), np.int64) for b in self.balances}
        for row in steps(line.entity):
            entity, stream = line.entity[row], line.stream[row]
            given = state.predictors(line, row)
            lags = self._draw_lags(given, rng)
            given = np.hstack([given, matrix(*lags.values())]) if lags else given
            for name, amount in self.numbers.items():
                held = self._balance(state, name, entity)
                drawn = amount.draw(given, streams.kind[stream], held, rng)
                new, gone = _repeated(drawn, state.numbers[name], stream, lags.get(name))
                values[name][row], absent[name][row] = new, gone
                state.numbers[name].absorb(stream, entity, new, gone)
                given = np.hstack([given, _seen(new, gone)])
            if self.words is not None:
                words = self.words.draw(given, rng)
                for name in codes:
                    codes[name][row] = words.codes[name]
                    state.words[name][entity] = words.codes[name]
            for balance in self.balances:
                name, amount = balance.rule.column, balance.rule.amount
                added = np.where(absent[amount][row], 0, values[amount][row])
                signs = spent.get(name)
                plus = (
                    self._plus(balance, words if self.words else None)
                    if signs is None
                    else (signs[row])
                )
                account = state.accounts[name]
                account.absorb(entity, balance.cents(added, plus), state.since(line, row))
                cents[name][row] = account.cents[entity]
            state.move(line, row)
        found = {n: from_numbers(values[n], absent[n], self.types[n]) for n in self.numbers}
        if self.words is not None:
            all_rows = Rows(codes, {})
            found |= {n: self.words.column(all_rows, n) for n in codes}
        return found | {b.rule.column: b.column(cents[b.rule.column]) for b in self.balances}

    def _balance(self, state: State, name: str, entity: Index) -> Numbers:
        """What is in the first account that the number moves."""
        for balance in self.balances:
            if balance.rule.amount == name:
                account = state.accounts[balance.rule.column]
                return account.cents[entity] / account.unit
        return np.zeros(len(entity))

    def _draw_lags(self, given: Floats, rng: np.random.Generator) -> dict[str, Numbers]:
        if self.repeats is None:
            return {}
        rows = self.repeats.draw(given, rng)
        return {n: self.repeats.numbers(rows, n) for n in self.repeats.names}

    def _plus(self, balance: Balance, rows: Rows | None) -> NDArray[np.bool_] | None:
        if balance.rule.sign is None or self.words is None or rows is None:
            return None
        return balance.adds(self.words.column(rows, balance.rule.sign))


def start(
    marks: Marks,
    x: Floats,
    streams: Streams,
    line: Timeline,
    shared: Mapping[str, NDArray[np.bool_]],
) -> State:
    """The state of the histories of `line` before their first events."""
    entities, n = len(x), len(streams)
    dtypes = {c: _native(kind) for c, kind in marks.types.items()}
    words = () if marks.words is None else marks.words.names
    return State(
        marks.clock,
        np.hstack([x[streams.entity], matrix(streams.kind, *streams.traits.values())]),
        np.bincount(line.stream, minlength=n).astype(float),
        {
            # A level among shares says nothing of what amounts are still owed.
            c: np.where(shared[c][streams.kind], np.nan, streams.traits[f"level {c}"])
            for c in marks.places
        },
        {c: Memory.empty(p, dtypes[c], n, entities) for c, p in marks.places.items()},
        {b.rule.column: Account.empty(10.0**b.decimals, entities) for b in marks.balances},
        {name: np.full(entities, np.nan) for name in words},
        np.zeros(n),
        np.full(n, np.nan),
        np.full(entities, np.nan),
        np.full(entities, np.nan),
    )


def steps(entity: Index) -> Iterator[Index]:
    """The rows of all first events, of all second ones, and so on; rows are sorted by entity."""
    count = np.bincount(entity)
    first = np.cumsum(count) - count
    for place in range(int(count.max(initial=0))):
        yield first[count > place] + place


def fit_marks(
    x: Floats,
    streams: Streams,
    line: Timeline,
    table: pa.Table,
    *,
    clock: Clock,
    places: Mapping[str, Places],
    words: tuple[str, ...],
    balances: tuple[Balance, ...],
    sharing: Mapping[str, Sharing],
    seed: int,
    growth: Growth,
    workers: int,
) -> Marks:
    """Learns from the events of `line`, whose marks are in `table` [events]."""
    types = {name: table.schema.field(name).type for name in places}
    exact = {name: to_numbers(table[name]) for name in places}
    spent = signed(balances, table)
    held = balances_before(balances, line.entity, exact, spent)
    kind = streams.kind[line.stream]
    whole = {"seed": seed, "growth": growth, "workers": workers}
    drawn_words = None
    bare = Marks(clock, places, types, None, {}, None, balances)
    state = start(bare, x, streams, line, {n: s.shared for n, s in sharing.items()})
    state.words = {n: np.full(len(x), np.nan) for n in words}
    known = {n: _word_codes(table[n]) for n in words}
    given, lags = None, {n: np.zeros(len(line), np.int64) for n in places}
    for row in steps(line.entity):
        entity, stream = line.entity[row], line.stream[row]
        found = state.predictors(line, row)
        given = np.empty((len(line), found.shape[1]), np.float32) if given is None else given
        given[row] = found
        for name, (values, missing) in exact.items():
            memory = state.numbers[name]
            lags[name][row] = memory.repeats(stream, values[row], missing[row])
            memory.absorb(stream, entity, values[row], missing[row])
        for name in words:
            state.words[name][entity] = known[name][row]
        for balance in balances:
            values, missing = exact[balance.rule.amount]
            plus = None if balance.rule.sign is None else spent[balance.rule.column][row]
            added = balance.cents(np.where(missing[row], 0, values[row]), plus)
            account = state.accounts[balance.rule.column]
            account.absorb(entity, added, state.since(line, row))
        state.move(line, row)
    assert given is not None
    asked = {n: lag for n, lag in lags.items() if np.mean(lag > 0) >= REPEATED}
    repeats = None
    if asked:
        repeats = fit_conditional(
            given, pa.table(asked), name="repeats", steady=tuple(asked), **whole
        )
        given = np.hstack([given, matrix(*asked.values())])
    numbers: dict[str, Amount] = {}
    for name, (values, missing) in exact.items():
        fresh = asked[name] == 0 if name in asked else np.ones(len(line), bool)
        numbers[name] = fit_amount(
            given[fresh],
            table[name].filter(pa.array(fresh)),
            name,
            kind[fresh],
            held.get(name, np.zeros(len(line)))[fresh],
            sharing[name],
            next((b.decimals for b in balances if b.rule.amount == name), 0),
            **whole,
        )
        given = np.hstack([given, _seen(values, missing)])
    if words:
        drawn_words = fit_conditional(given, table.select(list(words)), name="words", **whole)
    return Marks(clock, places, types, repeats, numbers, drawn_words, balances)


def _repeated(drawn: Exact, memory: Memory, stream: Index, lag: Numbers | None) -> Exact:
    """The drawn values, or those that stand `lag` back in the stream."""
    values, missing = drawn
    if lag is None:
        return values, missing
    back = np.maximum(np.nan_to_num(lag).astype(np.int64) - 1, 0)
    again = (lag > 0) & (memory.count[stream] > back)
    return np.where(again, memory.past[stream, back], values), missing & ~again


def _seen(values: NDArray[Any], missing: NDArray[np.bool_]) -> Floats:
    return matrix(np.where(missing, np.nan, values.astype(np.float64)))


def signed(
    balances: tuple[Balance, ...], known: pa.Table | Mapping[str, pa.Array]
) -> dict[str, NDArray[np.bool_]]:
    """For each balance whose sign is `known`, whether each event adds to it."""
    names = known.column_names if isinstance(known, pa.Table) else known
    return {
        b.rule.column: b.adds(known[b.rule.sign])
        for b in balances
        if b.rule.sign is not None and b.rule.sign in names
    }


def _word_codes(column: pa.ChunkedArray) -> Numbers:
    """Places among the sorted distinct values, as `Levels` has them."""
    from understudy.encoding.columns import fit_codec

    return fit_codec("", column, numeric=False).encode(column).astype(np.float64)


def _native(kind: pa.DataType) -> Any:
    return to_numbers(pa.array([], kind))[0].dtype
