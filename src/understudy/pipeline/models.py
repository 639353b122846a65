"""Models saved by any engine."""

from __future__ import annotations

from pathlib import Path

from understudy.contracts import Model
from understudy.synthesizers.registry import load_model


def load(folder: str | Path) -> Model:
    """The model in `folder`, or in the run folder `folder`."""
    path = Path(folder)
    return load_model(path / "model" if (path / "model" / "model.json").is_file() else path)
