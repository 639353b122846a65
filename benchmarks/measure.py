"""Running one thing in a fresh process and reading what the operating system says it cost."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import NamedTuple


class Cost(NamedTuple):
    """CPU-seconds (user + system), wall seconds and peak memory (MiB) of a whole process."""

    cpu: float
    wall: float
    peak: float
    output: str


def cost_of(command: list[str]) -> Cost:
    """Runs `command`; raises if it fails."""
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} exited with {process.returncode}")
    scale = 1024 if sys.platform != "darwin" else 1024**2
    return Cost(
        usage.ru_utime + usage.ru_stime,
        time.monotonic() - started,
        usage.ru_maxrss / scale,
        output,
    )


def table(title: str, header: list[str], rows: list[list[str]]) -> None:
    """Prints a Markdown table."""
    print(f"\n## {title}\n")
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)
