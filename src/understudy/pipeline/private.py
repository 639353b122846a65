"""A run's dealings with the privacy ledger: its session, its delta, and what it may say afterwards.

What a plan declares is public. What it leaves out is bought by the engine; the one thing bought
here, before the engine starts, is how many units there are, when nobody said so, since a guarantee
whose delta is not small against that number guarantees nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from understudy.contracts import Model, Tried
from understudy.data import Dataset
from understudy.data.splitting import units_of
from understudy.errors import PlanError, UserError
from understudy.privacy.accountant import check_delta
from understudy.privacy.answers import AnswerStore
from understudy.privacy.budget import Budget
from understudy.privacy.fingerprint import fingerprint
from understudy.privacy.ledger import Ledger
from understudy.privacy.ledger_session import LedgerSession
from understudy.privacy.mechanisms import NoisyTotal
from understudy.privacy.spending import DELTA, MOST_DELTA, ROW, check_ceiling
from understudy.privacy.statement import statement
from understudy.schema import Category, Column, Datetime, Number, Schema, Table
from understudy.schema.plan import DifferentialPrivacy, RowsPerUnit

COUNT_SHARE = 0.02
"""Of epsilon, for counting units: a tenth of a per cent of 50,000 at epsilon 1."""
SURE = math.log(1e3)
"""Scales of Laplace noise that are added to a count, so that it is too small once in 2,000."""
CARD = "privacy.json"
BY_PLAN, BY_HAND = "the plan", "declared with the data"
BY_DEFAULT = "assumed, as no plan was given"


@contextmanager
def opened(
    wanted: DifferentialPrivacy,
    source: Dataset,
    learnt: Dataset,
    run: str,
    answers: Path,
    *,
    share: float = 1.0,
) -> Iterator[LedgerSession]:
    """A session for one engine's fit on `learnt`, the `share` of `source` that it may see.

    Raises `BudgetError` for a budget above the account's cap or a delta too large for the data.
    """
    Budget(wanted.epsilon, wanted.delta or 0.0)
    if wanted.public_units is not None and wanted.delta is not None:
        check_delta(wanted.delta, wanted.public_units)
    check_ceiling(wanted.delta or 0.0)
    with Ledger() as ledger:
        store = AnswerStore(answers)
        try:
            dataset = ledger.recognise(fingerprint(source, ledger.key))
            account = (ledger, dataset, unit_name(source.schema), run)
            units = wanted.public_units
            if units is None:
                most = Budget(wanted.epsilon, wanted.delta or DELTA)
                counting = LedgerSession(most, *account, store)
                units = _bought_units(counting, learnt, share)
            delta = wanted.delta if wanted.delta is not None else default_delta(units)
            check_delta(delta, units)
            budget = Budget(wanted.epsilon, delta)
            yield LedgerSession(budget, *account, store, rows_per_unit=_said(source.schema, wanted))
        finally:
            store.close()


def _said(schema: Schema, wanted: DifferentialPrivacy) -> RowsPerUnit:
    """How many rows of a unit are learnt from, as far as it is said and not bought: in a database
    one number says nothing, since tables differ."""
    bounds = wanted.rows_per_unit
    return {} if isinstance(bounds, int) and len(schema.tables) > 1 else bounds


def default_delta(units: int) -> float:
    """One over ten times the units, rounded down to a power of ten, and never above 1e-5."""
    return min(MOST_DELTA, 10.0 ** math.floor(math.log10(1 / (10 * max(units, 1)))))


def unit_name(schema: Schema) -> str:
    """How the ledger calls the unit: `row`, or the column that names it, in a database with its
    table."""
    column = schema.unit.column
    if column is not None and len(schema.tables) > 1:
        return f"{schema.unit.table}.{column}"
    return ROW if column is None else "column row" if column == ROW else column


def as_private(schema: Schema) -> Schema:
    """An inferred schema without what inference read off the cells for free.

    Kinds and storage types stay (they are assumed public), and what a person declared. Whether a
    column has gaps is bought; keys, and reasons that quote ranges and counts, go. Raises
    `PlanError` for dates written as text: their spelling was found by looking at all rows at once,
    so that one row could change how the others are read. The same holds for keys between tables.
    """
    guessed = [spec.name for spec in schema.tables if spec.foreign_keys and _inferred(spec)]
    if guessed and len(schema.tables) > 1:
        raise PlanError(
            f"the keys of tables ({', '.join(guessed)}) were read off the rows. Under a budget "
            "somebody must say them: write a plan (understudy inspect DATA --unit TABLE.COLUMN -o "
            "plan.yaml), check its keys and roles, and run the plan."
        )
    tables = [
        table.model_copy(
            update={
                "columns": tuple(_unread(column, table.name) for column in table.columns),
                "primary_key": () if _inferred(table) else table.primary_key,
                "foreign_keys": () if _inferred(table) else table.foreign_keys,
            }
        )
        for table in schema.tables
    ]
    return schema.model_copy(update={"tables": tuple(tables)})


def without_reasons(schema: Schema) -> Schema:
    """Without the reasons that inference gives, which quote ranges and counts: a model keeps its
    schema, and under a budget it may leave."""
    tables = [
        table.model_copy(
            update={"columns": tuple(c.model_copy(update={"why": ""}) for c in table.columns)}
        )
        for table in schema.tables
    ]
    return schema.model_copy(update={"tables": tuple(tables)})


def _inferred(table: Table) -> bool:
    """Inference gives a reason for every kind; a person who declares a schema need not."""
    return any(column.why for column in table.columns)


def _unread(column: Column, table: str) -> Column:
    """A column that somebody declared as it is, an inferred one without its gaps and reason."""
    if not column.why:
        return column
    if isinstance(column, Datetime) and column.format is not None:
        raise PlanError(
            f"column {column.name!r} of table {table!r} holds dates written as text, and how they "
            f"are written ({column.format}) was read off the rows. Under a budget somebody must "
            "say so: write a plan (understudy inspect DATA -o plan.yaml), check its `format:`, and "
            "run the plan."
        )
    return column.model_copy(update={"nullable": True, "why": ""})


def declared(schema: Schema, wanted: DifferentialPrivacy, *, by_plan: bool) -> dict[str, str]:
    """What a run takes as public, and on whose word."""
    whose, said = (BY_PLAN, BY_PLAN) if by_plan else (BY_DEFAULT, BY_HAND)
    public = {"names, kinds (and forms of identifiers) and storage types of columns": whose}
    several = len(schema.tables) > 1
    for table in schema.tables:
        for column in table.columns:
            name = f"{table.name}.{column.name}" if several else column.name
            public |= dict.fromkeys(_of_column(column, name), said)
        if table.primary_key:
            public[f"key of {table.name}: {', '.join(table.primary_key)}"] = said
        for key in table.foreign_keys:
            public[f"{table.name}.{'+'.join(key.columns)} points at {key.table}"] = said
        if table.order_by is not None:
            public[f"rows of {table.name} come in the order of {table.order_by}"] = said
        if table.role == "reference":
            public[f"all rows of {table.name}, a reference table"] = said
        for rule in table.constraints:
            public[f"constraint {rule.rule} of {table.name}"] = said
    if wanted.public_units is not None:
        public["number of units"] = said
    if schema.unit.column is not None:
        public["rows of one unit that are learnt from, at most"] = _at_most(schema, wanted)
        if several:
            public["rows that hang on two units"] = "not learnt from, nor what needs them"
    return public


def _of_column(column: Column, name: str) -> Iterator[str]:
    """What a schema says about the values of a column."""
    if isinstance(column, Number):
        ends = {"lower": column.minimum, "upper": column.maximum}
        known = [end for end, value in ends.items() if value is not None]
        if known:
            yield f"{' and '.join(known)} bound of {name}"
        if column.decimals is not None:
            yield f"decimals of {name}: {column.decimals}"
    if isinstance(column, Category) and column.levels is not None:
        yield f"levels of {name}"
    if isinstance(column, Datetime) and column.format is not None:
        yield f"spelling of {name}: {column.format}"
    if not column.nullable:
        yield f"{name} is never missing"


def _at_most(schema: Schema, wanted: DifferentialPrivacy) -> str:
    bounds = _said(schema, wanted)
    if isinstance(bounds, int):
        return str(bounds)
    named = ", ".join(f"{table} {most}" for table, most in bounds.items())
    return f"{named}; bought for each other table" if named else "bought for each table"


def stated(session: LedgerSession, public: dict[str, str], model: Model) -> dict[str, Any]:
    """The privacy part of a run's contents: the ledger's statement, with what canaries proved if
    `model` was trained with some, and a sentence for people."""
    audit = model.audit if isinstance(model, Tried) else None
    found = statement(session, public, audit)
    whom = "row" if found["unit"] == "row" else f"{found['unit']} with all its rows"
    sentence = (
        f"Differential privacy with epsilon {found['epsilon']:.3g} and delta {found['delta']:.0e} "
        f"for each {whom}: it covers every look at the rows learnt from, and holds against "
        "anybody, whatever else they know."
    )
    return {"mode": "dp", "sentence": sentence, "statement": found}


def write_card(folder: Path, session: LedgerSession) -> None:
    """Leaves in a model's folder where its budget was spent."""
    # Not which dataset: equal names would tell whether rows were changed between two models.
    card = {"unit": session.unit, "run": session.run}
    (folder / CARD).write_text(json.dumps(card), encoding="utf-8")


def require_paid(folder: Path) -> None:
    """Raises `UserError` for a model whose spending this home's ledger does not know."""
    path = folder / CARD
    if not path.is_file():
        return
    card = json.loads(path.read_text(encoding="utf-8"))
    with Ledger() as ledger:
        if ledger.paid(card["run"]):
            return
        raise UserError(
            f"the model in {folder} was made under a privacy budget (run {card['run']!r}), and the "
            f"ledger in {ledger.folder} has no entry for it. Set $UNDERSTUDY_HOME to the folder "
            "that holds the ledger it was made with."
        )


def _bought_units(session: LedgerSession, learnt: Dataset, share: float) -> int:
    """At least as many as there are, nearly surely: delta must be small against their number, and
    noise that happened to be negative would make it large just where the data are few."""
    mechanism = NoisyTotal(scale=1 / (COUNT_SHARE * session.budget.epsilon))
    rows = session.admit(learnt)
    noisy = rows.ask("number of units", mechanism, lambda d: np.array([units_of(d)]))
    return max(1, math.ceil((int(noisy[0]) + SURE * mechanism.scale) / share))
