"""From rows to a generator and its critic: openly, or through the private door."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from understudy.data import Dataset
from understudy.errors import EngineError
from understudy.privacy.audit import Audit
from understudy.privacy.session import Session
from understudy.runtime.progress import Progress
from understudy.runtime.random import stream
from understudy.schema import Table
from understudy.synthesizers.tabular.ctgan.duel import train
from understudy.synthesizers.tabular.ctgan.model import CtganModel
from understudy.synthesizers.tabular.ctgan.network import Critic, Generator, arrays_of
from understudy.synthesizers.tabular.ctgan.private_duel import train_privately
from understudy.synthesizers.tabular.ctgan.slots import Slots
from understudy.synthesizers.tabular.neural.device import device_of, on_threads
from understudy.synthesizers.tabular.neural.epochs import held_out
from understudy.synthesizers.tabular.neural.gaps import Gaps
from understudy.synthesizers.tabular.neural.latent_learning import (
    as_drawn,
    buy_columns,
    read_rows,
)
from understudy.synthesizers.tabular.neural.learnt import Learnt
from understudy.synthesizers.tabular.neural.modes import Modes
from understudy.synthesizers.tabular.neural.open_steps import Schedule
from understudy.synthesizers.tabular.neural.rows import RowTensors
from understudy.synthesizers.tabular.neural.setting_right import set_right
from understudy.synthesizers.tabular.shape import Shape

if TYPE_CHECKING:
    from understudy.privacy.dpsgd import Records
    from understudy.synthesizers.tabular.ctgan.engine import CtganSynthesizer

SPREAD = 0.05
"""Of a scalar around what the generator says."""


@dataclass(frozen=True)
class Size:
    """How finely numbers are cut, how large the networks are, and how many rows make a pack."""

    modes: int
    noise: int
    width: int
    depth: int
    critic: int
    pac: int
    rate: float
    matching: float


OPEN = Size(modes=20, noise=64, width=128, depth=2, critic=256, pac=1, rate=4e-3, matching=1.0)
PRIVATE = Size(modes=10, noise=32, width=128, depth=2, critic=128, pac=1, rate=2e-3, matching=0.0)
"""Noise falls on every weight of the critic, so under a budget there are fewer of them."""


def learn_openly(
    config: CtganSynthesizer, dataset: Dataset, spec: Table, progress: Progress
) -> Learnt:
    """Without a budget; raises `EngineError` for a table without rows."""
    size: Size = config.sized(OPEN)
    found = read_rows(dataset, spec, size.modes, progress)
    schedule = Schedule(config.epochs, config.patience, config.batch, size.rate, config.seed)
    learnt, held = held_out(len(found.codes), config.seed, config.engine, config.patience)
    with on_threads(config.threads, config.seed):
        slots, rows, generator, critic = _networks(config, size, found.modes, len(found.codes))
        parts = found.codes[learnt], found.codes[held]
        train(generator, critic, slots, rows, *parts, schedule, size.matching, progress)
        arrays = _arrays(generator, critic)
    return _learnt(config, found.shape, found.modes, arrays, found.gaps, len(found.codes))


def learn_privately(
    config: CtganSynthesizer,
    dataset: Dataset,
    spec: Table,
    session: Session,
    progress: Progress,
) -> Learnt:
    """Within the session's budget; raises `BudgetError` when that is too little for this table,
    `EngineError` for packs of several rows, which no clipping bounds one row's share of."""
    size: Size = config.sized(PRIVATE)
    if size.pac != 1:
        raise EngineError(
            f"under a budget the critic looks at one row at a time, found pac={size.pac}. Leave it "
            "out, or run with --no-dp."
        )
    bought = buy_columns(dataset, spec, size.modes, session, progress)
    with on_threads(config.threads, config.seed):
        slots, rows, generator, critic = _networks(config, size, bought.modes, bought.total)

        def fit(records: Records) -> Audit | None:
            networks = generator, critic, slots, rows
            paid = records, bought.plan, session
            return train_privately(*networks, *paid, size.rate, config.seed, progress)

        audit = bought.train(fit, device_of(config.device))
        arrays = _arrays(generator, critic)
    rows_bought = max(1, round(bought.total))
    return replace(
        _learnt(config, bought.shape, bought.modes, arrays, {}, rows_bought), audit=audit
    )


def _networks(
    config: CtganSynthesizer, size: Size, modes: Modes, rows: float
) -> tuple[Slots, RowTensors, Generator, Critic]:
    slots, device = Slots(modes), device_of(config.device)
    generator = Generator(modes, slots.width, size.noise, size.width, size.depth)
    generator.start_at(rows)
    critic = Critic(modes.width + slots.width, size.pac, size.critic)
    return slots, RowTensors(modes, device), generator.to(device), critic.to(device)


def _arrays(generator: Generator, critic: Critic) -> dict[str, Any]:
    made = arrays_of(generator)
    judged = {f"critic.{name}": array for name, array in arrays_of(critic).items()}
    scalars = len(made["head.bias"]) - generator.modes
    return {**made, **judged, "head.spread": np.full(scalars, SPREAD, np.float32)}


def _learnt(
    config: CtganSynthesizer,
    shape: Shape,
    modes: Modes,
    arrays: dict[str, Any],
    gaps: Gaps,
    rows: int,
) -> Learnt:
    drawing = CtganModel.made_of(modes, arrays, gaps)
    right = set_right(drawing, stream(config.seed, config.engine, "set right"))
    return Learnt(shape, right, rows, as_drawn(arrays, right))
