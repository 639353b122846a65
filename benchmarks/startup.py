"""How long a user waits for `understudy --help`, and what `import understudy` costs."""

from __future__ import annotations

import statistics
import sys

from benchmarks.measure import cost_of, table

RUNS = 7
COMMANDS = {
    "python -c pass (floor)": [sys.executable, "-c", "pass"],
    "import understudy": [sys.executable, "-c", "import understudy"],
    "understudy --help": [sys.executable, "-m", "understudy", "--help"],
}


def run() -> None:
    rows = []
    for name, command in COMMANDS.items():
        costs = [cost_of(command) for _ in range(RUNS)]
        cpu, wall = (statistics.median(c[i] for c in costs) for i in (0, 1))
        rows.append([name, f"{cpu:.2f}", f"{wall:.2f}"])
    table("Start-up, median of 7", ["command", "CPU-s", "wall s"], rows)
