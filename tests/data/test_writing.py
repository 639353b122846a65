"""What is written is whole, reads back the same, and a failure leaves no trace."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.data import Dataset, infer, read, write
from understudy.data.writing import whole
from understudy.errors import SourceError


def _dataset(columns: dict[str, Any], name: str = "t") -> Dataset:
    table = pa.table(columns)
    return Dataset(infer({name: table}), {name: table})


def _listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


WHOLE = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1))
DECIMAL = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False, width=64))
LETTERS = st.characters(categories=("L", "P", "S", "Zs"), include_characters='\n",;')
LABEL = st.one_of(st.none(), st.text(LETTERS, min_size=1, max_size=9).map(lambda t: f"x{t}y"))
ROWS = st.lists(st.tuples(WHOLE, DECIMAL, LABEL, st.dates()), min_size=1, max_size=15)


@pytest.mark.parametrize("ending", ["csv", "tsv", "csv.gz", "parquet"])
@given(rows=ROWS)
@settings(max_examples=40, deadline=None)
def test_any_table_reads_back_the_same(
    tmp_path_factory: pytest.TempPathFactory, ending: str, rows: list[Any]
) -> None:
    columns = [list(column) for column in zip(*rows, strict=True)]
    table = pa.table(
        [
            pa.array(columns[0], pa.int64()),
            pa.array(columns[1], pa.float64()),
            pa.array(columns[2], pa.string()),
            pa.array(columns[3], pa.date32()),
        ],
        names=["whole", "decimal", 'a "label", quoted', "day"],
    )
    path = tmp_path_factory.mktemp("out") / f"t.{ending}"
    write(Dataset(infer({"t": table}), {"t": table}), path)
    back = read(path).table
    assert back.column_names == table.column_names
    for name in table.column_names:
        assert back[name].to_pylist() == table[name].to_pylist()


def test_one_column_keeps_its_missing_cells(tmp_path: Path) -> None:
    write(_dataset({"x": ["a", None, "b", None]}), tmp_path / "x.csv")
    assert read(tmp_path / "x.csv").table["x"].to_pylist() == ["a", None, "b", None]


def test_dates_are_spelled_as_in_the_source(tmp_path: Path) -> None:
    lines = ["day,code,when,n"]
    lines += [
        f"{1 + i % 28:02d}/02/2021,9{i % 10}0{1 + i % 9}0{1 + i % 9},x,{i}" for i in range(40)
    ]
    source = tmp_path / "source.csv"
    source.write_text("\n".join(lines).replace("code", "birth_date") + "\n")
    data = read(source)
    assert data.table.schema.field("day").type == pa.date32()
    assert data.table.schema.field("birth_date").type == pa.date32()
    write(data, tmp_path / "out.csv")
    first = [line.replace('"', "") for line in (tmp_path / "out.csv").read_text().splitlines()]
    assert first == source.read_text().splitlines()


def test_several_tables_go_to_a_folder(tmp_path: Path) -> None:
    tables = {"a": pa.table({"x": [1, 2]}), "b": pa.table({"y": ["p", "q"]})}
    write(Dataset(infer(tables), tables), tmp_path / "out")
    assert _listing(tmp_path / "out") == ["a.parquet", "b.parquet"]


def test_an_unknown_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"how to write .*x.json. End it in .csv"):
        write(_dataset({"x": [1]}), tmp_path / "x.json")
    assert _listing(tmp_path) == []


@pytest.mark.parametrize(
    "failure", [OSError(errno.ENOSPC, "No space left on device"), ValueError()]
)
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, failure: Exception) -> None:
    (tmp_path / "kept.txt").write_text("old")

    def make(path: Path) -> None:
        path.write_text("half")
        raise failure

    expected = SourceError if isinstance(failure, OSError) else ValueError
    with pytest.raises(expected) as caught:
        whole(tmp_path / "kept.txt", make)
    with pytest.raises(expected):
        whole(tmp_path / "new" / "folder" / "x.txt", make)
    assert _listing(tmp_path) == ["kept.txt"]
    assert (tmp_path / "kept.txt").read_text() == "old"
    if expected is SourceError:
        assert "No space left on device" in str(caught.value)
        assert "MiB are free there. Nothing was left half-written." in str(caught.value)


def test_folders_and_devices_are_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="it is a folder"):
        whole(tmp_path, lambda path: path.write_text("x"))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(SourceError, match="a device, not a file"):
        whole(pipe, lambda path: path.write_text("x"))
    assert pipe.is_fifo()


def test_what_a_killed_process_left_behind_is_cleared(tmp_path: Path) -> None:
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], stdout=-1)
    for process in (int(dead.stdout), os.getppid()):
        (tmp_path / f".x[1].txt.{process}.part").write_text("half")
    whole(tmp_path / "x[1].txt", lambda path: path.write_text("all"))
    assert _listing(tmp_path) == [f".x[1].txt.{os.getppid()}.part", "x[1].txt"]


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet"])
def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, ending: str) -> None:
    """A file-size limit of 64 KiB stands for the disk that is full."""
    code = (
        "import resource, signal, sys, numpy as np, pyarrow as pa\n"
        "from understudy.data import read, write\n"
        "data = read(pa.table({'x': np.random.default_rng(0).random(100_000)}))\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))\n"
        "write(data, sys.argv[1])\n"
    )
    path = tmp_path / "deep" / f"x.{ending}"
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    assert done.returncode != 0
    assert "SourceError: could not write" in done.stderr
    assert _listing(tmp_path) == []


def test_dates_of_digits_come_out_as_numbers_unless_a_zero_stands_in_front(tmp_path: Path) -> None:
    for year, wanted in (("99", "990102\n990103\n"), ("01", '"010102"\n"010103"\n')):
        source = tmp_path / f"{year}.csv"
        source.write_text(f"n,date\n1,{year}0102\n2,{year}0103\n")
        data = read(source)
        assert data.schema.table().column("date").kind == "datetime"
        write(data, tmp_path / "again.csv")
        lines = (tmp_path / "again.csv").read_text().splitlines()[1:]
        assert "".join(f"{line.split(',')[1]}\n" for line in lines) == wanted
