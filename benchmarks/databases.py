"""A bank of a million transactions: `python -m benchmarks.databases FOLDER [ROWS]`.

The Czech bank grown by drawing its accounts with replacement, each with all that hangs from it and
keys of its own; then one fit and one sample as large, in a process of their own.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.measure import cost_of, table
from understudy.data import Dataset
from understudy.data.matching import links, spans
from understudy.data.ownership import entity_of

ROWS = 1_000_000


def grown(dataset: Dataset, rows: int, *, of: str, seed: int) -> Dataset:
    """`dataset` with entities drawn until table `of` has about `rows` rows; whole numbers are keys.

    Tables keep the order of their rows within an entity; reference tables stay as they are.
    """
    entity = {name: np.asarray(found) for name, found in entity_of(dataset).items()}
    count = 1 + max(int(found.max(initial=-1)) for found in entity.values())
    draws = round(rows * count / dataset.tables[of].num_rows)
    drawn = np.random.default_rng(seed).integers(0, count, draws)
    owned = [name for name, found in entity.items() if (found >= 0).all() and len(found)]
    order = {name: np.argsort(entity[name], kind="stable") for name in owned}
    starts = {n: np.searchsorted(entity[n][order[n]], np.arange(count + 1)) for n in owned}
    tables, taken, base, local = dict(dataset.tables), {}, {}, {}
    for name in owned:
        which, at = spans(starts[name][drawn], starts[name][drawn + 1])
        sizes = np.diff(starts[name])[drawn]
        taken[name], base[name] = (which, order[name][at]), np.cumsum(sizes) - sizes
        local[name] = np.empty(len(order[name]), np.int64)
        local[name][order[name]] = np.arange(len(order[name])) - np.repeat(
            starts[name][:-1], np.diff(starts[name])
        )
    for name in owned:
        spec, source = dataset.schema.table(name), dataset.tables[name]
        which, picked = taken[name]
        table = source.take(pa.array(picked))
        for key in spec.primary_key:
            table = _with(table, key, np.arange(1, len(picked) + 1))
        for link in spec.foreign_keys:
            if link.table not in owned:
                continue
            place = np.full(source.num_rows, -1, np.int64)
            found = links(source, dataset.tables[link.table], link)
            place[found.child] = local[link.table][found.parent]
            above = base[link.table][which] + place[picked] + 1
            table = _with(table, link.columns[0], above, place[picked] < 0)
        tables[name] = table
    return Dataset(dataset.schema, tables)


def _with(
    table: pa.Table, name: str, values: np.ndarray, gone: np.ndarray | None = None
) -> pa.Table:  # type: ignore[type-arg]
    place = table.column_names.index(name)
    return table.set_column(place, name, pa.array(values, table.schema.field(name).type, mask=gone))


def run(folder: str, rows: str = str(ROWS)) -> None:
    cost = cost_of([sys.executable, "-m", "benchmarks.databases", "make", folder, rows])
    found = json.loads(cost.output.splitlines()[-1])
    table(
        f"A bank of {found['rows']:,} transactions",
        ["fit CPU-s", "sample CPU-s", "rows made", "wall s", "peak MiB"],
        [[
            f"{found['fit']:.0f}", f"{found['sample']:.0f}", f"{found['made']:,}",
            f"{cost.wall:.0f}", f"{cost.peak:.0f}",
        ]],
    )  # fmt: skip


def make(folder: str, rows: str) -> None:
    from benchmarks.berka import berka
    from understudy.data.integrity import check_integrity
    from understudy.synthesizers.relational.engine import RelationalSynthesizer

    data = grown(berka(Path(folder)), int(rows), of="trans", seed=0)
    check_integrity(data)
    started = time.process_time()
    model = RelationalSynthesizer(seed=0).fit(data)
    fitted = time.process_time()
    made = model.sample(model.rows)
    done = time.process_time()
    check_integrity(made)
    print(
        json.dumps(
            {
                "rows": data.tables["trans"].num_rows,
                "made": sum(t.num_rows for t in made.tables.values()),
                "fit": fitted - started,
                "sample": done - fitted,
            }
        )
    )


if __name__ == "__main__":
    make(*sys.argv[2:]) if sys.argv[1] == "make" else run(*sys.argv[1:])
