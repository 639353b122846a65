"""Payees: identifiers that come back within a history, and are perhaps met by many entities.

Within a history it is an urn by recency: an event goes to nobody, to somebody new, or to the r-th
most recent payee. Across histories each payee is met by as many entities as real ones are. The
identifiers are made anew and none is a real one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from understudy.encoding import identifiers
from understudy.runtime.random import stream as random_stream
from understudy.schema import Identifier
from understudy.synthesizers.sequential.events import Index, codes
from understudy.synthesizers.sequential.marks import steps
from understudy.synthesizers.sequential.streams import matrix
from understudy.synthesizers.tabular.cart import Floats
from understudy.synthesizers.tabular.conditional import Conditional, Growth, fit_conditional

NOBODY, FRESH, AGAIN = 0, 1, 2
DEEPEST = 512
"""Payees of an entity that can come back; older ones are forgotten."""


@dataclass(frozen=True)
class Degrees:
    """How many entities meet a payee: `real` [payees]; `taken` holds the real identifiers."""

    real: Index
    taken: pa.ChunkedArray

    @classmethod
    def fit(cls, column: pa.ChunkedArray, entity: Index) -> Degrees:
        """Of the events' payees [rows]."""
        found = codes(column)
        paid = found >= 0
        pairs = np.unique(np.column_stack([found[paid], entity[paid]]), axis=0)
        counts = np.bincount(pairs[:, 0]) if len(pairs) else np.zeros(0, np.int64)
        taken = pc.unique(column.drop_null()).cast(column.type)
        return cls(counts, pa.chunked_array([taken], column.type))

    def share_out(self, meetings: int, seed: int, name: str) -> tuple[Index, pa.Array]:
        """A payee [meetings] for each first meeting of an entity with one, and the identifiers."""
        if meetings == 0 or len(self.real) == 0:
            return np.zeros(meetings, np.int64), pa.array([], self.taken.type)
        rng = random_stream(seed, "payees", name)
        mean = max(float(self.real.mean()), 1.0)
        sizes = np.zeros(0, np.int64)
        while sizes.sum() < meetings:
            sizes = np.r_[sizes, rng.choice(self.real, int(meetings / mean) + 10)]
        owner = np.repeat(np.arange(len(sizes)), sizes)[:meetings]
        made = identifiers.make(Identifier(name=name), self.taken, int(owner.max()) + 1, rng)
        return rng.permutation(owner), made


@dataclass(frozen=True)
class Urn:
    """`choice` draws what becomes of each event, and how far back an old payee is."""

    choice: Conditional

    def draw(self, x: Floats, entity: Index, rng: np.random.Generator) -> tuple[Index, Floats]:
        """The place [events] of each payee among the entity's, from 0 in order of appearance (-1:
        nobody), and predictors for later columns; events are sorted by entity and time.
        """
        found = np.full(len(entity), -1, np.int64)
        beside = np.zeros((len(entity), 2), np.float32)
        known = _Known.empty(len(x))
        for row in steps(entity):
            at = entity[row]
            rows = self.choice.draw(known.predictors(x, at), rng)
            chosen = np.nan_to_num(self.choice.numbers(rows, "choice")).astype(np.int64)
            share = np.clip(np.nan_to_num(self.choice.numbers(rows, "back")), 0, 1 - 1e-9)
            held = np.minimum(known.met[at], DEEPEST)
            chosen[(chosen == AGAIN) & (held == 0)] = FRESH
            found[row] = known.take(at, chosen, np.floor(share * held).astype(np.int64))
            beside[row] = np.column_stack([chosen, known.met[at]])
        return found, beside


