"""What a secure random number costs beside numpy's generator and torch's, in the same process.

The target is at most twice either. One thread and CPU time; the generators take turns, so that a
busy machine slows all alike, and the median over rounds of the ratio is shown.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.measure import table
from understudy.privacy.noise import SecureNoise

ROUNDS = 101
SIZES = (1_000, 117_348, 1_000_000)
"""The counts of a table; the weights of a small net; a wide workload."""
LEAST = 100_000
"""Small draws are repeated up to so many numbers, or the clock could not see them."""
OURS = "AES-256-CTR, float64"
Draw = Callable[[int], Any]


def run() -> None:
    draws = generators()
    rows = []
    for size in SIZES:
        spent: dict[str, list[float]] = {name: [] for name in draws}
        for _ in range(ROUNDS):
            for name, draw in draws.items():
                spent[name].append(nanoseconds_each(draw, size))
        for name, rounds in spent.items():
            ratios = (ours / theirs for ours, theirs in zip(spent[OURS], rounds, strict=True))
            row = f"{size:,}", name, f"{statistics.median(rounds):.1f}"
            rows.append([*row, f"{statistics.median(ratios):.2f}"])
    header = ["numbers a call", "generator", "ns each", "secure / this"]
    table(f"Standard normals, median of {ROUNDS} rounds", header, rows)


def nanoseconds_each(draw: Draw, size: int) -> float:
    repeats = max(1, LEAST // size)
    started = time.process_time_ns()
    for _ in range(repeats):
        draw(size)
    return (time.process_time_ns() - started) / (repeats * size)


def generators() -> dict[str, Draw]:
    found: dict[str, Draw] = {
        OURS: SecureNoise().normals,
        "numpy PCG64, float64": np.random.default_rng(0).standard_normal,
    }
    try:
        import torch
    except ModuleNotFoundError:
        print("torch is not installed: no comparison with torch.randn.")
        return found
    torch.set_num_threads(1)
    return {**found, "torch.randn, float32": torch.randn}


if __name__ == "__main__":
    run()
