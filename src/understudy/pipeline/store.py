"""The run folder: what was done, so that a run that was killed goes on where it stopped.

A step writes its files as a whole and is then recorded in `run.sqlite`; a step that is not recorded
is done again. Steps depend on nothing but the plan, the data and the seed (under a budget, on the
stored answers), so the bytes are those of a run that was never interrupted.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from understudy.data.writing import whole
from understudy.errors import RunFolderError
from understudy.runtime.clock import now

DATABASE = "run.sqlite"
SOURCE = "source"
"""Where the rows of a database are streamed to before the run begins."""


class RunStore:
    """One run's folder, held by one process at a time."""

    def __init__(self, folder: Path, identity: str) -> None:
        """Opens or starts the run `identity`; `RunFolderError` for the folder of anything else."""
        self.folder = Path(folder)
        database = self.folder / DATABASE
        if self.folder.exists() and not self.folder.is_dir():
            raise RunFolderError(f"{folder} is a file. Give --out a folder.")
        refuse_others(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(self.folder / ".lock", folder)
        self._db = sqlite3.connect(database, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT)")
        self._db.execute("CREATE TABLE IF NOT EXISTS steps (name TEXT PRIMARY KEY, seconds REAL)")
        known = self._meta("identity")
        if known not in (None, identity) and self._nothing_done():
            known = self._forget()
        if known is not None and known != identity:
            self.close()
            raise RunFolderError(
                f"{folder} holds another run (other data, plan or request). Give --out another "
                "folder, or delete this one."
            )
        if known is None:
            self._db.executemany(
                "INSERT INTO meta VALUES (?, ?)",
                [
                    ("identity", identity),
                    ("created", now()),
                    ("name", f"{self.folder.resolve().name}-{secrets.token_hex(4)}"),
                    ("coins", str(secrets.randbits(63))),
                ],
            )

    @property
    def created(self) -> str:
        """When the run was first started (ISO 8601, UTC)."""
        return self._meta("created") or ""

    @property
    def name(self) -> str:
        """What the privacy ledger calls the run: never the same for two runs."""
        return self._meta("name") or ""

    @property
    def coins(self) -> int:
        """A secret of the run, for coins that nobody may know: kept here for a resume only."""
        found = self._meta("coins")
        if found is None:
            raise RunFolderError(
                f"{self.folder} was begun by a version whose split was no secret. Give --out a new "
                "folder."
            )
        return int(found)

    def once(self, step: str, work: Callable[[], None]) -> None:
        """Does `work` unless a finished `step` is on record."""
        if self.done(step):
            return
        started = datetime.now(UTC)
        work()
        seconds = (datetime.now(UTC) - started).total_seconds()
        self._db.execute("INSERT OR REPLACE INTO steps VALUES (?, ?)", (step, round(seconds, 2)))
        if os.environ.get("UNDERSTUDY_CRASH_AFTER") == step:  # for the tests of resuming
            os.kill(os.getpid(), 9)

    def done(self, step: str) -> bool:
        return bool(self._db.execute("SELECT 1 FROM steps WHERE name = ?", (step,)).fetchone())

    def write_json(self, name: str, content: Any) -> None:
        self.write_text(name, json.dumps(content, indent=1, ensure_ascii=False))

    def write_text(self, name: str, text: str) -> None:
        whole(self.folder / name, lambda path: path.write_text(text, encoding="utf-8"))

    def read_json(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text(encoding="utf-8"))

    def close(self) -> None:
        self._db.close() if hasattr(self, "_db") else None
        os.close(self._lock)

    def _nothing_done(self) -> bool:
        """Whether a run stopped before its first step, as one that was refused its budget does."""
        return self._db.execute("SELECT 1 FROM steps LIMIT 1").fetchone() is None

    def _forget(self) -> None:
        """Makes room for a corrected request; what was spent stays in the ledger."""
        self._db.execute("DELETE FROM meta")
        self._db.execute("DROP TABLE IF EXISTS answers")
        self._db.execute("DROP TABLE IF EXISTS training_steps")
        for kept in self.folder.glob("*.safetensors"):  # of a training that will not go on
            kept.unlink()

    def _meta(self, key: str) -> str | None:
        found = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return found[0] if found else None


def refuse_others(folder: Path) -> None:
    """Raises `RunFolderError` for a folder of anything but a run, or of rows streamed for one."""
    ours = (DATABASE, SOURCE)
    if folder.is_dir() and not (folder / DATABASE).exists():
        held = sorted(path.name for path in folder.iterdir())
        if any(name not in ours and not name.startswith(f".{SOURCE}.") for name in held):
            raise RunFolderError(
                f"{folder} holds files that are not of a run. Give --out a new or empty folder."
            )


def _locked(path: Path, folder: Path) -> int:
    """An advisory lock that dies with its process."""
    handle = os.open(path, os.O_CREAT | os.O_RDWR)
    try:
        import fcntl
    except ImportError:  # Windows: no advisory locks of this kind
        return handle
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise RunFolderError(f"another process is working in {folder}. Wait for it.") from None
    return handle
