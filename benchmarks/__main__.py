"""`python -m benchmarks [quality] [scale] [startup] [peers]`: the short tables, or those named.

Speed is CPU-seconds of one process (user + system); the machines these run on are noisy. Peers run
in an environment of their own (see `benchmarks/peers.py`) and only when asked for.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

SHORT = ("startup", "quality", "scale")


def main(names: list[str]) -> None:
    import importlib

    for name in names or SHORT:
        importlib.import_module(f"benchmarks.{name}").run()


if __name__ == "__main__":
    main(sys.argv[1:])
