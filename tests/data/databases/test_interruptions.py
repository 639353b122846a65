"""Killed while writing, cut off while reading, and tables larger than the memory allowed."""

from __future__ import annotations

import errno
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from tests.data.postgres_server import Server, running
from understudy.data import read
from understudy.data.databases import read_database, write_database
from understudy.data.databases.catalogue import FoundTable
from understudy.data.databases.postgres import PostgresReader
from understudy.errors import SourceError

WRITES = """
import sys, time
import pyarrow as pa
from understudy.data import read
from understudy.data.databases import {module}, write_database
rows = pa.table({{"a": range(1000)}})
dataset = read({{"first": rows, "second": rows}})
kept, calls = {module}.{function}, []
def halted(*args):
    calls.append(1)
    if len(calls) == 2:
        print("half-way", flush=True)
        time.sleep(60)
    return kept(*args)
{module}.{function} = halted
write_database(dataset, sys.argv[1])
"""


def killed_half_way(module: str, function: str, url: str) -> None:
    script = WRITES.format(module=module, function=function)
    child = subprocess.Popen([sys.executable, "-c", script, url], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "half-way\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()


def test_a_killed_writer_leaves_no_schema(postgres: Server) -> None:
    url = postgres.url(schema="killed")
    killed_half_way("postgres_writing", "_stage", url)
    for _ in range(100):  # the server notices the broken connection at its next look
        if postgres.rows("SELECT count(*) FROM pg_stat_activity WHERE datname IS NOT NULL") == [
            (1,)
        ]:
            break
        time.sleep(0.05)
    assert not postgres.has_schema("killed")
    write_database(read_database(_small(postgres)), url)
    assert postgres.has_schema("killed")


def _small(server: Server) -> str:
    server.run(
        "CREATE SCHEMA small", "CREATE TABLE small.t (a int)", "INSERT INTO small.t VALUES (1)"
    )
    return server.url(schema="small")


@pytest.mark.parametrize(
    ("module", "function", "name"),
    [("sqlite_writing", "_load", "made.sqlite"), ("duckdb_writing", "quoted", "made.duckdb")],
)
def test_a_killed_writer_leaves_no_file(
    tmp_path: Path, module: str, function: str, name: str
) -> None:
    path = tmp_path / name
    killed_half_way(module, function, str(path))
    assert not path.exists()
    write_database(read(pa.table({"a": [1, 2, 3, 4, 9]})), path)
    assert [found.name for found in tmp_path.iterdir()] == [name]
    assert read_database(path).num_rows == 5


def test_a_server_that_goes_away_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("adbc_driver_postgresql")
    kept = PostgresReader.batches
    with running() as server:
        server.run(
            "CREATE TABLE t AS SELECT g, repeat('x', 200) x FROM generate_series(1, 200000) g"
        )

        def stopping(self: PostgresReader, table: FoundTable) -> Iterator[pa.RecordBatch]:
            for batch in kept(self, table):
                yield batch
                if (server.folder / "data" / "postmaster.pid").exists():
                    server.stop()

        monkeypatch.setattr(PostgresReader, "batches", stopping)
        secret = f"{server.url(user='postgres')}&password=geheim"
        with pytest.raises(SourceError, match=r"table 't' of .* could not be read") as caught:
            read_database(secret, tmp_path / "into")
        assert "geheim" not in str(caught.value)
        assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_and_leaves_nothing(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def __init__(self, *_: object) -> None:
            pass

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def write_batch(self, _: pa.RecordBatch) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    postgres.run(
        "CREATE SCHEMA filling", "CREATE TABLE filling.t AS SELECT generate_series(1, 99999) x"
    )
    monkeypatch.setattr(pa.ipc, "new_file", Full)
    with pytest.raises(SourceError, match=r"No space left on device\. .* MiB are free"):
        read_database(postgres.url(schema="filling"), tmp_path / "into")
    assert list(tmp_path.iterdir()) == []


def test_all_tables_are_of_one_moment(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What others commit while the first table is read is in neither."""
    postgres.run(
        "CREATE SCHEMA moment",
        "CREATE TABLE moment.a AS SELECT 1 AS x",
        "CREATE TABLE moment.b AS SELECT 1 AS x",
    )
    kept = PostgresReader.batches

    def meddled(self: PostgresReader, table: FoundTable) -> Iterator[pa.RecordBatch]:
        yield from kept(self, table)
        if table.name == "a":
            postgres.run("INSERT INTO moment.a VALUES (2)", "INSERT INTO moment.b VALUES (2)")

    monkeypatch.setattr(PostgresReader, "batches", meddled)
    found = read_database(postgres.url(schema="moment"), tmp_path / "into")
    assert {name: table.num_rows for name, table in found.tables.items()} == {"a": 1, "b": 1}


def test_nothing_can_be_changed_while_reading(postgres: Server) -> None:
    from understudy.data.databases.postgres import connected
    from understudy.data.databases.url import parse_url

    url = parse_url(postgres.url())
    with connected(url) as connection:
        reader = PostgresReader(url, connection)
        with pytest.raises(SourceError, match="read-only transaction"):
            reader._run("CREATE TABLE forbidden (x int)")


def test_a_folder_with_something_in_it_is_not_written_to(postgres: Server, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(SourceError, match="is not an empty folder"):
        read_database(postgres.url(schema="pg_catalog"), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


MEASURES = """
import json, sys, threading, time
from pathlib import Path
import pyarrow as pa
from understudy.data.databases import read_database

def private_memory():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))

read_database(sys.argv[1] + "&schema=warm")
before, peak, done = private_memory(), [0], []
def watch():
    while not done:
        peak[0] = max(peak[0], private_memory())
        time.sleep(0.002)
watcher = threading.Thread(target=watch)
watcher.start()
found = read_database(sys.argv[1] + "&schema=large", Path(sys.argv[2]))
done.append(1)
watcher.join()
print(json.dumps({
    "rows": found.num_rows, "bytes": sum(t.nbytes for t in found.tables.values()),
    "arrow": pa.default_memory_pool().max_memory(), "private": peak[0] - before,
}))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_a_streamed_table_takes_little_memory(postgres: Server, tmp_path: Path) -> None:
    """190 MB of rows pass through less than a third of that, whoever allocates it."""
    postgres.run(
        "CREATE SCHEMA warm",
        "CREATE TABLE warm.t AS SELECT 1 AS x",
        "CREATE SCHEMA large",
        """CREATE TABLE large.t AS SELECT g AS id, g % 7 AS few, random() AS x,
           (random() * 1000)::numeric(10, 2) AS amount, repeat('label ', 150) || g % 5 AS label
           FROM generate_series(1, 200000) g""",
    )
    command = [sys.executable, "-c", MEASURES, postgres.url(), str(tmp_path / "into")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["rows"] == 200_000
    assert found["bytes"] > 180e6
    assert found["arrow"] < 40e6
    assert found["private"] < found["bytes"] / 3
