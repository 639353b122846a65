"""The sequential engine: one table of events, each entity's history as a whole.

    schema: the unit names the entity's column, the table's `order_by` its clock
    model = SequentialSynthesizer().fit(dataset)
    model.sample(500)                       # 500 entities with all their events

Columns that never change within an entity are drawn first and once an entity; the rest are
histories (`sequential.histories`). Identifiers that come back are payees; others, the entity's own
among them, are made anew. For several tables see the relational engine, which draws the histories
of its tables the same way.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from understudy.data import Dataset
from understudy.encoding.constraints import Reparametrisation
from understudy.encoding.points import split_points
from understudy.errors import EngineError
from understudy.runtime.progress import Progress, silent
from understudy.schema import Identifier, Running, Schema, Table, Unique
from understudy.synthesizers.sequential.events import Events, Index, before_in, codes
from understudy.synthesizers.sequential.histories import fit_histories
from understudy.synthesizers.sequential.model import SequentialModel
from understudy.synthesizers.tabular.cart import Floats
from understudy.synthesizers.tabular.conditional import Conditional, Growth, fit_conditional
from understudy.synthesizers.tabular.request import single_table, with_params

NOTHING = "nothing is known"
"""The context column of entities of whom nothing is."""
RETURNING = 0.9
"""Identifiers with fewer distinct values than this share of rows come back."""


@dataclass(frozen=True, kw_only=True)
class SequentialSynthesizer:
    """Configuration of the engine; every field is public and printed in the certificate.

    `leaf`, `trees` and `features` are those of the tree engine. All columns are drawn for their
    own sake, so `target` only has to be a column that can be one.
    """

    target: str | None = None
    seed: int = 0
    trees: int = 3
    leaf: int = 40
    features: float = 0.8
    workers: int = 1

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return asdict(self)

    def set_params(self, **params: Any) -> SequentialSynthesizer:
        return with_params(self, params, "sequential")

    def fit(
        self, data: Any, *, privacy: Any = None, progress: Progress = silent
    ) -> SequentialModel:
        """Learns one table of events: a `Dataset` with a unit and a clock.

        Raises `EngineError` when a privacy budget is asked for, or there is no entity, no clock or
        more than one table; `ConstraintError` when the rows break a declared constraint.
        """
        if privacy is not None:
            raise EngineError(
                "the sequential engine keeps no privacy budget; it runs without DP only."
            )
        from understudy.data import like, read

        dataset = data if isinstance(data, Dataset) else read(data)
        spec = single_table(dataset.schema, self.target, "sequential")
        table = dataset.table
        if table.num_rows == 0:
            raise EngineError(f"table {spec.name!r} has no events to learn from.")
        unit = _unit(dataset.schema, spec)
        clock = _clock(spec)
        running = tuple(r for r in spec.constraints if isinstance(r, Running))
        space, moved, shaped = _moved(table, spec, running)
        entity = codes(table[unit])
        entity = np.where(entity < 0, entity.max() + 1, entity)
        payees = _payees(spec, table, unit)
        open_names = [c.name for c in shaped.learnt if c.name != unit]
        _require(clock, [r.column for r in running], open_names, spec)
        varying = {clock, *(name for r in running for name in (r.column, r.amount, r.sign or ""))}
        fixed = [n for n in open_names if n not in varying and _is_fixed(moved[n], entity)]
        growth = Growth(self.trees, self.leaf, self.features)
        context, entities = _context(moved, fixed, entity)
        columns = {n: moved[n] for n in open_names if n not in fixed}
        columns |= {n: table[n] for n in payees}
        events = Events(pa.table(columns), entity, context, clock, None, running, payees)
        return SequentialModel(
            config=self,
            schema=dataset.schema,
            types=table.schema.remove_metadata(),
            rows=entities,
            unit=unit,
            space=space,
            shaped=shaped,
            shaped_types=moved.schema.remove_metadata(),
            context=_fit_context(context, self.seed, growth),
            histories=fit_histories(
                events, seed=self.seed, growth=growth, progress=progress, workers=self.workers
            ),
            identifiers=table.select(
                [c.name for c in spec.columns if isinstance(c, Identifier) or c.name == unit]
            ),
            to_frame=None
            if isinstance(data, (Dataset, str, Path))
            else lambda made: like(made, data),
        )

    @staticmethod
    def load(path: Path) -> SequentialModel:
        """A model that `SequentialModel.save` wrote."""
        return SequentialModel.load(path)


def _unit(schema: Schema, spec: Table) -> str:
    if schema.unit.column is None:
        keys = [c.name for c in spec.of_kind("identifier")]
        hint = f" Perhaps one of {keys}." if keys else ""
        raise EngineError(
            f"table {spec.name!r}: whose histories are these? Name the entity's column as the unit "
            f"(--unit, or `unit` in the plan).{hint}"
        )
    return schema.unit.column


def _clock(spec: Table) -> str:
    if spec.order_by is None:
        times = [c.name for c in spec.of_kind("datetime")]
        hint = f"Its datetime columns are {times}." if times else "It has no datetime column."
        raise EngineError(
            f"table {spec.name!r} has no clock, so its rows have no order in time. Name one as "
            f"`order_by` in the plan: a date, a timestamp or a number. {hint}"
        )
    return spec.order_by


def _moved(
    table: pa.Table, spec: Table, running: tuple[Running, ...]
) -> tuple[Reparametrisation, pa.Table, Table]:
    """The table with all other constraints taken out and points split."""
    keys = {c.name for c in spec.of_kind("identifier")}
    for rule in spec.constraints:
        if isinstance(rule, Unique) and not set(rule.columns) <= keys:
            raise EngineError(
                f"table {spec.name!r} wants {list(rule.columns)} to be unique, which the "
                "sequential engine cannot promise. Drop the rule, or take the tree engine."
            )
    kept = tuple(r for r in spec.constraints if not isinstance(r, (Running, Unique)))
    space = Reparametrisation.fit(table, spec.model_copy(update={"constraints": kept}))
    moved, shaped = split_points(space.forward(table), space.spec)
    return space, moved, shaped


def _require(clock: str, balances: list[str], names: list[str], spec: Table) -> None:
    for name in (clock, *balances):
        if name not in names:
            raise EngineError(
                f"table {spec.name!r}: column {name!r} orders or adds up the events, and is also "
                "worked out by another rule. Drop one of the two."
            )


def _payees(spec: Table, table: pa.Table, unit: str) -> tuple[str, ...]:
    """Identifiers that come back."""
    found = []
    for column in spec.columns:
        if not isinstance(column, Identifier) or column.name == unit:
            continue
        values = table[column.name].drop_null()
        distinct = pc.count_distinct(values).as_py()
        if len(values) and distinct < RETURNING * len(values):
            found.append(column.name)
    return tuple(found)


def _is_fixed(column: pa.ChunkedArray, entity: Index) -> bool:
    """Whether a column never changes within an entity, of whom some have several events."""
    before = before_in(entity)
    following = before >= 0
    found = codes(column)
    return bool(following.any() and np.all(found[following] == found[before[following]]))


def _context(moved: pa.Table, fixed: list[str], entity: Index) -> tuple[pa.Table, int]:
    """One row an entity, of its fixed columns."""
    _, first = np.unique(entity, return_index=True)
    if not fixed:
        return pa.table({NOTHING: pa.array(np.zeros(len(first), np.int8))}), len(first)
    return moved.select(fixed).take(pa.array(first)).combine_chunks(), len(first)


def _fit_context(context: pa.Table, seed: int, growth: Growth) -> Conditional:
    nothing: Floats = np.zeros((context.num_rows, 0), np.float32)
    return fit_conditional(nothing, context, name="context", seed=seed, growth=growth)
