"""Files, folders and standard input: found, told apart, and refused with a reason."""

from __future__ import annotations

import gzip
import io
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from understudy.data import read
from understudy.data.files import table_name
from understudy.errors import SourceError

TEXT = "id,city\n" + "".join(f"{i},{'Oslo' if i % 3 else 'Rome'}\n" for i in range(30))


@pytest.mark.parametrize("name", ["t.csv", "t.CSV", "t.tsv", "t.txt", "t.csv.gz"])
def test_csv_by_its_endings(tmp_path: Path, name: str) -> None:
    raw = TEXT.replace(",", "\t").encode() if name.endswith("tsv") else TEXT.encode()
    (tmp_path / name).write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    data = read(tmp_path / name)
    assert data.schema.table().name == "t"
    assert data.table.column_names == ["id", "city"]
    assert data.table.num_rows == 30


def test_parquet_keeps_its_types_and_its_text(tmp_path: Path) -> None:
    table = pa.table(
        {
            "small": pa.array([1, 2, None], pa.int8()),
            "digits": ["10", "20", "30"],
            "label": pa.array(["a", "b", "a"]).dictionary_encode(),
            "big": pa.array(["x", "?", "y"], pa.large_string()),
            "x": [0.5, float("nan"), 1.5],
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    found = read(tmp_path / "t.parquet", nulls=["?"]).table
    assert found.schema.field("small").type == pa.int8()
    assert found["digits"].to_pylist() == ["10", "20", "30"]
    assert found["label"].to_pylist() == ["a", "b", "a"]
    assert found["big"].to_pylist() == ["x", None, "y"]
    assert found["x"].to_pylist() == [0.5, None, 1.5]


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    class Piped:
        buffer = io.BytesIO(TEXT.encode())

    monkeypatch.setattr(sys, "stdin", Piped)
    data = read("-")
    assert data.schema.table().name == "stdin"
    assert data.num_rows == 30


def test_a_folder_is_a_table_a_file(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text(TEXT)
    pq.write_table(pa.table({"x": [1, 2]}), tmp_path / "more.pq")
    (tmp_path / "notes.md").write_text("no table")
    (tmp_path / ".hidden.csv").write_text("no,table")
    data = read(tmp_path)
    assert [spec.name for spec in data.schema.tables] == ["more", "people"]


def test_two_files_of_one_table_are_refused(tmp_path: Path) -> None:
    for name in ("t.csv", "t.tsv"):
        (tmp_path / name).write_text(TEXT)
    with pytest.raises(SourceError, match="two files for table 't'"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv.gz", b"no gzip", "cannot be read"),
        ("t.csv.gz", gzip.compress(TEXT.encode())[:-12], "cannot be read"),
        ("t.parquet", b"PAR1", "no readable Parquet file"),
        ("t.xlsx", b"PK", "neither CSV nor Parquet by its name. Known endings: .csv"),
    ],
)
def test_damaged_and_unknown_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=message):
        read(tmp_path / name)


def test_a_gzip_file_with_damage_inside(tmp_path: Path) -> None:
    raw = bytearray(gzip.compress(TEXT.encode() * 50))
    raw[20:60] = b"\xff" * 40
    (tmp_path / "t.csv.gz").write_bytes(raw)
    with pytest.raises(SourceError, match="cannot be read"):
        read(tmp_path / "t.csv.gz")


def test_a_missing_file_is_answered_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "patients.csv").write_text(TEXT)
    with pytest.raises(SourceError, match=r"no file .*patient.csv'. Did you mean 'patients.csv'"):
        read(tmp_path / "patient.csv")
    with pytest.raises(SourceError, match="There is nothing in"):
        read(tmp_path / "none" / "patient.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="holds no CSV or Parquet file"):
        read(tmp_path / "empty")


def test_empty_parquet_tables_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), tmp_path / "a.parquet")
    with pytest.raises(SourceError, match="a header and no rows"):
        read(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("path", "name"),
    [("a/b/accounts.csv.gz", "accounts"), ("x.PARQUET", "x"), ("v1.2.csv", "v1.2"), ("a.b", "a")],
)
def test_table_names(path: str, name: str) -> None:
    assert table_name(Path(path)) == name
