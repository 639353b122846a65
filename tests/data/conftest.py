"""Fixtures of the tests of sources and targets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.data.postgres_server import NoServer, Server, running


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """One PostgreSQL server a session; tests that need it are skipped, saying why, without one."""
    pytest.importorskip("adbc_driver_postgresql", reason="needs the extra [postgres]")
    try:
        with running() as server:
            yield server
    except NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")
