"""Processes that die by SIGKILL at a chosen line of the code under test."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

PURE = (
    *("keyed", "_code", "_end", "_polite", "read_head", "read_key", "entry", "entries"),
    *("<genexpr>", "<listcomp>"),
)
"""Functions that change no file: a kill inside is a kill at their caller's line."""

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes")


def killed_at(line: int, files: tuple[str, ...], work: Callable[[], object]) -> bool:
    """Does `work` in a process that is killed before it runs the `line`-th line of `files`.

    False when it came to its end before that. `files` are modules of `understudy.privacy`.
    """
    child = os.fork()
    if child == 0:
        try:
            sys.settrace(_killer(line, files))
            work()
            sys.settrace(None)
            os._exit(0)
        except BaseException:
            os._exit(99)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.waitstatus_to_exitcode(status) == 0, "the work itself failed"
    return False


def _killer(line: int, files: tuple[str, ...]) -> Any:
    left = line
    watched = tuple(os.path.join("understudy", "privacy", f"{name}.py") for name in files)

    def lines(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        if event == "line":
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
        return lines

    def calls(frame: FrameType, event: str, _: object) -> Any:
        code = frame.f_code
        return lines if code.co_filename.endswith(watched) and code.co_name not in PURE else None

    return calls
