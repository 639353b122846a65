"""Judging anybody's synthetic data: the same measures, attacks and gate, without an engine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

import understudy
from understudy.contracts import Verdict
from understudy.data import Dataset, read
from understudy.errors import SourceError
from understudy.release.gate import decide
from understudy.runtime.progress import Progress, silent


@dataclass(frozen=True)
class Audit:
    """A verdict on somebody's table and everything it rests on."""

    verdict: Verdict
    contents: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        return self.contents


def audit(
    train: Any,
    holdout: Any,
    synthetic: Any,
    reference: Any = None,
    *,
    target: str | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Audit:
    """Judges `synthetic`, made from `train`, with `holdout` of the same population as the control.

    All are paths or frames. Without a `reference` a third of the holdout serves as one. Raises
    `SourceError` when the tables do not have the same columns.
    """
    from understudy.attacks import attack
    from understudy.evaluation import evaluate
    from understudy.release.validity import check

    real = read(train)
    held = _as(real, holdout, "holdout")
    made = _as(real, synthetic, "synthetic")
    if reference is not None:
        spare = _as(real, reference, "reference")
    else:
        cut = held.num_rows - held.num_rows // 3
        held, spare = (
            held.with_table(held.table.slice(0, cut)),
            held.with_table(held.table.slice(cut)),
        )
    card = evaluate(real, held, spare, made, target=target, seed=seed, progress=progress).as_dict()
    battery = attack(real, held, spare, made, seed=seed, progress=progress).as_dict()
    everyone = real.with_table(pa.concat_tables([real.table, held.table, spare.table]))
    validity = check(made, everyone)
    verdict = decide(card, battery, validity)
    contents = {
        "format": 1,
        "title": f"{made.schema.table().name}, audited",
        "understudy": understudy.__version__,
        "seed": seed,
        "engine": {"name": "not ours", "config": {}},
        "privacy": {"mode": "none", "sentence": "nothing is claimed; the attacks decide."},
        "source": {
            "name": real.schema.table().name,
            "rows": real.num_rows,
            "columns": len(real.table.column_names),
        },
        "schema": real.schema.model_dump(mode="json"),
        "split": {
            "train": real.num_rows,
            "holdout": held.num_rows,
            "reference": spare.num_rows,
        },
        "scorecard": card,
        "battery": battery,
        "validity": validity,
        "verdict": verdict.as_dict(),
        "notes": [],
    }
    return Audit(verdict, contents)


def _as(real: Dataset, source: Any, role: str) -> Dataset:
    """`source` read with the schema of the training table and cast to its types."""
    name = str(source) if isinstance(source, (str, Path)) else role
    try:
        found = read(source, schema=real.schema)
    except SourceError as error:
        raise SourceError(f"{role}: {error}") from None
    table = found.table
    for i, field in enumerate(real.table.schema):
        if table.schema.field(i).type == field.type:
            continue
        try:
            table = table.set_column(i, field, table[field.name].cast(field.type))
        except pa.ArrowInvalid:
            raise SourceError(
                f"{role} ({name}): column {field.name!r} is {table.schema.field(i).type}, the "
                f"training table has {field.type}, and its cells cannot be read as that."
            ) from None
    return real.with_table(table.cast(real.table.schema))
