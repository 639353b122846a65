"""Reading a finished run back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from understudy.data import Dataset
from understudy.errors import RunFolderError
from understudy.schema import Schema


def contents_of(folder: Path) -> dict[str, Any]:
    """What the reports of the run in `folder` are made of."""
    path = Path(folder) / "work" / "run.json"
    if not path.is_file():
        raise RunFolderError(f"{folder} holds no finished run. Make one with: understudy run")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def rows_of(folder: Path) -> Dataset:
    """The synthetic rows of a run."""
    schema = Schema.model_validate(contents_of(folder)["schema"])
    path = Path(folder) / "synthetic" / f"{schema.table().name}.parquet"
    return Dataset.single(schema, pq.ParquetFile(path).read())
