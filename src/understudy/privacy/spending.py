"""What the ledger's entries add up to, and whether there is room for more. Pure functions.

An account is a dataset and a unit. All its runs share one cap, an epsilon at a stated delta: 10 at
the largest delta of its runs, until somebody records another. Everything ever reserved counts,
answered or not, and is composed in one privacy loss distribution.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from understudy.errors import BudgetError
from understudy.privacy.accountant import Account, account, calibrate, epsilon_of
from understudy.privacy.budget import Budget
from understudy.privacy.chain import Entry
from understudy.privacy.events import Event, Gaussian

ROW = "row"
CAP = 10.0
DELTA = 1e-6
"""Of an account that no run has stated one for yet."""
MOST_DELTA = 1e-5
"""Of any account and any run: at a delta near one everything would seem to cost nothing."""
SHOWN = 12
"""Digits of a fingerprint that people are shown; fewer are understood."""


@dataclass(frozen=True)
class Charge:
    """A charged event, its query (empty: planned, not asked yet), and the entry that proves it."""

    entry: int
    hash: str
    time: str
    run: str
    query: str
    event: Event


@dataclass(frozen=True)
class Standing:
    """Where an account stands: its cap, everything spent, and what each run spent alone."""

    dataset: str
    unit: str
    cap: Budget
    spent: Account
    by_run: dict[str, float]
    """Epsilons by themselves; composed they come to less than their sum."""

    @property
    def remaining(self) -> float:
        return max(0.0, self.cap.epsilon - self.spent.epsilon)

    def as_dict(self) -> dict[str, Any]:
        return {
            "dataset": self.dataset,
            "unit": self.unit,
            "cap": self.cap.epsilon,
            "delta": self.cap.delta,
            "spent": self.spent.epsilon,
            "remaining": self.remaining,
            "accountant": self.spent.accountant,
            "dp_accounting": self.spent.version,
            "by_run": self.by_run,
        }


def family(entries: Sequence[Entry], dataset: str) -> frozenset[str]:
    """The names of all datasets on record that are the same as this one, itself among them."""
    links = [{e.dataset, *e.same} for e in entries if e.kind == "dataset"]
    found, before = {dataset}, 0
    while len(found) > before:
        before = len(found)
        for link in links:
            if link & found:
                found |= link
    return frozenset(found)


def same_unit(one: str, other: str) -> bool:
    """Rows are one unit; entities are another, whatever the column that names them is called."""
    return (one == ROW) == (other == ROW)


def of_account(entries: Sequence[Entry], dataset: str, unit: str) -> list[Entry]:
    """What was recorded of the account by any name of its dataset."""
    names = family(entries, dataset)
    return [e for e in entries if e.dataset in names and e.unit and same_unit(e.unit, unit)]


def events_of(entries: Iterable[Entry], run: str | None = None) -> tuple[Event, ...]:
    """Everything charged, by all runs or one."""
    return tuple(event for e in entries if run is None or e.run == run for event in e.charged)


def cap_of(entries: Sequence[Entry], dataset: str = "", asking: Budget | None = None) -> Budget:
    """What all runs of an account may spend together; the last word on record counts, and the
    strictest among the names of one dataset, so that a cap raised for one binds no other.

    Its delta, where nobody recorded one, is the largest that a run was given or is `asking` for,
    and never above 1e-5: a request that was refused must not loosen what the others are held to.
    """
    caps = _caps(entries, dataset)
    stated = [e.delta for e in entries if e.kind == "cap" and e.delta is not None]
    given = [e.delta for e in entries if e.charged and e.delta is not None]
    given += [] if asking is None else [asking.delta]
    delta = (stated[-1:] or [max(given, default=DELTA)])[0]
    return Budget(min(caps.values(), default=CAP), min(delta, MOST_DELTA))


def _caps(entries: Sequence[Entry], dataset: str) -> dict[str, float]:
    """The cap of each name of one dataset."""
    names = (dataset, *(e.dataset for e in entries if e.charged))
    found = {name: CAP for name in names if name}
    return found | {
        e.dataset: e.epsilon for e in entries if e.kind == "cap" and e.epsilon is not None
    }


def _strictest(entries: Sequence[Entry], dataset: str) -> str:
    """The name whose cap binds all others: the one to raise."""
    caps = _caps(entries, dataset)
    return min(caps, key=caps.__getitem__, default=dataset)


def check_ceiling(delta: float) -> None:
    """Raises `BudgetError` for a delta at which a promise would mean little."""
    if delta > MOST_DELTA:
        raise BudgetError(
            f"delta {delta:g} is too large to promise anything: at most {MOST_DELTA:g} is taken. "
            "It is the chance that the promise fails altogether; leave it out for the default."
        )


def standing(entries: Sequence[Entry], dataset: str, unit: str) -> Standing:
    mine = of_account(entries, dataset, unit)
    cap = cap_of(mine, dataset)
    runs = dict.fromkeys(e.run for e in mine if e.charged)
    return Standing(
        dataset,
        unit,
        cap,
        account(events_of(mine), cap.delta),
        {run: epsilon_of(events_of(mine, run), cap.delta) for run in runs},
    )


def afford(
    entries: Sequence[Entry],
    dataset: str,
    unit: str,
    run: str,
    asked: Sequence[Event],
    budget: Budget,
    what: str,
) -> None:
    """Raises `BudgetError` unless `asked` fits into the run's budget and the account's cap."""
    mine = of_account(entries, dataset, unit)
    own = epsilon_of((*events_of(mine, run), *asked), budget.delta)
    if not own <= budget.epsilon:
        before = epsilon_of(events_of(mine, run), budget.delta)
        raise BudgetError(
            f"{what} does not fit into what run {run!r} may spend: requested epsilon "
            f"{epsilon_of(asked, budget.delta):.4g}, remaining "
            f"{max(0.0, budget.epsilon - before):.4g} of {budget}, short by "
            f"{own - budget.epsilon:.4g}. Ask with more noise, or start a run with more epsilon."
        )
    cap = cap_of(mine, dataset, budget)
    together = epsilon_of((*events_of(mine), *asked), cap.delta)
    if not together <= cap.epsilon:
        now, binding = standing(mine, dataset, unit), _strictest(mine, dataset)
        raise BudgetError(_over_cap(now, binding, asked, together, what))


def below_cap(entries: Sequence[Entry], dataset: str, unit: str, budget: Budget) -> None:
    """Raises `BudgetError` for a run that asks for more than all runs together may spend."""
    mine = of_account(entries, dataset, unit)
    cap = cap_of(mine, dataset)
    if budget.epsilon > cap.epsilon:
        raise BudgetError(
            f"epsilon {budget.epsilon:g} is above the cap of {cap.epsilon:g} that all runs on this "
            f"data share (unit {unit!r}). Ask for less, or raise the cap, on record: "
            f"{raise_command(_strictest(mine, dataset), unit, budget.epsilon)}"
        )


def leaves_room(entries: Sequence[Entry], dataset: str, unit: str, budget: Budget) -> None:
    """Raises `BudgetError` where what is left would not hold a run that spends all its budget.

    Reckoned as one Gaussian, before the run has asked anything: what it really asks is held
    against the cap again, and composes a little better or worse.
    """
    mine = of_account(entries, dataset, unit)
    if not events_of(mine):
        return
    whole = Budget(budget.epsilon, budget.delta or DELTA)
    sigma = calibrate(lambda x: [Gaussian(x)], whole)
    afford(entries, dataset, unit, "", (Gaussian(sigma),), whole, f"a run with {budget}")


def room(entries: Sequence[Entry], run: str, event: Event) -> int | None:
    """The first plan of `run` that still holds an `event` nobody has drawn."""
    for plan in entries:
        if plan.kind == "plan" and plan.run == run:
            drawn = sum(e.of == plan.number and e.events == (event,) for e in entries)
            if plan.events.count(event) > drawn:
                return plan.number
    return None


def charges(entries: Sequence[Entry]) -> tuple[Charge, ...]:
    """Every charged event with the query that asked it; planned events not asked yet come last."""
    asked, idle = [], []
    left = {e.number: Counter(e.events) for e in entries if e.kind == "plan"}
    for e in entries:
        if e.kind == "draw" and e.of is not None:
            left[e.of][e.events[0]] -= 1
        if e.kind in ("reserve", "draw"):
            asked += [Charge(e.number, e.hash, e.time, e.run, e.query, event) for event in e.events]
    for e in entries:
        for event in left.get(e.number, Counter()).elements():
            idle.append(Charge(e.number, e.hash, e.time, e.run, "", event))
    return (*asked, *idle)


def raise_command(dataset: str, unit: str, epsilon: float) -> str:
    option = "" if unit == "row" else f" --unit {unit}"
    return f'understudy ledger cap {dataset[:SHOWN]}{option} --epsilon {epsilon:g} --why "..."'


def _over_cap(
    now: Standing, binding: str, asked: Sequence[Event], together: float, what: str
) -> str:
    spent = "; ".join(f"run {run}: {epsilon:.4g}" for run, epsilon in now.by_run.items())
    before = f"Spent on: {spent} (by themselves; composed {now.spent.epsilon:.4g}). "
    remedy = (
        "Ask for less, or raise the cap, on record: "
        f"{raise_command(binding, now.unit, float(f'{together * 1.01:.3g}'))}"
        if together < float("inf")
        else "A part of it has a delta above the cap's: take a smaller one, or state the cap at a "
        "larger with `understudy ledger cap ... --delta`."
    )
    return (
        f"{what} does not fit into what is left on this data (unit {now.unit!r}): requested "
        f"epsilon {epsilon_of(asked, now.cap.delta):.4g}, remaining {now.remaining:.4g} of the cap "
        f"{now.cap}, short by {together - now.cap.epsilon:.4g}. {before if spent else ''}{remedy}"
    )
