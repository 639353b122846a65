"""Where a run's rows go beside its folder: into a database that an application can run on."""

from __future__ import annotations

from pathlib import Path

from understudy.data import write
from understudy.data.databases import is_database
from understudy.data.files import table_name
from understudy.errors import ReleaseError, UserError
from understudy.pipeline.finished import contents_of, rows_of


def refuse_target(target: str) -> None:
    """Raises `UserError` for what is no database, before a run begins."""
    if not is_database(target):
        raise UserError(
            f"--to names a database: postgresql://HOST/NAME?schema=NEW, or a file that ends in "
            f".sqlite or .duckdb. Found {target!r}; files are in the run's folder in any case."
        )


def deliver(folder: Path, target: str, override: str | None = None) -> str:
    """Writes the rows of the run in `folder` to the database `target`; says where they are.

    Raises `ReleaseError` for rows that did not pass, unless `override` gives a reason.
    """
    refuse_target(target)
    verdict = contents_of(folder)["verdict"]
    if verdict["ruling"] != "PASS" and not (override or "").strip():
        raise ReleaseError(
            f"the rows of {folder} may not leave: the verdict is {verdict['ruling']}. "
            f"{verdict['because']} Give a reason with --override to write them all the same."
        )
    return str(write(rows_of(folder), target))


def folder_name(path: str) -> str:
    """What the run folder of a source is called: a database's after its name."""
    if is_database(path):
        path = path.partition("?")[0].rstrip("/").rpartition("/")[2]
    return table_name(Path(path)).replace("-", "stdin")
