"""A table under a privacy budget, from rows to a bundle. Writes a run folder and a ledger."""

import json
import os
import tempfile
from pathlib import Path

from statsmodels.datasets import randhie

import understudy as us

folder = Path(tempfile.mkdtemp())
os.environ.setdefault("UNDERSTUDY_HOME", str(folder / "home"))  # where the ledger lives

visits = randhie.load_pandas().data.astype({"mdvis": "int64"})
run = us.synthesize(visits, epsilon=1, target="mdvis", seed=1, out=folder / "run")
print(run.verdict.ruling, "-", run.verdict.because)

if run.bundle is not None:
    certificate = json.loads((run.bundle / "certificate.json").read_text())
    statement = certificate["privacy"]["statement"]
    print(f"epsilon {statement['epsilon']:.3f}, delta {statement['delta']:g}")
    print(f"{len(statement['events'])} looks at real rows, all of them in the ledger")
