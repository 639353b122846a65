"""The session that protects people: secure noise, and every answer paid for in the ledger.

Reserve, draw, store, commit, in this order. An answer that was stored is returned when it is asked
for again, at no cost; a reservation whose answer was lost with the process stays spent.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

import numpy as np

from understudy.data import Dataset
from understudy.errors import EngineError, FormatError
from understudy.privacy.answers import Answer, AnswerStore
from understudy.privacy.budget import Budget
from understudy.privacy.events import Event, dump_event
from understudy.privacy.ledger import Ledger
from understudy.privacy.noise import SecureNoise
from understudy.privacy.session import Array, Mechanism, Private, RowsPerUnit
from understudy.privacy.units import admitted


class LedgerSession:
    """One run's way to private answers. A run is worked on by one process at a time."""

    private = True

    def __init__(
        self,
        budget: Budget,
        ledger: Ledger,
        dataset: str,
        unit: str,
        run: str,
        store: AnswerStore,
        rows_per_unit: RowsPerUnit = 1,
    ) -> None:
        """`dataset` is the ledger's fingerprint of all rows, `run` a name that is never reused."""
        ledger.check(dataset, unit, budget, run)
        self.budget = budget
        self.rows_per_unit = rows_per_unit
        self.ledger = ledger
        self.dataset, self.unit, self.run = dataset, unit, run
        self.store = store
        self._noise = SecureNoise()
        self._plans: set[int] = set()

    @property
    def spent(self) -> tuple[Event, ...]:
        """Everything asked so far, in order, with what was asked and lost."""
        mine = self.ledger.entries(self.dataset, self.unit)
        asked = (e for e in mine if e.run == self.run and e.kind in ("reserve", "draw"))
        return tuple(event for e in asked for event in e.events)

    @property
    def before(self) -> tuple[Event, ...]:
        """What the run had spent when its plan was reserved: the same after a restart."""
        mine = [e for e in self.ledger.entries(self.dataset, self.unit) if e.run == self.run]
        plans = (place for place, e in enumerate(mine) if e.kind == "plan")
        return tuple(event for e in mine[: next(plans, None)] for event in e.charged)

    @property
    def charged(self) -> tuple[Event, ...]:
        """Everything the run has paid for, asked or still planned."""
        return self.ledger.spent(self.dataset, self.unit, self.run)

    def admit(self, dataset: Dataset) -> Private[Dataset]:
        return admitted(dataset, self)

    def reserve_plan(self, events: Sequence[Event]) -> int:
        """Pays for everything that will be asked, in one go; after a restart not again."""
        wanted = sorted(map(dump_event, events))
        for entry in self.ledger.entries(self.dataset, self.unit):
            mine = entry.kind == "plan" and entry.run == self.run
            fresh = mine and entry.number not in self._plans
            if fresh and sorted(map(dump_event, entry.events)) == wanted:
                self._plans.add(entry.number)
                return entry.number
        number = self.ledger.reserve_plan(
            self.dataset, self.unit, self.run, events, budget=self.budget
        )
        self._plans.add(number)
        return number

    def release(self, query: str, mechanism: Mechanism, exact: Array) -> Array:
        """The mechanism's answer to `exact`, paid for before it is drawn."""
        known = self.store.get(query)
        if known is not None:
            return self._again(query, mechanism, known)
        number = self.ledger.reserve(
            self.dataset, self.unit, self.run, query, mechanism.event, budget=self.budget
        )
        output = np.asarray(mechanism.release(exact, self._noise))
        self.store.put(query, Answer(number, _parameters(mechanism), output))
        self.ledger.commit(number)
        return output

    def _again(self, query: str, mechanism: Mechanism, known: Answer) -> Array:
        """A stored answer, if it is the answer to this question and was paid for here."""
        if known.mechanism != _parameters(mechanism):
            raise EngineError(
                f"query {query!r} was asked twice with different parameters: first "
                f"{known.mechanism}, now {_parameters(mechanism)}. Give every query of a run a "
                "name of its own, and go on with the settings that the run was started with."
            )
        paid = self.ledger.entry(known.entry)
        place = (self.dataset, self.unit, self.run, query)
        if paid is None or (paid.dataset, paid.unit, paid.run, paid.query) != place:
            raise FormatError(
                f"the stored answer to query {query!r} in {self.store.path} was paid for by entry "
                f"{known.entry} of another ledger, dataset or run: the ledger in "
                f"{self.ledger.folder} knows nothing of it. Set $UNDERSTUDY_HOME to the ledger "
                "that the run was started with, or start a new run."
            )
        self.ledger.commit(known.entry)
        return known.output


def _parameters(mechanism: Mechanism) -> str:
    """Class, parameters and cost, as text that is equal only for equal mechanisms."""
    fields: dict[str, Any] = {}
    if is_dataclass(mechanism) and not isinstance(mechanism, type):
        fields = asdict(mechanism)
    told = json.dumps(fields, sort_keys=True, default=lambda value: np.asarray(value).tolist())
    return f"{type(mechanism).__name__} {told} at {dump_event(mechanism.event)}"
