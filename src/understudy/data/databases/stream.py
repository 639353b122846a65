"""Record batches of a table into memory or into one Arrow file that is then mapped."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc

from understudy.data.databases.catalogue import FoundTable
from understudy.data.writing import whole_folder
from understudy.errors import SourceError


class Reader(Protocol):
    """An open database: what it declares, and the rows of a table batch by batch.

    Batches have the types of `FoundTable.arrow`. Both raise `SourceError`.
    """

    def catalogue(self) -> tuple[FoundTable, ...]: ...

    def batches(self, table: FoundTable) -> Generator[pa.RecordBatch]: ...


def in_memory(reader: Reader, found: tuple[FoundTable, ...]) -> dict[str, pa.Table]:
    """Every table as a whole."""
    return {
        table.name: pa.Table.from_batches(_tidied(reader, table), table.arrow) for table in found
    }


def in_files(reader: Reader, found: tuple[FoundTable, ...], into: Path) -> dict[str, pa.Table]:
    """Every table in `into/NAME.arrow`, mapped; nothing is left there when one cannot be read."""
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise SourceError(f"{into} is not an empty folder. Name a new one for the tables.")
    with whole_folder(into) as building:
        for table in found:
            _write(building / _file_name(table.name), _tidied(reader, table), table.arrow)
    return {table.name: _mapped(into / _file_name(table.name)) for table in found}


def _write(path: Path, batches: Generator[pa.RecordBatch], schema: pa.Schema) -> None:
    try:
        # Closed whatever happens: a connection cannot be while somebody reads from it.
        with (
            closing(batches),
            pa.OSFile(str(path), "wb") as sink,
            pa.ipc.new_file(sink, schema) as writer,
        ):
            for batch in batches:
                writer.write_batch(batch)
    except OSError as error:
        free = shutil.disk_usage(path.parent).free
        raise SourceError(
            f"could not write {path.name} of {path.parent.parent}: {error.strerror or error}. "
            f"{free // 2**20:,} MiB are free there. Nothing was kept."
        ) from None


def _mapped(path: Path) -> pa.Table:
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def _file_name(table: str) -> str:
    return f"{quote(table, safe=' ')}.arrow"


def _tidied(reader: Reader, table: FoundTable) -> Generator[pa.RecordBatch]:
    """Floats without NaN and infinity, as every other source gives them."""
    with closing(reader.batches(table)) as batches:
        for batch in batches:
            columns = [
                pc.if_else(pc.is_finite(column), column, pa.scalar(None, column.type))
                if pa.types.is_floating(column.type)
                else column
                for column in batch.columns
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=table.arrow)


@contextmanager
def no_values(where: str) -> Iterator[None]:
    """Arrow's complaints name the cell that they are about; ours name the table and the types."""
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        what = type(error).__name__
        raise SourceError(
            f"{where} holds a value that its SQL type does not tell of ({what}). Correct it, or "
            "export the table to CSV."
        ) from None
