"""What a whole audit costs: evaluation and attacks on 50,000 x 15, and on a million x 50 if asked.

python -m benchmarks.audit_speed [--large]
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import pyarrow as pa

from benchmarks.measure import cost_of, table
from understudy.data.dataset import Dataset
from understudy.schema import Category, Number, one_table


def sample(rows: int, columns: int, rng: np.random.Generator) -> Dataset:
    """Two thirds numbers on five hidden factors, one third levels of the same."""
    numbers = 2 * columns // 3
    shape = np.random.default_rng(3)
    loads = shape.normal(size=(5, columns)).astype(np.float32)
    hidden = rng.normal(size=(rows, 5)).astype(np.float32)
    data, kinds = {}, []
    for j in range(columns):
        values = hidden @ loads[:, j] + 0.5 * rng.normal(size=rows).astype(np.float32)
        if j < numbers:
            kinds.append(Number(name=f"x{j}"))
            data[f"x{j}"] = pa.array(values.astype(np.float64))
        else:
            size = 2 + 3 * (j - numbers)
            edges = np.quantile(values, np.linspace(0, 1, size + 1)[1:-1])
            kinds.append(Category(name=f"c{j}"))
            codes = pa.array(np.searchsorted(edges, values).astype(np.int32))
            levels = pa.array([f"level {v}" for v in range(size)])
            data[f"c{j}"] = pa.DictionaryArray.from_arrays(codes, levels).cast(pa.string())
    return Dataset.single(one_table("wide", kinds), pa.table(data))


def judge(rows: int, columns: int) -> None:
    """One audit in this process; prints the CPU-seconds of its two halves."""
    from understudy.attacks import attack
    from understudy.evaluation import evaluate

    rng = np.random.default_rng(0)
    sizes = (rows, max(1, 2 * rows // 7), max(1, rows // 7), rows)
    tables = [sample(size, columns, rng) for size in sizes]
    started = time.process_time()
    evaluate(*tables, seed=0)
    middle = time.process_time()
    attack(*tables, seed=0)
    print(json.dumps({"evaluate": middle - started, "attack": time.process_time() - middle}))


def main(large: bool) -> None:
    rows = []
    for size, columns in ((14_000, 10), (50_000, 15), *([(1_000_000, 50)] if large else [])):
        command = [sys.executable, "-m", "benchmarks.audit_speed", str(size), str(columns)]
        cost = cost_of(command)
        found = json.loads(cost.output.splitlines()[-1])
        rows.append(
            [
                f"{size:,} x {columns}",
                f"{found['evaluate']:.1f}",
                f"{found['attack']:.1f}",
                f"{cost.cpu:.1f}",
                f"{cost.wall:.1f}",
                f"{cost.peak:.0f}",
            ]
        )
    header = ["table", "evaluate CPU-s", "attack CPU-s", "process CPU-s", "wall s", "peak MiB"]
    table("Cost of an audit", header, rows)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        judge(int(sys.argv[1]), int(sys.argv[2]))
    else:
        main("--large" in sys.argv)
