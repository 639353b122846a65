"""What was spent on a dataset (show), whether the ledger is whole (verify), its cap (cap)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from understudy.cli.options import Json
from understudy.errors import BudgetError, PlanError, suggest

if TYPE_CHECKING:
    from understudy.privacy.fingerprint import Fingerprint
    from understudy.privacy.ledger import Ledger
    from understudy.privacy.spending import Standing

ACTIONS = ("show", "verify", "cap")


def ledger(
    action: Annotated[str, typer.Argument(help="show, verify or cap")],
    dataset: Annotated[
        str | None, typer.Argument(help="The data, or the start of its fingerprint in `show`.")
    ] = None,
    unit: Annotated[
        str | None, typer.Option(help="Whose privacy: `row`, or the column that names the entity.")
    ] = None,
    epsilon: Annotated[float | None, typer.Option(help="cap: what all runs together may.")] = None,
    delta: Annotated[float | None, typer.Option(help="cap: at which delta they compose.")] = None,
    why: Annotated[str, typer.Option(help="cap: the reason, kept on record.")] = "",
    json: Json = False,
) -> None:
    if action not in ACTIONS:
        raise PlanError(f"`ledger {action}` is not known. {suggest(action, ACTIONS)}")
    if action == "verify":
        _verify(json)
        return
    from understudy.privacy.ledger import Ledger

    with Ledger() as book:
        if action == "show":
            _show(book, dataset, unit, json)
        else:
            _cap(book, dataset, unit or "row", epsilon, delta, why, json)


def _verify(json: bool) -> None:
    from understudy.cli.verdict import print_json
    from understudy.errors import FormatError
    from understudy.privacy.ledger import Ledger

    try:
        with Ledger() as book:
            problem, where = book.verify(), book.path
    except FormatError as error:
        _fail(json, None, str(error))
    if problem is not None:
        _fail(json, problem.entry, f"{where}: {problem}")
    print_json({"ok": True}) if json else print(f"{where}: every entry is in its place.")


def _fail(json: bool, entry: int | None, what: str) -> None:
    from understudy.cli.verdict import print_json

    print_json({"ok": False, "entry": entry, "problem": what}) if json else print(what)
    raise typer.Exit(3)


def _show(book: Ledger, dataset: str | None, unit: str | None, json: bool) -> None:
    from understudy.cli.verdict import print_json

    known: frozenset[str] = frozenset()
    if dataset is not None:
        here = Path(dataset).exists()
        known = book.known(_columns(book, dataset)) if here else frozenset({book.find(dataset)})
    accounts = [
        book.standing(d, u)
        for d, u in book.accounts()
        if (dataset is None or d in known) and unit in (None, u)
    ]
    if json:
        print_json({"ledger": str(book.path), "accounts": [_told(book, a) for a in accounts]})
        return
    if not accounts:
        print("Nothing was spent on this data here." if dataset else "Nothing was spent here.")
    for account in accounts:
        _print(book, account, entries=dataset is not None)


def _told(book: Ledger, account: Standing) -> dict[str, object]:
    from dataclasses import asdict

    entries = book.entries(account.dataset, account.unit)
    return {**account.as_dict(), "entries": [asdict(entry) for entry in entries]}


def _print(book: Ledger, account: Standing, *, entries: bool) -> None:
    from understudy.privacy.spending import SHOWN

    print(f"{account.dataset[:SHOWN]}  unit {account.unit}")
    print(
        f"  spent epsilon {account.spent.epsilon:.4g} of {account.cap.epsilon:g} at delta "
        f"{account.cap.delta:g}, remaining {account.remaining:.4g} ({account.spent.accountant}, "
        f"dp-accounting {account.spent.version})"
    )
    for run, epsilon in account.by_run.items():
        print(f"  run {run}: {epsilon:.4g} by itself")
    for entry in book.entries(account.dataset, account.unit) if entries else ():
        told = {
            "cap": f"epsilon {entry.epsilon:g} by {entry.by}: {entry.why}"
            if entry.epsilon is not None
            else "",
            "plan": f"{len(entry.events)} queries",
            "commit": f"{entry.query} (entry {entry.of})",
        }.get(entry.kind, f"{entry.query}: {', '.join(map(str, entry.events))}")
        print(f"  {entry.number:>5}  {entry.time}  {entry.kind:<7}  {entry.run}  {told}")


def _cap(
    book: Ledger,
    dataset: str | None,
    unit: str,
    epsilon: float | None,
    delta: float | None,
    why: str,
    json: bool,
) -> None:
    from understudy.cli.verdict import print_json

    if dataset is None or epsilon is None:
        raise BudgetError(
            "say which data and how much: understudy ledger cap DATASET --epsilon 12 --why REASON."
        )
    here = Path(dataset).exists()
    known = book.recognise(_columns(book, dataset)) if here else book.find(dataset)
    entry = book.cap(known, unit, epsilon, why, delta=delta)
    account = book.standing(entry.dataset, unit)
    if json:
        print_json(account.as_dict())
        return
    print(
        f"All runs together may now spend epsilon {epsilon:g} at delta {account.cap.delta:g} on "
        f"this data (unit {unit}); {account.remaining:.4g} remain. On record as entry "
        f"{entry.number} by {entry.by}."
    )


def _columns(book: Ledger, path: str) -> Fingerprint:
    from understudy.data import read
    from understudy.privacy.fingerprint import fingerprint

    return fingerprint(read(path), book.key)
