"""How much noise a time means for each column, and what a number's denoiser is scaled by.

Time runs from 0, where a row is whole, to 1, where nothing of it is left; it is one for all columns
of a row, and each maps it to a noise of its own (TabDiff, Shi et al. 2025, section 3.2):

* a score: sigma_i(t) = (a + t (b - a))^rho_i with a, b the rho_i-th roots of the ends, the power
  mean schedule of Karras et al. (2022, equation 5) run by t;
* a token: hidden with probability (1 - most - least) t^k_j + least, the log-linear schedule of
  masked diffusion (MDLM, Sahoo et al. 2024) to a power.

rho and k are learnt with the network, or fixed.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEAST_SIGMA, MOST_SIGMA = 0.002, 80.0
LEAST_HIDDEN, MOST_HIDDEN = 1e-5, 1e-3
"""What the chance to be hidden keeps from 0 at the start, and from 1 at the end."""
RHO, RHO_OFFSET, RHO_LEARNT = 7.0, 5.0, 7.0
"""The fixed power; and of a learnt one the offset, and what its softplus starts with."""
K_OFFSET, K_LEARNT = 1.0, -6.0


class Schedules(nn.Module):
    """Powers of `scores` scores and `hiding` columns with tokens.

    Parameters where they are learnt, else buffers: noise of DP-SGD would fall on them, too.
    """

    rho: Tensor
    k: Tensor

    def __init__(self, scores: int, hiding: int, learnt: bool) -> None:
        super().__init__()
        self.learnt = learnt
        if learnt:
            self.rho = nn.Parameter(torch.full((scores,), RHO_LEARNT))
            self.k = nn.Parameter(torch.full((hiding,), K_LEARNT))
        else:
            self.register_buffer("rho", torch.full((scores,), RHO))
            self.register_buffer("k", torch.ones(hiding))

    def powers(self) -> tuple[Tensor, Tensor]:
        """rho [scores] and k [hiding]."""
        if not self.learnt:
            return self.rho, self.k
        return F.softplus(self.rho) + RHO_OFFSET, F.softplus(self.k) + K_OFFSET

    def sigma(self, t: Tensor) -> Tensor:
        """[n, scores] from t [n]: standard deviations."""
        return sigma_of(t[:, None], self.powers()[0])

    def hidden(self, t: Tensor) -> Tensor:
        """[n, hiding] from t [n]: probabilities."""
        return hidden_of(t[:, None], self.powers()[1])

    def churned(self, t: float, more: float) -> float:
        """The time at which no score's sigma is more than 1 + `more` times that at `t`."""
        rho = self.powers()[0]
        if len(rho) == 0:
            rho = torch.full((1,), RHO)
        sigma = sigma_of(torch.tensor(t), rho.detach().cpu()) * (1 + more)
        return min(1.0, float(time_of(sigma, rho.detach().cpu()).min()))


def sigma_of(t: Tensor, rho: Tensor) -> Tensor:
    """The noise of a score at a time."""
    least, most = LEAST_SIGMA ** (1 / rho), MOST_SIGMA ** (1 / rho)
    return (least + t * (most - least)) ** rho


def time_of(sigma: Tensor, rho: Tensor) -> Tensor:
    """The inverse of `sigma_of`."""
    least, most = LEAST_SIGMA ** (1 / rho), MOST_SIGMA ** (1 / rho)
    return (sigma ** (1 / rho) - least) / (most - least)


def hidden_of(t: Tensor, k: Tensor) -> Tensor:
    """The chance that a token is hidden at a time."""
    return (1 - MOST_HIDDEN - LEAST_HIDDEN) * t**k + LEAST_HIDDEN


def weight_of(t: Tensor, k: Tensor) -> Tensor:
    """How much a hidden token's cross-entropy counts: the chance's slope over the chance.

    The weight d sigma / (exp(sigma) - 1) of MDLM, with sigma = -log(1 - chance).
    """
    slope = (1 - MOST_HIDDEN - LEAST_HIDDEN) * k * t ** (k - 1)
    return slope / hidden_of(t, k)


def noise_level(t: Tensor) -> Tensor:
    """What the network is told of a time: log(sigma) / 4 under the fixed schedule (Karras et al.,
    table 1), from -1.55 to 1.10."""
    return sigma_of(t, torch.tensor(RHO, device=t.device)).log() / 4


def skip(sigma: Tensor) -> Tensor:
    """c_skip for data of variance 1 (Karras et al., table 1)."""
    return 1 / (1 + sigma.square())


def outward(sigma: Tensor) -> Tensor:
    """c_out."""
    return sigma / (1 + sigma.square()).sqrt()


def inward(sigma: Tensor) -> Tensor:
    """c_in."""
    return 1 / (1 + sigma.square()).sqrt()
