"""Killed at any moment and run again, a run ends in the bytes of one that was never interrupted.

The date a run was started on is given from outside (SOURCE_DATE_EPOCH); `run.sqlite`, which records
when steps ran and is not part of the result, is set aside.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

STEPS = ("fit", "sample", "evaluate", "attack", "decide", "report", "bundle")


def _command(source: Path, out: Path, threads: int) -> list[str]:
    words = ["run", str(source), "--no-dp", "--target", "y", "--seed", "3", "--out", str(out)]
    return [sys.executable, "-m", "understudy", *words, "--threads", str(threads)]


def _run(source: Path, out: Path, threads: int = 1, **environment: str) -> int:
    done = subprocess.run(
        _command(source, out, threads), capture_output=True, env={**os.environ, **environment}
    )
    return done.returncode


def _content(folder: Path) -> dict[str, bytes]:
    """Every file of a run by name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith("run.sqlite")
    }


@pytest.fixture(scope="module", autouse=True)
def _date() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", "1700000000")
        yield


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 rows of four columns, one of them an identifier."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=600)
    lines = ["id,x,c,y"]
    for i in range(600):
        label = "yes" if x[i] + rng.normal() > 0 else "no"
        lines.append(f"{1000 + i * 3},{x[i]:.2f},{'abc'[int(rng.integers(3))]},{label}")
    path = tmp_path_factory.mktemp("source") / "small.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def whole(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The content of a run that nothing interrupted."""
    out = tmp_path_factory.mktemp("whole") / "run"
    assert _run(source, out) in (0, 3, 4)
    return _content(out)


def test_a_run_leaves_what_it_says(whole: dict[str, bytes]) -> None:
    names = set(whole)
    assert {"plan.yaml", "report.html", "scorecard.json", "synthetic/small.parquet"} <= names
    assert not [name for name in names if name.endswith(".part")]


def test_killed_after_every_step_in_turn(
    source: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    """One folder, seven kills: each run goes one step further than the one before."""
    out = tmp_path / "run"
    for step in STEPS:
        assert _run(source, out, UNDERSTUDY_CRASH_AFTER=step) == -signal.SIGKILL, step
    assert _run(source, out) in (0, 3, 4)
    assert _content(out) == whole


@pytest.mark.parametrize("step", ["fit", "evaluate"])
def test_killed_in_the_middle_of_a_step(
    source: Path, whole: dict[str, bytes], tmp_path: Path, step: str
) -> None:
    out = tmp_path / "run"
    process = subprocess.Popen(
        _command(source, out, 1), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(step):
            time.sleep(0.05)
            process.kill()
            break
    process.stderr.close()
    assert process.wait() == -signal.SIGKILL
    assert _run(source, out) in (0, 3, 4)
    assert _content(out) == whole


def test_the_number_of_threads_changes_no_byte(
    source: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    assert _run(source, tmp_path / "run", threads=2) in (0, 3, 4)
    assert _content(tmp_path / "run") == whole


def test_a_finished_run_is_not_done_again(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    code = _run(source, out)
    before = {path: path.stat().st_mtime_ns for path in (out / "model").rglob("*")}
    assert _run(source, out) == code
    assert {path: path.stat().st_mtime_ns for path in (out / "model").rglob("*")} == before


def test_after_ctrl_c_the_run_goes_on(
    source: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    code, said = _interrupted(source, out)
    assert code == 130
    assert "Traceback" not in said
    assert _run(source, out) in (0, 3, 4)
    assert _content(out) == whole


def test_ctrl_c_says_how_to_go_on(source: Path, tmp_path: Path) -> None:
    _, said = _interrupted(source, tmp_path / "run")
    assert "Stopped. Finished steps are kept; run the same command again to go on." in said


def _interrupted(source: Path, out: Path) -> tuple[int, str]:
    """Exit code and standard error of a run that gets Ctrl-C while it evaluates."""
    process = subprocess.Popen(
        _command(source, out, 1),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if line.startswith("evaluate"):
            process.send_signal(signal.SIGINT)
    process.stderr.close()
    return process.wait(), said


def test_a_second_process_waits_for_its_turn(source: Path, tmp_path: Path) -> None:
    from understudy.errors import RunFolderError
    from understudy.pipeline.store import RunStore

    first = RunStore(tmp_path / "run", "one")
    with pytest.raises(RunFolderError, match=r"another process is working in .*run"):
        RunStore(tmp_path / "run", "one")
    first.once("fit", lambda: None)
    first.close()
    with pytest.raises(RunFolderError, match="holds another run"):
        RunStore(tmp_path / "run", "two")
    RunStore(tmp_path / "run", "one").close()
