"""A bundle is whole or absent, and leaves only on a PASS or a stamped reason."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.release import fake_run
from understudy.errors import ReleaseError
from understudy.release import bundle


def failed() -> dict[str, Any]:
    run = fake_run.run()
    run["verdict"] = {"ruling": "FAIL", "because": "Do not release: copies.", "lines": []}
    return run


def test_a_bundle_holds_data_and_papers_with_true_hashes(tmp_path: Path) -> None:
    files = bundle.build(tmp_path / "bundle", fake_run.synthetic(), fake_run.run())
    names = [file.relative_to(tmp_path / "bundle").as_posix() for file in files]
    assert names == ["data/people.parquet", "certificate.json", "card.md", "report.html"]
    assert all(file.is_file() for file in files)
    paper = json.loads(files[1].read_text(encoding="utf-8"))
    (listed,) = paper["provenance"]["files"]
    assert listed["sha256"] == hashlib.sha256(files[0].read_bytes()).hexdigest()
    assert listed["rows"] == fake_run.ROWS
    assert paper["verdict"] == {
        "ruling": "PASS",
        "because": fake_run.run()["verdict"]["because"],
        "override": None,
    }
    assert pq.read_table(files[0]).equals(fake_run.synthetic().table)
    assert [path.name for path in tmp_path.iterdir() if path.name != "home"] == ["bundle"]


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    first = bundle.build(tmp_path / "a", fake_run.synthetic(), fake_run.run())
    second = bundle.build(tmp_path / "b", fake_run.synthetic(), fake_run.run())
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in second]


@pytest.mark.parametrize("verdict", ["FAIL", "INCONCLUSIVE", None])
def test_a_run_that_did_not_pass_is_refused(tmp_path: Path, verdict: str | None) -> None:
    run = failed()
    run["verdict"] = {**run["verdict"], "ruling": verdict} if verdict else None
    for reason in (None, "", "  "):
        with pytest.raises(ReleaseError, match="may not be bundled"):
            bundle.build(tmp_path / "bundle", fake_run.synthetic(), run, override=reason)
    assert not (tmp_path / "bundle").exists()


def test_an_override_is_stamped_everywhere(tmp_path: Path) -> None:
    files = bundle.build(
        tmp_path / "bundle", fake_run.synthetic(), failed(), override="inside the ward only"
    )
    for paper in files[1:]:
        assert "inside the ward only" in paper.read_text(encoding="utf-8")


def test_a_bundle_that_breaks_off_leaves_nothing_and_keeps_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "bundle"
    bundle.build(target, fake_run.synthetic(), fake_run.run())
    before = (target / "report.html").read_bytes()

    def broken(*args: Any, **kwargs: Any) -> str:
        raise OSError("no space left")

    monkeypatch.setattr(bundle, "render", broken)
    with pytest.raises(OSError, match="no space"):
        bundle.build(target, fake_run.synthetic(), fake_run.run())
    assert (target / "report.html").read_bytes() == before
    assert not list(tmp_path.glob(".bundle*"))


def test_files_are_taken_without_the_metadata_of_a_frame_library(tmp_path: Path) -> None:
    table = fake_run.synthetic().table.replace_schema_metadata({"pandas": "index of real rows"})
    source = tmp_path / "synthetic"
    source.mkdir()
    pq.write_table(table, source / "people.parquet")
    for data in (source, source / "people.parquet"):
        files = bundle.build(tmp_path / "bundle", data, fake_run.run())
        assert pq.read_schema(files[0]).metadata is None
        assert b"index of real rows" not in files[0].read_bytes()


def test_missing_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="no Parquet files"):
        bundle.build(tmp_path / "bundle", tmp_path / "nowhere.parquet", fake_run.run())


def test_rows_of_every_arrow_type_are_bundled(tmp_path: Path) -> None:
    from datetime import UTC, date, datetime, timedelta
    from decimal import Decimal

    from understudy.data.dataset import Dataset
    from understudy.schema import Boolean, Datetime, Duration, Number, one_table

    columns: dict[str, pa.Array] = {
        "big": pa.array([2**60 + 1, None], pa.int64()),
        "exact": pa.array([Decimal("1.10"), None], pa.decimal128(10, 2)),
        "empty": pa.array([None, None], pa.float64()),
        "flag": pa.array([True, None]),
        "day": pa.array([date(2020, 1, 1), date(2021, 1, 1)]),
        "instant": pa.array([datetime(2020, 1, 1, tzinfo=UTC), None], pa.timestamp("us", "UTC")),
        "span": pa.array([timedelta(1), timedelta(2)]),
    }
    kinds = [Number, Number, Number, Boolean, Datetime, Datetime, Duration]
    schema = one_table(
        "people", [kind(name=name) for kind, name in zip(kinds, columns, strict=True)]
    )
    data = Dataset.single(schema, pa.table(columns))
    run = {**fake_run.run(), "schema": schema.model_dump(mode="json")}
    files = bundle.build(tmp_path / "bundle", data, run)
    assert pq.read_table(files[0]).equals(data.table)
