"""Fixtures that all tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.data.postgres_server import NoServer, Server, running

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def real_data() -> Callable[[str], Path]:
    """The folder of a real table; the test is skipped, saying so, where the tables are absent."""

    def folder(name: str) -> Path:
        path = REAL_DATA / name
        if not path.is_dir():
            pytest.skip(f"real table {name!r} is not on this machine ({path})")
        return path

    return folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """One PostgreSQL server a session; tests that need it are skipped, saying why, without one."""
    pytest.importorskip("adbc_driver_postgresql", reason="needs the extra [postgres]")
    try:
        with running() as server:
            yield server
    except NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps a test's ledger and settings out of the user's home."""
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path / "home"))


# Machines are noisy: how long an example takes says nothing about whether it is right.
settings.register_profile("understudy", deadline=None)
settings.load_profile("understudy")
