"""Judging anybody's synthetic database: the same measures, attacks and gate as a run's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from understudy.data import Dataset, read, split
from understudy.data.roles import proposed_roles
from understudy.data.stored import fitted
from understudy.errors import SourceError
from understudy.pipeline.planning import with_unit
from understudy.runtime.parallel import one_thread
from understudy.runtime.progress import Progress


@dataclass(frozen=True)
class Judged:
    """The parts of an audit in one schema, and what was found."""

    train: Dataset
    holdout: Dataset
    reference: Dataset
    synthetic: Dataset
    card: dict[str, Any]
    battery: Any
    validity: dict[str, Any]


def judge(
    real: Dataset,
    given: Mapping[str, Any],
    spelled: Mapping[str, Any],
    *,
    target: str | None,
    unit: str | None,
    groups: Sequence[str],
    seed: int,
    progress: Progress,
) -> Judged:
    """Evaluates and attacks a synthetic database made from `real`.

    Raises `SourceError` without a unit or a holdout, and where the databases have other tables,
    columns or types.
    """
    from understudy.attacks import attack_database
    from understudy.evaluation import evaluate_database
    from understudy.release.validity import check

    if groups:
        raise SourceError("--group speaks of rows of one table; a database is judged by entities.")
    if unit is None and real.schema.unit.column is None:
        raise SourceError("a database is judged by entities: name them (--unit TABLE.COLUMN).")
    if given["holdout"] is None:
        raise SourceError(
            "a database is judged beside entities that the engine never saw: name a folder of them "
            "(--holdout), with the same tables."
        )
    if unit is not None:
        real = replace(real, schema=with_unit(real.schema, unit))
    schema, _ = proposed_roles(real)
    real = replace(real, schema=schema)
    made, held = (_as(real, given[role], role, spelled) for role in ("synthetic", "holdout"))
    if given["reference"] is None:
        parts = split(held, seed=seed, shares=(2 / 3, 1 / 3, 0.0))
        held, spare = parts.train, joined([parts.holdout, parts.reference])
    else:
        spare = _as(real, given["reference"], "reference", spelled)
    samples = (real, held, spare, made)
    with one_thread():
        card = evaluate_database(*samples, target=target, seed=seed, progress=progress).as_dict()
        battery = attack_database(*samples, seed=seed, progress=progress)
    return Judged(*samples, card, battery, check(made, joined([real, held, spare])))


def joined(parts: Sequence[Dataset]) -> Dataset:
    """All rows of databases without an entity in common; reference tables once."""
    first = parts[0]
    roles = {spec.name: spec.role for spec in first.schema.tables}
    tables = {
        name: table
        if roles[name] == "reference"
        else pa.concat_tables([part.tables[name] for part in parts])
        for name, table in first.tables.items()
    }
    return replace(first, tables=tables)


def _as(real: Dataset, source: Any, role: str, spelled: Mapping[str, Any]) -> Dataset:
    """`source` in the schema and the types of the training database."""
    name = str(source) if isinstance(source, (str, Path)) else role
    try:
        found = read(source, schema=real.schema, **spelled)
    except SourceError as error:
        raise SourceError(f"{role}: {error}") from None
    tables = {}
    for table_name, wanted in real.tables.items():
        table = found.tables[table_name]
        for i, field in enumerate(wanted.schema):
            cells = fitted(table[field.name], field.type)
            if cells.null_count - table[field.name].null_count > len(cells) / 2:
                raise SourceError(
                    f"{role} ({name}): column {field.name!r} of table {table_name!r} is "
                    f"{table[field.name].type}, the training table has {field.type}, and its cells "
                    "cannot be read as that."
                )
            table = table.set_column(i, field, cells)
        tables[table_name] = table
    return Dataset(real.schema, tables)
