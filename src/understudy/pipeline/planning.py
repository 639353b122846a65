"""From a request to a plan, and from a plan to rows; refuses what cannot be carried out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from understudy.contracts import Released
from understudy.data import Dataset, read
from understudy.data.integrity import check_integrity, check_shape, mend
from understudy.data.ownership import ownership
from understudy.data.roles import proposed_roles
from understudy.errors import ColumnError, ConditionError, PlanError, suggest
from understudy.pipeline.private import as_private
from understudy.pipeline.race import Rules
from understudy.privacy.budget import Budget
from understudy.privacy.spending import DELTA
from understudy.release.gate import DEFAULTS, Thresholds
from understudy.schema import Column, Identifier, Schema, parse_unit
from understudy.schema.plan import (
    DifferentialPrivacy,
    Engine,
    NoPrivacy,
    Plan,
    Privacy,
    Source,
    load_plan,
)
from understudy.synthesizers.registry import AUTO, USUAL, configured, resolve

EPSILON = 3.0
"""What a run may spend when nobody says."""


def privacy_for(epsilon: float | None, no_dp: bool) -> Privacy:
    """The budget asked for: epsilon 3 unless another is named, none only when said so."""
    if no_dp and epsilon is not None:
        raise PlanError("--epsilon and --no-dp contradict each other. Say one of them.")
    if no_dp:
        return NoPrivacy()
    return DifferentialPrivacy(epsilon=Budget(EPSILON if epsilon is None else epsilon).epsilon)


def plan_for(
    data: Dataset,
    path: str,
    *,
    privacy: Privacy,
    target: str | None = None,
    engine: Engine | str = USUAL,
    rows: int | None = None,
    balance: Mapping[str, Any] | None = None,
    unit: str | None = None,
    seed: int | None = None,
    source: Source | None = None,
    releases: Released = "data",
) -> Plan:
    """The plan of a run that was asked for without one."""
    schema = data.schema if unit is None else with_unit(data.schema, unit)
    if isinstance(privacy, DifferentialPrivacy):
        schema = as_private(schema)
    elif schema.unit.column is not None and len(schema.tables) > 1:
        schema, _ = proposed_roles(Dataset(schema, data.tables))
    return Plan(
        source=source or Source(path=path),
        data=schema,
        engine=Engine(name=engine) if isinstance(engine, str) else engine,
        privacy=privacy,
        target=target,
        rows=rows,
        balance=dict(balance) if balance else None,
        releases=releases,
        seed=seed,
    )


def with_unit(schema: Schema, text: str) -> Schema:
    """`schema` with the entity that `text` (`column`, or `table.column`) names as protected unit.

    Whatever names people is an identifier, made anew and never learnt.
    """
    unit = parse_unit(text, schema)
    table = schema.table(unit.table)
    named = table.column(str(unit.column))
    if named.kind != "identifier":
        why = "it names the protected unit"
        form = "key" if named.kind == "number" else "code"
        named = Identifier(
            name=named.name, nullable=named.nullable, stored=named.stored, form=form, why=why
        )
    columns = tuple(named if c.name == unit.column else c for c in table.columns)
    changed = schema.with_table(table.model_copy(update={"columns": columns}))
    return changed.model_copy(update={"unit": unit})


def data_of(plan: Plan, into: Path | None = None) -> Dataset:
    """Reads what a plan names, as it says; under a budget cell by cell. A database's rows are
    streamed to the folder `into`.

    A database has to hold together, its orphans mended as the plan says; under a budget nobody may
    tell.
    """
    source = plan.source
    if len(plan.data.tables) > 1:
        check_shape(plan.data)
    private = isinstance(plan.privacy, DifferentialPrivacy)
    data = read(
        source.path,
        nulls=source.nulls,
        delimiter=source.delimiter,
        encoding=source.encoding,
        schema=plan.data,
        cell_by_cell=private,
        into=into,
    )
    return whole(data, plan)


def whole(data: Dataset, plan: Plan) -> Dataset:
    """A database that holds together, its orphans mended as the plan says; under a budget as it is,
    since nobody may tell. Raises `SourceError` for keys that do not hold."""
    if isinstance(plan.privacy, DifferentialPrivacy) or len(data.tables) == 1:
        return data
    data, _ = mend(data)
    check_integrity(data)
    return data


def seed_of(plan: Path) -> int | None:
    """The seed an interrupted run chose for itself."""
    return load_plan(plan).seed if plan.is_file() else None


def engine_of(plan: Plan) -> str:
    """The engine's name; `auto` where engines are to race."""
    return resolve(
        plan.engine.name,
        private=isinstance(plan.privacy, DifferentialPrivacy),
        tables=len(plan.data.tables),
    )


