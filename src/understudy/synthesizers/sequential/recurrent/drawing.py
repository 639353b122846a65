"""Histories drawn event by event, all entities side by side; those that have ended drop out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.encoding.columns import from_numbers, to_numbers
from understudy.errors import EngineError
from understudy.synthesizers.sequential.balances import Balance
from understudy.synthesizers.sequential.clock import DAY, Clock, Numbers
from understudy.synthesizers.sequential.events import Index
from understudy.synthesizers.sequential.recurrent.forward import Forward, chances, gap_logits
from understudy.synthesizers.sequential.recurrent.gaps import Gaps
from understudy.synthesizers.sequential.recurrent.layout import (
    KNOWN,
    LAGS,
    Layout,
    lag_part,
    payee_part,
)
from understudy.synthesizers.sequential.recurrent.memory import Memory
from understudy.synthesizers.tabular.cart import Floats
from understudy.synthesizers.tabular.neural.picking import pick

Exact = dict[str, tuple[NDArray[Any], NDArray[np.bool_]]]


@dataclass(frozen=True)
class Drawing:
    """A trained network and what its tokens mean; `longest` is how many events a history may have,
    `usual` the cents that make a usual amount of each balance."""

    layout: Layout
    gaps: Gaps
    forward: Forward
    clock: Clock
    balances: tuple[Balance, ...]
    usual: Mapping[str, float]
    longest: int

    def draw(
        self, context: Index, origin: Numbers, length: Index, rng: np.random.Generator
    ) -> Drawn:
        """Histories of entities with the context tokens [entities, tokens], from their origins, of
        about the lengths [entities] that were drawn for them."""
        state, steady = self.forward.start(context)
        memory = Memory.empty(
            self.layout,
            origin,
            self.gaps.window.end,
            self.usual,
            dtypes_of(self.layout),
            self.clock.calendar,
            length,
        )
        previous = np.zeros((len(origin), len(self.layout.sizes)), np.int64)
        at = np.arange(len(origin))
        made = []
        for _ in range(self.longest):
            dated = self.gaps.places(memory.day[at]) if self.gaps.single else None
            before = memory.before(at)
            x = self.forward.input(previous[at], before, dated, steady[at])
            state[at] = self.forward.step(state[at], x)
            event = self._event(self.forward.begin(state[at], before), at, memory, rng)
            at = event.entity
            if len(at) == 0:
                break
            previous[at] = event.tokens + 1
            made.append(event)
        if not made:
            return self._nothing()
        return _sorted(made)

    def columns(self, drawn: Drawn, types: pa.Schema, rng: np.random.Generator) -> dict[str, Any]:
        """Columns by name: clock, categories, numbers and balances."""
        found: dict[str, Any] = {
            self.clock.name: self.clock.write(
                drawn.day, drawn.second, types.field(self.clock.name).type
            )
        }
        for name in self.layout.words:
            tokens = [drawn.tokens[:, token] for token in self.layout.places[name]]
            found[name] = self.layout.codings[name].decode(tokens, rng)
        for name, (values, missing) in drawn.exact.items():
            found[name] = from_numbers(values, missing, self.layout.types[name])
        for i, balance in enumerate(self.balances):
            total = np.cumsum(drawn.cents[:, i])
            first = np.flatnonzero(np.r_[True, drawn.entity[1:] != drawn.entity[:-1]])
            before = np.repeat(
                (total - drawn.cents[:, i])[first], np.diff(np.r_[first, len(total)])
            )
            found[balance.rule.column] = balance.column(total - before)
        return found

    def _event(self, sums: Floats, at: Index, memory: Memory, rng: np.random.Generator) -> Drawn:
        """The next event of each history `at`; those that end are not among its entities."""
        layout, forward = self.layout, self.forward
        expected = memory.coming(at, self.gaps.single)
        logits = gap_logits(forward.logits(sums, 0), self.gaps, memory.day[at], expected)
        code = pick(chances(logits), len(at), rng)
        goes = code < self.gaps.end
        at, sums, code = at[goes], sums[goes], code[goes]
        gap = self.gaps.draw(code, rng)
        inside = memory.day[at] + gap <= self.gaps.window.end
        at, sums, code, gap = at[inside], sums[inside], code[inside], gap[inside]
        day = memory.day[at] + gap
        tokens = np.zeros((len(at), len(layout.sizes)), np.int64)
        tokens[:, 0] = code
        sums = sums + forward.token(0, code)
        if self.gaps.single:
            sums = sums + forward.summed("then", self.gaps.places(day))
            due = memory.due_on(at, day)
            if due.shape[1]:
                sums = sums + forward.bag("due", due, [size + 1 for size in layout.recurring])
        drawing = _Tokens(forward, sums, tokens, rng)
        second = self._second(drawing, memory, at, gap)
        paid = np.full((len(at), len(layout.payees)), -1, np.int64)
        for i, name in enumerate(layout.payees):
            token = layout.places[payee_part(name)][0]
            drawing.next(token, high=memory.reach(at, name))
            paid[:, i] = memory.payee_of(at, name, tokens[:, token], rng)
        self._words(drawing, memory, at, paid)
        exact = self._numbers(drawing, memory, at, paid)
        cents = {b.rule.column: self._added(b, tokens, exact) for b in self.balances}
        memory.absorb(at, day, second, paid, tokens, exact, cents)
        added = np.column_stack([np.zeros((len(at), 0), np.int64), *cents.values()])
        return Drawn(at, day, second, paid, tokens, exact, added)

    def _second(self, drawing: _Tokens, memory: Memory, at: Index, gap: Numbers) -> Numbers:
        """Seconds of the day, not before the event before."""
        quarter = self.layout.quarter
        if not quarter:
            return np.zeros(len(at))
        token = self.layout.places["time"][0]
        low = memory.earliest(at, gap)
        drawing.next(token, low=low)
        code = drawing.tokens[:, token]
        begin = code * quarter
        end = np.minimum(begin + quarter, DAY)
        again = (gap == 0) & (memory.count[at] > 0)
        begin = np.where(again, np.maximum(begin, memory.second[at]), begin)
        found = begin + drawing.rng.random(len(at)) * (end - begin)
        step = self.clock.step
        return np.asarray(np.floor(found / step) * step if step else found)

    def _words(self, drawing: _Tokens, memory: Memory, at: Index, paid: Index) -> None:
        layout = self.layout
        slot = memory.like(at, paid)[:, 0]
        slot[(paid < 0).all(axis=1)] = -1
        told = memory.told(at, slot, layout.said)
        if layout.said:
            drawing.add("payee_said", told, [layout.sizes[token] + 1 for token in layout.said])
        for name in layout.words:
            stays = np.zeros(len(at), bool)
            if name in layout.owned:
                token = layout.places[payee_part(layout.owned[name])][0]
                stays = (drawing.tokens[:, token] >= KNOWN) & (slot >= 0)
            for token in layout.places[name]:
                place = layout.said.index(token)
                drawing.next(token, given=np.where(stays, told[:, place] - 1, -1))

    def _numbers(self, drawing: _Tokens, memory: Memory, at: Index, paid: Index) -> Exact:
        layout = self.layout
        slots = memory.like(at, paid, drawing.tokens, LAGS)
        told = memory.told(at, slots[:, 0], layout.counted)
        if layout.counted:
            drawing.add("like_said", told, [layout.sizes[token] + 1 for token in layout.counted])
        held = (slots >= 0).sum(axis=1)
        exact: Exact = {}
        for name in layout.numbers:
            again = np.zeros(len(at), bool)
            slot = slots[:, 0]
            if name in layout.lagged:
                token = layout.places[lag_part(name)][0]
                drawing.next(token, high=held + 1)
                lag = drawing.tokens[:, token]
                again, slot = lag > 0, slots[np.arange(len(at)), np.maximum(lag - 1, 0)]
            token = layout.places[name][0]
            drawing.next(token, given=np.where(again, memory.tokens[at, slot, token], -1))
            made = layout.codings[name].decode([drawing.tokens[:, token]], drawing.rng)
            values, missing = to_numbers(pa.chunked_array([made]))
            exact[name] = (
                np.where(again, memory.values[name][at, slot], values),
                missing & ~again,
            )
        return exact

    def _added(self, balance: Balance, tokens: Index, exact: Exact) -> NDArray[np.int64]:
        values, missing = exact[balance.rule.amount]
        plus = None
        if balance.rule.sign is not None:
            coding = self.layout.codings[balance.rule.sign]
            if coding.staged:
                raise EngineError(
                    f"column {balance.rule.sign!r} says what adds to a balance, and has too many "
                    "labels for that."
                )
            every = coding.axis.decode(coding.members[:, 0], np.random.default_rng(0))
            token = self.layout.places[balance.rule.sign][0]
            plus = balance.adds(every)[tokens[:, token]]
        return balance.cents(np.where(missing, 0, values), plus)

    def _nothing(self) -> Drawn:
        none = np.zeros(0, np.int64)
        empty = np.zeros(0)
        exact = {n: (np.zeros(0, d), np.zeros(0, bool)) for n, d in dtypes_of(self.layout).items()}
        wide = len(self.layout.payees)
        return Drawn(
            none,
            empty,
            empty,
            np.zeros((0, wide), np.int64),
            np.zeros((0, len(self.layout.sizes)), np.int64),
            exact,
            np.zeros((0, len(self.balances)), np.int64),
        )


@dataclass(frozen=True)
class Drawn:
    """Events [rows]; payees [rows, payees] are numbers by entity in order of appearance, `cents`
    [rows, balances] what each event adds."""

    entity: Index
    day: Numbers
    second: Numbers
    paid: Index
    tokens: Index
    exact: Exact
    cents: NDArray[np.int64]


@dataclass
class _Tokens:
    """The tokens of events as far as they are drawn."""

    forward: Forward
    sums: Floats
    tokens: Index
    rng: np.random.Generator

    def next(
        self,
        token: int,
        low: Index | None = None,
        high: Index | None = None,
        given: Index | None = None,
    ) -> None:
        """Draws one token, but where `given` says it already (from 0 on)."""
        rows = np.arange(len(self.sums)) if given is None else np.flatnonzero(given < 0)
        if given is not None:
            self.tokens[:, token] = np.maximum(given, 0)
        if len(rows):
            told = self.forward.logits(self.sums[rows], token)
            found = chances(
                told, None if low is None else low[rows], None if high is None else high[rows]
            )
            self.tokens[rows, token] = pick(found, len(rows), self.rng)
        self.sums = self.sums + self.forward.token(token, self.tokens[:, token])

    def add(self, name: str, codes: Index, sizes: list[int]) -> None:
        """What the past says becomes known."""
        self.sums = self.sums + self.forward.bag(name, codes, sizes)


def dtypes_of(layout: Layout) -> dict[str, Any]:
    """Of the numbers, as `to_numbers` has them."""
    return {n: to_numbers(pa.array([], layout.types[n]))[0].dtype for n in layout.numbers}


def _sorted(made: list[Drawn]) -> Drawn:
    """By entity, and within one in the order in which they were drawn."""
    entity = np.concatenate([e.entity for e in made])
    order = np.argsort(entity, kind="stable")

    def joined(arrays: list[NDArray[Any]]) -> NDArray[Any]:
        return np.concatenate(arrays)[order]

    return Drawn(
        entity[order],
        joined([e.day for e in made]),
        joined([e.second for e in made]),
        joined([e.paid for e in made]),
        joined([e.tokens for e in made]),
        {
            name: (
                joined([e.exact[name][0] for e in made]),
                joined([e.exact[name][1] for e in made]),
            )
            for name in made[0].exact
        },
        joined([e.cents for e in made]),
    )
