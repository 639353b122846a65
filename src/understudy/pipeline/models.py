"""Models saved by any engine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from understudy.contracts import Model
from understudy.data import Dataset, read
from understudy.errors import EngineError
from understudy.pipeline.private import require_paid
from understudy.synthesizers.registry import engines, load_model


def load(folder: str | Path) -> Model:
    """The model in `folder`, or in the run folder `folder`.

    Raises `UserError` for one made under a privacy budget that this home's ledger knows nothing of.
    """
    path = Path(folder)
    path = path / "model" if (path / "model" / "model.json").is_file() else path
    model = load_model(path)
    require_paid(path)
    return model


def imputed(
    folder: str | Path,
    data: Any,
    *,
    seed: int | None = None,
    nulls: Sequence[str] = (),
    delimiter: str | None = None,
    encoding: str | None = None,
) -> tuple[Dataset, int, int]:
    """`data` with missing cells drawn from the model in `folder`; how many were, and were not.

    The data is read as the model's own columns. Raises `EngineError` for an engine that cannot.
    """
    model: Any = load(folder)
    if not hasattr(model, "impute"):
        able = [info.name for info in engines().values() if info.fills]
        raise EngineError(
            f"the {model.engine} engine draws whole rows and cannot fill cells. Fit one that can "
            f"({', '.join(able)}): understudy fit DATA --engine {able[0]} -o MODEL"
        )
    rows = read(data, schema=model.schema, nulls=nulls, delimiter=delimiter, encoding=encoding)
    made = model.impute(rows, seed=seed)
    before, after = (
        sum(column.null_count for column in dataset.table.columns) for dataset in (rows, made)
    )
    return made, before - after, after
