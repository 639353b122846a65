"""A race between engines: the one whose rows come nearest to real ones that nobody learnt from.

Each engine learns the same part of the rows to learn from and is judged on the rest, which leaves
the run's own holdout untouched for the audit that decides. The score is the mean over the gate's
measures of how far the rows are beyond two real samples, in units of what the gate admits: 0 is as
real rows, 1 is the bound. An engine that fails a line of the gate about privacy is out, however
near it comes. Engines start in the order of their cost and are stopped when the time is up, so a
slower machine may crown another one: the report tells who raced, and a run that names the winner
makes the same rows anywhere.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from understudy.data import Dataset, Split, split
from understudy.data.splitting import FEWEST, units_of
from understudy.errors import (
    EngineError,
    MissingExtraError,
    PlanError,
    SourceError,
    UserError,
    suggest,
)
from understudy.release.gate import DEFAULTS, decide
from understudy.runtime.progress import Progress, ProgressEvent, silent
from understudy.synthesizers.registry import configured, engines

ENTRANTS = ("tree", "marginals", "autoregressive", "tvae", "ctgan", "tabdiff")
"""By cost, cheapest first."""
ROWS = 12_000
"""So many rows are raced on, at most."""
SHARES = (0.6, 0.2, 0.2)
JUDGED = 0.1
"""What the judge's AUC may be beyond that of two real samples, as a unit of the score."""
Outcome = Literal["won", "ran", "leaks", "too slow", "not started", "not installed", "failed"]


@dataclass(frozen=True)
class Rules:
    """`seconds` of CPU time for everything, and who may enter; None is every engine there is."""

    seconds: float = 180.0
    engines: tuple[str, ...] | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Rules:
        """From a plan's options; raises `PlanError` for one that a race does not have."""
        known = [field.name for field in fields(cls)]
        for name in options:
            if name not in known:
                raise PlanError(f"a race has no option {name!r}. {suggest(name, known)}")
        rules = cls(
            float(options.get("seconds", cls.seconds)),
            tuple(options["engines"]) if options.get("engines") else None,
        )
        for name in rules.engines or ():
            if name not in engines():
                raise EngineError(f"no engine called {name!r}. {suggest(name, engines())}")
        if not rules.seconds > 0:
            raise PlanError(f"a race takes {rules.seconds:g} seconds; give it more than 0.")
        return rules

    @property
    def entrants(self) -> tuple[str, ...]:
        """In the order they start: the cheap ones first, third parties' last."""
        every = tuple(
            name for name, info in engines().items() if not (info.several or info.ordered)
        )
        asked = every if self.engines is None else self.engines
        known = [name for name in ENTRANTS if name in asked]
        return (*known, *(name for name in asked if name not in known))


@dataclass(frozen=True)
class Entry:
    """One engine's race. `parts` are the measures of `score`, each in units of its bound."""

    engine: str
    outcome: Outcome
    because: str = ""
    score: float | None = None
    parts: Mapping[str, float] | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Race:
    """Who raced on how many rows, judged on how many, and who won."""

    winner: str
    rows: int
    judged_on: int
    rules: Rules
    entries: tuple[Entry, ...]

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "sentence": self.sentence()}

    def sentence(self) -> str:
        ran = [entry for entry in self.entries if entry.score is not None]
        first = next(entry for entry in self.entries if entry.engine == self.winner)
        others = ", ".join(f"{e.engine} {e.score:.2f}" for e in ran if e is not first)
        told = f"{self.winner} won the race between engines with {first.score:.2f}"
        return f"{told} ({others})." if others else f"{told}, alone."


def by_rule(winner: str) -> dict[str, Any]:
    """What a run under a budget tells in the place of a race; no row has a part in it."""
    told = (
        f"{winner}, by rule: under a budget a race between engines would have to be paid for, and "
        "would leave its winner less."
    )
    return {"winner": winner, "entries": [], "sentence": told}


class _Late(Exception):
    """The time is up."""


