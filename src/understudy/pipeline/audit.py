"""Judging anybody's synthetic data: the same measures, attacks and gate, without an engine."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

import understudy
from understudy.contracts import Released, Verdict
from understudy.data import Dataset, read, split
from understudy.data.splitting import FEWEST
from understudy.data.stored import fitted
from understudy.errors import SourceError
from understudy.pipeline.audit_databases import judge
from understudy.pipeline.planning import with_unit
from understudy.release.gate import decide
from understudy.release.white_box_lines import object_of
from understudy.runtime.clock import now
from understudy.runtime.parallel import one_thread
from understudy.runtime.progress import Progress, silent


@dataclass(frozen=True)
class Audit:
    """A verdict on somebody's table and everything it rests on.

    `leaked` holds values of real people, for the internal report alone; `as_dict` leaves it out.
    """

    verdict: Verdict
    contents: dict[str, Any]
    leaked: dict[str, Any] = field(default_factory=dict, repr=False)

    def as_dict(self) -> dict[str, Any]:
        return self.contents


def audit(
    train: Any,
    holdout: Any = None,
    synthetic: Any = None,
    reference: Any = None,
    *,
    target: str | None = None,
    unit: str | None = None,
    groups: Sequence[str] = (),
    releases: Released = "data",
    nulls: Sequence[str] = (),
    delimiter: str | None = None,
    encoding: str | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Audit:
    """Judges `synthetic`, made from `train`, with `holdout` of the same population as the control.

    All are paths or frames, read alike (`nulls`, `delimiter`, `encoding`). Without a `reference` a
    third of the holdout's units serve as one; without a holdout only what needs none is judged and
    the verdict is INCONCLUSIVE at best. `unit` names the column of the entity to protect; `groups`
    are conditions whose rows are judged separately; `releases` says what will leave. A model, which
    an audit does not see, is never cleared by one. Raises `SourceError` when the tables do not
    have the same columns, or share units.
    """
    leaves = object_of(releases)
    if synthetic is None:
        raise SourceError("an audit needs the synthetic rows to judge: name them (--synthetic).")
    given = {"train": train, "holdout": holdout, "synthetic": synthetic, "reference": reference}
    spelled = {"nulls": nulls, "delimiter": delimiter, "encoding": encoding}
    real = read(train, **spelled)
    if len(real.schema.tables) > 1:
        judged = judge(
            real,
            given,
            spelled,
            target=target,
            unit=unit,
            groups=groups,
            seed=seed,
            progress=progress,
        )
        rows = _Rows(judged.train, judged.holdout, judged.reference, judged.synthetic, ())
        card, tried, validity = judged.card, judged.battery, judged.validity
        battery = tried.as_dict()
    else:
        rows = _read(real, given, spelled, unit, seed)
        card, tried, validity = _of_a_table(rows, target, groups, seed, progress)
        battery = tried.as_dict()
    verdict = decide(card, battery, validity, released=leaves)
    options = {"target": target, "unit": unit, "releases": leaves}
    options |= {"delimiter": delimiter, "encoding": encoding}
    contents = {
        **_about(rows),
        "seed": seed,
        "releases": leaves,
        "scorecard": card,
        "battery": battery,
        "validity": validity,
        "verdict": verdict.as_dict(),
        "command": _command(given, options, {"group": groups, "null": nulls}),
    }
    leaked = tried.leaked.as_dict() if tried.leaked is not None else {}
    return Audit(verdict, contents, leaked)


def _of_a_table(
    rows: _Rows, target: str | None, groups: Sequence[str], seed: int, progress: Progress
) -> tuple[dict[str, Any], Any, dict[str, Any]]:
    """The scorecard, the battery of attacks and the validity of one table."""
    from understudy.attacks import attack
    from understudy.evaluation import evaluate
    from understudy.release.validity import check

    real, held, spare, made = rows.train, rows.holdout, rows.reference, rows.synthetic
    with one_thread():
        card: dict[str, Any] = {}
        if held.num_rows:
            measured = evaluate(
                real, held, spare, made, target=target, seed=seed, progress=progress
            )
            card = measured.as_dict()
        tried = attack(real, held, spare, made, groups=groups, seed=seed, progress=progress)
    everyone = real.with_table(pa.concat_tables([real.table, held.table, spare.table]))
    validity = check(made, everyone)
    return card, tried, {**validity, "problems": [*rows.unreadable, *validity["problems"]]}


@dataclass(frozen=True)
class _Rows:
    """The tables of an audit in one schema; holdout and reference may be empty."""

    train: Dataset
    holdout: Dataset
    reference: Dataset
    synthetic: Dataset
    unreadable: tuple[str, ...]
    """What stood in synthetic cells that could not be, in sentences."""


def _read(
    real: Dataset,
    given: Mapping[str, Any],
    spelled: Mapping[str, Any],
    unit: str | None,
    seed: int,
) -> _Rows:
    if unit is not None:
        real = replace(real, schema=with_unit(real.schema, unit))
    unreadable: list[str] = []
    made = _as(real, given["synthetic"], "synthetic", spelled, unreadable)
    held, spare = (
        None if given[role] is None else _as(real, given[role], role, spelled)
        for role in ("holdout", "reference")
    )
    if held is None:
        held, spare = (spare, None) if spare is not None else (_none_of(real), None)
    if spare is None:
        held, spare = _halved(held, seed)
    return _Rows(real, held, spare, made, tuple(unreadable))


def _about(rows: _Rows) -> dict[str, Any]:
    """What was audited, as the papers tell it."""
    real = rows.train
    several = len(real.schema.tables) > 1
    name = "database" if several else real.schema.table().name
    found: dict[str, Any] = {}
    if several:
        from understudy.release.database_contents import database_contents

        found["database"] = database_contents(real, rows.synthetic)
    return {
        **found,
        "format": 1,
        "title": f"{name}, audited",
        "created": now(),
        "understudy": understudy.__version__,
        "engine": {"name": "not ours", "config": {}},
        "privacy": {"mode": "none", "sentence": "nothing is claimed; the attacks decide."},
        "source": {
            "name": name,
            "tables": len(real.tables),
            "rows": real.num_rows,
            "columns": sum(table.num_columns for table in real.tables.values()),
        },
        "schema": real.schema.model_dump(mode="json"),
        "split": {
            "train": real.num_rows,
            "holdout": rows.holdout.num_rows,
            "reference": rows.reference.num_rows,
        },
        "notes": [],
    }


def tabsyn(
    train: Any, test: Any, synthetic: Any, *, target: str | None = None, **spelled: Any
) -> dict[str, Any]:
    """The figures of the TabSyn and TabDiff papers, with what the test rows score in its place."""
    from understudy.evaluation import evaluate_tabsyn

    if test is None:
        raise SourceError("the protocol of the papers needs the test rows: name them (--holdout).")
    real = read(train, **spelled)
    held, made = (
        _as(real, source, role, spelled)
        for source, role in ((test, "holdout"), (synthetic, "synthetic"))
    )
    return evaluate_tabsyn(real, held, made, target=target).as_dict()


def _command(
    tables: Mapping[str, Any],
    options: Mapping[str, str | None],
    repeated: Mapping[str, Sequence[str]],
) -> str:
    """What to type for this audit again; nothing where a table was a frame and has no name."""
    given = {name: table for name, table in tables.items() if table is not None}
    if not all(isinstance(table, (str, Path)) for table in given.values()):
        return ""
    words = [(name, str(word)) for name, word in {**given, **options}.items() if word is not None]
    words += [(name, word) for name, several in repeated.items() for word in several]
    typed = [part for name, word in words for part in (f"--{name}", word)]
    return shlex.join(["understudy", "audit", *typed])


def _none_of(data: Dataset) -> Dataset:
    return data.with_table(data.table.slice(0, 0))


def _halved(held: Dataset, seed: int) -> tuple[Dataset, Dataset]:
    """Two thirds and one third of the holdout, its units kept whole."""
    if held.num_rows < FEWEST:
        return held, _none_of(held)
    parts = split(held, seed=seed, shares=(2 / 3, 1 / 3, 0.0))
    return parts.train, held.with_table(
        pa.concat_tables([parts.holdout.table, parts.reference.table])
    )


def _as(
    real: Dataset,
    source: Any,
    role: str,
    spelled: Mapping[str, Any],
    unreadable: list[str] | None = None,
) -> Dataset:
    """`source` read with the schema of the training table and cast to its types.

    With `unreadable` a few cells that cannot be are missing, and told there: a generator's odd
    cells are a finding about it. Raises `SourceError` otherwise, and where most cells cannot be.
    """
    name = str(source) if isinstance(source, (str, Path)) else role
    try:
        found = read(source, schema=real.schema, **spelled)
    except SourceError as error:
        raise SourceError(f"{role}: {error}") from None
    table = found.table
    for i, wanted in enumerate(real.table.schema):
        cells = table[wanted.name]
        if cells.type == wanted.type:
            continue
        read_as = fitted(cells, wanted.type)
        lost = read_as.null_count - cells.null_count
        if lost and (unreadable is None or 2 * lost > len(cells)):
            raise SourceError(
                f"{role} ({name}): column {wanted.name!r} is {cells.type}, the training table has "
                f"{wanted.type}, and its cells cannot be read as that."
            )
        if lost and unreadable is not None:
            unreadable.append(
                f"column {wanted.name!r} has {lost:,} cells that are no {wanted.type}"
            )
        table = table.set_column(i, wanted, read_as)
    return real.with_table(table.cast(real.table.schema))
