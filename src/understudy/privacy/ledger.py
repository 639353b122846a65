"""The ledger: what was ever spent on a dataset and a unit, durable and shared by all processes.

Two phases. A reservation is on disk before any noise is drawn, and counts as spent from then on;
the commit behind it says that the answer was stored. So a crash may waste budget and never hides a
release. Checking and reserving are one transaction: processes cannot overtake one another.

Entries are only ever added, chained by hashes (`chain`), and counted under a key beside the
database (`home`). Every write goes in this order: the counter admits the old end and the new, the
entry is committed, the counter admits the new end alone. A process that dies on the way leaves a
ledger that fits; nobody has acted yet on the one entry that it could then still lose.

Datasets are known by keyed digests of their columns (`fingerprint`): renamed, read otherwise or cut
down to some columns, they are the same as before, and so is one that joins two of them. Another
home's ledger knows nothing of them, and a dataset with other rows is another dataset.
"""

from __future__ import annotations

import getpass
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from understudy.errors import BudgetError, FormatError, SourceError, UserError
from understudy.privacy import spending
from understudy.privacy.budget import Budget
from understudy.privacy.chain import Entry, Problem, dump_entry, ends_at, follow, link
from understudy.privacy.events import Event
from understudy.privacy.fingerprint import Fingerprint
from understudy.privacy.home import (
    DATABASE,
    Head,
    home_folder,
    make_key,
    read_head,
    read_key,
    write_head,
)

FORMAT = 2
APPLICATION = 0x756E6473
PATIENCE = 60.0
"""Seconds to wait for another process's turn."""
PASSING = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_READONLY", "SQLITE_CANTOPEN")
"""Faults of the moment or the machine, by the start of SQLite's name; others mean damage."""

Draft = Callable[[Sequence[Entry]], dict[str, Any]]


