"""Peers beside us on Adult, in the same run: SDV GaussianCopula, SDV TVAE, TabularARGN.

They run in an environment of their own, never imported here: SDV's licence (BUSL-1.1) and the size
of both are no burden of ours. Make it with

    python3 -m venv .venv-peers
    .venv-peers/bin/pip install -c constraints.txt torch sdv mostlyai-engine
    .venv-peers/bin/pip uninstall -y torchvision torchaudio    # do not match a CPU torch

and name its interpreter in PEERS_PYTHON (default `.venv-peers/bin/python`).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import cost_of, table
from benchmarks.quality import judge
from benchmarks.tables import FOLDER

PYTHON = os.environ.get("PEERS_PYTHON", ".venv-peers/bin/python")

COPULA = """
import sys, pandas as pd
from sdv.metadata import Metadata
from sdv.single_table import {name}
df = pd.read_csv(sys.argv[1], keep_default_na=False)
try:
    metadata = Metadata.detect_from_dataframe(df, table_name='adult')
    model = {name}(metadata); model.fit(df); out = model.sample(len(df))
except Exception:
    several = getattr(Metadata, 'detect_from_dataframes', None) or Metadata.detect
    metadata = several({{'adult': df}})
    model = {name}(metadata); model.fit({{'adult': df}}); out = model.sample(len(df))
    out = out['adult'] if isinstance(out, dict) else out
out.to_parquet(sys.argv[2], index=False)
"""
ARGN = """
import sys, tempfile, pandas as pd
from mostlyai import engine
df = pd.read_csv(sys.argv[1], keep_default_na=False)
with tempfile.TemporaryDirectory() as folder:
    engine.split(workspace_dir=folder, tgt_data=df)
    engine.analyze(workspace_dir=folder)
    engine.encode(workspace_dir=folder)
    engine.train(workspace_dir=folder)
    engine.generate(workspace_dir=folder, sample_size=len(df))
    import pathlib
    files = sorted(pathlib.Path(folder).rglob('SyntheticData/*.parquet'))
    pd.concat([pd.read_parquet(p) for p in files]).to_parquet(sys.argv[2], index=False)
"""
PEERS = {
    "SDV GaussianCopula": COPULA.format(name="GaussianCopulaSynthesizer"),
    "mostlyai-engine TabularARGN": ARGN,
    "SDV TVAE": COPULA.format(name="TVAESynthesizer"),
}


def run() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "ours.parquet"
        cost = cost_of(
            [sys.executable, "-m", "benchmarks.quality", "make", "tree", "adult", str(made)]
        )
        rows.append(
            ["**understudy tree**", f"{cost.cpu:.1f}", f"{cost.peak:.0f}", *judge("adult", made)]
        )
        for i, (name, script) in enumerate(PEERS.items()):
            made = Path(folder) / f"{i}.parquet"
            source = str(FOLDER / "adult" / "train.csv.gz")
            try:
                cost = cost_of([PYTHON, "-c", script, source, str(made)])
                rows.append([name, f"{cost.cpu:.1f}", f"{cost.peak:.0f}", *judge("adult", made)])
            except (RuntimeError, OSError, subprocess.SubprocessError) as error:
                rows.append([name, f"did not run: {str(error)[-80:]}", *[""] * 9])
    table(
        "Adult, peers in the same run",
        [
            "engine",
            "CPU-s",
            "peak MiB",
            "C2ST (floor)",
            "Shape x floor",
            "pair error x floor",
            "TSTR - TRTR",
            "copies T / H",
            "closer to train",
            "membership AUC",
            "TPR at 1 % FPR",
        ],
        rows,
    )
