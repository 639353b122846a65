"""The relational engine: a whole database, structure first, its rows given what they hang on.

    model = RelationalSynthesizer().fit(dataset)          # a Dataset of several tables
    model.sample(5_000)                                   # 5,000 units with all that hangs on them

Tables are made one after the other along their foreign keys (`graph`). A row is drawn by trees
given the row it hangs on, that one's parents, the rows made before it for the same parent and its
siblings before (`tables`), together with how many rows will hang on it. Tables with a clock are
histories (`sequential`). Keys beside the one a table hangs on are matched by likeness, and every
row is pointed at as often as its own count says (`pairing`). Tables that belong to nobody are kept.

Under a budget the same order is kept, and rows are drawn from noisy tables instead of trees, by the
marginal engine's core (`private`): structure, keys and cells of a unit in all tables are paid for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from understudy.data import Dataset
from understudy.data.ownership import ownership
from understudy.errors import EngineError, PlanError
from understudy.privacy.session import Session
from understudy.runtime.progress import Progress, ProgressEvent, silent
from understudy.schema import ForeignKey, Schema, Table
from understudy.synthesizers.relational.agreement import refuse_disagreement
from understudy.synthesizers.relational.cells import learnt_names, pointed_at
from understudy.synthesizers.relational.events import EventModel, fit_events
from understudy.synthesizers.relational.graph import Graph, graph_of, has_clock
from understudy.synthesizers.relational.model import RelationalModel
from understudy.synthesizers.relational.pairing import Pairing, fit_pairing
from understudy.synthesizers.relational.rows import Rows, real_rows
from understudy.synthesizers.relational.sweeps import Sweep, fit_sweeps
from understudy.synthesizers.relational.tables import TableModel, fit_table
from understudy.synthesizers.tabular.conditional import Growth
from understudy.synthesizers.tabular.request import with_params

SMALL = 200
"""Rows up to which a table that belongs to nobody is looked up as a category."""


@dataclass(frozen=True, kw_only=True)
class RelationalSynthesizer:
    """Configuration of the engine; every field is public and printed in the certificate.

    `leaf`, `trees` and `features` are those of the tree engine. `sweeps` is how often cells are
    drawn anew given their parents and children (see `sweeps`); on the Czech bank the judge of
    entities does better without (AUC .578, with one sweep .690; two real samples .522).
    """

    seed: int = 0
    trees: int = 3
    leaf: int = 40
    features: float = 0.8
    workers: int = 1
    sweeps: int = 0

    private = True

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return asdict(self)

    def set_params(self, **params: Any) -> RelationalSynthesizer:
        return with_params(self, params, "relational")

    def fit(
        self, data: Any, *, privacy: Session | None = None, progress: Progress = silent
    ) -> RelationalModel:
        """Learns a database: a `Dataset`, or any folder or URL that `understudy.read` takes.

        With a session everything is asked through it, within its budget; how many rows of a unit
        are learnt from is bought for tables for which the session does not say it. Raises
        `PlanError` for keys that run in a circle without a beginning and for a unit that reaches
        too little, `BudgetError` for a budget too small for this database.
        """
        from understudy.data import read

        dataset = data if isinstance(data, Dataset) else read(data)
        graph = graph_for(dataset)
        refuse_disagreement(graph)
        if privacy is None:
            return self._open(dataset, graph, progress)
        return self._private(dataset, graph, privacy, progress)

    def _open(self, dataset: Dataset, graph: Graph, progress: Progress) -> RelationalModel:
        schema = dataset.schema
        _refuse_nobody(dataset, graph)
        learnt = {s.name: learnt_names(s, pointed_at(schema, s.name)) for s in schema.tables}
        rows = real_rows(dataset, graph, learnt)
        growth = Growth(trees=self.trees, leaf=self.leaf, features=self.features)
        tables = self._tables(schema, rows, graph, growth, progress)
        return RelationalModel(
            config=self,
            schema=schema,
            graph=graph,
            private=False,
            sizes={name: rows.size(name) for name in graph.order},
            tables=tables,
            sweeps=self._sweeps(schema, rows, graph, tables, growth),
            histories=self._histories(dataset, rows, graph, growth, progress),
            pairings=self._pairings(rows, graph, growth, progress),
            types=_types(dataset),
            real={s.name: _keys(dataset, s, graph) for s in schema.tables},
        )

    def _private(
        self, dataset: Dataset, graph: Graph, session: Session, progress: Progress
    ) -> RelationalModel:
        from understudy.synthesizers.relational.private.learning import learn

        tables, histories, pairings = learn(dataset, graph, session, self.seed, progress)
        reference = {name: dataset.tables[name] for name in graph.reference}
        return RelationalModel(
            config=self,
            schema=dataset.schema,
            graph=graph,
            private=session.private,
            sizes={
                **{name: table.num_rows for name, table in reference.items()},
                **{name: max(1, round(table.rows)) for name, table in tables.items()},
                **{name: max(1, round(events.rows)) for name, events in histories.items()},
            },
            tables=tables,
            histories=histories,
            pairings=pairings,
            types=_types(dataset),
            real=reference,
        )

    @staticmethod
    def load(path: Path) -> RelationalModel:
        """A model that `RelationalModel.save` wrote."""
        return RelationalModel.load(path)

    def _tables(
        self, schema: Schema, rows: Rows, graph: Graph, growth: Growth, progress: Progress
    ) -> dict[str, TableModel]:
        found = {}
        learnt = [
            n for n in graph.order if n not in graph.reference and not has_clock(schema, graph, n)
        ]
        for i, name in enumerate(learnt):
            progress(ProgressEvent("fit", i, len(graph.order), f"table {name!r}"))
            found[name] = fit_table(
                schema.table(name),
                rows,
                graph,
                seed=self.seed,
                growth=growth,
                workers=self.workers,
                pointed_at=pointed_at(schema, name),
            )
        return found

    def _sweeps(
        self,
        schema: Schema,
        rows: Rows,
        graph: Graph,
        tables: Mapping[str, TableModel],
        growth: Growth,
    ) -> tuple[Sweep, ...]:
        if self.sweeps == 0:
            return ()
        specs = {spec.name: spec for spec in schema.tables}
        return fit_sweeps(
            specs, rows, graph, tables, seed=self.seed, growth=growth, workers=self.workers
        )

    def _histories(
        self, dataset: Dataset, rows: Rows, graph: Graph, growth: Growth, progress: Progress
    ) -> dict[str, EventModel]:
        found = {}
        for name in graph.order:
            if not has_clock(dataset.schema, graph, name):
                continue
            progress(ProgressEvent("fit", len(found), len(graph.order), f"histories of {name!r}"))
            found[name] = fit_events(
                dataset, rows, graph, name, seed=self.seed, growth=growth, workers=self.workers
            )
        return found

    def _pairings(
        self, rows: Rows, graph: Graph, growth: Growth, progress: Progress
    ) -> dict[str, Pairing]:
        found = {}
        for name in graph.order:
            for link in graph.of(name, "matched", "deferred"):
                progress(ProgressEvent("fit", 0, 1, f"who points at whom by {link.name}"))
                found[link.name] = fit_pairing(
                    link, rows, graph, seed=self.seed, growth=growth, workers=self.workers
                )
        return found


def _types(dataset: Dataset) -> dict[str, pa.Schema]:
    return {name: table.schema.remove_metadata() for name, table in dataset.tables.items()}


def _keys(dataset: Dataset, spec: Table, graph: Graph) -> pa.Table:
    """What must not be made again: a table's identifiers and own keys; all of a reference table."""
    table = dataset.tables[spec.name]
    if spec.name in graph.reference:
        return table
    own = {*spec.primary_key, *pointed_at(dataset.schema, spec.name)}
    names = [c.name for c in spec.columns if c.kind == "identifier" or c.name in own]
    return table.select(names)


