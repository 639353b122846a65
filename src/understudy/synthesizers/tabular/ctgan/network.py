"""Generator and critic (Xu et al. 2019, section 4.4).

The generator's blocks hand on their input beside what they make of it. It normalises each row by
itself, where the paper normalises over the batch: a row then does not depend on which others it is
drawn with. The critic may look at several rows at a time (PacGAN, Lin et al. 2018), and by default
looks at one: it learns more from as many steps, and a budget wants a row's gradient to be its own.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from understudy.synthesizers.tabular.ctgan.judging import SLOPE
from understudy.synthesizers.tabular.neural.modes import Modes
from understudy.synthesizers.tabular.neural.rows import RowTensors

SMALL = 0.3
SMOOTHING = 0.5
TEMPERATURE = 0.2


class Generator(nn.Module):
    """`noise` numbers and a conditional vector to the outputs of a row, by `depth` blocks."""

    def __init__(self, modes: Modes, condition: int, noise: int, width: int, depth: int) -> None:
        super().__init__()
        self.noise = noise
        self._modes = modes
        self.modes = modes.total
        sizes = [noise + condition + width * i for i in range(depth + 1)]
        self.blocks = nn.ModuleList(Block(size, width) for size in sizes[:-1])
        self.head = nn.Linear(sizes[-1], modes.outputs)
        with torch.no_grad():
            self.head.weight.mul_(SMALL)

    @torch.no_grad()
    def start_at(self, rows: float) -> None:
        """Sets the logits' biases so that columns start out with their own shares."""
        logs = np.log(self._modes.margins + SMOOTHING / max(rows, 1.0))
        self.head.bias.zero_()
        self.head.bias[: self._modes.total] = torch.from_numpy(logs).to(self.head.bias.dtype)

    def forward(self, noise: Tensor, condition: Tensor) -> Tensor:
        """float [n, outputs]."""
        x = torch.cat((noise, condition), 1)
        for block in self.blocks:
            x = torch.cat((block(x), x), 1)
        outputs: Tensor = self.head(x)
        return outputs

    def emitted(self, rows: RowTensors, outputs: Tensor, uniform: Tensor) -> Tensor:
        """float [n, width]: nearly one-hots, by the Gumbel softmax, and the scalars of their modes.

        `uniform` is [n, modes] strictly between 0 and 1.
        """
        modes = self._modes
        logits = outputs[:, : modes.total] - torch.log(-torch.log(uniform))
        soft = [
            part.div(TEMPERATURE).softmax(1) for part in torch.split(logits, list(modes.sizes), 1)
        ]
        scalars = []
        for j, start in zip(modes.lines, modes.scalars_at, strict=True):
            means = outputs[:, start : start + modes.sizes[j]]
            scalars.append((means * soft[j] * rows.wide_modes(j)).sum(1, keepdim=True))
        return torch.cat((*soft, *scalars), 1)

    def misses(self, outputs: Tensor, place: Tensor, mode: Tensor) -> Tensor:
        """float [n]: cross-entropy of the conditioned column, `place` [n], with its `mode`."""
        logits = torch.split(outputs[:, : self._modes.total], list(self._modes.sizes), 1)
        loss = torch.zeros(len(mode), device=mode.device)
        for j, part in enumerate(logits):
            mine = (place == j).nonzero()[:, 0]
            if len(mine):
                each = nn.functional.cross_entropy(part[mine], mode[mine], reduction="none")
                loss = loss.index_add(0, mine, each)
        return loss


class Block(nn.Module):
    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(size, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.norm(self.inner(x)))


class Critic(nn.Module):
    """How real `pac` rows look together; `size` numbers tell a row and its condition."""

    def __init__(self, size: int, pac: int, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.pac, self.size = pac, size
        self.layers = nn.Sequential(
            nn.Linear(size * pac, width),
            nn.LeakyReLU(SLOPE),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.LeakyReLU(SLOPE),
            nn.Dropout(dropout),
            nn.Linear(width, 1),
        )

    def forward(self, rows: Tensor) -> Tensor:
        """float [n / pac] of rows [n, size]."""
        packed = rows.reshape(-1, self.size * self.pac)
        score: Tensor = self.layers(packed)[:, 0]
        return score


def slope_penalty(critic: Critic, real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
    """How far the critic's slope is from 1 between real and made rows (Gulrajani et al. 2017)."""
    between = (share * real + (1 - share) * fake).requires_grad_(True)
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    norms = slope.reshape(-1, critic.size * critic.pac).norm(dim=1)
    penalty: Tensor = ((norms - 1) ** 2).mean()
    return penalty


def arrays_of(module: nn.Module) -> dict[str, NDArray[np.float32]]:
    """The parameters by name."""
    state = module.state_dict()
    return {name: value.detach().cpu().float().numpy().copy() for name, value in state.items()}
