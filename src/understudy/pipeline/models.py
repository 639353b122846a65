"""Models saved by any engine."""

from __future__ import annotations

from pathlib import Path

from understudy.contracts import Model
from understudy.pipeline.private import require_paid
from understudy.synthesizers.registry import load_model


def load(folder: str | Path) -> Model:
    """The model in `folder`, or in the run folder `folder`.

    Raises `UserError` for one made under a privacy budget that this home's ledger knows nothing of.
    """
    path = Path(folder)
    path = path / "model" if (path / "model" / "model.json").is_file() else path
    model = load_model(path)
    require_paid(path)
    return model
