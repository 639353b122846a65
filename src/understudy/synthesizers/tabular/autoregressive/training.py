"""Training without a budget: the masked losses, through the steps that all engines take."""

from __future__ import annotations

from torch import Tensor

from understudy.runtime.progress import Progress
from understudy.synthesizers.tabular.autoregressive.masks import Masks
from understudy.synthesizers.tabular.autoregressive.network import Network
from understudy.synthesizers.tabular.neural import open_steps
from understudy.synthesizers.tabular.neural.open_steps import Schedule

__all__ = ["Schedule", "row_losses", "train"]


def train(
    network: Network,
    learnt: Tensor,
    valid: Tensor,
    masks: Masks,
    schedule: Schedule,
    progress: Progress,
) -> None:
    """Fits `network` in place to `learnt`, int64 [rows, tokens], for as long as `valid` gains.

    Raises `EngineError` where the first epoch fails.
    """

    def losses(codes: Tensor, uniform: Tensor) -> Tensor:
        return row_losses(network, codes, masks, uniform)

    open_steps.train(network, losses, masks.uniforms, learnt, valid, schedule, progress)


def row_losses(network: Network, codes: Tensor, masks: Masks, uniform: Tensor) -> Tensor:
    """float [n]: what the network does not know of each row's tokens that are not shown."""
    seen = masks.seen(uniform)
    return (network.losses(codes, seen) * masks.weights(seen)).sum(1)