def check(plan: Plan, data: Dataset) -> Thresholds:
    """The gate's bounds; raises for a plan that cannot be carried out, before anything is done."""
    if plan.privacy is None:
        raise PlanError(
            "the plan says nothing about privacy. Give --epsilon E, or --no-dp to run without a "
            "guarantee, or write `privacy: {mode: dp, epsilon: 1}` into it."
        )
    if len(data.schema.tables) > 1:
        _check_database(plan, data)
    else:
        _check_table(plan, data)
    name = engine_of(plan)
    if plan.engine.name == AUTO:
        Rules.of(plan.engine.options)
    if name != AUTO:
        _check_engine(name, plan, data)
    known = [field.name for field in fields(Thresholds)]
    for name in plan.bounds:
        if name not in known:
            raise PlanError(f"no bound called {name!r} in the gate. {suggest(name, known)}")
    return Thresholds(**plan.bounds) if plan.bounds else DEFAULTS


def _check_table(plan: Plan, data: Dataset) -> None:
    spec = data.schema.table()
    if plan.target is not None:
        _check_target(spec.column(plan.target))
    for name, shares in (plan.balance or {}).items():
        spec.column(name)
        if not isinstance(plan.privacy, DifferentialPrivacy):
            _check_levels(data, name, shares)


def _check_database(plan: Plan, data: Dataset) -> None:
    """A unit that every table belongs to, a target of one table, no shares of levels."""
    ownership(data.schema)
    if plan.balance:
        raise ConditionError(
            "shares (--balance) speak of one table, and the data has several. Leave them out, and "
            "select from the result."
        )
    if plan.target is None:
        return
    table, dot, column = plan.target.rpartition(".")
    if not dot:
        names = [
            f"{t.name}.{plan.target}" for t in data.schema.tables if plan.target in t.column_names
        ]
        hint = f" Did you mean {' or '.join(names)}?" if names else ""
        raise ColumnError(f"the target of a database is TABLE.COLUMN, found {plan.target!r}.{hint}")
    _check_target(data.schema.table(table).column(column))


def _check_target(column: Column) -> None:
    if column.kind in ("identifier", "text"):
        raise ColumnError(
            f"column {column.name!r} is {column.kind} ({column.why or 'by its kind'}) and cannot "
            "be the target. Name a column to predict, or change its kind in the plan."
        )


def _check_engine(name: str, plan: Plan, data: Dataset) -> None:
    """What the engine cannot do is refused before anything is spent."""
    options = {} if plan.engine.name == AUTO else plan.engine.options
    engine = configured(name, options, target=plan.target)
    single = len(data.schema.tables) == 1
    if isinstance(plan.privacy, DifferentialPrivacy) and single and hasattr(engine, "plan"):
        types = data.table.schema.remove_metadata()
        engine.plan(plan.data, Budget(plan.privacy.epsilon, DELTA), types=types)


def _check_levels(data: Dataset, name: str, shares: Any) -> None:
    """Raises for a level that the source does not have; under a budget nobody may tell."""
    known = [str(level) for level in data.table[name].unique().drop_null().to_pylist()]
    for level in shares if isinstance(shares, Mapping) else ():
        if str(level) not in known:
            raise ConditionError(f"column {name!r} has no level {level!r}. {suggest(level, known)}")
