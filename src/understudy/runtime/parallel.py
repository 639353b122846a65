"""The one seam for parallel work: joblib's backends (loky here, Dask or Ray on a cluster).

Tasks are pure functions of their arguments, so results do not depend on the number of workers.
One thread per process unless told otherwise: a second BLAS thread buys 10 % wall time for 75 %
more CPU on models of this size.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


def limit_threads(threads: int = 1) -> None:
    """Caps BLAS and OpenMP threads for this process; call before numpy is first imported."""
    for name in THREAD_VARIABLES:
        os.environ.setdefault(name, str(threads))


@contextmanager
def one_thread() -> Iterator[None]:
    """Holds compiled libraries to one thread in a process that loaded them with more.

    The command line sets the variables before numpy is loaded; a program that imports us has
    loaded it long before.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=int(os.environ.get("OMP_NUM_THREADS", "1"))):
        yield


def cores() -> int:
    """Cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows have no affinity call
        return os.cpu_count() or 1


def run_all(
    task: Callable[..., T],
    arguments: Iterable[tuple[Any, ...]],
    *,
    workers: int = 1,
    threads: bool = False,
) -> list[T]:
    """`[task(*a) for a in arguments]`, in order, on `workers` processes (or threads).

    `threads=True` suits compiled code that releases the lock and large read-only arrays.
    """
    calls = list(arguments)
    if workers <= 1 or len(calls) <= 1:
        return [task(*call) for call in calls]
    from joblib import Parallel, delayed

    prefer = "threads" if threads else None
    return list(Parallel(n_jobs=workers, prefer=prefer)(delayed(task)(*call) for call in calls))
