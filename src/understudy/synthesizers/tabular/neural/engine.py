"""What the configurations of engines that train a network share: parameters, `fit`, `plan`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import pyarrow as pa

from understudy.data import Dataset
from understudy.privacy.budget import Budget
from understudy.privacy.session import Session
from understudy.runtime.progress import Progress, silent
from understudy.schema import Schema, Table
from understudy.schema.storage import stored_type
from understudy.synthesizers.tabular.assembly import Assembly
from understudy.synthesizers.tabular.neural.budget import ColumnPlan, plan_columns
from understudy.synthesizers.tabular.neural.conditional_model import ConditionalModel
from understudy.synthesizers.tabular.neural.device import require_torch
from understudy.synthesizers.tabular.neural.learnt import Learnt
from understudy.synthesizers.tabular.request import learnable_table, with_params
from understudy.synthesizers.tabular.shape import Shape

Made = TypeVar("Made", bound=ConditionalModel)


class NeuralSynthesizer(ABC, Generic[Made]):
    """An engine before it has seen data; its fields are those of the dataclass that it is."""

    target: str | None
    engine: ClassVar[str]
    private: ClassVar[bool] = True

    @abstractmethod
    def learn_openly(self, dataset: Dataset, spec: Table, progress: Progress) -> Learnt:
        """Without a budget."""

    @abstractmethod
    def learn_privately(
        self, dataset: Dataset, spec: Table, session: Session, progress: Progress
    ) -> Learnt:
        """Within the session's budget."""

    @classmethod
    @abstractmethod
    def model_class(cls) -> type[Made]: ...

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return asdict(self)  # type: ignore[call-overload, no-any-return]

    def set_params(self, **params: Any) -> Self:
        return with_params(self, params, self.engine)

    def sized(self, default: Any) -> Any:
        """`default`, a dataclass of sizes, with what is set here in its place."""
        asked = {name: getattr(self, name) for name in asdict(default)}
        return replace(default, **{name: v for name, v in asked.items() if v is not None})

    def fit(
        self, data: Any, *, privacy: Session | None = None, progress: Progress = silent
    ) -> Made:
        """Learns one table: a `Dataset`, or any frame or path that `understudy.read` takes.

        With a session everything is asked through it, within its budget. Raises
        `MissingExtraError` without torch, `BudgetError` when the budget is too little for this
        table, `EngineError` for several tables or a training that fails, `ColumnError` for a target
        that cannot be one.
        """
        require_torch(self.engine)
        from understudy.data import like, read

        dataset = data if isinstance(data, Dataset) else read(data)
        spec = learnable_table(dataset.schema, self.target, self.engine)
        if privacy is None:
            learnt = self.learn_openly(dataset, spec, progress)
        else:
            learnt = self.learn_privately(dataset, spec, privacy, progress)
        identifiers = [c.name for c in spec.of_kind("identifier")]
        return self.model_class()(  # type: ignore[call-arg]
            config=self,
            rows=learnt.rows,
            assembly=Assembly(
                schema=dataset.schema,
                types=dataset.table.schema.remove_metadata(),
                space=learnt.shape.space,
                learnt_spec=learnt.shape.spec,
                learnt_types=learnt.shape.types,
                identifiers=dataset.table.select(identifiers) if privacy is None else None,
            ),
            drawing=learnt.drawing,
            **({"arrays": learnt.arrays} if learnt.arrays else {}),
            private=privacy is not None and privacy.private,
            audit=learnt.audit,
            to_frame=None
            # A frame's own dtypes list every real category: under a budget a dataset comes out.
            if privacy is not None or isinstance(data, (Dataset, str, Path))
            else lambda made: like(made, data),
        )

    def plan(
        self,
        schema: Schema,
        budget: Budget,
        *,
        rows_per_unit: int = 1,
        types: pa.Schema | None = None,
    ) -> ColumnPlan:
        """The queries about columns that `fit` will ask within `budget`; spends nothing.

        What is left pays for a training whose steps follow from how many rows are bought.
        """
        spec = learnable_table(schema, self.target, self.engine)
        if types is None:
            types = pa.schema([(c.name, stored_type(c)) for c in spec.columns])
        shape = Shape.public(spec, types)
        return plan_columns(shape.spec.learnt, shape.known, budget, rows_per_unit)

    @classmethod
    def load(cls, path: Path) -> Made:
        """A model that this engine fitted and `save` wrote."""
        return cls.model_class().load(path)
