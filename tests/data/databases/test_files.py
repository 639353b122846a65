"""SQLite and DuckDB files: the bank in and out, keys of every sort, values of the wrong sort."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from tests.data.databases.berka import COLUMNS, bank
from tests.data.databases.test_postgres import PEOPLE, people
from tests.data.postgres_server import Server
from understudy.data import Dataset, read, write
from understudy.data.databases import write_database
from understudy.errors import ConstraintError, SourceError
from understudy.schema import ForeignKey, Identifier, Number, Range, Schema, Table, Unique


@pytest.mark.parametrize("name", ["bank.sqlite", "bank.duckdb"])
def test_the_bank_into_a_file_and_out_again(
    tmp_path: Path, real_data: Callable[[str], Path], name: str
) -> None:
    given = bank(real_data("berka"))
    assert write(given, tmp_path / name) == tmp_path / name
    found = read(tmp_path / name)
    assert {spec.name for spec in found.schema.tables} == set(COLUMNS)
    for spec in given.schema.tables:
        other = found.schema.table(spec.name)
        assert other.primary_key == spec.primary_key
        assert set(other.foreign_keys) == set(spec.foreign_keys)
        assert [c.nullable for c in other.columns] == [c.nullable for c in spec.columns]
        assert len(other.checks) == len(spec.checks) + (spec.name == "card" and "sql" in name)
        for column in spec.column_names:
            # SQLite keeps rows in the order of a whole key.
            order = [(spec.primary_key[0], "ascending")]
            ours, theirs = (
                data.tables[spec.name].sort_by(order)[column] for data in (given, found)
            )
            assert theirs.cast(ours.type).equals(ours), (spec.name, column)
    assert found.schema.table("loan").column("status").levels == ("A", "B", "C", "D")
    assert found.schema.table("card").column("type").levels == ("junior", "classic", "gold")
    again = tmp_path / f"again-{name}"
    write(found, again)
    copy = read(again)
    for spec in found.schema.tables:
        assert copy.schema.table(spec.name) == spec
        assert copy.tables[spec.name].equals(found.tables[spec.name])


def test_a_bank_from_postgres_moves_into_files(
    postgres: Server, tmp_path: Path, real_data: Callable[[str], Path]
) -> None:
    """PostgreSQL's own spelling of checks and enumerations holds in the other two."""
    write_database(bank(real_data("berka")), postgres.url(), "moving")
    found = read(postgres.url(schema="moving"))
    for name in ("moved.sqlite", "moved.duckdb"):
        write(found, tmp_path / name)
        moved = read(tmp_path / name)
        loan = moved.schema.table("loan")
        assert Range(column="duration", minimum=12, maximum=60) in loan.constraints
        assert len(loan.checks) == 4
        broken = found.tables["loan"].set_column(4, "duration", pa.array([13] * 682, pa.int16()))
        tables = {**found.tables, "loan": broken}
        with pytest.raises(ConstraintError, match=r"duration.*% 12.* is broken by 682 of 682"):
            write(Dataset(found.schema, tables), tmp_path / f"no-{name}")
        assert not (tmp_path / f"no-{name}").exists()


@pytest.mark.parametrize("name", ["p.sqlite", "p.duckdb"])
def test_broken_rules_are_counted(tmp_path: Path, name: str) -> None:
    cases = {
        r"the primary key": people([1, 2, 2], [None] * 3, [20] * 3),
        r"the foreign key": people([1, 2, 3], [None, 9, None], [20] * 3),
        r"the check": people([1, 2, 3], [None] * 3, [20, 1, None]),
    }
    for said, rows in cases.items():
        with pytest.raises(ConstraintError, match=f"{said} .* is broken by 1 of 3"):
            write(rows, tmp_path / name)
        assert list(tmp_path.iterdir()) == []
    missing = pa.table({"id": pa.array([1, None], pa.int32()), "boss": [1, 1], "age": [30, 30]})
    with pytest.raises(ConstraintError, match=r"column 'id' .* 1 of 2 rows have none"):
        write(Dataset.single(PEOPLE, missing), tmp_path / name)


