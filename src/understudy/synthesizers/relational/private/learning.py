"""A database through the private door: bounds first, then table by table along its keys."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from understudy.data import Dataset
from understudy.data.ownership import owners, ownership
from understudy.data.sharing import unshared
from understudy.encoding.private_bins import Binned
from understudy.errors import BudgetError
from understudy.privacy.session import Private, Session
from understudy.privacy.units import bounded
from understudy.runtime.progress import Progress, ProgressEvent
from understudy.schema import Schema
from understudy.synthesizers.relational.cells import learnt_names
from understudy.synthesizers.relational.graph import Graph, has_clock
from understudy.synthesizers.relational.private.absent import Absent, not_seen
from understudy.synthesizers.relational.private.bounds import chosen
from understudy.synthesizers.relational.private.events import EVENTS, PrivateEvents, fit_events
from understudy.synthesizers.relational.private.likeness import Likeness
from understudy.synthesizers.relational.private.parts import Parts
from understudy.synthesizers.relational.private.tables import PrivateTable, fit_table
from understudy.synthesizers.relational.private.thinning import salts
from understudy.synthesizers.relational.rows import Rows, real_rows

BOUNDS = 0.06
"""What choosing all bounds weighs, beside the tables together."""
ALL = 1 << 62
"""More rows than there are."""
UNIT, TABLE = 2.0, 1.0
"""What parts weigh: the unit's table, any other; tables of events see `events`."""


def learn(
    dataset: Dataset,
    graph: Graph,
    session: Session,
    seed: int,
    progress: Progress,
) -> tuple[dict[str, PrivateTable | Absent], dict[str, PrivateEvents], dict[str, Likeness]]:
    """Models of tables and of histories, and how keys are matched.

    Bounds that the session states by table are public; all others are bought. Rows that hang on
    two units are left out. Histories stay whole: of these the bound says how many events are
    learnt from, and `fit_events` sees to it. Raises `BudgetError`, which names the table, for a
    budget too small for one.
    """
    schema = dataset.schema
    names = tuple(name for name in graph.order if name not in graph.reference)
    clocked = {name for name in names if has_clock(schema, graph, name)}
    weights = weights_of(schema)
    bounds = dict(_public_bounds(schema, session))
    open_ = tuple(name for name in names if name not in bounds)
    whole = sum(weights.values())
    parts = Parts(session, whole * (1 + BOUNDS) if open_ else whole)
    single = Private(unshared(dataset), session)
    if open_:
        part = parts.part("bounds", whole * BOUNDS, 1)
        bounds |= chosen(single, open_, part, part.choices(1.0, len(open_)))
    learnt = {spec.name: learnt_names(spec) for spec in schema.tables}
    cut = bounds | dict.fromkeys(clocked, ALL)
    bounded_rows = single.map(lambda d: bounded(d, cut))
    seen = bounded_rows.map(lambda d: _rows(d, graph, learnt))
    types = {name: dataset.tables[name].schema.remove_metadata() for name in names}
    reference = {name: dataset.tables[name].num_rows for name in graph.reference}
    axes: dict[str, dict[str, Binned]] = {name: {} for name in graph.reference}
    tables: dict[str, PrivateTable | Absent] = {}
    raw = bounded_rows.map(lambda d: d.tables)
    histories: dict[str, PrivateEvents] = {}
    for i, name in enumerate(names):
        progress(ProgressEvent("fit", i, len(names), f"table {name!r}"))
        if not_seen(graph, name, axes):
            tables[name] = Absent(name, tuple(learnt[name]), types[name])
            axes[name] = {}
            parts.used += weights[name]
            continue
        try:
            if name in clocked:
                histories[name] = fit_events(
                    schema, graph, name, types, bounds, seen, raw, axes, tables, parts, seed
                )
                continue
            part = parts.part(name, weights[name], bounds[name])
            tables[name], seen = fit_table(
                schema, graph, name, types, reference, bounds, seen, axes, part, seed
            )
        except BudgetError as error:
            raise BudgetError(f"table {name!r}: {error}") from None
    pairings = {
        link.name: Likeness(link, total=not link.nullable)
        for name in names
        for link in graph.of(name, "matched", "deferred")
    }
    return tables, histories, pairings


def _public_bounds(schema: Schema, session: Session) -> Mapping[str, int]:
    """What the session states, and one row of the unit's table where its column is the key."""
    stated = session.rows_per_unit
    declared = {} if isinstance(stated, int) else stated
    spec = schema.table(schema.unit.table)
    if schema.unit.column is None or spec.primary_key == (schema.unit.column,):
        return {spec.name: 1, **declared}
    return declared


def weights_of(schema: Schema) -> dict[str, float]:
    """How the budget is divided between the tables, from the schema alone."""
    plan = ownership(schema)
    found = {}
    for spec in schema.tables:
        path = plan.paths.get(spec.name)
        if path is not None:
            clocked = spec.order_by is not None and bool(path) and path[-1].down
            found[spec.name] = EVENTS if clocked else TABLE if path else UNIT
    return found


def _rows(dataset: Dataset, graph: Graph, learnt: Mapping[str, tuple[str, ...]]) -> Rows:
    """Rows with the number of their unit (`thinning`)."""
    rows = real_rows(dataset, graph, learnt)
    owned, _ = owners(dataset)
    unit = dataset.schema.unit
    table = dataset.schema.table(unit.table).name
    first = owned[table]
    of_unit = np.zeros(int(first.units.max(initial=-1)) + 1)
    if unit.column is not None:
        of_unit[first.units] = salts(dataset.tables[table][unit.column])[first.rows]
    for name, found in owned.items():
        units = found.single(rows.size(name))
        rows.units[name] = units
        rows.salts[name] = np.append(of_unit, 0.0)[units]
    return rows
