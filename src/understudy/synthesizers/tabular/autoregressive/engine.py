"""The any-order autoregressive engine: one network that knows every conditional distribution.

Columns become tokens of at most a hundred codes; a masked network learns each of them given any
subset of the others (the idea of TabularARGN, mostlyai-engine). Sampling, conditions on any
columns, balance, imputation and likelihood come from the one fit. Numbers come back along their
column's own quantile line, missing cells are a code like any other.

    model = AutoregressiveSynthesizer(target="income").fit(dataset)
    model.sample(10_000, where="age > 60", balance={"income": "uniform"})

Under a budget the codes are bought through the private door and the network is trained by DP-SGD.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from understudy.data import Dataset
from understudy.privacy.budget import Budget
from understudy.privacy.session import Session
from understudy.runtime.progress import Progress, silent
from understudy.schema import Schema
from understudy.schema.storage import stored_type
from understudy.synthesizers.tabular.assembly import Assembly
from understudy.synthesizers.tabular.autoregressive.learning import (
    Size,
    learn_openly,
    learn_privately,
)
from understudy.synthesizers.tabular.autoregressive.model import AutoregressiveModel
from understudy.synthesizers.tabular.neural.budget import ColumnPlan, plan_columns
from understudy.synthesizers.tabular.neural.device import require_torch
from understudy.synthesizers.tabular.request import learnable_table, with_params
from understudy.synthesizers.tabular.shape import Shape


@dataclass(frozen=True, kw_only=True)
class AutoregressiveSynthesizer:
    """Configuration of the engine; every field is public and printed in the certificate.

    `bins` codes cut a number line, `dim` numbers embed a code, the trunk has `depth` residual
    blocks of `width`, `rate` is Adam's; None takes what measured best (`learning.OPEN`, or
    `PRIVATE` under a budget). `epochs`, `patience` and `batch` are for fits without a budget: a
    tenth of the rows is held out, and training ends after `patience` epochs in which they gain
    nothing (0: all rows, all epochs, which learns rows by heart); a batch of None is a 32nd of
    the table, within 32 and 1,024. `device` is torch's name of one, `auto` takes a GPU
    where there is one.
    """

    target: str | None = None
    seed: int = 0
    bins: int | None = None
    dim: int | None = None
    width: int | None = None
    depth: int | None = None
    rate: float | None = None
    epochs: int = 60
    patience: int = 5
    batch: int | None = None
    threads: int = 1
    device: str = "auto"

    private = True

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return asdict(self)

    def set_params(self, **params: Any) -> AutoregressiveSynthesizer:
        return with_params(self, params, "autoregressive")

    def size(self, default: Size) -> Size:
        """`default` with what is set here in its place."""
        asked = {field.name: getattr(self, field.name) for field in fields(Size)}
        return replace(default, **{k: v for k, v in asked.items() if v is not None})

    def fit(
        self, data: Any, *, privacy: Session | None = None, progress: Progress = silent
    ) -> AutoregressiveModel:
        """Learns one table: a `Dataset`, or any frame or path that `understudy.read` takes.

        With a session everything is asked through it, within its budget. Raises
        `MissingExtraError` without torch, `BudgetError` when the budget is too little for this
        table, `EngineError` for several tables or a training that fails, `ColumnError` for a target
        that cannot be one.
        """
        require_torch("autoregressive")
        from understudy.data import like, read

        dataset = data if isinstance(data, Dataset) else read(data)
        spec = learnable_table(dataset.schema, self.target, "autoregressive")
        if privacy is None:
            learnt = learn_openly(self, dataset, spec, progress)
        else:
            learnt = learn_privately(self, dataset, spec, privacy, progress)
        identifiers = [c.name for c in spec.of_kind("identifier")]
        assembly = Assembly(
            schema=dataset.schema,
            types=dataset.table.schema.remove_metadata(),
            space=learnt.shape.space,
            learnt_spec=learnt.shape.spec,
            learnt_types=learnt.shape.types,
            identifiers=dataset.table.select(identifiers) if privacy is None else None,
        )
        return AutoregressiveModel(
            config=self,
            rows=learnt.rows,
            assembly=assembly,
            drawing=learnt.drawing,
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
        spec = learnable_table(schema, self.target, "autoregressive")
        if types is None:
            types = pa.schema([(c.name, stored_type(c)) for c in spec.columns])
        shape = Shape.public(spec, types)
        return plan_columns(shape.spec.learnt, shape.known, budget, rows_per_unit)

    @staticmethod
    def load(path: Path) -> AutoregressiveModel:
        """A model that `AutoregressiveModel.save` wrote."""
        return AutoregressiveModel.load(path)