def test_text_that_engines_leave_empty_is_empty_where_it_has_to_be_there(
    postgres: Server, tmp_path: Path
) -> None:
    postgres.run(
        "CREATE SCHEMA notes",
        """CREATE TABLE notes.n (note text NOT NULL, doc jsonb NOT NULL, tags text[] NOT NULL,
           raw bytea NOT NULL, maybe json, x int)""",
        """INSERT INTO notes.n SELECT 'a note of more than five words, number ' || g, '{"a": 1}',
           ARRAY['a'], '\\x01', '[]', g % 3 FROM generate_series(1, 50) g""",
    )
    found = read(postgres.url(schema="notes"))
    texts = [c.name for c in found.schema.table().of_kind("text")]
    assert texts == ["note", "doc", "tags", "raw", "maybe"]
    table = found.table
    for name in texts:
        place = table.column_names.index(name)
        table = table.set_column(place, name, pa.nulls(50, pa.string()))
    for target in (postgres.url(schema="blank"), tmp_path / "t.duckdb", tmp_path / "t.sqlite"):
        write(Dataset.single(found.schema, table), target)
        assert read(target).num_rows == 50
    query = "SELECT DISTINCT note, doc::text, tags::text, raw::text, maybe::text FROM blank.n"
    assert postgres.rows(query) == [("", "{}", "{}", "\\x", None)]


@pytest.mark.parametrize("name", ["p.sqlite", "p.duckdb"])
def test_tables_that_point_round_a_circle(tmp_path: Path, name: str) -> None:
    def table(name: str, other: str) -> Table:
        columns = (Identifier(name="id", nullable=False), Identifier(name="other"))
        key = ForeignKey(columns=("other",), table=other, references=("id",))
        return Table(name=name, columns=columns, primary_key=("id",), foreign_keys=(key,))

    schema = Schema(tables=(table("a", "b"), table("b", "a")))
    rows = pa.table({"id": [1, 2], "other": [2, 1]})
    write(Dataset(schema, {"a": rows, "b": rows}), tmp_path / name)
    found = read(tmp_path / name)
    kept = [key.table for spec in found.schema.tables for key in spec.foreign_keys]
    assert kept == (["b", "a"] if "sqlite" in name else ["a"])
    assert all(found.tables[spec.name].equals(rows) for spec in schema.tables)
    wrong = pa.table({"id": [1, 2], "other": [2, 3]})
    with pytest.raises(ConstraintError, match=r"the foreign key .* is broken by 1 of 2"):
        write(Dataset(schema, {"a": wrong, "b": rows}), tmp_path / f"wrong-{name}")


def test_a_file_that_exists_is_left_alone(tmp_path: Path) -> None:
    for name in ("a.sqlite", "a.duckdb"):
        (tmp_path / name).write_bytes(b"mine")
        with pytest.raises(SourceError, match=r"exists\. Give the name of a new file"):
            write(people([1], [None], [20]), tmp_path / name)
        assert (tmp_path / name).read_bytes() == b"mine"
        with pytest.raises(SourceError):
            read(tmp_path / name)
        with pytest.raises(SourceError, match=f"Did you mean '{name}'"):
            read(tmp_path / name.replace("a.", "aa."))


SHOP = """
CREATE TABLE Customer (id INTEGER PRIMARY KEY, mail TEXT UNIQUE, born DATE, seen DATETIME,
  vip BOOLEAN NOT NULL DEFAULT 0, score DECIMAL(5,2) CHECK (score BETWEEN 0 AND 100),
  anything, photo BLOB, grade VARCHAR(1) CHECK (grade IN ('A', 'B')));
CREATE TABLE line (customer INT REFERENCES customer, place INT, "odd name" REAL,
  before INT, after INT, PRIMARY KEY (customer, place), CHECK (before <= after));
CREATE TABLE gift (customer INT, place INT, day DATE,
  FOREIGN KEY (customer, place) REFERENCES LINE);
INSERT INTO Customer VALUES
  (1, 'a@b.org', '2020-01-01', '2020-01-01 10:00:00', 1, 1.25, 7, x'01ff', 'A'),
  (2, 'c@d.org', NULL, '2020-01-02 10:00:00.5', 0, 100, 'seven', NULL, 'B');
INSERT INTO line VALUES (1, 1, 1.5, 1, 2), (1, 2, NULL, 2, 2);
INSERT INTO gift VALUES (1, 1, '01/02/2020'), (NULL, 2, '2020-02-30');
"""


