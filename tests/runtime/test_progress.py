"""Progress: events for whoever listens, one plain line a step where there is no terminal."""

from __future__ import annotations

import io
import sys

import pytest

from understudy.cli.progress import shown
from understudy.runtime.progress import ProgressEvent, silent


def _report(listener: object) -> None:
    for step in ("fit", "sample"):
        for done in range(3):
            listener(ProgressEvent(step, done, 2, "columns"))  # type: ignore[operator]


def test_elsewhere_a_step_is_one_line_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with shown() as progress:
        _report(progress)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == ["fit ...", "sample ..."]


def test_on_a_terminal_there_is_a_bar_with_a_time_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with shown() as progress:
        _report(progress)
    drawn = terminal.getvalue()
    assert "fit" in drawn
    assert "sample" in drawn
    assert "0:00:0" in drawn


def test_silent_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    _report(silent)
    assert capsys.readouterr() == ("", "")
