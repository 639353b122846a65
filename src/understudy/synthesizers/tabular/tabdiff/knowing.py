"""What a fitted model knows about a record: how well it denoises it.

A record is noised at a few fixed times, always by the same few noises, and the score is minus the
loss that the network was trained on (the loss attack of Matsumoto et al. 2023, on rows of mixed
types). The noises of one time are spread evenly, so that each column is hidden in its share of
them. One score in all, and one a time, as members are told apart best at some times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from understudy.data import Dataset
from understudy.encoding.discrete import Floats
from understudy.runtime.random import stream
from understudy.synthesizers.tabular.neural.filling import as_learnt
from understudy.synthesizers.tabular.tabdiff.mixed import encoded, parted

if TYPE_CHECKING:
    from understudy.synthesizers.tabular.tabdiff.model import TabDiffModel

TIMES = (0.15, 0.3, 0.5, 0.7)
DRAWS = 4
"""Noises at each time."""
SEED = 20_250_424
SHARD = 8_192
PLAIN = 0.5
"""The number by which a row shows no numbers, nor all but the target."""


def scores(model: TabDiffModel, dataset: Dataset) -> dict[str, Floats]:
    """float64 [rows] each, higher for rows the model knows better: `denoising` in all, and at each
    of `TIMES`."""
    import torch

    from understudy.synthesizers.tabular.neural.device import on_threads
    from understudy.synthesizers.tabular.tabdiff.losses import Rows, row_losses, uniforms_of

    network = model.drawing.network
    table = model.assembly.forward(as_learnt(model.assembly, dataset))
    clean = parted(encoded(table, model.drawing.columns), model.drawing.columns)
    codes, intervals = (torch.from_numpy(part) for part in clean)
    width = uniforms_of(network.layout)
    at = next(network.parameters()).device
    found = {}
    with on_threads(model.config.threads, SEED), torch.no_grad():
        for time in TIMES:
            total = np.zeros(table.num_rows)
            first_noise = stream(SEED, "noise", str(time)).random(width, dtype=np.float32)
            for draw in range(DRAWS):
                noise = (first_noise + np.float32(draw / DRAWS)) % 1
                noise[0], noise[1] = time, PLAIN
                uniform = torch.from_numpy(noise).to(at)
                for first in range(0, table.num_rows, SHARD):
                    part = slice(first, first + SHARD)
                    rows = Rows(codes[part].to(at), intervals[part].to(at))
                    noises = uniform.expand(len(rows.codes), width)
                    tokens, numbers = row_losses(network, rows, noises)
                    total[part] -= (tokens + numbers).double().cpu().numpy() / DRAWS
            found[f"denoising at {time:g}"] = total
    return {"denoising": np.mean(list(found.values()), axis=0), **found}