class Ledger:
    """The ledger of a home folder (default `$UNDERSTUDY_HOME`); one object for one thread."""

    def __init__(self, folder: Path | None = None) -> None:
        """Opens the ledger or starts one; `FormatError` if it is damaged or of a newer version."""
        self.folder = folder or home_folder()
        self.path = self.folder / DATABASE
        self._entries: list[Entry] = []
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)
        except (OSError, sqlite3.OperationalError) as error:
            raise UserError(
                f"the privacy ledger cannot be kept in {self.folder} ({error}). Name a folder that "
                "can be written in $UNDERSTUDY_HOME."
            ) from None
        try:
            self.key = self._prepare()
        except BaseException:
            self._db.close()
            raise

    def recognise(self, found: Fingerprint) -> str:
        """The name on record of the dataset with these columns, else a new one.

        A dataset that shares half of its columns with others on record is put down as the same as
        all of them: from then on what was spent under any of these names counts for each.
        """
        name, alike = _like(self.entries(), found)
        if name is not None and alike <= spending.family(self._entries, name):
            return name

        def draft(entries: Sequence[Entry]) -> dict[str, Any]:
            name, alike = _like(entries, found)
            named = {"dataset": name or found.name, "unit": ""}
            columns = tuple(sorted(found.columns))
            return {"kind": "dataset", **named, "columns": columns, "same": tuple(sorted(alike))}

        return self._append(draft).dataset

    def known(self, found: Fingerprint) -> frozenset[str]:
        """All names on record that `found` is recognised by; writes nothing."""
        _, alike = _like(self.entries(), found)
        names = (spending.family(self._entries, name) for name in alike)
        return frozenset().union(*names)

    def reserve(
        self, dataset: str, unit: str, run: str, query: str, event: Event, *, budget: Budget
    ) -> int:
        """Charges `event` before it is asked and returns the entry's number.

        Taken from the run's plan when that holds such an event nobody has drawn; otherwise the
        event must fit into the run's `budget` and the account's cap, or `BudgetError` is raised.
        """

        def draft(entries: Sequence[Entry]) -> dict[str, Any]:
            mine = spending.of_account(entries, dataset, unit)
            plan = spending.room(mine, run, event)
            fields = {"dataset": dataset, "unit": unit, "run": run, "query": query}
            if plan is not None:
                return {**fields, "kind": "draw", "events": (event,), "of": plan}
            what = f"query {query!r}{_lost(mine, run, query)}"
            spending.afford(mine, dataset, unit, run, (event,), budget, what)
            allowed = {"epsilon": budget.epsilon, "delta": budget.delta}
            return {**fields, "kind": "reserve", "events": (event,), **allowed}

        return self._append(draft).number

    def reserve_plan(
        self, dataset: str, unit: str, run: str, events: Sequence[Event], *, budget: Budget
    ) -> int:
        """Charges everything a run means to ask, at once, so that its queries need no composing."""

        def draft(entries: Sequence[Entry]) -> dict[str, Any]:
            what = f"a plan of {len(events)} queries"
            spending.afford(entries, dataset, unit, run, events, budget, what)
            account = {"dataset": dataset, "unit": unit, "run": run}
            allowed = {"epsilon": budget.epsilon, "delta": budget.delta}
            return {**account, "kind": "plan", "events": tuple(events), **allowed}

        return self._append(draft).number

    def commit(self, number: int) -> None:
        """Says that the answer to entry `number` is safely stored; saying it twice is no harm."""
        asked = self.entry(number)
        if asked is None or asked.kind not in ("reserve", "draw"):
            raise FormatError(f"the ledger {self.path} has no reservation with number {number}.")
        if any(e.kind == "commit" and e.of == number for e in self._entries):
            return
        account = {"dataset": asked.dataset, "unit": asked.unit}
        fields = {**account, "kind": "commit", "run": asked.run, "query": asked.query, "of": number}
        self._append(lambda _: fields)

    def cap(
        self, dataset: str, unit: str, epsilon: float, why: str, *, delta: float | None = None
    ) -> Entry:
        """Records what all runs of the account may spend together, by whom and why."""
        Budget(epsilon, delta or 0.0)
        spending.check_ceiling(delta or 0.0)
        if not why.strip():
            raise BudgetError(
                "a cap is changed on record only: say why, for whoever reads the ledger later "
                '(--why "second release, agreed with the data protection officer").'
            )
        fields = {"dataset": dataset, "unit": unit, "epsilon": epsilon, "delta": delta}
        return self._append(lambda _: {**fields, "kind": "cap", "by": _user(), "why": why.strip()})

    def check(self, dataset: str, unit: str, budget: Budget, run: str = "") -> None:
        """Raises `BudgetError` for a run that asks for more than the cap, or than is left of it
        by all others; spends nothing.
        """
        others = [entry for entry in self.entries() if not run or entry.run != run]
        spending.below_cap(others, dataset, unit, budget)
        spending.leaves_room(others, dataset, unit, budget)

    def entry(self, number: int) -> Entry | None:
        entries = self.entries()
        return entries[number - 1] if 0 < number <= len(entries) else None

    def entries(self, dataset: str | None = None, unit: str | None = None) -> tuple[Entry, ...]:
        """All entries, or those of a dataset or an account; checked against chain and counter."""
        with self._alone():
            self._settle()
        if dataset is None:
            return tuple(self._entries)
        if unit is not None:
            return tuple(spending.of_account(self._entries, dataset, unit))
        names = spending.family(self._entries, dataset)
        return tuple(e for e in self._entries if e.dataset in names)

    def spent(self, dataset: str, unit: str, run: str | None = None) -> tuple[Event, ...]:
        """Everything charged to an account, or to one of its runs."""
        return spending.events_of(self.entries(dataset, unit), run)

    def charges(self, dataset: str, unit: str, run: str) -> tuple[spending.Charge, ...]:
        """Every event charged to a run, with its query and the entry that proves it."""
        mine = [e for e in self.entries(dataset, unit) if e.run == run]
        return spending.charges(mine)

    def standing(self, dataset: str, unit: str) -> spending.Standing:
        return spending.standing(self.entries(), dataset, unit)

    def paid(self, run: str) -> bool:
        """Whether anything is on record as charged to a run, on whatever data."""
        return any(e.run == run and e.charged for e in self.entries())

    def accounts(self) -> tuple[tuple[str, str], ...]:
        """Every (dataset, unit) on record, in order of appearance."""
        held = (e for e in self.entries() if e.kind != "dataset")
        return tuple(dict.fromkeys((e.dataset, e.unit) for e in held))

    def find(self, prefix: str) -> str:
        """The dataset whose fingerprint starts with `prefix`; `SourceError` if not just one."""
        known = sorted({entry.dataset for entry in self.entries()})
        found = [dataset for dataset in known if dataset.startswith(prefix.lower())]
        if len(found) != 1:
            listed = ", ".join(dataset[: spending.SHOWN] for dataset in known[:12]) or "none"
            raise SourceError(
                f"{prefix!r} is neither a file nor the start of {'just ' if found else ''}one "
                f"dataset's fingerprint in this ledger. On record: {listed}."
            )
        return found[0]

    def verify(self) -> Problem | None:
        """The first sign of tampering or loss, or None: reads everything anew."""
        with self._alone():
            rows = self._db.execute("SELECT number, body, hash FROM entries ORDER BY number")
            entries, problem = follow(rows, Head())
            if problem:
                return problem
            try:
                heads = read_head(self.folder, self.key)
            except FormatError as error:
                return Problem(None, str(error))
            return ends_at(_end(entries), heads)

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _append(self, draft: Draft) -> Entry:
        """Adds what `draft` makes of the entries so far, in one transaction, and counts it."""
        with self._alone():
            end = self._settle()
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            entry = Entry(number=end.entries + 1, time=now, **draft(tuple(self._entries)))
            body = dump_entry(entry)
            digest = link(end.hash, body)
            row = (entry.number, body, digest)
            self._db.execute("INSERT INTO entries (number, body, hash) VALUES (?, ?, ?)", row)
            write_head(self.folder, self.key, end, Head(entry.number, digest))
        with self._alone():
            self._settle()
        return entry

    def _settle(self) -> Head:
        """Reads what other processes added, checks it, and lets the counter admit one end only."""
        known = _end(self._entries)
        rows = self._db.execute(
            "SELECT number, body, hash FROM entries WHERE number >= ? ORDER BY number",
            (max(known.entries, 1),),
        ).fetchall()
        if known.entries and (not rows or (rows[0][0], rows[0][2]) != (known.entries, known.hash)):
            raise self._broken(Problem(known.entries, "is missing or was changed."))
        entries, problem = follow(rows[1:] if known.entries else rows, known)
        heads = read_head(self.folder, self.key)
        problem = problem or ends_at(_end(entries) if entries else known, heads)
        if problem:
            raise self._broken(problem)
        self._entries += entries
        end = _end(self._entries)
        if heads != (end,):
            write_head(self.folder, self.key, end)
        return end

    def _broken(self, problem: Problem) -> FormatError:
        return FormatError(
            f"the privacy ledger {self.path} does not hold together: {problem} Nothing is spent "
            "on a ledger that cannot be trusted. Restore its folder from a backup, all files "
            "together; `understudy ledger verify` checks it."
        )

    def _prepare(self) -> bytes:
        """Tables, version and key, made by whoever comes first."""
        self._journal()
        with self._alone():
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version > FORMAT:
                raise FormatError(
                    f"the privacy ledger {self.path} has format {version}, this version of "
                    f"understudy knows {FORMAT}. Update understudy."
                )
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS entries "
                "(number INTEGER PRIMARY KEY, body TEXT NOT NULL, hash TEXT NOT NULL)"
            )
            if version == 1 and self._db.execute("SELECT 1 FROM entries LIMIT 1").fetchone():
                raise FormatError(
                    f"the privacy ledger {self.path} is of format 1, which knew a table by its "
                    "name and spelling, so its accounts cannot be told from here. Keep its folder "
                    "as a record, name a new one in $UNDERSTUDY_HOME, and lower the caps there by "
                    "what `understudy ledger show` of the version that wrote it says was spent."
                )
            self._db.execute(f"PRAGMA user_version = {FORMAT}")
            self._db.execute(f"PRAGMA application_id = {APPLICATION}")
            key = read_key(self.folder)
            if key is None and self._db.execute("SELECT 1 FROM entries LIMIT 1").fetchone():
                raise FormatError(
                    f"the privacy ledger {self.path} has entries, but its key is gone from "
                    f"{self.folder}. Restore the key from a backup; without it datasets cannot be "
                    "recognised nor entries checked."
                )
            return key or make_key(self.folder)

    def _journal(self) -> None:
        """A write-ahead log, synced at every commit. SQLite does not wait its turn to switch."""
        for attempt in range(200):
            try:
                with self._polite():
                    self._db.execute("PRAGMA journal_mode = WAL")
                    self._db.execute("PRAGMA synchronous = FULL")
                return
            except UserError:
                if attempt == 199:
                    raise
                time.sleep(0.02)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One transaction, while no other process writes."""
        with self._polite():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _polite(self) -> Iterator[None]:
        """SQLite's faults as ours."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            name = str(getattr(error, "sqlite_errorname", ""))
            if name.startswith(PASSING):
                raise UserError(
                    f"the privacy ledger {self.path} cannot be written now ({error}). Nothing was "
                    "spent. Let other runs finish, make room on the disk, and try again."
                ) from None
            raise FormatError(
                f"the privacy ledger {self.path} is damaged ({error}). Restore its folder from a "
                "backup, all files together; nothing can be spent until then."
            ) from None


def _end(entries: Sequence[Entry]) -> Head:
    return Head(entries[-1].number, entries[-1].hash) if entries else Head()


def _like(entries: Sequence[Entry], found: Fingerprint) -> tuple[str | None, frozenset[str]]:
    """The dataset that holds all columns of `found`, if any, and all that hold half of them."""
    exact, alike = None, set()
    for entry in entries:
        columns = frozenset(entry.columns)
        if entry.kind == "dataset" and found.same_as(columns):
            alike.add(entry.dataset)
            if exact is None and found.columns <= columns:
                exact = entry.dataset
    return exact, frozenset(alike)


def _lost(entries: Sequence[Entry], run: str, query: str) -> str:
    """Says so if the query was reserved before and its answer went with a crash."""
    before = any(e.run == run and e.query == query and e.kind != "commit" for e in entries)
    lost = " (reserved before, its answer was lost with the process, which counts as spent)"
    return lost if before else ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}" if hasattr(os, "getuid") else "unknown"
