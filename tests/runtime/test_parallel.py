"""The seam for parallel work: order and results do not hang on the number of workers."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from understudy.runtime.parallel import THREAD_VARIABLES, cores, limit_threads, run_all
from understudy.runtime.random import stream


def _draw(seed: int, shard: int) -> tuple[int, bytes]:
    return shard, stream(seed, "shard", shard).bytes(32)


def _fail(shard: int) -> None:
    raise ValueError(f"shard {shard}")


@pytest.mark.parametrize("threads", [False, True])
def test_two_workers_give_what_one_gives_in_order(threads: bool) -> None:
    calls = [(3, shard) for shard in range(7)]
    alone = run_all(_draw, calls, workers=1)
    assert [shard for shard, _ in alone] == list(range(7))
    assert run_all(_draw, calls, workers=2, threads=threads) == alone


def test_an_iterator_of_calls_is_enough_and_none_is_no_work() -> None:
    assert run_all(_draw, ((1, i) for i in range(2)), workers=1) == [_draw(1, 0), _draw(1, 1)]
    assert run_all(_draw, [], workers=2) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_of_a_task_come_through(workers: int) -> None:
    with pytest.raises(ValueError, match="shard"):
        run_all(_fail, [(0,), (1,)], workers=workers, threads=True)


def test_threads_are_capped_unless_the_user_said_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    limit_threads(2)
    assert os.environ["OMP_NUM_THREADS"] == "5"
    assert os.environ["OPENBLAS_NUM_THREADS"] == "2"


@pytest.mark.parametrize(
    ("arguments", "threads"),
    [
        (["run", "x.csv"], "1"),
        (["run", "--threads", "3"], "3"),
        (["run", "--threads=2"], "2"),
        (["run", "--threads", "many"], "1"),
        (["run", "--threads"], "1"),
    ],
)
def test_the_option_is_read_before_numpy_is(arguments: list[str], threads: str) -> None:
    from understudy.cli import _threads

    assert str(_threads(arguments)) == threads


def test_cores_are_those_this_process_may_use() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system has no affinity call")
    code = (
        "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]);"
        "from understudy.runtime.parallel import cores; print(cores())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"
