"""How many steps of a training were drawn, on disk before they are.

A checkpoint knows only the steps before it. A process that went on and died has drawn more, and
starting again from the checkpoint would draw them once more than was paid for. So steps are claimed
here first, a few at a time; what was claimed and not drawn when a process dies is lost, and counts.

The journal is a table beside the stored answer that says the training was paid for, so neither can
be had without the other.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path


class StepJournal:
    """The claimed steps of the training `query` in the file of a run's answers."""

    def __init__(self, path: Path, query: str) -> None:
        self._query = query
        self._db = sqlite3.connect(path, timeout=60, isolation_level=None)
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS training_steps "
            "(query TEXT PRIMARY KEY, claimed INTEGER NOT NULL)"
        )
        row = self._db.execute(
            "SELECT claimed FROM training_steps WHERE query = ?", (query,)
        ).fetchone()
        self.claimed: int = row[0] if row else 0

    def claim(self, upto: int) -> None:
        """Durable when it returns. A smaller number gives back steps that were not drawn."""
        self._db.execute(
            "INSERT INTO training_steps VALUES (?, ?) "
            "ON CONFLICT (query) DO UPDATE SET claimed = excluded.claimed",
            (self._query, upto),
        )
        self.claimed = upto

    def close(self) -> None:
        self._db.close()
