"""Drawing histories from what a budget bought: streams started, then gone on with, all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.encoding.discrete import Axis, GridAxis
from understudy.synthesizers.relational.graph import Graph
from understudy.synthesizers.relational.private.histories import (
    AGAIN_MARK,
    AT_END,
    DAYS,
    FIRST,
    GAP,
    GONE,
    HOUR,
    JOINT,
    LASTS,
    STEP,
    gaps_of,
    stepped,
)
from understudy.synthesizers.relational.rows import Places, Rows, ranks
from understudy.synthesizers.sequential.clock import Calendar, Numbers
from understudy.synthesizers.sequential.motifs import anchor_of, decode

if TYPE_CHECKING:
    from understudy.synthesizers.relational.private.events import PrivateEvents

Texts = NDArray[np.object_]
TRIES = 8
"""So often a gap is drawn anew that would end a stream before its time."""


def unfold(model: PrivateEvents, rows: Rows, graph: Graph, rng: np.random.Generator) -> None:
    """Adds the events of `model` to `rows`, in the order of its clock."""
    from understudy.synthesizers.relational.private.events import _begins, _given

    primary = graph.primary(model.name)
    assert primary is not None
    classes = _given(model.given, rows, graph, primary.parent)
    flags = model.who.draw(classes, rng)
    has = np.column_stack([flags[n].to_numpy() for n in flags.column_names]).astype(bool)
    owner, kind = np.nonzero(has)
    begins = _begins(rows, graph, primary.parent, model.start, model.clock, model.window[0])
    line = _Line.started(model, owner, kind, begins, rng)
    parts = [line.events()]
    for _ in range(model.most - 1):
        line = line.next(model, rng)
        if len(line.owner) == 0:
            break
        parts.append(line.events())
    events = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.lexsort((rng.random(len(events["day"])), events["second"], events["day"]))
    events = {name: values[order] for name, values in events.items()}
    rows.parents[primary.name] = events["owner"]
    rows.cells[model.name] = _table(model, events)


class _Line:
    """The latest event of every stream that still goes on; all arrays [streams]."""

    def __init__(self, **arrays: Any) -> None:
        self.owner: Places = arrays["owner"]
        self.kind: Places = arrays["kind"]
        self.day: Numbers = arrays["day"]
        self.second: Numbers = arrays["second"]
        self.until: Numbers = arrays["until"]
        self.anchor: Numbers = arrays["anchor"]
        self.gap: Numbers = arrays["gap"]
        self.words: dict[str, Texts] = arrays["words"]
        self.numbers: dict[str, Numbers] = arrays["numbers"]
        self.first: dict[str, Numbers] = arrays["first"]

    @classmethod
    def started(
        cls,
        model: PrivateEvents,
        owner: Places,
        kind: Places,
        begins: Numbers,
        rng: np.random.Generator,
    ) -> _Line:
        first = model.starts.draw(kind, rng)
        day = begins[owner] + np.maximum(_floats(first[FIRST]), 0)
        day = np.where(first[AT_END].to_numpy(), _month_end(day, begins[owner]), day)
        lasts = _floats(first[LASTS])
        until = np.where(np.isfinite(lasts), day + np.maximum(lasts, 0), np.inf)
        numbers = {n: _floats(first[n]) for n in model.numbers}
        line = cls(
            owner=owner,
            kind=kind,
            day=day,
            second=_seconds(first, len(owner), rng),
            until=np.minimum(until, model.window[1]),
            anchor=anchor_of(day),
            gap=np.full(len(owner), np.nan),
            words=_fixed(model, kind) | {n: _words(first[n]) for n in _free(model)},
            numbers=numbers,
            first=numbers,
        )
        return line.kept(line.day <= line.until)

    def next(self, model: PrivateEvents, rng: np.random.Generator) -> _Line:
        """The events after these, of the streams that go on."""
        drawn = model.nexts.draw(self.kind, rng)
        day = self._following(drawn)
        beyond = self._too_soon(model.window[1], day)
        for _ in range(TRIES):
            if not beyond.any():
                break
            again = model.nexts.draw(self.kind, rng)
            day = np.where(beyond, self._following(again), day)
            beyond &= self._too_soon(model.window[1], day)
        ends = beyond & (self.until < model.window[1])
        day = np.where(ends, self.until, day)
        second = _seconds(drawn, len(day), rng)
        second = np.where(day == self.day, np.maximum(second, self.second), second)
        numbers = {}
        for name, before in self.numbers.items():
            step = np.array(drawn[STEP + name].to_pylist(), object)
            moved = stepped(self.first[name], before, step, rng)
            numbers[name] = _rounded(moved, model.starts.axes[name])
        words = {}
        for name, before_word in self.words.items():
            if name in model.splits:
                words[name] = before_word
                continue
            again = drawn[AGAIN_MARK + name].fill_null(True).to_numpy()
            words[name] = np.where(again, before_word, _words(drawn[name]))
        line = _Line(
            owner=self.owner,
            kind=self.kind,
            day=day,
            second=second,
            until=self.until,
            anchor=self.anchor,
            gap=day - self.day,
            words=words,
            numbers=numbers,
            first=self.first,
        )
        return line.kept(day <= self.until)

    def _following(self, drawn: pa.Table) -> Numbers:
        label = drawn[GAP].cast(pa.int64()).to_numpy()
        code, days = gaps_of(label, _floats(drawn[DAYS]), self.kind)
        return decode(self.day, self.anchor, self.gap, code, days)

    def _too_soon(self, last: Numbers | float, day: Numbers) -> NDArray[np.bool_]:
        """Whether a stream would end before its time: its next event lies beyond its last day,
        though it is not there yet; or beyond the window, though it was not to fall silent."""
        rest = np.where(self.until < last, self.until, last - GONE)
        return (day > self.until) & (self.day < rest)

    def kept(self, there: NDArray[np.bool_]) -> _Line:
        plain = {
            name: getattr(self, name)[there]
            for name in ("owner", "kind", "day", "second", "until", "anchor", "gap")
        }
        words = {name: values[there] for name, values in self.words.items()}
        numbers = {name: values[there] for name, values in self.numbers.items()}
        first = {name: values[there] for name, values in self.first.items()}
        return _Line(**plain, words=words, numbers=numbers, first=first)

    def events(self) -> dict[str, NDArray[Any]]:
        found: dict[str, NDArray[Any]] = {
            "owner": self.owner,
            "day": self.day,
            "second": self.second,
        }
        found |= {f"word {name}": values for name, values in self.words.items()}
        return found | {f"number {name}": values for name, values in self.numbers.items()}


def _table(model: PrivateEvents, events: dict[str, NDArray[Any]]) -> pa.Table:
    """Cells in the source's types, running columns worked out."""
    found: dict[str, pa.Array] = {}
    kind = model.types.field(model.clock.name).type
    found[model.clock.name] = model.clock.write(events["day"], events["second"], kind)
    for name in model.words:
        texts = pa.array(events[f"word {name}"].tolist(), pa.string())
        texts = pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
        found[name] = texts.cast(model.types.field(name).type)
    for name in model.numbers:
        numbers = events[f"number {name}"]
        cells = pa.array(numbers, mask=~np.isfinite(numbers))
        type = model.types.field(name).type
        whole = pa.types.is_integer(type)
        found[name] = (pc.round(cells) if whole else cells).cast(type, safe=False)
    for balance in model.balances:
        rule = balance.rule
        plus = None if rule.sign is None else balance.adds(found[rule.sign])
        amounts = np.nan_to_num(events[f"number {rule.amount}"])
        cents = balance.cents(amounts, plus)
        found[rule.column] = balance.column(_running(events["owner"], cents))
    return pa.table(found)


