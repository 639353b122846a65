"""From rows to a decoder and its latents: openly, or through the private door.

Openly a tenth of the rows decides when training stops, and the mixture that latents are drawn from
is fitted to latents of the others. Under a budget the columns are bought, then one training;
nothing else looks at a row, so latents come from the standard normal that the loss asks for.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from understudy.data import Dataset
from understudy.privacy.audit import Audit
from understudy.privacy.dpsgd import Batch, Records
from understudy.privacy.session import Session
from understudy.runtime.progress import Progress, ProgressEvent
from understudy.runtime.random import stream
from understudy.schema import Table
from understudy.synthesizers.tabular.neural import open_steps
from understudy.synthesizers.tabular.neural.device import device_of, on_threads
from understudy.synthesizers.tabular.neural.epochs import held_out
from understudy.synthesizers.tabular.neural.gaps import Gaps
from understudy.synthesizers.tabular.neural.head import Arrays
from understudy.synthesizers.tabular.neural.latent_learning import (
    as_drawn,
    buy_columns,
    read_rows,
)
from understudy.synthesizers.tabular.neural.learnt import Learnt
from understudy.synthesizers.tabular.neural.modes import Modes
from understudy.synthesizers.tabular.neural.private_steps import train_privately
from understudy.synthesizers.tabular.neural.rows import RowTensors
from understudy.synthesizers.tabular.neural.setting_right import set_right
from understudy.synthesizers.tabular.shape import Shape
from understudy.synthesizers.tabular.tvae.decoder import Prior
from understudy.synthesizers.tabular.tvae.model import TvaeModel
from understudy.synthesizers.tabular.tvae.network import Autoencoder

if TYPE_CHECKING:
    from understudy.synthesizers.tabular.tvae.engine import TvaeSynthesizer

MIXED = 20_000
"""Rows whose latents the mixture is fitted to, at most."""
PER_PART = 50
"""Of these rows, for each normal of the mixture, at least."""
RIDGE = 1e-3
"""Added to the mixture's variances."""
EMPHASIS = 3.0
"""How often the target's loss counts under a budget, where one clipped gradient serves all."""


@dataclass(frozen=True)
class Size:
    """How finely numbers are cut, how large the networks are, and what the loss weighs."""

    modes: int
    latent: int
    width: int
    depth: int
    divergence: float
    parts: int
    rate: float


OPEN = Size(modes=30, latent=12, width=256, depth=2, divergence=0.05, parts=100, rate=2e-3)
PRIVATE = Size(modes=10, latent=8, width=128, depth=1, divergence=1.0, parts=0, rate=5e-3)
"""Noise falls on every weight, so under a budget there are fewer of them."""


def learn_openly(
    config: TvaeSynthesizer, dataset: Dataset, spec: Table, progress: Progress
) -> Learnt:
    """Without a budget; raises `EngineError` for a table without rows."""
    size: Size = config.sized(OPEN)
    found = read_rows(dataset, spec, size.modes, progress)
    schedule = open_steps.Schedule(
        config.epochs, config.patience, config.batch, size.rate, config.seed
    )
    learnt, held = held_out(len(found.codes), config.seed, config.engine, config.patience)
    part, rest = (torch.from_numpy(found.codes[places]) for places in (learnt, held))
    with on_threads(config.threads, config.seed):
        network = _network(config, size, found.modes, len(found.codes))
        rows = RowTensors(found.modes, device_of(config.device))

        def losses(codes: Tensor, uniform: Tensor) -> Tensor:
            return network.losses(rows, codes, uniform, size.divergence)

        uniforms = rows.lines + size.latent
        open_steps.train(network, losses, uniforms, part, rest, schedule, progress)
        progress(ProgressEvent("fit", 0, 0, "the mixture of latents"))
        prior = _mixture(_latents(network, rows, part, config.seed), size.parts, config.seed)
        arrays = {**network.arrays(), **prior.arrays()}
    return _learnt(config, found.shape, found.modes, arrays, found.gaps, len(found.codes))


def learn_privately(
    config: TvaeSynthesizer,
    dataset: Dataset,
    spec: Table,
    session: Session,
    progress: Progress,
) -> Learnt:
    """Within the session's budget; raises `BudgetError` when that is too little for this table."""
    size: Size = config.sized(PRIVATE)
    bought = buy_columns(dataset, spec, size.modes, session, progress)
    names = list(bought.modes.codings)
    target = names.index(config.target) if config.target in names else None
    with on_threads(config.threads, config.seed):
        network = _network(config, size, bought.modes, bought.total)
        rows = RowTensors(bought.modes, device_of(config.device))

        def losses(part: Batch) -> Tensor:
            uniform = part.uniforms(rows.lines + size.latent)
            codes = part.tensors[0]
            return network.losses(
                rows, codes, uniform, size.divergence, emphasised=target, emphasis=EMPHASIS
            )

        def fit(records: Records) -> Audit | None:
            return train_privately(
                network, losses, records, bought.plan, session, size.rate, progress
            )

        audit = bought.train(fit, device_of(config.device))
        arrays = {**network.arrays(), **Prior.standard(size.latent).arrays()}
    rows_bought = max(1, round(bought.total))
    return replace(
        _learnt(config, bought.shape, bought.modes, arrays, {}, rows_bought), audit=audit
    )


def _network(config: TvaeSynthesizer, size: Size, modes: Modes, rows: float) -> Autoencoder:
    network = Autoencoder(modes, size.latent, size.width, size.depth)
    network.start_at(modes, rows)
    return network.to(device_of(config.device))


def _learnt(
    config: TvaeSynthesizer, shape: Shape, modes: Modes, arrays: Arrays, gaps: Gaps, rows: int
) -> Learnt:
    drawing = TvaeModel.made_of(modes, arrays, gaps)
    right = set_right(drawing, stream(config.seed, config.engine, "set right"))
    return Learnt(shape, right, rows, as_drawn(arrays, right))


@torch.no_grad()
def _latents(
    network: Autoencoder, rows: RowTensors, codes: Tensor, seed: int
) -> NDArray[np.float64]:
    """A latent of each of some rows, drawn from what the encoder says."""
    codes = codes[:MIXED].to(next(network.parameters()).device)
    generator = torch.Generator().manual_seed(seed)
    place = torch.rand(len(codes), rows.lines, generator=generator).to(codes.device)
    noise = torch.randn(len(codes), network.latent, generator=generator).to(codes.device)
    mean, log = network.encode(rows.dense(rows.modes(codes), rows.scalars(codes, place)))
    drawn = mean + torch.exp(0.5 * log) * noise
    return np.asarray(drawn.cpu().numpy(), np.float64)


def _mixture(latents: NDArray[np.float64], parts: int, seed: int) -> Prior:
    """A mixture of normals, whole covariances, fitted to `latents`; the standard normal for few."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    parts = min(parts, len(latents) // PER_PART)
    if parts < 1:
        return Prior.standard(latents.shape[1])
    mixture = GaussianMixture(parts, reg_covar=RIDGE, max_iter=50, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture.fit(latents)
    found = mixture.weights_, mixture.means_, np.linalg.cholesky(mixture.covariances_)
    return Prior(*(array.astype(np.float32) for array in found))
