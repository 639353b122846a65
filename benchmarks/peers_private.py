"""MST and AIM beside the marginal engine, on the same integer codes: OpenDP's, built on `mbi`.

They run in an environment of their own:

    python3 -m venv .venv-peers-private
    .venv-peers-private/bin/pip install 'opendp[mbi]' polars pandas

named in PRIVATE_PEERS_PYTHON (default `.venv-peers-private/bin/python`). Peers are given zCDP's rho
for the same (epsilon, delta), one unit one row, the published domain, and AIM the workload of all
pairs with the target. Minutes to hours.

    python -m benchmarks peers_private
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.marginals import Coded, auc, k_marginal, nist_ma, synthetic_codes
from benchmarks.measure import cost_of, table

PYTHON = os.environ.get("PRIVATE_PEERS_PYTHON", ".venv-peers-private/bin/python")
DELTA = 1e-6
PEER = """
import itertools, json, sys
import polars as pl
import opendp.prelude as dp
import opendp.extras.mbi._mst as mst
dp.enable_features("contrib")
mst.prior = lambda x: x * (1 - 1e-9)  # its shares add up to a hair too much in floating point
name, rho, source, out = sys.argv[1], float(sys.argv[2]), sys.argv[3], sys.argv[4]
spec = json.load(open(source + ".json"))
context = dp.Context.compositor(
    data=pl.scan_parquet(source), privacy_unit=dp.unit_of(contributions=1),
    privacy_loss=dp.loss_of(rho=rho), split_evenly_over=1,
)
others = [n for n in spec["names"] if n != spec["target"]]
triples = [dp.mbi.Count(by=(a, b, spec["target"])) for a, b in itertools.combinations(others, 2)]
algorithm = dp.mbi.MST() if name == "MST" else dp.mbi.AIM(queries=triples, max_size=4.0)
keys = {n: list(range(k)) for n, k in zip(spec["names"], spec["sizes"])}
asked = context.query().select(*spec["names"])
rows = asked.contingency_table(keys=keys, algorithm=algorithm).release().synthesize()
rows.select(spec["names"]).write_parquet(out)
"""


def run() -> None:
    data = nist_ma()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "codes.parquet"
        columns = {n: data.train[:, i] for i, n in enumerate(data.names)}
        pq.write_table(pa.table(columns), source)
        spec = {"names": data.names, "sizes": data.sizes, "target": data.target}
        Path(f"{source}.json").write_text(json.dumps(spec))
        for epsilon in (1.0, 10.0):
            ours = synthetic_codes(
                data.train, data.names, data.sizes, epsilon=epsilon, delta=DELTA, seed=0,
                target=data.target, ordered=data.ordered,
            )  # fmt: skip
            rows.append([f"{epsilon:g}", "**marginals**", "see marginals", *_scores(data, ours)])
            for peer in ("MST", "AIM"):
                made = Path(folder) / f"{peer}.parquet"
                rho = str(rho_of(epsilon, DELTA))
                cost = cost_of([PYTHON, "-c", PEER, peer, rho, str(source), str(made)])
                found = _codes(data, made)
                rows.append([f"{epsilon:g}", peer, f"{cost.cpu:.0f}", *_scores(data, found)])
    head = ["epsilon", "engine", "CPU-s", "2-way", "3-way", "2-way, 2019", "3-way, 2019", "AUC"]
    table("NIST Massachusetts 2018, delta 1e-6", head, rows)


def rho_of(epsilon: float, delta: float) -> float:
    """The largest rho whose zCDP implies (epsilon, delta) (Canonne, Kamath & Steinke 2020)."""
    alpha = 1 + np.exp(np.linspace(-6, 8, 20_000))

    def log_delta(rho: float) -> float:
        found = (alpha - 1) * (alpha * rho - epsilon) + alpha * np.log1p(-1 / alpha)
        return float((found - np.log(alpha - 1)).min())

    low, high = 1e-9, 50.0
    for _ in range(100):
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if log_delta(middle) <= np.log(delta) else (low, middle)
    return low


def _codes(data: Coded, path: Path) -> np.ndarray:
    """A peer's rows; OpenDP's extra level for the unlisted comes back empty and is left out."""
    made = pq.read_table(path)
    columns = [made[n].cast(pa.float64()).to_numpy() for n in data.names]
    rows = np.stack(columns, axis=1)
    return rows[np.isfinite(rows).all(axis=1)].astype(np.int64)


def _scores(data: Coded, made: np.ndarray) -> list[str]:
    ways = [
        k_marginal(real, made, data.sizes, k) for real in (data.train, data.test) for k in (2, 3)
    ]
    score = auc(made, data.test, data.names.index(data.target))
    return [f"{value:.3f}" for value in (*ways, score)]
