"""The ledger's entries, and the chain of hashes that ties each to all before it.

An entry's hash is SHA-256 over the hash before it and the entry's canonical JSON, so no entry can
be changed, dropped, moved or repeated without breaking every hash behind it (Haber & Stornetta
1991).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from understudy.errors import BudgetError, FormatError
from understudy.privacy.events import Event, dump_event, load_event
from understudy.privacy.home import Head

Kind = Literal["dataset", "reserve", "plan", "draw", "commit", "cap"]
Row = tuple[int, str, str]
"""As stored: number, canonical JSON, hash."""


@dataclass(frozen=True)
class Entry:
    """One line of the ledger.

    `reserve` and `plan` are charged with their events, for ever. `draw` asks a query out of the
    plan `of`, already charged; `commit` says that the answer to entry `of` is safely stored. `cap`
    states what all runs together may spend, by whom and why. `dataset` says by which digests of
    its columns a dataset is recognised, and which others on record it is the `same` as.
    """

    number: int
    time: str
    kind: Kind
    dataset: str
    unit: str
    run: str = ""
    query: str = ""
    events: tuple[Event, ...] = ()
    of: int | None = None
    epsilon: float | None = None
    delta: float | None = None
    by: str = ""
    why: str = ""
    columns: tuple[str, ...] = ()
    same: tuple[str, ...] = ()
    hash: str = field(default="", compare=False)

    @property
    def charged(self) -> tuple[Event, ...]:
        return self.events if self.kind in ("reserve", "plan") else ()


@dataclass(frozen=True)
class Problem:
    """What is wrong with a ledger, and at which entry (None: with the ledger as a whole)."""

    entry: int | None
    what: str

    def __str__(self) -> str:
        return f"entry {self.entry}: {self.what}" if self.entry else self.what


def dump_entry(entry: Entry) -> str:
    """Canonical JSON, the bytes that the hash covers."""
    fields = asdict(entry)
    del fields["hash"]
    fields["events"] = [json.loads(dump_event(event)) for event in entry.events]
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def load_entry(body: str, digest: str) -> Entry:
    """Raises `FormatError` for an entry that this version cannot read."""
    try:
        fields: dict[str, Any] = json.loads(body)
        events = tuple(load_event(json.dumps(event)) for event in fields.pop("events"))
        columns, same = (tuple(fields.pop(name, ())) for name in ("columns", "same"))
        return Entry(**fields, events=events, columns=columns, same=same, hash=digest)
    except (ValueError, TypeError, KeyError, BudgetError) as error:
        raise FormatError(f"an entry that this version cannot read ({error})") from None


def link(before: str, body: str) -> str:
    """The hash of the entry `body` that follows the hash `before`."""
    return hashlib.sha256(f"{before}\n{body}".encode()).hexdigest()


def follow(rows: Iterable[Row], start: Head) -> tuple[list[Entry], Problem | None]:
    """The entries behind `start` up to the first that does not belong there."""
    entries: list[Entry] = []
    head = start
    for number, body, digest in rows:
        expected = head.entries + 1
        if number != expected:
            return entries, Problem(
                expected, f"is missing or out of place; entry {number} stands there."
            )
        if link(head.hash, body) != digest:
            return entries, Problem(
                number, "was changed, moved or put in: its content does not fit its hash."
            )
        try:
            entry = load_entry(body, digest)
        except FormatError as error:
            return entries, Problem(number, f"{error}.")
        if entry.number != number:
            return entries, Problem(number, f"calls itself entry {entry.number}.")
        entries.append(entry)
        head = Head(number, digest)
    return entries, None


def ends_at(end: Head, heads: tuple[Head, ...]) -> Problem | None:
    """Whether a chain that ends at `end` is the one that the keyed counter was written for."""
    if end in heads:
        return None
    known = heads[0]
    if end.entries < known.entries:
        return Problem(
            end.entries + 1,
            f"is missing: the ledger ends at entry {end.entries}, but {known.entries} were "
            "written. The end was cut off, or an older copy was put back.",
        )
    if end.entries > max(head.entries for head in heads):
        return Problem(
            known.entries + 1, "was put in by something other than understudy: it is not counted."
        )
    return Problem(end.entries, "is not the last one that was written: the chain was made anew.")