def _refuse_nobody(dataset: Dataset, graph: Graph) -> None:
    """`EngineError` where there is no unit to learn from."""
    unit = dataset.schema.unit.table
    made = [name for name in graph.order if name not in graph.reference]
    some = [unit] if unit is not None else made
    if not any(dataset.tables[name].num_rows for name in some):
        what = f"the unit's table {unit!r} has" if unit is not None else "all tables have"
        raise EngineError(f"{what} no rows to learn from. Give the data that belongs there.")


def graph_for(dataset: Dataset) -> Graph:
    """In which order the tables of a dataset are made, and what its keys mean for that."""
    schema = dataset.schema
    hangs: Mapping[str, ForeignKey | None] = {}
    if schema.unit.column is None:
        reference = _declared(schema)
    else:
        found = ownership(schema)
        reference = found.reference
        hangs = {
            name: path[-1].key if path[-1].down else None
            for name, path in found.paths.items()
            if path
        }
    return graph_of(
        schema,
        reference=reference,
        small={name for name in reference if dataset.tables[name].num_rows <= SMALL},
        hangs=hangs,
        late={spec.name for spec in schema.tables if spec.order_by is not None},
    )


def _declared(schema: Schema) -> frozenset[str]:
    """Tables declared as reference where there is no unit, and what they point at.

    Raises `PlanError` for one that points at a table declared as owned.
    """
    found = {spec.name for spec in schema.tables if spec.role == "reference"}
    waiting = sorted(found)
    while waiting:
        name = waiting.pop()
        for key in schema.table(name).foreign_keys:
            if schema.table(key.table).role == "owned":
                raise PlanError(
                    f"table {name!r} is a reference table, kept as it is, and points at "
                    f"{key.table!r} by {'+'.join(key.columns)!r}, which is `role: owned` and made "
                    "anew. Drop one of the two roles."
                )
            if key.table not in found:
                found.add(key.table)
                waiting.append(key.table)
    return frozenset(found)
