"""Progress for people: a bar with a time estimate on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from understudy.runtime.progress import Progress, ProgressEvent


@contextmanager
def shown() -> Iterator[Progress]:
    """A listener for as long as the work lasts; everything goes to standard error."""
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description:<9}"),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Bars(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, Any] = {}

        def show(event: ProgressEvent) -> None:
            if event.step not in tasks:
                for task in tasks.values():
                    bars.update(task, completed=bars.tasks[task].total, note="")
                tasks[event.step] = bars.add_task(event.step, total=event.total or None, note="")
            bars.update(
                tasks[event.step], completed=event.done, total=event.total or None, note=event.note
            )

        yield show


def _lines() -> Progress:
    seen: set[str] = set()

    def show(event: ProgressEvent) -> None:
        if event.step not in seen:
            seen.add(event.step)
            print(f"{event.step} ...", file=sys.stderr, flush=True)

    return show
