"""What engines of latent states learn from: the columns' modes and the rows' codes, read openly or
bought through the private door."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from understudy.data import Dataset
from understudy.encoding.discrete import LabelAxis
from understudy.errors import EngineError
from understudy.privacy.audit import Audit
from understudy.privacy.session import Private, Session
from understudy.runtime.progress import Progress, ProgressEvent
from understudy.schema import Table
from understudy.synthesizers.tabular.neural.budget import plan_columns, plan_training
from understudy.synthesizers.tabular.neural.buying import bought_columns, by_unit
from understudy.synthesizers.tabular.neural.gaps import Gaps, find_gaps
from understudy.synthesizers.tabular.neural.head import Arrays
from understudy.synthesizers.tabular.neural.latent import LatentDrawing
from understudy.synthesizers.tabular.neural.modes import Modes
from understudy.synthesizers.tabular.neural.reading import read_columns
from understudy.synthesizers.tabular.neural.tokens import places_of, sizes_of
from understudy.synthesizers.tabular.shape import Shape

if TYPE_CHECKING:
    from understudy.privacy.dpsgd import PrivacyPlan, Records


@dataclass(frozen=True)
class OpenRows:
    """A table without a budget: its modes, and its rows as codes [rows, columns] of the axes."""

    shape: Shape
    modes: Modes
    codes: NDArray[np.int64]

    @property
    def gaps(self) -> Gaps:
        """Modes that never met though chance would have brought them together."""
        mode, _ = self.modes.cells(self.codes)
        codings = self.modes.codings
        alone = [tokens[0] for tokens in places_of(codings).values()]
        tokens = np.zeros((len(mode), len(sizes_of(codings))), np.int64)
        tokens[:, alone] = mode
        return find_gaps(tokens, sizes_of(codings), alone)


def read_rows(dataset: Dataset, spec: Table, most: int, progress: Progress) -> OpenRows:
    """Raises `EngineError` for a table without rows."""
    if dataset.table.num_rows == 0:
        raise EngineError(f"table {spec.name!r} has no rows to learn from.")
    shape = Shape.of_data(dataset.table, spec)
    table = shape.forward(dataset.table)
    modes = Modes.of(read_columns(table, shape.spec.learnt, shape.known), most)
    _tell_shared(modes, progress)
    return OpenRows(shape, modes, modes.encode(table))


@dataclass(frozen=True)
class BoughtColumns:
    """What a session sold before a training, and the plan of the training itself."""

    shape: Shape
    modes: Modes
    total: float
    """Rows, as bought."""
    plan: PrivacyPlan
    _rows: Private[Dataset]
    _unit: str | None

    def train(self, fit: Callable[[Records], Audit | None], device: str) -> Audit | None:
        """Calls `fit` where the rows are, with their codes, int64 [rows, columns], on `device`;
        only what canaries prove comes back, which follows from noisy sums."""
        import torch

        from understudy.privacy.dpsgd import Records

        proved: list[Audit | None] = []

        def work(admitted: Dataset) -> None:
            codes = self.modes.encode(self.shape.forward(admitted.table))
            codes, units = by_unit(codes, admitted, self._unit)
            proved.append(fit(Records(torch.from_numpy(codes).to(device), unit_of=units)))

        self._rows.map(work)
        return proved[0]


def buy_columns(
    dataset: Dataset, spec: Table, most: int, session: Session, progress: Progress
) -> BoughtColumns:
    """Buys the columns and reserves the training; raises `BudgetError` when that is too much."""
    shape = Shape.public(spec, dataset.table.schema.remove_metadata())
    rows = session.admit(dataset)
    asked = plan_columns(shape.spec.learnt, shape.known, session.budget, rows.rows_per_unit)
    session.reserve_plan(asked.events)
    columns, total = bought_columns(rows, shape, asked, session.budget.epsilon, progress)
    modes = Modes.of(columns, most)
    _tell_shared(modes, progress)
    unit = dataset.schema.unit.column
    before = (*session.before, *asked.events)
    plan = plan_training(total, session.budget, rows.rows_per_unit, before, unit or "row")
    session.reserve_plan([plan.event])
    return BoughtColumns(shape, modes, total, plan, rows, unit)


def as_drawn(arrays: Mapping[str, NDArray[np.float32]], drawing: LatentDrawing) -> Arrays:
    """`arrays` with the last layer as it was set right."""
    return {**arrays, **drawing.head.arrays()}


def _tell_shared(modes: Modes, progress: Progress) -> None:
    for name, coding in modes.codings.items():
        if coding.staged and isinstance(coding.axis, LabelAxis):
            labels = len(coding.axis.values)
            note = f"column {name!r} has {labels:,} labels: learnt in {coding.groups} groups"
            progress(ProgressEvent("fit", 0, 0, note))
