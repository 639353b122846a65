"""Rows noised forwards, and what the network does not know of them.

The loss of a row is that of TabDiff (Shi et al. 2025, section 3), per column: for tokens the
weighted cross-entropy of the hidden ones (a token that is not hidden is copied, the SUBS rule
of MDLM), for scores the squared error under the weights of EDM. All that is random in it is made
from uniform numbers of the row's own, so that DP-SGD can be replayed.

Three things are added. In some rows a few numbers are shown as they are, so that the network knows
the others given them and conditions on numbers, and cells to fill, need no guess at noised ones.
And a cell whose token says that it is no number, or a heavy one, has a score that is pure noise:
it counts while the token is hidden, when the network cannot tell, and is absent after. And where
there is a target, some rows show everything but that, as it is drawn last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from understudy.synthesizers.tabular.tabdiff.layout import Layout
from understudy.synthesizers.tabular.tabdiff.network import Network, Shown
from understudy.synthesizers.tabular.tabdiff.schedules import (
    inward,
    outward,
    skip,
    weight_of,
)

GIVEN = 0.25
"""Share of rows in which some numbers are shown without noise."""
TARGETED = 0.1
"""Share of rows in which the target alone is hidden."""
NEAREST = 2.0**-24
"""Uniform numbers keep so far from 0 and 1."""
SHARPNESS = 10.0
"""Inverse temperature of the soft choice through which k is learnt; the choice itself is hard."""


class Rows(NamedTuple):
    """Clean rows: classes int64 [n, tokens], intervals of shares float [n, scores, 2]."""

    codes: Tensor
    intervals: Tensor


@dataclass(frozen=True)
class Noised:
    """Rows at times `t` [n]. `clean` are their scores, `noisy` the same with sigma [n, scores] of
    noise; `hiding` is bool [n, hiding columns]."""

    t: Tensor
    shown: Shown
    hiding: Tensor
    clean: Tensor
    noisy: Tensor
    sigma: Tensor
    soft: Tensor | None


def uniforms_of(layout: Layout) -> int:
    """Numbers from (0, 1) that the noise of one row takes."""
    return 2 + layout.hiding + len(layout.seconds) + 3 * layout.scores


def noised(network: Network, rows: Rows, uniform: Tensor) -> Noised:
    """Rows noised by `uniform` [n, uniforms]; its first column is their times."""
    layout, schedules = network.layout, network.schedules
    sizes = [1, 1, layout.hiding, len(layout.seconds), *[layout.scores] * 3]
    uniform = uniform.clamp(NEAREST, 1 - NEAREST)
    t, some, hide, second, give, place, noise = torch.split(uniform, sizes, 1)
    chance = schedules.hidden(t[:, 0])
    # In a share of rows, numbers are given with a probability that is the row's own.
    given = give < (1 - some / GIVEN)
    hiding = hide < chance.detach()
    hiding = hiding & ~_columns_given(layout, given)
    if layout.target is not None:
        asked = some > 1 - TARGETED
        only = torch.arange(layout.hiding, device=t.device) == layout.target
        hiding, given = torch.where(asked, only, hiding), given | asked
    hidden = hiding[:, list(layout.owner)]
    if layout.seconds:
        hidden = hidden.clone()
        # Half of the hidden columns told in two stages show their group.
        for j, own in zip(layout.seconds, second.T, strict=True):
            hidden[:, layout.leader[j]] &= own < 0.5
    low, high = rows.intervals.unbind(2)
    clean = torch.special.ndtri((low + (high - low) * place).clamp(NEAREST, 1 - NEAREST))
    sigma = torch.where(given, 0.0, schedules.sigma(t[:, 0]))
    noisy = clean + sigma * torch.special.ndtri(noise)
    shown = Shown(
        rows.codes, hidden, noisy * inward(sigma), given, absent_scores(layout, rows.codes, hidden)
    )
    soft = _soft(network, chance, hide, hidden) if schedules.learnt else None
    return Noised(t[:, 0], shown, hiding, clean, noisy, sigma, soft)


def row_losses(network: Network, rows: Rows, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """float [n] each: of the hidden tokens in nats, and of the scores' squared errors, both per
    column."""
    layout = network.layout
    at = noised(network, rows, uniform)
    logits, outputs = network(at.shown, at.t, at.soft)
    tokens = 0.0 * logits.sum(1)
    if layout.tokens:
        weight = _token_weights(network, at)
        for j, part in enumerate(logits.split(list(layout.sizes), 1)):
            each = torch.nn.functional.cross_entropy(part, rows.codes[:, j], reduction="none")
            tokens = tokens + weight[:, j] * each
        tokens = tokens / layout.hiding
    scores = 0.0 * outputs.sum(1)
    if layout.scores:
        # The weight (s^2 + 1) / s^2 times c_out^2 is 1: the error of the output itself.
        wanted = (at.clean - skip(at.sigma) * at.noisy) / outward(at.sigma).clamp(min=1e-6)
        counts = (~(at.shown.given | at.shown.absent)).to(wanted.dtype)
        scores = (counts * (outputs - wanted).square()).sum(1) / layout.scores
    return tokens, scores


def absent_scores(layout: Layout, codes: Tensor, hidden: Tensor) -> Tensor:
    """bool [n, scores]: scores whose token is seen and says something else."""
    found = torch.zeros(len(codes), layout.scores, dtype=torch.bool, device=codes.device)
    for i, (token, free) in enumerate(zip(layout.token_of, layout.free, strict=True)):
        if token >= 0:
            found[:, i] = ~hidden[:, token] & (codes[:, token] != free)
    return found


def _columns_given(layout: Layout, given: Tensor) -> Tensor:
    """bool [n, hiding]: columns with tokens whose number is given."""
    found = torch.zeros(len(given), layout.hiding, dtype=torch.bool, device=given.device)
    for i, column in enumerate(layout.hides):
        if column >= 0:
            found[:, column] = given[:, i]
    return found


def _token_weights(network: Network, at: Noised) -> Tensor:
    """float [n, tokens]: how much each token's cross-entropy counts.

    With fixed schedules the mean over times of the paper's weight, 1 / t, given which columns are
    hidden: 1 / (their number), times one more than all columns. The expected loss is the same and
    varies less; a row's weights are bounded.
    """
    layout = network.layout
    counts = at.shown.hidden * at.t.new_tensor(layout.emphasis)
    for j in layout.seconds:
        leader = layout.leader[j]
        # Only one of the two is told at a time; each counts for both.
        counts[:, j] = counts[:, j] * (~at.shown.hidden[:, leader]).to(at.t.dtype) * 2
        counts[:, leader] = counts[:, leader] * 2
    if network.schedules.learnt:
        return (
            counts * weight_of(at.t[:, None], network.schedules.powers()[1])[:, list(layout.owner)]
        )
    return counts * ((layout.hiding + 1) / at.hiding.sum(1, keepdim=True).clamp(min=1))


def _soft(network: Network, chance: Tensor, hide: Tensor, hidden: Tensor) -> Tensor:
    """float [n, tokens]: `hidden` with a gradient towards k, straight through a soft choice between
    the logits of the chance and of the number drawn (the binary Gumbel softmax)."""
    margin = torch.logit(chance, 1e-6) - torch.logit(hide)
    soft = torch.sigmoid(SHARPNESS * margin)[:, list(network.layout.owner)]
    return hidden.to(soft.dtype) + soft - soft.detach()
