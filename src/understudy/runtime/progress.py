"""Progress as events: work reports what it does, whoever listens decides how it looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class ProgressEvent:
    """`done` of `total` units of `step` (total 0: unknown); `note` is for people."""

    step: str
    done: float
    total: float
    note: str = ""


class Progress(Protocol):
    """Anything that takes events: a terminal bar, plain lines, a notebook, nothing."""

    def __call__(self, event: ProgressEvent) -> None: ...


def silent(event: ProgressEvent) -> None:
    """Listens to nothing."""