def _running(owner: Places, cents: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sums up to each row over the rows of the same owner, in the order in which they stand."""
    order = np.lexsort((np.arange(len(owner)), owner))
    total = np.cumsum(cents[order])
    first = ranks(owner[order]) == 0
    before = np.where(first, total - cents[order], 0)
    start = np.maximum.accumulate(np.where(first, np.arange(len(owner)), 0))
    found = np.empty(len(owner), np.int64)
    found[order] = total - before[start]
    return found


def _month_end(day: Numbers, since: Numbers) -> Numbers:
    """The last day of a month that is nearest to each day, and not before `since`."""
    calendar = Calendar.of(day)
    before, after = day - calendar.day, day - calendar.day + calendar.length
    return np.where((day - before < after - day) & (before >= since), before, after)


def _free(model: PrivateEvents) -> list[str]:
    return [name for name in model.words if name not in model.splits]


def _fixed(model: PrivateEvents, kind: Places) -> dict[str, Texts]:
    """The words that make the kind."""
    if not model.splits:
        return {}
    said = [label.split(JOINT) for label in model.labels.to_pylist()]
    return {
        name: np.array([words[i] for words in said], object)[kind]
        for i, name in enumerate(model.splits)
    }


def _words(column: pa.ChunkedArray) -> Texts:
    return np.array(column.fill_null("").to_pylist(), object)


def _floats(column: pa.ChunkedArray) -> Numbers:
    return np.asarray(column.cast(pa.float64()).to_numpy(), np.float64)


def _seconds(drawn: pa.Table, size: int, rng: np.random.Generator) -> Numbers:
    if HOUR not in drawn.column_names:
        return np.zeros(size)
    return _floats(drawn[HOUR]) * 3600 + np.floor(rng.random(size) * 3600)


def _rounded(values: Numbers, axis: Axis) -> Numbers:
    """Within the column's bounds, in the decimals that it is written in."""
    if not isinstance(axis, GridAxis) or len(axis.starts) == 0:
        return values
    low, high = axis.ends().cast(pa.float64()).to_pylist()
    values = np.clip(values, low, high)
    return values if axis.line.decimals is None else np.round(values, axis.line.decimals)
