"""Addresses: told apart, taken apart, and never shown with their password."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.data.postgres_server import PASSWORD, Server
from understudy.data import read, write
from understudy.data.databases import is_database, parse_url
from understudy.errors import PlanError, SourceError
from understudy.schema.plan import Source, load_plan


def test_what_is_a_database() -> None:
    for source in ("postgresql://h/d", "postgres://h", "sqlite:///a.db", "a.sqlite", "b/c.DUCKDB"):
        assert is_database(source), source
    for source in ("a.csv", "folder", "-", "mysql://h/d", "s3://bucket/key", "sqlite"):
        assert not is_database(source), source


def test_a_url_is_taken_apart() -> None:
    url = parse_url("postgres://anna:s%40crt@h1:5433,h2/shop?sslmode=require&schema=sales")
    assert (url.dialect, url.schema) == ("postgres", "sales")
    assert url.secrets == (("password", "s@crt"),)
    assert str(url) == "postgresql://anna@h1:5433,h2/shop?sslmode=require&schema=sales"
    assert "password=s%40crt" in url.for_driver()
    assert "schema=" not in url.for_driver()
    assert parse_url(str(url)) != url  # the password is gone
    assert str(parse_url(str(url))) == str(url)


def test_files_by_their_slashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_url("sqlite:///a/b.db").address == "a/b.db"
    assert parse_url("duckdb:////a/b.db").address == "/a/b.db"
    (tmp_path / "x.sqlite").touch()
    assert parse_url(f"sqlite://{tmp_path}/x.sqlite").path == tmp_path / "x.sqlite"
    for wrong in ("sqlite://", "sqlite:///", "sqlite://host/a.db"):
        with pytest.raises(SourceError, match="a database file is named as in"):
            parse_url(wrong)


@given(st.text(min_size=4, max_size=30).filter(lambda s: s.strip() and "postgres" not in s))
def test_no_password_is_printed(password: str) -> None:
    from urllib.parse import quote

    hidden = "§" + password + "§"
    for text in (
        f"postgresql://u:{quote(hidden, safe='')}@h/d",
        f"postgresql://u@h/d?password={quote(hidden, safe='')}",
    ):
        url = parse_url(text)
        assert dict(url.secrets)["password"] == hidden
        said = url.scrub(f"FATAL: {hidden} and {quote(hidden)} and {url.for_driver()}")
        for shown in (str(url), repr(url), said):
            assert hidden not in shown
            assert quote(hidden, safe="") not in shown


def test_no_plan_holds_a_password(tmp_path: Path) -> None:
    for path in ("postgresql://u:geheim@h/d", "postgresql://u@h/d?a=b&password=geheim"):
        with pytest.raises(ValidationError) as caught:
            Source(path=path)
        assert "geheim" not in str(caught.value)
        plan = f"version: 1\nsource: {{path: '{path}'}}\ndata: {{tables: []}}\n"
        (tmp_path / "plan.yaml").write_text(plan)
        with pytest.raises(PlanError, match="holds a password") as refused:
            load_plan(tmp_path / "plan.yaml")
        assert "geheim" not in str(refused.value)
    assert Source(path="postgresql://u@h:5432/d?sslmode=require").path


def test_other_schemes_are_refused_without_repeating_them() -> None:
    with pytest.raises(SourceError, match="no reader for mysql:// databases") as caught:
        read("mysql://root:geheim@h/d")
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("password", ["gehe/im", "gehe?im", "gehe#im", "gehe@im"])
def test_a_password_that_is_not_spelled_for_urls_is_not_shown(password: str) -> None:
    text = f"postgresql://u:{password}@h/d"
    assert is_database(text)
    with pytest.raises(SourceError, match="has to spell them as %40") as caught:
        read(text)
    assert "gehe" not in str(caught.value)
    assert "im" not in str(caught.value).replace("times", "")
    with pytest.raises(ValidationError):
        Source(path=text)


def test_servers_that_do_not_answer() -> None:
    pytest.importorskip("adbc_driver_postgresql")
    for host in ("localhost:1", "no-such-host.invalid"):
        with pytest.raises(SourceError, match="cannot connect to postgresql://u@") as caught:
            read(f"postgresql://u:{PASSWORD.replace('@', '%40')}@{host}/d")
        assert "geheim" not in str(caught.value)


def test_passwords_right_and_wrong(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    postgres.run(
        "CREATE SCHEMA vault",
        "CREATE TABLE vault.gold (id int PRIMARY KEY)",
        "INSERT INTO vault.gold VALUES (1), (2)",
        "GRANT USAGE ON SCHEMA vault TO guarded",
        "GRANT SELECT ON vault.gold TO guarded",
        "GRANT CREATE ON DATABASE postgres TO guarded",
    )
    bare = postgres.url(user="guarded", schema="vault")
    told = f"{bare}&password=geheim-9%21x%40y"
    dataset = read(told)
    assert dataset.num_rows == 2
    assert "geheim" not in repr(dataset)
    assert write(dataset, told.replace("vault", "gilded")) == bare.replace("vault", "gilded")
    with pytest.raises(SourceError, match="password authentication failed") as caught:
        read(f"{bare}&password=geheim-wrong")
    assert "geheim" not in str(caught.value)
    with pytest.raises(SourceError, match="no password supplied"):
        read(bare)
    monkeypatch.setenv("UNDERSTUDY_DATABASE_PASSWORD", PASSWORD)
    assert read(bare).num_rows == 2
    monkeypatch.delenv("UNDERSTUDY_DATABASE_PASSWORD")
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    assert read(bare).num_rows == 2


def test_the_driver_is_an_extra() -> None:
    script = (
        "import sys; sys.modules['adbc_driver_manager'] = None\n"
        "from understudy.data import read\n"
        "try: read('postgresql://h/d')\n"
        "except Exception as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "pip install 'understudy[postgres]'" in done.stdout
