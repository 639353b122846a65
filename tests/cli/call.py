"""Calling the command line in this process, as a shell would."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from understudy.cli import main


@dataclass(frozen=True)
class Answer:
    """What a shell would see."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Shell:
    """Runs `understudy ...` in `folder`; `files` lists what is there."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *words: str) -> Answer:
        self.monkeypatch.setattr(sys, "argv", ["understudy", *words])
        self.capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as stopped:
            code = int(stopped.code or 0)
        return Answer(code, *self.capsys.readouterr())

    def files(self) -> dict[str, bytes]:
        """Every file and folder under the folder, with its content."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes() if path.is_file() else b"folder"
            for path in sorted(self.folder.rglob("*"))
        }
