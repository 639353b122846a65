"""Writing tables so that a file is there as a whole or not at all."""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa

from understudy.data.dataset import Dataset
from understudy.data.dates import as_spelled
from understudy.data.files import PARQUET_ENDINGS
from understudy.errors import SourceError


def write(dataset: Dataset, path: str | Path, *, ending: str = ".parquet") -> Path | str:
    """One table to `.csv`, `.csv.gz`, `.tsv` or `.parquet`; several to a folder of files that end
    in `ending`; any number to a database: a URL, or a file that ends in `.sqlite` or `.duckdb`.

    Dates of a CSV are spelled as they were in the source. Returns where it went, a URL without
    its password.
    """
    from understudy.data.databases import is_database, write_database

    if is_database(path):
        made = write_database(dataset, path)
        return str(made) if made.dialect == "postgres" else made.path
    path = Path(path)
    if len(dataset.tables) == 1 and path.suffix:
        _write_as_source(dataset, dataset.schema.table().name, path)
        return path
    for name in dataset.tables:
        _write_as_source(dataset, name, path / f"{name}{ending}")
    return path


def _write_as_source(dataset: Dataset, name: str, path: Path) -> None:
    table = dataset.tables[name]
    parquet = path.name.casefold().endswith(PARQUET_ENDINGS)
    write_table(table if parquet else as_spelled(table, dataset.schema.table(name)), path)


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


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """An empty folder to fill, which takes the place of `path` where the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    building = path.with_name(f".{path.name}.{os.getpid()}")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir()
    try:
        yield building
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    if path.exists():
        shutil.rmtree(path)
    os.replace(building, path)


def whole(path: Path, make: Callable[[Path], object]) -> None:
    """Lets `make` write beside `path` and moves the result there; leaves no trace when it fails."""
    refuse_other(path)
    building = path.with_name(f".{path.name}.{os.getpid()}.part")
    existing = _existing(path.parent)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear_abandoned(path)
        make(building)
        os.replace(building, path)
    except BaseException as error:
        _clear(building, existing)
        if not isinstance(error, OSError):
            raise
        free = shutil.disk_usage(existing).free
        raise SourceError(
            f"could not write {path}: {error.strerror or error}. {free // 2**20:,} MiB are free "
            "there. Nothing was left half-written."
        ) from None


def refuse_other(path: Path) -> None:
    """`SourceError` where something else than a file stands: to replace a device would lose it."""
    if path.exists() and not path.is_file():
        what = "a folder" if path.is_dir() else "a device, not a file"
        raise SourceError(f"cannot write {path}: it is {what}. Give the name of a file.")


def _clear(building: Path, existing: Path) -> None:
    """Removes an unfinished file, and the folders that were made for it."""
    with suppress(OSError):
        building.unlink(missing_ok=True)
        folder = building.parent
        while folder != existing:
            folder.rmdir()
            folder = folder.parent


def _clear_abandoned(path: Path) -> None:
    """Removes what processes that were killed had begun to write here."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part*"):
        owner = left.name.removeprefix(f".{path.name}.").partition(".")[0]
        if owner.isdigit() and not _alive(int(owner)):
            left.unlink(missing_ok=True)


def _alive(process: int) -> bool:
    if os.name != "posix":  # elsewhere signal 0 is no question
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _write_csv(table: pa.Table, path: Path, *, gzipped: bool) -> None:
    from pyarrow import csv

    columns = [_plain(column) for column in table.columns]
    if len(columns) == 1:  # an empty line is no row, so a missing cell has to be an empty quote
        columns = [columns[0].cast(pa.string()).fill_null("")]
    separator = "\t" if ".tsv" in path.name.casefold() else ","
    options = csv.WriteOptions(delimiter=separator, quoting_style="needed")
    with pa.output_stream(str(path), compression="gzip" if gzipped else None) as sink:
        csv.write_csv(pa.table(columns, names=table.column_names), sink, options)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """What CSV can spell: times without a fraction of nought, the rest as Arrow does."""
    kind = column.type
    if pa.types.is_decimal(kind) or pa.types.is_duration(kind):
        return column.cast(pa.string())
    if pa.types.is_timestamp(kind) or pa.types.is_time64(kind):
        zone = getattr(kind, "tz", None)
        seconds = pa.timestamp("s", zone) if pa.types.is_timestamp(kind) else pa.time32("s")
        with suppress(pa.ArrowInvalid):
            return column.cast(seconds)
    return column


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
