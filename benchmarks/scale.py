"""One million rows by twenty columns: fit, sampling rate, peak memory against the data's size."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.measure import cost_of, table
from benchmarks.tables import million


def run() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "million.parquet"
        grown = million()
        pq.write_table(grown, path)
        size = grown.nbytes / 2**20
        del grown
        reading = cost_of([sys.executable, "-m", "benchmarks.scale", "read", str(path)])
        cost = cost_of([sys.executable, "-m", "benchmarks.scale", "make", str(path)])
    found = json.loads(cost.output)
    table(
        "One million rows by twenty columns",
        ["data MiB", "fit CPU-s", "fit wall s (2 workers)", "sampling rows / CPU-s", "peak MiB",
         "peak of reading alone", "above reading, x data"],
        [[
            f"{size:.0f}", f"{found['fit_cpu']:.0f}", f"{found['fit_wall']:.0f}",
            f"{found['rate']:,.0f}", f"{cost.peak:.0f}", f"{reading.peak:.0f}",
            f"{(cost.peak - reading.peak) / size:.1f}",
        ]],
    )  # fmt: skip


def make(path: str) -> None:
    from understudy.data import read
    from understudy.runtime.parallel import cores
    from understudy.synthesizers.tabular.tree import TreeSynthesizer

    data = read(path)
    cpu, wall = time.process_time(), time.monotonic()
    model = TreeSynthesizer(target="income", workers=min(2, cores())).fit(data)
    fit_cpu, fit_wall = time.process_time() - cpu, time.monotonic() - wall
    cpu = time.process_time()
    model.sample(data.num_rows)
    rate = data.num_rows / (time.process_time() - cpu)
    print(json.dumps({"fit_cpu": fit_cpu, "fit_wall": fit_wall, "rate": rate}))


def only_read(path: str) -> None:
    from understudy.data import read

    read(path)


if __name__ == "__main__":
    {"make": make, "read": only_read}[sys.argv[1]](sys.argv[2])
