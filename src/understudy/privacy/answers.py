"""What mechanisms answered in a run, kept so that no question is ever paid for twice.

One table in an SQLite file, the run folder's `run.sqlite` as a rule. An answer is on disk before
`put` returns.
"""

from __future__ import annotations

import io
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from understudy.errors import FormatError
from understudy.privacy.session import Array


@dataclass(frozen=True)
class Answer:
    """An output, the ledger entry that paid for it, and the mechanism's parameters in words."""

    entry: int
    mechanism: str
    output: Array


class AnswerStore:
    """The answers of one run, by the name of the query."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = sqlite3.connect(path, timeout=60, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS answers (query TEXT PRIMARY KEY, entry INTEGER NOT NULL, "
            "mechanism TEXT NOT NULL, output BLOB NOT NULL)"
        )

    def get(self, query: str) -> Answer | None:
        found = self._db.execute(
            "SELECT entry, mechanism, output FROM answers WHERE query = ?", (query,)
        ).fetchone()
        if found is None:
            return None
        try:
            output = np.load(io.BytesIO(found[2]), allow_pickle=False)
        except (ValueError, EOFError, OSError):
            raise FormatError(
                f"the stored answer to query {query!r} in {self.path} is damaged. It cannot be "
                "asked again without paying again: restore the run folder, or start a new run."
            ) from None
        return Answer(found[0], found[1], output)

    def put(self, query: str, answer: Answer) -> None:
        """Stores the first answer to `query`; there is never a second."""
        buffer = io.BytesIO()
        np.save(buffer, answer.output, allow_pickle=False)
        row = (query, answer.entry, answer.mechanism, buffer.getvalue())
        self._db.execute("INSERT INTO answers VALUES (?, ?, ?, ?)", row)

    def close(self) -> None:
        self._db.close()
