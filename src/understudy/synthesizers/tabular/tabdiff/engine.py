"""The mixed-type diffusion engine: rows from noise, numbers and labels side by side.

Numbers become normal scores along their column's own quantile line and are denoised as in EDM;
labels, missing cells and values that very many rows share become tokens that are hidden and drawn
again, as in masked diffusion (TabDiff, Shi et al., ICLR 2025, written from the paper). One time
serves a whole row. Sampling, conditions on any columns, balance, imputation and scores for attacks
come from the one fit.

    model = TabDiffSynthesizer(target="income").fit(dataset)
    model.sample(10_000, where="age > 60", balance={"income": "uniform"})

Under a budget the columns are bought through the private door and the network is trained by DP-SGD.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from understudy.data import Dataset
from understudy.errors import EngineError
from understudy.privacy.budget import Budget
from understudy.privacy.session import Session
from understudy.runtime.progress import Progress, silent
from understudy.schema import Schema
from understudy.schema.storage import stored_type
from understudy.synthesizers.tabular.assembly import Assembly
from understudy.synthesizers.tabular.neural.budget import ColumnPlan, plan_columns
from understudy.synthesizers.tabular.neural.device import require_torch
from understudy.synthesizers.tabular.request import learnable_table, with_params
from understudy.synthesizers.tabular.shape import Shape
from understudy.synthesizers.tabular.tabdiff.learning import learn_openly, learn_privately
from understudy.synthesizers.tabular.tabdiff.model import TabDiffModel
from understudy.synthesizers.tabular.tabdiff.presets import Preset, PresetName

CHANGED = ("dim", "width", "depth", "rate", "steps", "patience", "sampler_steps", "learnt")
"""What of a preset a configuration can change."""


@dataclass(frozen=True, kw_only=True)
class TabDiffSynthesizer:
    """Configuration of the engine; every field is public and printed in the certificate.

    `preset` is `cpu`, `gpu`, or `auto` by the device (see `presets`); None elsewhere takes the
    preset's, or `presets.PRIVATE`'s under a budget. `steps`, `epochs` (which goes before steps),
    `batch` and `patience` are for fits without a budget; with a patience of 0 nothing is held out
    and training goes on to its end, as nobody should. `learnt` schedules have parameters, which
    a budget does not allow. `device` is torch's name of one, `auto` takes a GPU where there is one.
    """

    target: str | None = None
    seed: int = 0
    preset: PresetName = "auto"
    dim: int | None = None
    width: int | None = None
    depth: int | None = None
    rate: float | None = None
    steps: int | None = None
    epochs: int | None = None
    batch: int | None = None
    patience: int | None = None
    sampler_steps: int | None = None
    learnt: bool | None = None
    threads: int = 1
    device: str = "auto"

    private = True

    def __post_init__(self) -> None:
        if self.preset not in ("auto", "cpu", "gpu"):
            raise EngineError(
                f"the tabdiff engine has no preset {self.preset!r}. Take 'cpu', 'gpu' or 'auto'."
            )

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return asdict(self)

    def set_params(self, **params: Any) -> TabDiffSynthesizer:
        return with_params(self, params, "tabdiff")

    def preset_with(self, default: Preset) -> Preset:
        """`default` with what is set here in its place."""
        asked = {name: getattr(self, name) for name in CHANGED}
        return replace(default, **{k: v for k, v in asked.items() if v is not None})

    def fit(
        self, data: Any, *, privacy: Session | None = None, progress: Progress = silent
    ) -> TabDiffModel:
        """Learns one table: a `Dataset`, or any frame or path that `understudy.read` takes.

        With a session everything is asked through it, within its budget. Raises
        `MissingExtraError` without torch, `BudgetError` when the budget is too little for this
        table, `EngineError` for several tables or a training that fails, `ColumnError` for a target
        that cannot be one.
        """
        require_torch("tabdiff")
        from understudy.data import like, read

        dataset = data if isinstance(data, Dataset) else read(data)
        spec = learnable_table(dataset.schema, self.target, "tabdiff")
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
        return TabDiffModel(
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
        spec = learnable_table(schema, self.target, "tabdiff")
        if types is None:
            types = pa.schema([(c.name, stored_type(c)) for c in spec.columns])
        shape = Shape.public(spec, types)
        return plan_columns(shape.spec.learnt, shape.known, budget, rows_per_unit)

    @staticmethod
    def load(path: Path) -> TabDiffModel:
        """A model that `TabDiffModel.save` wrote."""
        return TabDiffModel.load(path)
