"""The ledger: what fits and what does not, what survives a kill, and what gives a forger away."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.privacy.killing import killed_at, needs_fork
from understudy.errors import BudgetError, FormatError, SourceError, UserError
from understudy.privacy.accountant import epsilon_of
from understudy.privacy.budget import Budget
from understudy.privacy.chain import dump_entry, link, load_entry
from understudy.privacy.events import Event, Exponential, Gaussian, Laplace
from understudy.privacy.fingerprint import Fingerprint
from understudy.privacy.home import HEAD, KEY, Head, home_folder
from understudy.privacy.ledger import Ledger

DATA, OTHER = "a1" * 32, "b2" * 32
BUDGET = Budget(3.0, 1e-6)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "home") as book:
        yield book


def spend(book: Ledger, query: str, event: Event, run: str = "first") -> int:
    return book.reserve(DATA, "row", run, query, event, budget=BUDGET)


def test_everything_reserved_is_spent_whether_committed_or_not(ledger: Ledger) -> None:
    number = spend(ledger, "age", Gaussian(5.0))
    ledger.commit(number)
    spend(ledger, "sex", Laplace(10.0))
    assert ledger.spent(DATA, "row") == (Gaussian(5.0), Laplace(10.0))
    now = ledger.standing(DATA, "row")
    assert now.spent.epsilon == epsilon_of([Gaussian(5.0), Laplace(10.0)], 1e-6)
    assert now.remaining == pytest.approx(10 - now.spent.epsilon)
    assert [e.kind for e in ledger.entries()] == ["reserve", "commit", "reserve"]
    ledger.commit(number)
    assert len(ledger.entries()) == 3
    assert ledger.verify() is None


def test_another_process_reads_what_this_one_wrote(ledger: Ledger) -> None:
    spend(ledger, "age", Gaussian(5.0))
    with Ledger(ledger.folder) as again:
        assert again.spent(DATA, "row") == (Gaussian(5.0),)
        again.reserve(DATA, "row", "second", "age", Gaussian(4.0), budget=BUDGET)
    assert ledger.spent(DATA, "row", "second") == (Gaussian(4.0),)
    assert ledger.spent(OTHER, "row") == ()
    assert ledger.spent(DATA, "customer") == ()


def test_over_spending_says_what_is_left_and_what_was_spent_on(ledger: Ledger) -> None:
    for run in ("spring", "summer", "autumn"):
        spend(ledger, "counts", Laplace(1 / 2.9), run)
    before = ledger.entries()
    with pytest.raises(BudgetError) as refusal:
        spend(ledger, "counts", Laplace(1 / 2.0), "winter")
    said = str(refusal.value)
    for part in (
        "query 'counts'",
        "requested epsilon 2,",
        "remaining 1.3 of the cap (10, 1e-06)",
        "short by 0.7",
        "run spring: 2.9; run summer: 2.9; run autumn: 2.9",
        "understudy ledger cap a1a1a1a1a1a1 --epsilon 10.8 --why",
    ):
        assert part in said, said
    assert ledger.entries() == before


def test_a_run_stays_within_its_own_budget(ledger: Ledger) -> None:
    spend(ledger, "one", Laplace(0.5))
    with pytest.raises(BudgetError, match=r"what run 'first' may spend.*remaining 1 of \(3, 1e-06"):
        spend(ledger, "two", Laplace(0.5))
    spend(ledger, "two", Laplace(0.5), run="second")


def test_a_plan_is_paid_at_once_and_its_queries_are_free(ledger: Ledger) -> None:
    events = [Gaussian(5.0), Gaussian(5.0), Exponential(0.1)]
    plan = ledger.reserve_plan(DATA, "row", "first", events, budget=BUDGET)
    drawn = [spend(ledger, q, e) for q, e in zip("abc", events, strict=True)]
    assert ledger.spent(DATA, "row") == tuple(events)
    assert [e.of for e in ledger.entries() if e.kind == "draw"] == [plan] * 3
    spend(ledger, "d", Gaussian(5.0))
    assert ledger.spent(DATA, "row") == (*events, Gaussian(5.0))
    assert [c.query for c in ledger.charges(DATA, "row", "first")] == ["a", "b", "c", "d"]
    assert drawn == [2, 3, 4]


def test_a_plan_serves_its_own_run_and_its_own_events_only(ledger: Ledger) -> None:
    ledger.reserve_plan(DATA, "row", "first", [Gaussian(0.8)] * 2, budget=Budget(9.5, 1e-6))
    with pytest.raises(BudgetError, match="left on this data"):
        spend(ledger, "a", Gaussian(1.6), run="second")
    with pytest.raises(BudgetError, match="run 'first' may spend"):
        spend(ledger, "a", Gaussian(0.79))
    spend(ledger, "a", Gaussian(0.8))
    idle = ledger.charges(DATA, "row", "first")
    assert [(c.query, c.event) for c in idle] == [("a", Gaussian(0.8)), ("", Gaussian(0.8))]


def test_the_cap_is_raised_on_record(ledger: Ledger) -> None:
    asked = Budget(12.0, 1e-6)
    with pytest.raises(BudgetError, match=r"above the cap of 10.*ledger cap .* --epsilon 12 --why"):
        ledger.check(DATA, "row", asked)
    with pytest.raises(BudgetError, match="say why"):
        ledger.cap(DATA, "row", 12.0, "  ")
    entry = ledger.cap(DATA, "row", 12.0, "second release, agreed with the officer")
    assert (entry.kind, entry.epsilon) == ("cap", 12.0)
    assert entry.by
    assert entry.time
    ledger.check(DATA, "row", asked)
    ledger.reserve(DATA, "row", "first", "a", Laplace(1 / 11), budget=asked)
    with pytest.raises(BudgetError, match="above the cap of 10"):
        ledger.check(OTHER, "row", asked)


def test_the_cap_stands_at_the_largest_delta_of_the_runs_unless_restated(ledger: Ledger) -> None:
    ledger.reserve(DATA, "row", "first", "a", Gaussian(2.0), budget=Budget(5.0, 1e-8))
    assert ledger.standing(DATA, "row").cap == Budget(10.0, 1e-8)
    spend(ledger, "b", Gaussian(20.0), run="second")
    assert ledger.standing(DATA, "row").cap == Budget(10.0, BUDGET.delta)
    ledger.cap(DATA, "row", 11.0, "more", delta=1e-5)
    ledger.cap(DATA, "row", 12.0, "still more")
    assert ledger.standing(DATA, "row").cap == Budget(12.0, 1e-5)


def test_datasets_are_found_by_the_start_of_their_fingerprint(ledger: Ledger) -> None:
    spend(ledger, "a", Gaussian(5.0))
    ledger.reserve(OTHER, "customer", "r", "a", Gaussian(5.0), budget=BUDGET)
    assert ledger.accounts() == ((DATA, "row"), (OTHER, "customer"))
    assert ledger.find("A1a1") == DATA
    for prefix in ("c3", ""):
        with pytest.raises(SourceError, match="On record: a1a1a1a1a1a1, b2b2b2b2b2b2"):
            ledger.find(prefix)


def test_committing_what_was_never_reserved_is_an_error(ledger: Ledger) -> None:
    with pytest.raises(FormatError, match="no reservation with number 7"):
        ledger.commit(7)


def test_the_home_is_private_and_follows_the_environment(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (ledger.folder / KEY).stat().st_mode & 0o777 == 0o600
    assert len(ledger.key) == 32
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path / "named"))
    assert home_folder() == tmp_path / "named"
    monkeypatch.delenv("UNDERSTUDY_HOME")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert home_folder() == tmp_path / "data" / "understudy"
    monkeypatch.setattr("sys.platform", "darwin")
    assert home_folder().parts[-3:] == ("Library", "Application Support", "understudy")


# What a forger might try. Each takes the closed home of a ledger with seven entries.


def rows_of(home: Path) -> list[tuple[int, str, str]]:
    with closing(sqlite3.connect(home / "ledger.sqlite")) as db:
        return db.execute("SELECT number, body, hash FROM entries ORDER BY number").fetchall()


def put_rows(home: Path, rows: list[tuple[int, str, str]]) -> None:
    with closing(sqlite3.connect(home / "ledger.sqlite")) as db, db:
        db.execute("DELETE FROM entries")
        db.executemany("INSERT INTO entries VALUES (?, ?, ?)", rows)


def edit(home: Path, number: int, old: str, new: str) -> None:
    rows = rows_of(home)
    before = rows[number - 1]
    assert old in before[1]
    rows[number - 1] = (number, before[1].replace(old, new), before[2])
    put_rows(home, rows)


def chained(bodies: list[str]) -> list[tuple[int, str, str]]:
    """Entries with hashes made anew, as anybody can."""
    rows, before = [], Head().hash
    for number, body in enumerate(bodies, 1):
        before = link(before, body)
        rows.append((number, body, before))
    return rows


def cheaper(home: Path) -> None:
    edit(home, 2, '"sigma":6.0', '"sigma":600.0')


def middle_deleted(home: Path) -> None:
    rows = rows_of(home)
    put_rows(home, rows[:2] + rows[3:])


def last_deleted(home: Path) -> None:
    put_rows(home, rows_of(home)[:-1])


def last_two_deleted_with_a_new_head(home: Path) -> None:
    rows = rows_of(home)[:-2]
    put_rows(home, rows)
    head = json.loads((home / HEAD).read_text())
    head["heads"] = [[rows[-1][0], rows[-1][2]]]
    (home / HEAD).write_text(json.dumps(head))


def swapped(home: Path) -> None:
    rows = rows_of(home)
    third, fourth = rows[2], rows[3]
    rows[2:4] = [(3, *fourth[1:]), (4, *third[1:])]
    put_rows(home, rows)


def duplicated(home: Path) -> None:
    rows = rows_of(home)
    put_rows(home, [*rows, (8, *rows[3][1:])])


def run_renamed(home: Path) -> None:
    edit(home, 2, '"run":"first"', '"run":"other"')


def time_edited(home: Path) -> None:
    time = json.loads(rows_of(home)[3][1])["time"]
    edit(home, 4, time, time.replace("20", "19", 1))


def cap_without_an_entry(home: Path) -> None:
    edit(home, 6, '"epsilon":11.0', '"epsilon":99.0')


def rolled_back(home: Path) -> None:
    """The database of an earlier day, kept by the fixture."""
    shutil.copy(home / "earlier.sqlite", home / "ledger.sqlite")


def chain_made_anew(home: Path) -> None:
    bodies = [body for _, body, _ in rows_of(home)]
    bodies[1] = bodies[1].replace('"sigma":6.0', '"sigma":600.0')
    put_rows(home, chained(bodies))


def entry_put_in(home: Path) -> None:
    rows = rows_of(home)
    cap = load_entry(*rows[5][1:])
    body = dump_entry(cap).replace('"number":6', '"number":8').replace("11.0", "99.0")
    put_rows(home, [*rows, (8, body, link(rows[-1][2], body))])


TAMPERINGS: dict[Callable[[Path], None], tuple[int | None, str]] = {
    cheaper: (2, "content does not fit its hash"),
    middle_deleted: (3, "is missing"),
    last_deleted: (7, "is missing"),
    last_two_deleted_with_a_new_head: (None, "does not fit this home's key"),
    swapped: (3, "content does not fit its hash"),
    duplicated: (8, "content does not fit its hash"),
    run_renamed: (2, "content does not fit its hash"),
    time_edited: (4, "content does not fit its hash"),
    cap_without_an_entry: (6, "content does not fit its hash"),
    rolled_back: (6, "is missing"),
    chain_made_anew: (7, "chain was made anew"),
    entry_put_in: (8, "is not counted"),
}


@pytest.fixture
def forged(tmp_path: Path) -> Path:
    """The closed home of seven entries, with a copy of the database as it was after five."""
    home = tmp_path / "forged"
    with Ledger(home) as book:
        first = spend(book, "a", Gaussian(5.0))
        spend(book, "b", Gaussian(6.0))
        book.commit(first)
        spend(book, "c", Gaussian(7.0), run="second")
        spend(book, "d", Laplace(9.0))
    assert len(rows_of(home)) == 5
    shutil.copy(home / "ledger.sqlite", home / "earlier.sqlite")
    with Ledger(home) as book:
        book.cap(DATA, "row", 11.0, "agreed")
        spend(book, "e", Exponential(0.2))
        assert book.verify() is None
    return home


def test_an_untouched_ledger_verifies(forged: Path) -> None:
    with Ledger(forged) as book:
        assert book.verify() is None


@pytest.mark.parametrize("tamper", TAMPERINGS, ids=lambda t: t.__name__)
def test_tampering_is_found_named_and_stops_spending(
    forged: Path, tamper: Callable[[Path], None]
) -> None:
    tamper(forged)
    entry, what = TAMPERINGS[tamper]
    with Ledger(forged) as book:
        problem = book.verify()
        assert problem is not None
        assert problem.entry == entry
        assert what in problem.what
        with pytest.raises(FormatError, match=r"does not hold together|does not fit"):
            spend(book, "f", Gaussian(50.0))


def test_a_ledger_rolled_back_under_a_running_process_is_found(forged: Path) -> None:
    with Ledger(forged) as book:
        spend(book, "f", Gaussian(50.0))
        put_rows(forged, rows_of(forged)[:-2])
        with pytest.raises(FormatError, match="entry 8: is missing"):
            spend(book, "g", Gaussian(50.0))


def test_a_damaged_ledger_is_a_polite_error(forged: Path) -> None:
    (forged / "ledger.sqlite").write_bytes(b"not a database, but long enough to look at" * 40)
    with pytest.raises(FormatError, match=r"ledger.sqlite is damaged .* backup"):
        Ledger(forged)


def test_a_ledger_of_a_newer_version_is_a_polite_error(forged: Path) -> None:
    with closing(sqlite3.connect(forged / "ledger.sqlite")) as db:
        db.execute("PRAGMA user_version = 9")
    with pytest.raises(FormatError, match="has format 9, this version of understudy knows 2"):
        Ledger(forged)


def test_accounts_that_were_kept_by_spelling_are_not_forgotten_silently(forged: Path) -> None:
    with closing(sqlite3.connect(forged / "ledger.sqlite")) as db:
        db.execute("PRAGMA user_version = 1")
    with pytest.raises(FormatError, match=r"format 1.*lower the caps"):
        Ledger(forged)


@pytest.mark.parametrize("name", [KEY, HEAD])
def test_a_lost_key_or_counter_is_a_polite_error(forged: Path, name: str) -> None:
    (forged / name).unlink()
    with pytest.raises(FormatError, match=r"gone.*backup"), Ledger(forged) as book:
        spend(book, "f", Gaussian(50.0))


@pytest.mark.parametrize("name", [KEY, HEAD])
def test_a_damaged_key_or_counter_is_a_polite_error(forged: Path, name: str) -> None:
    (forged / name).write_bytes(b"short")
    with pytest.raises(FormatError, match=r"is not a key|is damaged"), Ledger(forged) as book:
        spend(book, "f", Gaussian(50.0))


def test_a_deleted_database_is_missed(forged: Path) -> None:
    (forged / "ledger.sqlite").unlink()
    with Ledger(forged) as book:
        problem = book.verify()
        assert problem is not None
        assert problem.entry == 1
        assert "7 were written" in problem.what


def test_a_folder_that_cannot_be_written_is_the_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"\$UNDERSTUDY_HOME"):
        Ledger(tmp_path / "file" / "home")


# Processes that die, and processes that race.


@needs_fork
def test_starting_a_ledger_survives_a_kill_at_every_line(tmp_path: Path) -> None:
    line = 0

    def work() -> None:
        Ledger(tmp_path / str(line)).close()

    while killed_at(line, ("ledger", "home"), work):
        with Ledger(tmp_path / str(line)) as book:
            spend(book, "a", Gaussian(5.0))
            assert book.verify() is None
        line += 1
    assert line > 30


@needs_fork
def test_spending_survives_a_kill_at_every_line(tmp_path: Path) -> None:
    """After each kill the ledger holds together and nothing reserved is lost.

    All kills happen to one ledger, so every next one shows that it goes on.
    """
    told = tmp_path / "told"

    def work() -> None:
        with Ledger(tmp_path / "home") as book:
            number = book.reserve(f"{line:064x}", "row", "r", "a", Gaussian(5.0), budget=BUDGET)
            told.write_text(str(line))
            book.commit(number)

    line = 0
    with Ledger(tmp_path / "home") as book:
        while killed_at(line, ("ledger", "home"), work):
            spent = book.spent(f"{line:064x}", "row")
            if told.exists() and told.read_text() == str(line):
                assert spent == (Gaussian(5.0),)
            assert spent in ((), (Gaussian(5.0),))
            assert book.verify() is None
            line += 1
    assert line > 100
    with Ledger(tmp_path / "home") as book:
        assert book.verify() is None


def _race(home: Path) -> list[int]:
    """How many of three requests of epsilon 1 each of eight processes gets through."""
    context = multiprocessing.get_context("fork")
    barrier, queue = context.Barrier(8), context.Queue()

    def racer(run: str) -> None:
        done = 0
        barrier.wait()
        with Ledger(home) as book:
            for attempt in range(3):
                with suppress(BudgetError):
                    spend(book, f"query {attempt}", Laplace(1.0), run)
                    done += 1
        queue.put(done)

    racers = [context.Process(target=racer, args=(f"run {i}",)) for i in range(8)]
    for process in racers:
        process.start()
    done = [queue.get(timeout=60) for _ in racers]
    for process in racers:
        process.join()
    return done


@needs_fork
def test_eight_spenders_at_once_never_overspend(tmp_path: Path) -> None:
    """Twenty-four requests of epsilon 1 against a cap of 10, from a home that none has opened."""
    done = _race(tmp_path / "home")
    with Ledger(tmp_path / "home") as book:
        spent = book.spent(DATA, "row")
        assert sum(done) == len(spent)
        assert epsilon_of(spent, 1e-6) <= 10 < epsilon_of([*spent, Laplace(1.0)], 1e-6)
        assert book.verify() is None


@needs_fork
def test_eight_spenders_on_the_last_budget_and_one_succeeds(tmp_path: Path) -> None:
    with Ledger(tmp_path / "home") as book:
        book.cap(DATA, "row", 1.5, "a small one")
    assert sorted(_race(tmp_path / "home")) == [0] * 7 + [1]
    with Ledger(tmp_path / "home") as book:
        assert book.spent(DATA, "row") == (Laplace(1.0),)
        assert book.verify() is None


def found(*columns: str) -> Fingerprint:
    return Fingerprint("".join(columns).ljust(64, "0"), frozenset(columns))


def test_what_was_spent_on_any_part_of_a_dataset_counts_for_the_whole(ledger: Ledger) -> None:
    """Two halves on record, then both together: no name of it escapes what the others spent."""
    one, other = (ledger.recognise(found(*half)) for half in ("ab", "cd"))
    assert one != other
    for name, run in ((one, "r1"), (other, "r2")):
        ledger.reserve(name, "row", run, "q", Gaussian(1.0), budget=Budget(9.0, 1e-6))
    alone = ledger.standing(one, "row").spent.epsilon
    whole = ledger.recognise(found(*"abcd"))
    assert ledger.recognise(found(*"abcd")) == whole
    together = epsilon_of([Gaussian(1.0)] * 2, 1e-6)
    for name in (one, other, whole, ledger.recognise(found(*"bc"))):
        assert ledger.standing(name, "row").spent.epsilon == pytest.approx(together)
    assert together > alone
    assert ledger.known(found("b", "x")) == {one, other, whole}


def test_steps_from_name_to_name_do_not_leave_spending_behind(ledger: Ledger) -> None:
    name = ledger.recognise(found(*"abcd"))
    ledger.reserve(name, "row", "r", "q", Gaussian(1.0), budget=Budget(9.0, 1e-6))
    for step in ("cdxy", "xyzw", "zwuv"):
        name = ledger.recognise(found(*step))
    assert ledger.standing(name, "row").spent.epsilon > 4


def test_a_cap_raised_for_one_dataset_binds_no_other(ledger: Ledger) -> None:
    toy = ledger.recognise(found("a"))
    ledger.cap(toy, "row", 1000.0, "a toy")
    real = ledger.recognise(found(*"ab"))
    assert ledger.standing(real, "row").cap.epsilon == 10.0
    assert ledger.standing(toy, "row").cap.epsilon == 1000.0


def test_entities_are_one_unit_whatever_the_column_is_called(ledger: Ledger) -> None:
    ledger.reserve(DATA, "customer", "r1", "q", Gaussian(0.6), budget=Budget(9.0, 1e-6))
    with pytest.raises(BudgetError, match="left on this data"):
        ledger.reserve(DATA, "client", "r2", "q", Gaussian(0.6), budget=Budget(9.0, 1e-6))
    ledger.reserve(DATA, "row", "r3", "q", Gaussian(0.6), budget=Budget(9.0, 1e-6))


def test_a_refusal_names_the_cap_that_binds(ledger: Ledger) -> None:
    """Two names of one dataset; raising the second's cap alone would be refused for ever."""
    first = ledger.recognise(found(*"abcd"))
    ledger.reserve(first, "row", "r1", "q", Gaussian(0.6), budget=Budget(9.9, 1e-6))
    second = ledger.recognise(found(*"cdef"))
    ledger.cap(second, "row", 30.0, "other nulls")
    with pytest.raises(BudgetError, match=f"ledger cap {first[:12]}"):
        ledger.check(second, "row", Budget(9.0, 1e-6))
    ledger.cap(first, "row", 30.0, "the same")
    ledger.check(second, "row", Budget(9.0, 1e-6))
