"""What one use of a parameter adds to each example's gradient, kept in factors.

A weight that multiplies activations `a` and receives output gradients `g` has the gradient
sum_t g_t a_t^T for an example, t running over positions. Its squared norm follows from the factors
(Goodfellow 2015; for sequences Li et al. 2022, "ghost norm"), and so does the weighted sum over
examples, one matrix product (Bu et al. 2023, "book-keeping"). No gradient of a single example is
ever written down, unless that is cheaper.

All tensors have examples first. A parameter that is used several times (a tied weight, a module
called in a loop) has the sum of its uses for a gradient, cross terms and all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

INSTANTIATED = 1 << 22
"""Numbers in the per-example gradients that are written down at a time."""
ROUNDING = 8
"""Units in the last place of the largest sum of a Gram norm that may have cancelled."""


@dataclass(frozen=True)
class Product:
    """The gradient is sum_t g_t a_t^T, with `a` [n, T, d] and `g` [n, T, p]."""

    a: Tensor
    g: Tensor

    def map(self, change: Callable[[Tensor], Tensor]) -> Product:
        return Product(change(self.a), change(self.g))

    def written_out(self, shape: torch.Size) -> Tensor:
        return torch.bmm(self.g.mT, self.a).reshape(-1, *shape)

    def add_weighted(self, weight: Tensor, total: Tensor) -> None:
        """Adds sum_i weight_i gradient_i to `total`, scaling the narrower of the two factors."""
        a, g = wide(self.a), wide(self.g)
        scale = weight[:, None, None]
        if a.shape[2] < g.shape[2]:
            a = a * scale
        else:
            g = g * scale
        total.view(g.shape[2], -1).addmm_(g.flatten(0, 1).T, a.flatten(0, 1))


@dataclass(frozen=True)
class Lookup:
    """The gradient has g_t added in row ids_t, with `ids` [n, T] and `g` [n, T, d]."""

    ids: Tensor
    g: Tensor

    def map(self, change: Callable[[Tensor], Tensor]) -> Lookup:
        return Lookup(change(self.ids), change(self.g))

    def written_out(self, shape: torch.Size) -> Tensor:
        rows = torch.zeros(len(self.g), *shape, dtype=self.g.dtype, device=self.g.device)
        return rows.scatter_add_(1, self.ids.unsqueeze(2).expand_as(self.g), self.g)

    def add_weighted(self, weight: Tensor, total: Tensor) -> None:
        scaled = wide(self.g) * weight[:, None, None]
        total.index_add_(0, self.ids.flatten(), scaled.flatten(0, 1))


@dataclass(frozen=True)
class Whole:
    """The gradient itself, [n, *shape]: small parameters, and layers that we know nothing of."""

    g: Tensor

    def map(self, change: Callable[[Tensor], Tensor]) -> Whole:
        return Whole(change(self.g))

    def written_out(self, shape: torch.Size) -> Tensor:
        return self.g

    def add_weighted(self, weight: Tensor, total: Tensor) -> None:
        total.view(-1).addmv_(wide(self.g).flatten(1).T, weight)


Use = Product | Lookup | Whole


def norms_of(uses: Sequence[Use], shape: torch.Size) -> Tensor:
    """float [n]: the norm of each example's gradient of one parameter, from above."""
    products = [use for use in uses if isinstance(use, Product)]
    lookups = [use for use in uses if isinstance(use, Lookup)]
    if len(uses) > len(products) + len(lookups):
        total = wide(uses[0].written_out(shape))
        for use in uses[1:]:
            total = total + wide(use.written_out(shape))
        return norms(total.flatten(1))
    if not lookups:
        return _product_norms(_joined_products(products))
    if not products:
        return _lookup_norms(_joined_lookups(lookups))
    product, lookup = _joined_products(products), _joined_lookups(lookups)
    squared = _product_norms(product).square() + _lookup_norms(lookup).square()
    # Nothing is lost if the two cancel: the sum of their norms bounds the rounding.
    squared = squared + ROUNDING * torch.finfo(squared.dtype).eps * squared
    return (squared + 2 * _cross_terms(product, lookup)).clamp(min=0).sqrt()


def gram_is_cheaper(positions: int, width: int, height: int) -> bool:
    """Whether T x T products of positions beat a height x width gradient."""
    return positions * (width + height) <= width * height


def wide(x: Tensor) -> Tensor:
    """At least float32: a clipped sum in fewer bits would move by more than the clip."""
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


def _product_norms(use: Product) -> Tensor:
    a, g = wide(use.a), wide(use.g)
    if a.shape[1] == 1:
        return norms(a[:, 0]) * norms(g[:, 0])
    if gram_is_cheaper(a.shape[1], a.shape[2], g.shape[2]):
        return gram_norms(a, g)
    return instantiated_norms(a, g)


def gram_norms(a: Tensor, g: Tensor) -> Tensor:
    """The root of sum_{t,t'} (a_t . a_t') (g_t . g_t')."""
    one, other = torch.bmm(a, a.mT), torch.bmm(g, g.mT)
    return _root(one * other, (_lengths(one) * _lengths(other)).sum(1))


def instantiated_norms(a: Tensor, g: Tensor) -> Tensor:
    """|sum_t g_t a_t^T|, a few examples at a time."""
    some = max(1, INSTANTIATED // (a.shape[2] * g.shape[2]))
    parts = range(0, len(a), some)
    products = (torch.bmm(g[i : i + some].mT, a[i : i + some]) for i in parts)
    return torch.cat([norms(product.flatten(1)) for product in products])


def _lookup_norms(use: Lookup) -> Tensor:
    """The root of the sum of g_t . g_t' over pairs of positions with the same id."""
    ids, g = use.ids, wide(use.g)
    if ids.shape[1] == 1:
        return norms(g[:, 0])
    same = ids.unsqueeze(1) == ids.unsqueeze(2)
    gram = torch.bmm(g, g.mT)
    return _root(gram * same, _lengths(gram).sum(1))


def _cross_terms(product: Product, lookup: Lookup) -> Tensor:
    """Of a table that also is a weight: sum_{t,t'} g'_t'[id_t] (g_t . a_t')."""
    dots = torch.bmm(wide(lookup.g), wide(product.a).mT)
    at_ids = wide(product.g).gather(2, lookup.ids.unsqueeze(1).expand(-1, product.g.shape[1], -1))
    return (dots * at_ids.mT).sum((1, 2))


def _joined_products(uses: Sequence[Product]) -> Product:
    if len(uses) == 1:
        return uses[0]
    return Product(torch.cat([use.a for use in uses], 1), torch.cat([use.g for use in uses], 1))


def _joined_lookups(uses: Sequence[Lookup]) -> Lookup:
    if len(uses) == 1:
        return uses[0]
    return Lookup(torch.cat([use.ids for use in uses], 1), torch.cat([use.g for use in uses], 1))


def norms(x: Tensor) -> Tensor:
    """[n, k] to [n]."""
    found: Tensor = torch.linalg.vector_norm(x, dim=1)
    return found


def _root(terms: Tensor, largest: Tensor) -> Tensor:
    """The root of the sum of each example's [T, T] terms, which may cancel.

    Rounding would then hide a part of the norm. The square of `largest` bounds what can cancel; its
    last places are added, so that no norm comes out too small.
    """
    lost = ROUNDING * torch.finfo(terms.dtype).eps * largest.square()
    return (terms.sum((1, 2)).clamp(min=0) + lost).sqrt()


def _lengths(gram: Tensor) -> Tensor:
    """[n, T], from products of positions with each other."""
    return gram.diagonal(dim1=1, dim2=2).clamp(min=0).sqrt()