def race(
    data: Dataset,
    rules: Rules,
    *,
    target: str | None = None,
    seed: int = 0,
    workers: int = 1,
    progress: Progress = silent,
) -> Race:
    """Lets engines race on `data`, the rows that may be learnt from.

    Raises `EngineError` when none of them could make a table. Where all leak, the best of those
    wins: the gate will say so.
    """
    parts = _parts(data, seed)
    started = time.process_time()
    entries: list[Entry] = []
    for number, name in enumerate(rules.entrants):
        progress(ProgressEvent("race", number, len(rules.entrants), name))
        left = rules.seconds - (time.process_time() - started)
        entries.append(_run(name, parts, target, seed, workers, left))
    ran = [entry for entry in entries if entry.score is not None]
    if not ran:
        told = "; ".join(f"{entry.engine}: {entry.because}" for entry in entries)
        raise EngineError(f"no engine finished the race. {told}. Give it more seconds.")
    clean = [entry for entry in ran if entry.outcome == "ran"] or ran
    best = min(clean, key=lambda entry: entry.score or 0.0)
    told = [replace(e, outcome="won") if e is best and e.outcome == "ran" else e for e in entries]
    judged = parts.holdout.num_rows + parts.reference.num_rows
    found = Race(best.engine, parts.train.num_rows, judged, rules, tuple(told))
    progress(ProgressEvent("race", len(entries), len(entries), found.sentence()))
    return found


def _parts(data: Dataset, seed: int) -> Split:
    """The rows to learn from and two lots to judge on, parted by unit; `SourceError` for few."""
    units = units_of(data)
    if units < FEWEST:
        raise SourceError(
            f"a race parts the {units} units to learn from once more, and takes at least {FEWEST}. "
            "Name an engine instead of auto."
        )
    if data.num_rows > ROWS:
        part = ROWS / data.num_rows
        data = split(data, seed=seed, shares=(part, 1 - part, 0.0)).train
    return split(data, seed=seed + 1, shares=SHARES)


def _run(
    name: str, parts: Split, target: str | None, seed: int, workers: int, left: float
) -> Entry:
    if left <= 0:
        return Entry(name, "not started", "the time was up")
    started = time.process_time()

    def watch(event: ProgressEvent) -> None:
        if time.process_time() - started > left:
            raise _Late

    try:
        engine = configured(name, {}, target=target, seed=seed, workers=workers)
        model = engine.fit(parts.train, progress=watch)  # type: ignore[call-arg]
        watch(ProgressEvent("fit", 1, 1))
        made = model.sample(parts.train.num_rows, seed=seed, workers=workers)
        spent = time.process_time() - started
        return _judged(name, parts, made, target, seed, spent)
    except _Late:
        because = f"stopped after {left:.0f} seconds, when the time was up"
        return Entry(name, "too slow", because, seconds=time.process_time() - started)
    except MissingExtraError as error:
        return Entry(name, "not installed", str(error))
    except UserError as error:
        return Entry(name, "failed", str(error), seconds=time.process_time() - started)


def _judged(
    name: str, parts: Split, made: Dataset, target: str | None, seed: int, seconds: float
) -> Entry:
    from understudy.attacks import attack
    from understudy.evaluation import evaluate
    from understudy.release.validity import check

    real = (parts.train, parts.holdout, parts.reference, made)
    card = evaluate(*real, target=target, seed=seed).as_dict()
    battery = attack(*real, seed=seed).as_dict()
    verdict = decide(card, battery, check(made, parts.train, private=False))
    scored = measured(card)
    score = sum(scored.values()) / len(scored)
    leaks = [x for x in verdict.lines if x.section == "privacy" and x.ruling == "FAIL"]
    if leaks:
        because = f"{leaks[0].name}: {leaks[0].detail}"
        return Entry(name, "leaks", because, score, scored, seconds)
    return Entry(name, "ran", "", score, scored, seconds)


def measured(card: Mapping[str, Any]) -> dict[str, float]:
    """How far a scorecard's rows are beyond real ones, each measure in units of what is admitted.

    Single columns and pairs may be three times as far as two real samples, the judge's AUC a tenth
    above theirs, the score of a model of the target may lose five points.
    """
    found = card["measurements"]
    units = {"shape_error": "single columns", "pair_error": "pairs", "c2st": "the judge"}
    parts = {}
    for name, told in units.items():
        value, floor = found[name]["value"], found[name]["floor"]
        if value is None or floor is None:
            continue
        unit = JUDGED if name == "c2st" else (DEFAULTS.pair_ratio - 1) * floor
        parts[told] = max(0.0, value - floor) / max(unit, 1e-9)
    lost = [u for u in card.get("utility") or () if u.get("trained_on_real") is not None]
    if lost:
        best = max(lost, key=lambda u: u["trained_on_real"])
        parts["usefulness"] = max(0.0, -best["difference"]) / DEFAULTS.utility_loss
    return parts
