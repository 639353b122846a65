"""The sum of clipped gradients of a batch, from a network's book.

The norm of a unit's gradient, all parameters and all its rows together, decides the factor by which
each of its rows is scaled; then one weighted matrix product a layer makes the sum. A unit with a
norm that is not a number is left out: its rows are masked in every factor first, as zero times
not-a-number is not zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from understudy.privacy.dpsgd.book import Norms, Uses
from understudy.privacy.dpsgd.plan import Clipping
from understudy.privacy.dpsgd.uses import Lookup, Product, Use, Whole, norms_of, wide

SLACK = 1e-4
"""Of the clip, left for the rounding of float32 in norms and sums."""
SOFTNESS = 0.01
"""Added to the norm by automatic clipping."""


@torch.no_grad()
def add_clipped(
    uses: Uses,
    known: Norms,
    unit_of: Tensor | None,
    rows: int,
    clip: float,
    clipping: Clipping,
    totals: Mapping[Tensor, Tensor],
) -> None:
    """Adds to `totals` the gradients of all units, each with a norm of at most `clip`."""
    if not uses:
        return
    norms = unit_norms(uses, known, unit_of, rows)
    weight = factors(norms, clip, clipping)
    weight = weight if unit_of is None else weight[unit_of]
    if not math.isfinite(float(norms.sum())):
        whole = norms.isfinite() if unit_of is None else norms.isfinite()[unit_of]
        uses = {p: [use.map(_masked(whole)) for use in every] for p, every in uses.items()}
    # The last that the backward pass entered is still in the cache.
    for parameter, every in reversed(uses.items()):
        total = totals[parameter]
        for use in every:
            use.add_weighted(weight.to(total.dtype), total)


def factors(norms: Tensor, clip: float, clipping: Clipping) -> Tensor:
    """What to scale gradients with these norms by; zero where they are not finite."""
    bound = clip * (1 - SLACK)
    flat = clipping == "flat"
    found = (bound / norms).clamp(max=1.0) if flat else bound / (norms + SOFTNESS)
    return found.nan_to_num(nan=0.0)


def unit_norms(uses: Uses, known: Norms, unit_of: Tensor | None, rows: int) -> Tensor:
    """The norm of each unit's gradient, over all parameters; `known` are norms of single rows."""
    if unit_of is not None:
        known = {}
        group = _Grouping(unit_of, rows)
        uses = {p: [group(use) for use in every] for p, every in uses.items()}
    found = [known[p] if p in known else norms_of(u, p.shape) for p, u in uses.items()]
    return torch.linalg.vector_norm(torch.stack(found), dim=0)  # type: ignore[no-any-return]


class _Grouping:
    """Rows of a unit set in a line, as if they were positions of one example."""

    def __init__(self, unit_of: Tensor, rows: int) -> None:
        sizes = torch.bincount(unit_of)
        self._units, self._unit_of = len(sizes), unit_of
        begins = sizes.cumsum(0) - sizes
        longest = int(sizes.max())
        within = torch.arange(longest, device=unit_of.device)
        place = begins[:, None] + within
        # Beyond a unit's last row comes the row of zeros that is put behind all others.
        self._place = torch.where(within < sizes[:, None], place, rows)

    def __call__(self, use: Use) -> Use:
        if isinstance(use, Whole):
            g = wide(use.g)
            sums = torch.zeros(self._units, *g.shape[1:], dtype=g.dtype, device=g.device)
            return Whole(sums.index_add_(0, self._unit_of, g))
        if isinstance(use, Product):
            return Product(self._in_line(use.a), self._in_line(use.g))
        return Lookup(self._in_line(use.ids), self._in_line(use.g))

    def _in_line(self, x: Tensor) -> Tensor:
        padded = torch.cat((x, torch.zeros_like(x[:1])))
        return padded[self._place].flatten(1, 2)


def _masked(whole: Tensor) -> Callable[[Tensor], Tensor]:
    def mask(x: Tensor) -> Tensor:
        keep = whole.view(-1, *(1 for _ in x.shape[1:]))
        return torch.where(keep, x, torch.zeros_like(x))

    return mask


def laid_out(parameters: Sequence[Tensor], flat: Tensor) -> dict[Tensor, Tensor]:
    """Each parameter's place in `flat`, one behind the other, in its shape."""
    places: dict[Tensor, Tensor] = {}
    start = 0
    for p in parameters:
        places[p] = flat[start : start + p.numel()].view(p.shape)
        start += p.numel()
    return places
