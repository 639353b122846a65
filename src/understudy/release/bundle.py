"""The bundle: the only thing that leaves. Data, certificate, card and public report, or nothing.

It is built beside its place under another name and renamed when complete, so a bundle that exists
is whole.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from understudy.data.dataset import Dataset
from understudy.errors import ReleaseError
from understudy.release.card import card
from understudy.release.certificate import certificate, describe_file
from understudy.release.profile import profile
from understudy.release.report import render
from understudy.release.thresholds import DEFAULTS, Thresholds
from understudy.schema import Schema


def build(
    target: Path,
    data: Dataset | Path,
    run: Mapping[str, Any],
    *,
    override: str | None = None,
    thresholds: Thresholds = DEFAULTS,
) -> list[Path]:
    """Writes the folder `target` and returns its files, the data first.

    `data` are the synthetic rows, or the Parquet file or folder that holds them (a file per
    table). Raises ReleaseError unless the verdict is PASS or `override` gives a reason, which is
    then stamped onto certificate, card and report. A bundle already there is replaced whole.
    """
    verdict = run.get("verdict") or {}
    reason = (override or "").strip() or None
    if verdict.get("ruling") != "PASS" and reason is None:
        raise ReleaseError(
            f"this run may not be bundled: its verdict is {verdict.get('ruling', 'missing')}. "
            f"{verdict.get('because', '')} Change the plan and run again, or give a reason with "
            "--override, which is stamped onto everything in the bundle."
        )
    if verdict.get("ruling") == "PASS":
        reason = None
    building = target.with_name(f".{target.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    (building / "data").mkdir(parents=True)
    try:
        names = _fill(building, _rows(data, run), run, reason, thresholds)
        _put_in_place(building, target)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return [target / name for name in names]


def _fill(
    folder: Path,
    rows: list[_Rows],
    run: Mapping[str, Any],
    override: str | None,
    thresholds: Thresholds,
) -> list[str]:
    files, drawn = [], []
    for table in rows:
        path = folder / "data" / f"{file_name(table.name)}.parquet"
        count = _write(path, table)
        files.append(describe_file(path, folder, count))
        drawn += profile(_dataset(path, table.name, run))
    stamped = {**run, "override": override, "drawn": drawn}
    paper = certificate(run, files, thresholds=thresholds, override=override)
    texts = {
        "certificate.json": json.dumps(paper, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
        "card.md": card(run, files, override=override),
        "report.html": render(stamped, public=True),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [file["path"] for file in files] + list(texts)


@dataclass(frozen=True)
class _Rows:
    """One table of the bundle, as it streams by."""

    name: str
    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


def _rows(data: Dataset | Path, run: Mapping[str, Any]) -> list[_Rows]:
    if isinstance(data, Dataset):
        return [_Rows(n, t.schema, iter(t.to_batches())) for n, t in data.tables.items()]
    paths = sorted(data.glob("*.parquet")) if data.is_dir() else [data]
    if not paths or not all(path.is_file() for path in paths):
        raise ReleaseError(f"there are no Parquet files of synthetic rows at {data}")
    found = []
    for path in paths:
        file = pq.ParquetFile(path)
        found.append(_Rows(path.stem, file.schema_arrow, file.iter_batches()))
    return found


def _write(path: Path, table: _Rows) -> int:
    """Streams the rows; metadata that a frame library left in the schema stays behind."""
    schema = table.schema.remove_metadata()
    count = 0
    with pq.ParquetWriter(path, schema, store_schema=True) as writer:
        for batch in table.batches:
            writer.write_batch(batch.replace_schema_metadata(None).cast(schema))
            count += batch.num_rows
    return count


def _dataset(path: Path, name: str, run: Mapping[str, Any]) -> Dataset:
    """The rows just written, under their part of the run's schema."""
    schema = Schema.model_validate(run["schema"])
    spec = schema.tables[0] if len(schema.tables) == 1 else schema.table(name)
    alone = spec.model_copy(update={"foreign_keys": ()})
    return Dataset.single(Schema(tables=(alone,)), pq.read_table(path))


def file_name(name: str) -> str:
    """A table's name as a file's: a name may hold anything, a file's may not leave the folder."""
    kept = "".join(sign if sign.isalnum() or sign in "-_. " else "_" for sign in name).strip(". ")
    return kept or "table"


def _put_in_place(building: Path, target: Path) -> None:
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        os.replace(target, old)
    os.replace(building, target)
    shutil.rmtree(old, ignore_errors=True)
