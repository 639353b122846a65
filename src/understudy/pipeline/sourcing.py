"""Where the rows of a database lie while a run works on them: once, in the run's own folder.

They are streamed there and mapped, so reading takes little memory however many there are. What a
resumed run reads again takes their place.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from understudy.data.databases import is_database
from understudy.errors import RunFolderError
from understudy.pipeline.store import DATABASE, SOURCE, refuse_others


@contextmanager
def streamed(path: str, folder: Path) -> Iterator[Path | None]:
    """The folder to stream the database `path` to, None for a source that is no database.

    Where no run begins, nothing is left.
    """
    if not is_database(path):
        yield None
        return
    folder = Path(folder)
    into = folder / SOURCE
    refuse_others(folder)
    if into.exists() and not (folder / DATABASE).exists():
        raise RunFolderError(f"{into} exists and is of no run. Give --out a new or empty folder.")
    for left in (into, *folder.glob(f".{SOURCE}.*")):
        shutil.rmtree(left, ignore_errors=True)
    try:
        yield into
    finally:
        if not (folder / DATABASE).exists():
            shutil.rmtree(into, ignore_errors=True)
            with suppress(OSError):
                folder.rmdir()
