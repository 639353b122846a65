"""The marginal engine: noisy tables of few columns, made consistent in closed form.

The best way known to small privacy budgets: everything is learnt from counts, each of which one
row changes by one (McKenna, Miklau & Sheldon 2021, MST; McKenna et al. 2022, AIM). Unlike these,
every table is broken down by the target, tables are shrunk instead of only measured, and the
distribution is fitted by raking single cliques, in under a second where belief propagation with
gradient descent takes minutes.

    model = MarginalSynthesizer(target="income").fit(dataset, privacy=session)
    model.sample(10_000, where="age > 60", balance={"income": "uniform"})

Rows are touched through the private door only; all that follows a mechanism is post-processing.
Without a session the same steps run on exact counts and keep no privacy budget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from understudy.data import Dataset
from understudy.encoding.private_bins import Binned, learn
from understudy.errors import EngineError
from understudy.privacy.budget import Budget
from understudy.privacy.events import Event
from understudy.privacy.session import Private, Session
from understudy.privacy.sessions import OpenSession
from understudy.runtime.progress import Progress, ProgressEvent, silent
from understudy.schema import Schema
from understudy.schema.storage import stored_type
from understudy.synthesizers.tabular.marginals.cliques import fit_cliques, measure, refined
from understudy.synthesizers.tabular.marginals.grain import MANY, SHORT, STEPS, ladder
from understudy.synthesizers.tabular.marginals.model import MarginalModel
from understudy.synthesizers.tabular.marginals.network import Network, Node
from understudy.synthesizers.tabular.marginals.oneway import (
    Classes,
    Coded,
    by_class,
    classes_of,
    row_total,
    smooth,
)
from understudy.synthesizers.tabular.marginals.planning import (
    MarginalPlan,
    Shares,
    make_plan,
    width_at,
)
from understudy.synthesizers.tabular.marginals.selection import select
from understudy.synthesizers.tabular.request import learnable_table, with_params
from understudy.synthesizers.tabular.shape import Shape

CLASSES = 16
"""Most classes that every table is broken down by."""
CLASS_ROWS = 5.0
"""A class of its own needs so many standard deviations of the noise in a table by target."""


@dataclass(frozen=True, kw_only=True)
class MarginalSynthesizer:
    """Configuration of the engine; every field is public and printed in the certificate.

    `width` is how many earlier columns a column may be drawn from beside the target (None: 1 to 3,
    by epsilon). `seed` drives sampling only, never the noise.
    """

    target: str | None = None
    seed: int = 0
    width: int | None = None

    private = True

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return asdict(self)

    def set_params(self, **params: Any) -> MarginalSynthesizer:
        return with_params(self, params, "marginal")

    def plan(
        self,
        schema: Schema,
        budget: Budget,
        *,
        rows_per_unit: int = 1,
        types: pa.Schema | None = None,
    ) -> MarginalPlan:
        """Every query that `fit` will ask within `budget`, in order; spends nothing.

        `types` are the table's Arrow types, where they are known.
        """
        spec = learnable_table(schema, self.target, "marginal")
        if types is None:
            types = pa.schema([(c.name, stored_type(c)) for c in spec.columns])
        shape = Shape.public(spec, types)
        return self._plan(shape, budget, rows_per_unit)

    def fit(
        self, data: Any, *, privacy: Session | None = None, progress: Progress = silent
    ) -> MarginalModel:
        """Learns one table: a `Dataset`, or any frame or path that `understudy.read` takes.

        With a session everything is asked through it, within its budget. Raises `BudgetError` when
        that is too little for this table, `EngineError` for several tables and for constraints that
        only the data could settle, `ColumnError` for a target that cannot be one.
        """
        from understudy.data import like, read

        dataset = data if isinstance(data, Dataset) else read(data)
        spec = learnable_table(dataset.schema, self.target, "marginal")
        types = dataset.table.schema.remove_metadata()
        if privacy is None:
            if dataset.table.num_rows == 0:
                raise EngineError(f"table {spec.name!r} has no rows to learn from.")
            shape = Shape.of_data(dataset.table, spec)
        else:
            shape = Shape.public(spec, types)
        session = OpenSession() if privacy is None else privacy
        rows = session.admit(dataset).map(lambda d: d.table)
        network, binned, total = self.learn(rows, shape, session, progress)
        progress(ProgressEvent("fit", 1, 1, "done"))
        identifiers = [c.name for c in spec.of_kind("identifier")]
        return MarginalModel(
            config=self,
            schema=dataset.schema,
            types=types,
            rows=max(1, round(total)),
            space=shape.space,
            model_spec=shape.spec,
            model_types=shape.types,
            axes={name: column.axis for name, column in binned.items()},
            network=network,
            private=session.private,
            identifiers=dataset.table.select(identifiers) if privacy is None else None,
            to_frame=None
            # A frame's own dtypes list every real category: under a budget a dataset comes out.
            if privacy is not None or isinstance(data, (Dataset, str, Path))
            else lambda made: like(made, data),
        )

    def learn(
        self,
        rows: Private[pa.Table],
        shape: Shape,
        session: Session,
        progress: Progress = silent,
        label_delta: float | None = None,
    ) -> tuple[Network, dict[str, Binned], float]:
        """The distribution of `rows` in the columns of `shape`, their axes and their number.

        Asks through `session`, whose plan is reserved first. `label_delta` is what labels may cost
        of delta where the session's budget is not for this table alone.
        """
        plan = self._plan(shape, session.budget, rows.rows_per_unit, session.before, label_delta)
        session.reserve_plan(plan.events)
        return self._learn(rows.map(shape.forward), shape, plan, session.budget, progress)

    @staticmethod
    def load(path: Path) -> MarginalModel:
        """A model that `MarginalModel.save` wrote."""
        return MarginalModel.load(path)

    def _target(self, shape: Shape) -> str | None:
        """The target, unless a constraint works it out from other columns."""
        return self.target if self.target in shape.known else None

    def _plan(
        self,
        shape: Shape,
        budget: Budget,
        rows_per_unit: int,
        already: Sequence[Event] = (),
        label_delta: float | None = None,
    ) -> MarginalPlan:
        target = self._target(shape)
        return make_plan(
            shape.spec.learnt,
            shape.known,
            target,
            budget,
            shares_at(budget.epsilon, target is not None),
            self.width or width_at(budget.epsilon),
            rows_per_unit,
            already,
            label_delta,
        )

    def _learn(
        self,
        rows: Private[pa.Table],
        shape: Shape,
        plan: MarginalPlan,
        budget: Budget,
        progress: Progress,
    ) -> tuple[Network, dict[str, Binned], float]:
        asked = plan.mechanisms
        binned: dict[str, Binned] = {}
        for i, column in enumerate(shape.spec.learnt):
            note = f"column {column.name!r}"
            progress(ProgressEvent("fit", i, 2 * len(shape.spec.learnt), note))
            type = shape.types.field(column.name).type
            binned[column.name] = learn(rows, column, type, shape.known[column.name], asked)
        total = row_total(list(binned.values()), budget.epsilon)
        alone = {name: smooth(column, total) for name, column in binned.items()}
        codes = rows.map(lambda table: _encoded(table, binned))
        classes, tables, variances = self._one_ways(codes, binned, alone, total, plan, shape)
        many = len(tables) > MANY
        ladders = {
            name: ladder(table, binned[name].axis.ordered, SHORT if many else STEPS)
            for name, table in tables.items()
        }
        progress(ProgressEvent("fit", 1, 2, "which columns belong together"))
        structure = select(codes, ladders, tables, classes, plan)
        measured = measure(codes, ladders, classes, structure, plan)
        tables = refined(tables, variances, ladders, measured, classes.counts)
        cliques = fit_cliques(structure, measured, tables, ladders, classes.counts)
        nodes = {
            name: Node(clique.parents, clique.groups, clique.table, tables[name])
            for name, clique in cliques.items()
        }
        return Network(classes.target, classes.of_code, classes.fine, nodes), binned, total

    def _one_ways(
        self,
        codes: Private[Coded],
        binned: Mapping[str, Binned],
        alone: Mapping[str, Any],
        total: float,
        plan: MarginalPlan,
        shape: Shape,
    ) -> tuple[Classes, dict[str, Any], dict[str, float]]:
        target = self._target(shape)
        features = {name: counts for name, counts in alone.items() if name != target}
        if target is None or not features:
            size = 1 if target is None else len(alone[target])
            fine = np.array([total]) if target is None else alone[target]
            classes = Classes(target, np.zeros(size, np.intp), np.array([total]), fine)
            variances = {name: float(binned[name].variance.mean()) for name in features}
            return classes, {n: counts[None] for n, counts in features.items()}, variances
        smallest = CLASS_ROWS * plan.sigma(f"{next(iter(features))} by target")
        classes = classes_of(target, binned[target], alone[target], CLASSES, smallest)
        return by_class(codes, binned, features, classes, plan)


def shares_at(epsilon: float, targeted: bool) -> Shares:
    """How the budget is divided, by what measured best on real tables (see benchmarks)."""
    if not targeted:
        return Shares(alone=0.3, target=0.0, choices=0.06)
    if epsilon <= 0.5:
        return Shares(alone=0.25, target=0.35, choices=0.06)
    return Shares(alone=0.2, target=0.35, choices=0.05)


def _encoded(table: pa.Table, binned: Mapping[str, Binned]) -> Coded:
    """Every column as codes in as few bytes as they need."""
    return {
        name: column.axis.encode(table[name]).astype(np.min_scalar_type(column.axis.size))
        for name, column in binned.items()
    }
