"""`understudy ledger show | verify | cap`, as typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from understudy.cli.ledger import ledger as verb
from understudy.data import read
from understudy.errors import BudgetError, PlanError, SourceError
from understudy.privacy.budget import Budget
from understudy.privacy.events import Gaussian
from understudy.privacy.fingerprint import fingerprint
from understudy.privacy.ledger import Ledger

Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    app = typer.Typer()
    app.command()(verb)

    def typed(*words: str) -> Result:
        result = CliRunner().invoke(app, words)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return typed


@pytest.fixture
def spent(tmp_path: Path) -> Path:
    """A CSV on which a run has spent something, in the home of the test."""
    path = tmp_path / "t.csv"
    path.write_text("age,city\n" + "".join(f"{20 + i},Bern\n" for i in range(30)))
    with Ledger() as book:
        name = book.recognise(fingerprint(read(str(path)), book.key))
        book.reserve(name, "row", "run 1", "age", Gaussian(5.0), budget=Budget(3.0, 1e-6))
    return path


def test_show_lists_accounts_and_the_entries_of_one(run: Run, spent: Path) -> None:
    with Ledger() as book:
        name = book.accounts()[0][0]
    listed = run("show").stdout
    assert name[:12] in listed
    assert "run run 1" in listed
    assert "Gaussian" not in listed
    for word in (str(spent), name[:6]):
        assert "age: Gaussian(sigma=5.0)" in run("show", word).stdout
    told = json.loads(run("show", name[:6], "--json").stdout)
    assert told["accounts"][0]["remaining"] == pytest.approx(10 - told["accounts"][0]["spent"])
    assert told["accounts"][0]["entries"][0]["query"] == "age"


def test_a_copy_by_another_name_and_spelling_shares_cap_and_spending(
    run: Run, spent: Path, tmp_path: Path
) -> None:
    rows = spent.read_text().replace("age,city", "years,town").splitlines()
    copy = tmp_path / "copy.csv"
    copy.write_text("\n".join([rows[0], *reversed(rows[1:])]) + "\n")
    assert "age: Gaussian(sigma=5.0)" in run("show", str(copy)).stdout
    run("cap", str(copy), "--epsilon", "0.5", "--why", "a copy")
    assert "of 0.5 at delta" in run("show", str(spent)).stdout
    with Ledger() as book:
        assert len(book.accounts()) == 1
        found = fingerprint(read(str(copy), nulls=["Bern"]), book.key)
        assert book.recognise(found) == book.accounts()[0][0]
        entries = len(book.entries())
        assert book.recognise(found) == book.accounts()[0][0]
        assert len(book.entries()) <= entries + 1


def test_data_that_this_ledger_does_not_know_is_no_error(run: Run, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,x\n2,y\n")
    result = run("show", str(other))
    assert result.exit_code == 0
    assert "Nothing was spent on this data here." in result.stdout
    assert "Nothing was spent here." in run("show").stdout
    with pytest.raises(SourceError, match="neither a file nor"):
        run("show", "abcd")


def test_cap_records_who_and_why(run: Run, spent: Path) -> None:
    said = run("cap", str(spent), "--epsilon", "12", "--why", "agreed").stdout
    assert "may now spend epsilon 12 at delta 1e-06" in said
    shown = run("show", str(spent)).stdout
    assert "of 12 at delta 1e-06" in shown
    assert ": agreed" in shown
    for words in (("cap", str(spent)), ("cap", "--epsilon", "12")):
        with pytest.raises(BudgetError, match="which data and how much"):
            run(*words)
    with pytest.raises(BudgetError, match="positive number"):
        run("cap", str(spent), "--epsilon", "nan", "--why", "x")


def test_verify_fails_with_3_and_names_the_entry(run: Run, spent: Path) -> None:
    assert run("verify").exit_code == 0
    assert json.loads(run("verify", "--json").stdout) == {"ok": True}
    with Ledger() as book:
        path = book.path
        book._db.execute("UPDATE entries SET body = replace(body, 'age', 'sex')")
    result = run("verify")
    assert result.exit_code == 3
    assert "entry 2: was changed" in result.stdout
    assert json.loads(run("verify", "--json").stdout)["entry"] == 2
    path.write_bytes(b"rubbish" * 400)
    result = run("verify")
    assert result.exit_code == 3
    assert "is damaged" in result.stdout


def test_an_unknown_action_is_named(run: Run) -> None:
    with pytest.raises(PlanError, match="Did you mean 'show'"):
        run("shwo")
