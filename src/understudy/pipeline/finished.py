"""Reading a finished run back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from understudy.data import Dataset
from understudy.errors import RunFolderError
from understudy.release.bundle import file_name
from understudy.release.thresholds import DEFAULTS, Thresholds
from understudy.schema import Schema
from understudy.schema.plan import load_plan

__all__ = ["contents_of", "file_name", "rows_of", "stored_rows", "thresholds_of"]


def contents_of(folder: Path) -> dict[str, Any]:
    """What the reports of the run, or of the audit, in `folder` are made of.

    Raises `RunFolderError` for any other folder, and for a run that did not come to its end.
    """
    for name in ("work/run.json", "scorecard.json"):
        path = Path(folder) / name
        found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        if "schema" in found:
            return found
    raise RunFolderError(
        f"{folder} holds no finished run and no audit. Make one with: understudy run, or: "
        "understudy audit ... --out FOLDER"
    )


def thresholds_of(folder: Path) -> Thresholds:
    """The bounds that the run in `folder` was judged by."""
    plan = Path(folder) / "plan.yaml"
    return Thresholds(**load_plan(plan).bounds) if plan.is_file() else DEFAULTS


def rows_of(folder: Path) -> Dataset:
    """The synthetic rows of a run."""
    return stored_rows(folder, Schema.model_validate(contents_of(folder)["schema"]))


def stored_rows(folder: Path, schema: Schema) -> Dataset:
    """The rows that a run wrote, table by table."""
    found = {}
    for spec in schema.tables:
        path = Path(folder) / "synthetic" / f"{file_name(spec.name)}.parquet"
        if not path.is_file():
            raise RunFolderError(f"{folder} holds no synthetic rows ({path.name} is not there).")
        found[spec.name] = pq.ParquetFile(path).read()
    return Dataset(schema, found)
