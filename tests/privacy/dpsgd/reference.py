"""Clipped sums the slow way: a plain backward pass for each row, then norms, factors, a sum."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from understudy.privacy.dpsgd.book import Book
from understudy.privacy.dpsgd.clipping import SLACK, SOFTNESS, add_clipped, laid_out
from understudy.privacy.dpsgd.records import Batch

Loss = Callable[[nn.Module, Batch], Tensor]


def batch_of(*tensors: Tensor, unit_of: Tensor | None = None) -> Batch:
    return Batch(1, tensors, unit_of, np.arange(len(tensors[0]), dtype=np.uint64))


def gradients(net: nn.Module, batch: Batch, loss: Loss) -> Tensor:
    """[rows, parameters]."""
    trained = [p for p in net.parameters() if p.requires_grad]
    rows = []
    for i in range(batch.rows):
        row = batch_of(*(tensor[i : i + 1] for tensor in batch.tensors))
        total = loss(net, row).sum()
        found = torch.autograd.grad(total, trained, allow_unused=True, materialize_grads=True)
        rows.append(torch.cat([g.flatten() for g in found]))
    return torch.stack(rows)


def expected(net: nn.Module, batch: Batch, loss: Loss, clip: float, clipping: str) -> Tensor:
    each = gradients(net, batch, loss)
    each = torch.where(each.isfinite().all(1, keepdim=True), each, torch.nan)
    if batch.unit_of is not None:
        units = torch.zeros(int(batch.unit_of.max()) + 1, each.shape[1], dtype=each.dtype)
        each = units.index_add_(0, batch.unit_of, each)
    norms = each.norm(dim=1, keepdim=True)
    bound = clip * (1 - SLACK)
    scale = bound / (norms + SOFTNESS) if clipping == "automatic" else (bound / norms).clamp(max=1)
    return (each * scale).nan_to_num(0.0).sum(0)


def booked(net: nn.Module, batch: Batch, loss: Loss, clip: float, clipping: str = "flat") -> Tensor:
    """The same from the book."""
    book = Book(net)
    parameters = list(book.names)
    flat = torch.zeros(sum(p.numel() for p in parameters), dtype=parameters[0].dtype)
    uses, norms = book.entries(lambda: loss(net, batch), batch.rows)
    places = laid_out(parameters, flat)
    add_clipped(uses, norms, batch.unit_of, batch.rows, clip, clipping, places)  # type: ignore[arg-type]
    return flat


def middle_norm(net: nn.Module, batch: Batch, loss: Loss) -> float:
    """A clip that some rows are above and some below."""
    norms = gradients(net, batch, loss).norm(dim=1)
    clip = float(norms[norms.isfinite()].median()) * 1.0001
    finite = norms[norms.isfinite()]
    assert (finite > clip).any()
    assert (finite < clip).any()
    return clip
