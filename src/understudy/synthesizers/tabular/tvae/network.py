"""The two halves of the variational autoencoder (Xu et al. 2019, section 4.4).

The encoder takes a row's one-hots and scalars to a normal over latents; the decoder takes a latent
to a logit for each mode and a mean for each mode's scalar, whose spread is learnt. Built from
layers whose per-example gradients have closed forms, so that DP-SGD trains it as it is.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from understudy.synthesizers.tabular.neural.modes import Modes
from understudy.synthesizers.tabular.neural.rows import RowTensors, Spread

LEAST_LOG, MOST_LOG = math.log(0.02), math.log(2.0)
"""Of a scalar's spread."""
SMALL = 0.1
"""What the last layers' first weights are scaled by."""
SMOOTHING = 0.5


def layers(sizes: list[int]) -> nn.Sequential:
    """Linear layers with a ReLU after each."""
    parts: list[nn.Module] = []
    for one, other in pairwise(sizes):
        parts += [nn.Linear(one, other), nn.ReLU()]
    return nn.Sequential(*parts)


class Autoencoder(nn.Module):
    """`depth` hidden layers of `width` on either side of `latent` numbers."""

    def __init__(self, modes: Modes, latent: int, width: int, depth: int) -> None:
        super().__init__()
        self.latent = latent
        self._total = modes.total
        self._scalars = modes.outputs - modes.total
        self._sizes = list(modes.sizes)
        self.encoder = layers([modes.width, *[width] * depth])
        self.code = nn.Linear(width, 2 * latent)
        self.decoder = layers([latent, *[width] * depth])
        self.head = nn.Linear(width, modes.outputs)
        self.spread = Spread(modes.outputs - modes.total, 0.7)
        with torch.no_grad():
            self.code.weight.mul_(SMALL)
            self.head.weight.mul_(SMALL)

    @torch.no_grad()
    def start_at(self, modes: Modes, rows: float) -> None:
        """Sets the logits' biases so that columns start out independent, with their own shares."""
        logs = np.log(modes.margins + SMOOTHING / max(rows, 1.0))
        self.head.bias.zero_()
        self.head.bias[: modes.total] = torch.from_numpy(logs).to(self.head.bias.dtype)

    def encode(self, dense: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance [n, latent] of the latent of each row."""
        mean, log = self.code(self.encoder(dense)).chunk(2, 1)
        return mean, log.clamp(-8.0, 4.0)

    def decode(self, latent: Tensor) -> Tensor:
        """[n, outputs]: logits and scalars' means."""
        outputs: Tensor = self.head(self.decoder(latent))
        return outputs

    def reconstruction(
        self,
        rows: RowTensors,
        latent: Tensor,
        mode: Tensor,
        own: Tensor,
        emphasised: int | None = None,
        emphasis: float = 1.0,
    ) -> Tensor:
        """float [n]: how unlikely each row is given its latent, in nats; `own` are its scalars,
        the modes of the column `emphasised` count `emphasis` times."""
        outputs = self.decode(latent)
        parts = torch.split(outputs[:, : self._total], self._sizes, 1)
        loss = torch.zeros(len(mode), device=mode.device)
        for j, part in enumerate(parts):
            each = nn.functional.cross_entropy(part, mode[:, j], reduction="none")
            loss = loss + (each if j != emphasised else emphasis * each)
        if rows.lines:
            mean = rows.own_scalars(outputs, mode)
            log = self.spread(rows.scalar_places(mode)).clamp(LEAST_LOG, MOST_LOG)
            each = 0.5 * ((own - mean) * torch.exp(-log)) ** 2 + log
            loss = loss + (each * rows.placed(mode)).sum(1)
        return loss

    def losses(
        self,
        rows: RowTensors,
        codes: Tensor,
        uniform: Tensor,
        weight: float = 1.0,
        *,
        emphasised: int | None = None,
        emphasis: float = 1.0,
    ) -> Tensor:
        """float [n]: minus the evidence lower bound of each row, its divergence `weight`ed.

        `uniform` [n, lines + latent] places numbers within their codes and draws the latent.
        """
        mode = rows.modes(codes)
        own = rows.scalars(codes, uniform[:, : rows.lines])
        mean, log = self.encode(rows.dense(mode, own))
        noise = torch.special.ndtri(uniform[:, rows.lines :].double().clamp(1e-7, 1 - 1e-7)).float()
        latent = mean + torch.exp(0.5 * log) * noise
        divergence = 0.5 * (mean**2 + log.exp() - 1 - log).sum(1)
        missed = self.reconstruction(rows, latent, mode, own, emphasised, emphasis)
        return missed + weight * divergence

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """The parameters by name, spreads as they are."""
        state = self.state_dict()
        found = {n: value.detach().cpu().float().numpy().copy() for n, value in state.items()}
        log = found.pop("spread.table.weight")[:, 0].clip(LEAST_LOG, MOST_LOG)
        return {**found, "head.spread": np.exp(log)[: self._scalars]}
