"""The diffusion engine on Adult: quality against CPU-seconds, one training a line.

python -m benchmarks.tabdiff [STEPS ...]
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.engines import FIGURES, measured
from benchmarks.measure import table

STEPS = (500, 1_000, 2_000, 4_000)


def run(steps: Sequence[int] = STEPS) -> None:
    rows = [[f"{count:,}", *measured("tabdiff", "adult", steps=count)] for count in steps]
    title = "Quality of the tabdiff engine on adult by training length"
    table(title, ["steps", "CPU-s", *FIGURES], rows)


if __name__ == "__main__":
    run([int(word) for word in sys.argv[1:]] or STEPS)