def test_what_sqlite_keeps_is_read_as_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "shop.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript(SHOP)
    connection.close()
    found = read(f"sqlite:///{path}")
    customer, line, gift = found.schema.tables
    rows = found.tables["Customer"].to_pylist()
    assert [str(r["seen"]) for r in rows] == ["2020-01-01 10:00:00", "2020-01-02 10:00:00.500000"]
    assert [r["vip"] for r in rows] == [True, False]
    assert [r["anything"] for r in rows] == ["7", "seven"]
    assert [r["photo"] for r in rows] == ["01FF", None]
    assert customer.column("born").kind == "datetime"
    assert customer.column("score").decimals == 2
    assert customer.column("grade").levels == ("A", "B")
    assert set(customer.constraints) == {
        Range(column="score", minimum=0, maximum=100),
        Unique(columns=("mail",)),
    }
    assert not customer.column("vip").nullable
    assert customer.column("id").nullable is False
    # Keys name their tables and columns in any spelling, or not at all.
    assert line.foreign_keys == (
        ForeignKey(columns=("customer",), table="Customer", references=("id",)),
    )
    assert line.primary_key == ("customer", "place")
    assert gift.foreign_keys[0].references == ("customer", "place")
    # No such days: text, as SQLite keeps them.
    assert found.tables["gift"]["day"].to_pylist() == ["01/02/2020", "2020-02-30"]
    assert gift.column("day").kind == "category"


def test_what_duckdb_declares(tmp_path: Path) -> None:
    path = tmp_path / "d.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("""CREATE TABLE t (id INTEGER PRIMARY KEY, e ENUM('x', 'y'),
            n DECIMAL(12,2) CHECK (n > 0), i INTERVAL, t TIMESTAMPTZ, l INTEGER[], u UUID,
            h HUGEINT, w DECIMAL(9,0), UNIQUE (n, e))""")
        connection.execute("COMMENT ON TABLE t IS 'all sorts'")
        connection.execute("""INSERT INTO t VALUES (1, 'x', 1.5, INTERVAL 3 DAY,
            '2020-01-01 10:00+02', [1, 2], uuid(), 7, 9)""")
    found = read(f"duckdb:///{path}")
    spec, row = found.schema.table(), found.table.to_pylist()[0]
    assert spec.comment == "all sorts"
    assert spec.column("e").levels == ("x", "y")
    assert set(spec.constraints) == {Range(column="n", minimum=0.01), Unique(columns=("n", "e"))}
    assert row["i"].days == 3
    assert row["t"].isoformat() == "2020-01-01T08:00:00+00:00"
    assert row["l"] == "[1, 2]"
    assert row["w"] == 9
    write(found, tmp_path / "again.duckdb")
    again = read(tmp_path / "again.duckdb")
    assert again.schema == found.schema
    assert again.table.equals(found.table)


def test_a_dataset_without_sql_becomes_one(postgres: Server, tmp_path: Path) -> None:
    """Types follow from the cells where nothing was declared."""
    table = pa.table(
        {
            "id": pa.array(range(30), pa.uint32()),
            "big": pa.array([2**64 - 1] * 30, pa.uint64()),
            "flag": [True, None, False] * 10,
            "x": [0.1, 0.2, None] * 10,
            "text": ["it's", 'a "b"', None] * 10,
            "day": pa.array([18000] * 30, pa.int32()).cast(pa.date32()),
            "at": pa.array([1] * 30, pa.timestamp("ns", "Europe/Berlin")),
            "took": pa.array([1_500_000] * 30, pa.duration("us")),
        }
    )
    dataset = read(table)
    for target in (tmp_path / "t.sqlite", tmp_path / "t.duckdb", postgres.url(schema="untyped")):
        write(dataset, target)
        back = read(target).table
        assert back["text"].to_pylist() == table["text"].to_pylist()
        assert back["x"].to_pylist() == table["x"].to_pylist()
        assert back["flag"].to_pylist() == table["flag"].to_pylist()
        assert str(back["day"][0]) == "2019-04-14"
        assert back["at"].type.tz == "UTC"
        if "sqlite" not in str(target):
            assert back["took"].equals(table["took"])
            assert int(back["big"][0].as_py()) == 2**64 - 1


def test_a_schema_of_ones_own_is_laid_over_the_tables(tmp_path: Path) -> None:
    write(people([1, 2], [None, 1], [20, 30]), tmp_path / "p.sqlite")
    age = Number(name="age", integer=True)
    schema = Schema(tables=(Table(name="people", columns=(age,)),))
    found = read(tmp_path / "p.sqlite", schema=schema)
    assert found.table.column_names == ["age"]
    assert found.schema == schema
