"""From rows to a network that draws them: openly, or through the private door.

Openly the axes and shares are read off the rows, and a tenth of them decides when training stops.
Under a budget everything is asked of the session: the columns first (see `neural.budget`), then one
training; nothing else looks at a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from understudy.data import Dataset
from understudy.encoding.discrete import Floats
from understudy.errors import EngineError
from understudy.privacy.audit import Audit
from understudy.privacy.session import Session
from understudy.runtime.progress import Progress
from understudy.schema import Table
from understudy.synthesizers.tabular.neural.budget import plan_columns, plan_training
from understudy.synthesizers.tabular.neural.buying import Counted, bought_columns, by_unit
from understudy.synthesizers.tabular.neural.device import device_of, on_threads
from understudy.synthesizers.tabular.neural.gaps import find_gaps
from understudy.synthesizers.tabular.neural.learnt import Learnt
from understudy.synthesizers.tabular.neural.reading import read_columns
from understudy.synthesizers.tabular.neural.tokens import tell_staged
from understudy.synthesizers.tabular.shape import Shape
from understudy.synthesizers.tabular.tabdiff.layout import layout_of
from understudy.synthesizers.tabular.tabdiff.mixed import Columns, Mixed, encoded, mixed, parted
from understudy.synthesizers.tabular.tabdiff.presets import EMPHASIS, PRIVATE, Preset, preset

if TYPE_CHECKING:
    from torch import Tensor

    from understudy.privacy.dpsgd import Batch
    from understudy.synthesizers.tabular.tabdiff.conditions import Drawing
    from understudy.synthesizers.tabular.tabdiff.engine import TabDiffSynthesizer
    from understudy.synthesizers.tabular.tabdiff.network import Network
    from understudy.synthesizers.tabular.tabdiff.training import Course

SMALLEST_BATCH = 32
MOST_EPOCHS = 1_000
"""However few steps an epoch of a small table takes."""


def learn_openly(
    config: TabDiffSynthesizer, dataset: Dataset, spec: Table, progress: Progress
) -> Learnt:
    """Without a budget; raises `EngineError` for a table without rows."""
    from understudy.synthesizers.tabular.neural.epochs import held_out
    from understudy.synthesizers.tabular.tabdiff.losses import Rows
    from understudy.synthesizers.tabular.tabdiff.training import train

    if dataset.table.num_rows == 0:
        raise EngineError(f"table {spec.name!r} has no rows to learn from.")
    own = config.preset_with(preset(config.preset, device_of(config.device)))
    shape = Shape.of_data(dataset.table, spec)
    table = shape.forward(dataset.table)
    columns = _mixed(read_columns(table, shape.spec.learnt, shape.known), own.few)
    tell_staged({name: column.coding for name, column in columns.items()}, progress)
    codes, intervals = parted(encoded(table, columns), columns)
    learnt, held = held_out(len(codes), config.seed, "tabdiff", own.patience)
    course = course_of(config, own, len(learnt))

    def fit(network: Network) -> None:
        import torch

        part, rest = (
            Rows(torch.from_numpy(codes[rows]), torch.from_numpy(intervals[rows]))
            for rows in (learnt, held)
        )
        train(network, part, rest, course, progress)

    drawing = _fitted(config, own, columns, len(codes), fit)
    layout = drawing.network.layout
    gaps = find_gaps(codes, layout.sizes, layout.first)
    return Learnt(shape, replace(drawing, gaps=gaps), len(codes))


def learn_privately(
    config: TabDiffSynthesizer,
    dataset: Dataset,
    spec: Table,
    session: Session,
    progress: Progress,
) -> Learnt:
    """Within the session's budget; raises `BudgetError` when that is too little for this table, and
    `EngineError` for schedules that are to be learnt."""
    from understudy.privacy.dpsgd import Records
    from understudy.synthesizers.tabular.neural.private_steps import train_privately
    from understudy.synthesizers.tabular.tabdiff.losses import Rows, row_losses, uniforms_of

    own = config.preset_with(PRIVATE)
    if own.learnt:
        raise EngineError(
            "schedules cannot be learnt under a budget: noise would fall on them for no gain. "
            "Leave `learnt` out."
        )
    shape = Shape.public(spec, dataset.table.schema.remove_metadata())
    rows = session.admit(dataset)
    asked = plan_columns(shape.spec.learnt, shape.known, session.budget, rows.rows_per_unit)
    session.reserve_plan(asked.events)
    bought, total = bought_columns(rows, shape, asked, session.budget.epsilon, progress)
    columns = _mixed(bought, own.few)
    unit = dataset.schema.unit.column
    before = (*session.before, *asked.events)
    plan = plan_training(total, session.budget, rows.rows_per_unit, before, unit or "row")
    session.reserve_plan([plan.event])

    proved: list[Audit | None] = []

    def fit(network: Network) -> None:
        import torch

        def work(admitted: Dataset) -> None:
            fine, units = by_unit(encoded(shape.forward(admitted.table), columns), admitted, unit)
            place = next(network.parameters()).device
            clean = (torch.from_numpy(part).to(place) for part in parted(fine, columns))
            records = Records(*clean, unit_of=units)
            width = uniforms_of(network.layout)

            def losses(part: Batch) -> Tensor:
                tokens, scores = row_losses(network, Rows(*part.tensors), part.uniforms(width))
                return tokens + scores

            proved.append(
                train_privately(network, losses, records, plan, session, own.rate, progress)
            )

        rows.map(work)

    drawing = _fitted(config, own, columns, total, fit, EMPHASIS)
    return Learnt(shape, drawing, max(1, round(total)), audit=proved[0])


def course_of(config: TabDiffSynthesizer, own: Preset, rows: int) -> Course:
    """How long to train on so many rows: `epochs` where they are set, else the preset's steps."""
    from understudy.synthesizers.tabular.tabdiff.training import Course

    usual = min(max(rows // 32, SMALLEST_BATCH), own.batch)
    batch = max(1, min(config.batch or usual, rows))
    each = max(rows // batch, 1)
    epochs = config.epochs or min(math.ceil(own.steps / each), MOST_EPOCHS)
    return Course(epochs, batch, own.rate, own.patience, own.fade, config.seed, own.half)


def _fitted(
    config: TabDiffSynthesizer,
    own: Preset,
    columns: Columns,
    rows: float,
    fit: Callable[[Network], None],
    emphasis: float = 1.0,
) -> Drawing:
    from understudy.synthesizers.tabular.tabdiff.conditions import Drawing
    from understudy.synthesizers.tabular.tabdiff.network import Network
    from understudy.synthesizers.tabular.tabdiff.sampling import Steps

    layout = layout_of(columns, config.target, emphasis)
    with on_threads(config.threads, config.seed):
        network = Network(layout, own.dim, own.width, own.depth, own.learnt)
        network.start_at(shares_of(columns), rows)
        fit(network.to(device_of(config.device)))
    steps = Steps(own.sampler_steps, own.churn, own.corrected)
    return Drawing(network.requires_grad_(False), columns, steps)


def shares_of(columns: Columns) -> list[Floats]:
    """Each token's shares of its classes, as far as they are known before training."""
    found: list[Floats] = []
    for column in columns.values():
        if column.sizes:
            found.append(column.coding.margin)
        if column.coding.staged:
            found.append(column.coding.margin @ column.coding.inner)
    return found


def _mixed(columns: Mapping[str, Counted], few: int) -> dict[str, Mixed]:
    return {name: mixed(one.axis, one.counts, few=few) for name, one in columns.items()}
