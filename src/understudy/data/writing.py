"""Writing tables so that a file is there as a whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from understudy.data.dataset import Dataset
from understudy.data.files import PARQUET_ENDINGS
from understudy.errors import SourceError


def write(dataset: Dataset, path: str | Path) -> Path:
    """One table to `.csv`, `.csv.gz`, `.tsv` or `.parquet`; several to a folder of Parquet files."""
    path = Path(path)
    if len(dataset.tables) == 1 and path.suffix:
        write_table(dataset.table, path)
        return path
    for name, table in dataset.tables.items():
        write_table(table, path / f"{name}.parquet")
    return path


def write_table(table: pa.Table, path: Path) -> None:
    """One table to one file, by its ending."""
    name = path.name.casefold()
    if name.endswith(PARQUET_ENDINGS):
        import pyarrow.parquet as pq

        whole(path, lambda target: pq.write_table(table, target))
    elif name.endswith((".csv", ".tsv", ".csv.gz", ".tsv.gz")):
        whole(path, lambda target: _write_csv(table, target, gzipped=name.endswith(".gz")))
    else:
        raise SourceError(f"cannot tell how to write {path}. End it in .csv, .csv.gz or .parquet.")


def whole(path: Path, make: Callable[[Path], object]) -> None:
    """Lets `make` write beside `path` and moves the result there; cleans up when it fails."""
    building = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        make(building)
        os.replace(building, path)
    except OSError as error:
        building.unlink(missing_ok=True)
        free = shutil.disk_usage(_existing(path)).free
        raise SourceError(
            f"could not write {path}: {error.strerror or error}. {free // 2**20:,} MiB are free "
            "there. Nothing was left half-written."
        ) from None
    except BaseException:
        building.unlink(missing_ok=True)
        raise


def _write_csv(table: pa.Table, path: Path, *, gzipped: bool) -> None:
    from pyarrow import csv

    plain = pa.table(
        [
            c.cast(pa.string())
            if pa.types.is_decimal(c.type) or pa.types.is_duration(c.type)
            else c
            for c in table.columns
        ],
        names=table.column_names,
    )
    separator = "\t" if ".tsv" in path.name else ","
    options = csv.WriteOptions(delimiter=separator, quoting_style="needed")
    with pa.output_stream(str(path), compression="gzip" if gzipped else None) as sink:
        csv.write_csv(plain, sink, options)


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
