"""From rows to a network that draws them: openly, or through the private door.

Openly the codes, the gaps and the columns' shares are read off the rows, and a tenth of them
decides when training stops. Under a budget everything is asked of the session: the columns first
(see `budget`), then one training; nothing else looks at a row, and gaps are not looked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from understudy.data import Dataset
from understudy.errors import EngineError
from understudy.privacy.audit import Audit
from understudy.privacy.session import Session
from understudy.runtime.progress import Progress
from understudy.runtime.random import stream
from understudy.schema import Table
from understudy.synthesizers.tabular.autoregressive.drawing import Drawing
from understudy.synthesizers.tabular.autoregressive.forward import Forward
from understudy.synthesizers.tabular.autoregressive.tilting import tilted
from understudy.synthesizers.tabular.neural.budget import plan_columns, plan_training
from understudy.synthesizers.tabular.neural.buying import Counted, bought_columns, by_unit
from understudy.synthesizers.tabular.neural.coding import Coding, coded
from understudy.synthesizers.tabular.neural.device import device_of, on_threads
from understudy.synthesizers.tabular.neural.gaps import find_gaps
from understudy.synthesizers.tabular.neural.learnt import Learnt
from understudy.synthesizers.tabular.neural.reading import read_columns
from understudy.synthesizers.tabular.neural.tokens import (
    Codings,
    encoded,
    in_order,
    leaders_of,
    places_of,
    shares_of,
    sizes_of,
    tell_staged,
)
from understudy.synthesizers.tabular.shape import Shape

if TYPE_CHECKING:
    from torch import Tensor

    from understudy.privacy.dpsgd import Batch
    from understudy.synthesizers.tabular.autoregressive.engine import AutoregressiveSynthesizer
    from understudy.synthesizers.tabular.autoregressive.masks import Masks
    from understudy.synthesizers.tabular.autoregressive.network import Network

LABELS = 200
"""Columns with more labels are told in two stages."""


@dataclass(frozen=True)
class Size:
    """How finely columns are cut and how large the network is."""

    bins: int
    dim: int
    width: int
    depth: int
    rate: float


OPEN = Size(bins=100, dim=16, width=256, depth=2, rate=4e-3)
PRIVATE = Size(bins=32, dim=8, width=128, depth=1, rate=1e-2)
"""Noise falls on every weight, so under a budget there are fewer of them."""

EMPHASIS = 3.0
"""How often the target's loss counts under a budget, where one clipped gradient serves all."""


def learn_openly(
    config: AutoregressiveSynthesizer, dataset: Dataset, spec: Table, progress: Progress
) -> Learnt:
    """Without a budget; raises `EngineError` for a table without rows."""
    from understudy.synthesizers.tabular.autoregressive.training import Schedule, train
    from understudy.synthesizers.tabular.neural.epochs import held_out

    if dataset.table.num_rows == 0:
        raise EngineError(f"table {spec.name!r} has no rows to learn from.")
    size = config.sized(OPEN)
    shape = Shape.of_data(dataset.table, spec)
    table = shape.forward(dataset.table)
    codings = _codings(read_columns(table, shape.spec.learnt, shape.known), size.bins)
    tell_staged(codings, progress)
    codes = encoded(table, codings)
    order = drawing_order(codings, config.target)
    schedule = Schedule(config.epochs, config.patience, config.batch, size.rate, config.seed)
    learnt, held = held_out(len(codes), config.seed, "autoregressive", config.patience)

    def fit(network: Network) -> None:
        import torch

        part, rest = (torch.from_numpy(codes[rows]) for rows in (learnt, held))
        train(network, part, rest, _masks(codings, order), schedule, progress)

    forward = _fitted(config, size, codings, len(codes), fit)
    alone = [tokens[0] for tokens in places_of(codings).values()]
    gaps = find_gaps(codes, forward.sizes, alone)
    drawing = tilted(Drawing(forward, codings, order, gaps), stream(config.seed, "tilt"))
    return Learnt(shape, drawing, len(codes))


def learn_privately(
    config: AutoregressiveSynthesizer,
    dataset: Dataset,
    spec: Table,
    session: Session,
    progress: Progress,
) -> Learnt:
    """Within the session's budget; raises `BudgetError` when that is too little for this table."""
    from understudy.privacy.dpsgd import Records
    from understudy.synthesizers.tabular.autoregressive.training import row_losses
    from understudy.synthesizers.tabular.neural.private_steps import train_privately

    size = config.sized(PRIVATE)
    shape = Shape.public(spec, dataset.table.schema.remove_metadata())
    rows = session.admit(dataset)
    asked = plan_columns(shape.spec.learnt, shape.known, session.budget, rows.rows_per_unit)
    session.reserve_plan(asked.events)
    columns, total = bought_columns(rows, shape, asked, session.budget.epsilon, progress)
    codings = _codings(columns, size.bins)
    order = drawing_order(codings, config.target)
    unit = dataset.schema.unit.column
    plan = plan_training(
        total,
        session.budget,
        rows.rows_per_unit,
        (*session.before, *asked.events),
        unit or "row",
    )
    session.reserve_plan([plan.event])

    proved: list[Audit | None] = []

    def fit(network: Network) -> None:
        import torch

        def work(admitted: Dataset) -> None:
            codes, units = by_unit(encoded(shape.forward(admitted.table), codings), admitted, unit)
            place = next(network.parameters()).device
            records = Records(torch.from_numpy(codes).to(place), unit_of=units)
            masks = _masks(codings, order, config.target, EMPHASIS)

            def losses(part: Batch) -> Tensor:
                return (
                    row_losses(network, part.tensors[0], masks, part.uniforms(masks.uniforms))
                    / masks.tokens
                )

            proved.append(
                train_privately(network, losses, records, plan, session, size.rate, progress)
            )

        rows.map(work)

    forward = _fitted(config, size, codings, total, fit)
    drawing = tilted(Drawing(forward, codings, order), stream(config.seed, "tilt"))
    return Learnt(shape, drawing, max(1, round(total)), audit=proved[0])


def drawing_order(codings: Codings, target: str | None) -> tuple[str, ...]:
    """The table's own order, the target last: it is then drawn from all that is known."""
    names = [name for name in codings if name != target]
    return (*names, target) if target is not None and target in codings else tuple(names)


def _fitted(
    config: AutoregressiveSynthesizer,
    size: Size,
    codings: Codings,
    rows: float,
    fit: Callable[[Network], None],
) -> Forward:
    from understudy.synthesizers.tabular.autoregressive.network import Network

    with on_threads(config.threads, config.seed):
        network = Network(sizes_of(codings), size.dim, size.width, size.depth)
        network.start_at(shares_of(codings), rows)
        fit(network.to(device_of(config.device)))
        return Forward(sizes_of(codings), network.arrays())


def _masks(
    codings: Codings, order: Sequence[str], target: str | None = None, emphasis: float = 1.0
) -> Masks:
    from understudy.synthesizers.tabular.autoregressive.masks import Masks

    places = places_of(codings)
    token = None if target is None or target not in places else places[target][0]
    return Masks(in_order(codings, order), leaders_of(codings), token, emphasis)


def _codings(columns: Mapping[str, Counted], bins: int) -> dict[str, Coding]:
    return {name: coded(one.axis, one.counts, bins, LABELS) for name, one in columns.items()}