@dataclass
class _Known:
    """The payees that each entity knows, most recent first; all arrays [entities]."""

    recent: Index
    met: Index
    events: Index

    @classmethod
    def empty(cls, entities: int) -> _Known:
        nobody = np.full((entities, 16), -1, np.int64)
        return cls(nobody, np.zeros(entities, np.int64), np.zeros(entities, np.int64))

    def predictors(self, x: Floats, at: Index) -> Floats:
        return np.hstack([x[at], matrix(self.met[at], self.events[at])])

    def take(self, at: Index, chosen: Index, back: Index) -> Index:
        """The payees, which are the most recent ones from now on."""
        fresh, again = chosen == FRESH, chosen == AGAIN
        self._widen(int(self.met[at].max(initial=0)) + 1)
        payee = np.where(fresh, self.met[at], -1)
        payee[again] = self.recent[at[again], back[again]]
        self._to_front(at[fresh | again], payee[fresh | again])
        self.met[at[fresh]] += 1
        self.events[at] += 1
        return payee

    def _widen(self, needed: int) -> None:
        wide = self.recent.shape[1]
        if wide < min(needed, DEEPEST):
            more = np.full((len(self.recent), wide), -1, np.int64)
            self.recent = np.hstack([self.recent, more])[:, :DEEPEST]

    def _to_front(self, at: Index, payee: Index) -> None:
        held = self.recent[at]
        same = held == payee[:, None]
        place = np.where(same.any(axis=1), same.argmax(axis=1), held.shape[1] - 1)
        shifted = np.column_stack([payee, held[:, :-1]])
        keep = np.arange(held.shape[1]) > place[:, None]
        self.recent[at] = np.where(keep, held, shifted)

    def back_of(self, at: Index, payee: Index) -> Index:
        """How far back each payee is; -1 where it is not known."""
        same = self.recent[at] == payee[:, None]
        return np.where(same.any(axis=1), same.argmax(axis=1), -1)


def fit_urn(
    x: Floats, entity: Index, column: pa.ChunkedArray, *, name: str, seed: int, growth: Growth
) -> tuple[Urn, Floats]:
    """Learns from events sorted by entity and time; also returns what `draw` gives beside."""
    place = _appearance(entity, codes(column))
    rng = random_stream(seed, "urn", name)
    known = _Known.empty(len(x))
    chosen = np.zeros(len(entity), np.int64)
    back = np.full(len(entity), np.nan)
    beside = np.zeros((len(entity), 2), np.float32)
    given: list[tuple[Index, Floats]] = []
    for row in steps(entity):
        at = entity[row]
        given.append((row, known.predictors(x, at)))
        far = known.back_of(at, place[row])
        far[place[row] < 0] = -1
        chosen[row] = np.where(place[row] < 0, NOBODY, np.where(far >= 0, AGAIN, FRESH))
        held = np.minimum(known.met[at], DEEPEST)
        # Anywhere within its rank: shares of different totals are then comparable.
        share = (far + rng.random(len(far))) / np.maximum(held, 1)
        back[row] = np.where(far >= 0, share, np.nan)
        known.take(at, chosen[row], np.maximum(far, 0))
        beside[row] = np.column_stack([chosen[row], known.met[at]])
    rows = np.concatenate([r for r, _ in given])
    table = pa.table({"choice": chosen, "back": pa.array(back, from_pandas=True)})
    choice = fit_conditional(
        np.vstack([g for _, g in given]),
        table.take(pa.array(rows)),
        name=f"urn {name}",
        seed=seed,
        growth=growth,
        order=("choice", "back"),
        steady=("choice",),
    )
    return Urn(choice), beside


def _appearance(entity: Index, payee: Index) -> Index:
    """Each payee's place [events] among those of its entity, in order of appearance; -1: nobody."""
    found = np.full(len(entity), -1, np.int64)
    paid = np.flatnonzero(payee >= 0)
    if len(paid) == 0:
        return found
    key = entity[paid] * (int(payee.max()) + 1) + payee[paid]
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(first), np.int64)
    rank[order] = np.arange(len(first))
    starts = np.full(int(entity.max()) + 1, len(first))
    np.minimum.at(starts, entity[paid][first], rank)
    found[paid] = rank[inverse.reshape(-1)] - starts[entity[paid]]
    return found


def numbered(entity: Index, place: Index) -> Index:
    """One number [events] for each (entity, place), from 0; -1 where the place is -1."""
    found = np.full(len(entity), -1, np.int64)
    paid = place >= 0
    if paid.any():
        key = entity[paid] * (int(place.max()) + 1) + place[paid]
        found[paid] = np.unique(key, return_inverse=True)[1].reshape(-1)
    return found


def identified(owner: Index, made: pa.Array) -> pa.Array:
    """Identifiers [events] of the payees `owner`; missing where -1."""
    return made.take(pa.array(owner, mask=owner < 0))
