"""The layers whose per-example gradients have a closed form, one rule each.

A rule runs the layer, takes a gradient back through it without touching the parameters, and says
what the layer's use adds to the gradients of its parameters. Positions between the example and the
features are one axis, T; a layer without them has T = 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from understudy.privacy.dpsgd.uses import Lookup, Product, Use, Whole

Tensors = tuple[Tensor, ...]


class Rule(Protocol):
    """One layer. `saved` is what `forward` wants back."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensors]: ...

    def backward(self, saved: Tensors, g: Tensor) -> Tensor:
        """The gradient with respect to x."""

    def uses(self, saved: Tensors, g: Tensor) -> Iterator[tuple[Tensor, Use]]:
        """What this use adds to each trainable parameter's gradient."""


class LinearRule:
    def __init__(self, layer: nn.Linear) -> None:
        self._layer = layer

    def forward(self, x: Tensor) -> tuple[Tensor, Tensors]:
        return F.linear(x, self._layer.weight, self._layer.bias), (x,)

    def backward(self, saved: Tensors, g: Tensor) -> Tensor:
        return (g @ self._layer.weight.to(g.dtype)).to(saved[0].dtype)

    def uses(self, saved: Tensors, g: Tensor) -> Iterator[tuple[Tensor, Use]]:
        g = positioned(g)
        if self._layer.weight.requires_grad:
            yield self._layer.weight, Product(positioned(saved[0]), g)
        if self._layer.bias is not None and self._layer.bias.requires_grad:
            yield self._layer.bias, Whole(over_positions(g))


class EmbeddingRule:
    """`max_norm`, frequency scaling and sparse gradients depend on other rows: `refusal` says."""

    def __init__(self, layer: nn.Embedding) -> None:
        self._layer = layer

    def forward(self, x: Tensor) -> tuple[Tensor, Tensors]:
        return F.embedding(x, self._layer.weight), (x,)

    def backward(self, saved: Tensors, g: Tensor) -> Tensor:
        raise AssertionError("indices have no gradient")

    def uses(self, saved: Tensors, g: Tensor) -> Iterator[tuple[Tensor, Use]]:
        ids = saved[0].reshape(len(saved[0]), -1)
        g = g.reshape(*ids.shape, g.shape[-1])
        if self._layer.padding_idx is not None:
            g = g * (ids != self._layer.padding_idx).unsqueeze(2)
        yield self._layer.weight, Lookup(ids, g)


class LayerNormRule:
    def __init__(self, layer: nn.LayerNorm) -> None:
        self._layer = layer

    def forward(self, x: Tensor) -> tuple[Tensor, Tensors]:
        layer = self._layer
        y, mean, scale = torch.native_layer_norm(
            x, layer.normalized_shape, layer.weight, layer.bias, layer.eps
        )
        return y, (x, mean, scale)

    def backward(self, saved: Tensors, g: Tensor) -> Tensor:
        x, mean, scale = saved
        layer = self._layer
        found: Tensor = torch.ops.aten.native_layer_norm_backward(
            g,
            x,
            layer.normalized_shape,
            mean,
            scale,
            layer.weight,
            layer.bias,
            [True, False, False],
        )[0]
        return found

    def uses(self, saved: Tensors, g: Tensor) -> Iterator[tuple[Tensor, Use]]:
        x, mean, scale = saved
        axes = len(self._layer.normalized_shape)
        if self._layer.weight.requires_grad:
            yield self._layer.weight, Whole(over_positions((x - mean).mul_(scale).mul_(g), axes))
        if self._layer.bias is not None and self._layer.bias.requires_grad:
            yield self._layer.bias, Whole(over_positions(g, axes))


class RMSNormRule:
    """y = w x / rms(x)."""

    def __init__(self, layer: nn.RMSNorm) -> None:
        self._layer = layer
        self._axes = tuple(range(-len(layer.normalized_shape), 0))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensors]:
        eps = torch.finfo(x.dtype).eps if self._layer.eps is None else self._layer.eps
        scale = x.square().mean(self._axes, keepdim=True).add_(eps).rsqrt_()
        return x * scale * self._layer.weight, (x, scale)

    def backward(self, saved: Tensors, g: Tensor) -> Tensor:
        x, scale = saved
        h, unit = g * self._layer.weight, x * scale
        return scale * (h - unit * (h * unit).mean(self._axes, keepdim=True))

    def uses(self, saved: Tensors, g: Tensor) -> Iterator[tuple[Tensor, Use]]:
        x, scale = saved
        yield self._layer.weight, Whole(over_positions(x * scale * g, len(self._axes)))


class GroupNormRule:
    """Each example is normalised by itself; channels are the second axis."""

    def __init__(self, layer: nn.GroupNorm) -> None:
        self._layer = layer

    def forward(self, x: Tensor) -> tuple[Tensor, Tensors]:
        layer = self._layer
        n, channels, size = len(x), x.shape[1], x[0, 0].numel()
        y, mean, scale = torch.native_group_norm(
            x.contiguous(), layer.weight, layer.bias, n, channels, size, layer.num_groups, layer.eps
        )
        return y, (x, mean, scale)

    def backward(self, saved: Tensors, g: Tensor) -> Tensor:
        x, mean, scale = saved
        layer = self._layer
        sizes = len(x), x.shape[1], x[0, 0].numel(), layer.num_groups
        found: Tensor = torch.ops.aten.native_group_norm_backward(
            g.contiguous(), x.contiguous(), mean, scale, layer.weight, *sizes, [True, False, False]
        )[0]
        return found

    def uses(self, saved: Tensors, g: Tensor) -> Iterator[tuple[Tensor, Use]]:
        x, mean, scale = saved
        grouped = x.reshape(len(x), self._layer.num_groups, -1)
        unit = ((grouped - mean.unsqueeze(2)) * scale.unsqueeze(2)).reshape(x.shape)
        if self._layer.weight.requires_grad:
            yield (
                self._layer.weight,
                Whole((unit * g).flatten(2).sum(2) if x.dim() > 2 else unit * g),
            )
        if self._layer.bias.requires_grad:
            yield self._layer.bias, Whole(g.flatten(2).sum(2) if x.dim() > 2 else g)


class Conv1dRule:
    """A linear layer on windows, cut out when their gradient is known."""

    def __init__(self, layer: nn.Conv1d) -> None:
        self._layer = layer

    def forward(self, x: Tensor) -> tuple[Tensor, Tensors]:
        at = self._layer
        y = F.conv1d(x, at.weight, at.bias, at.stride, at.padding, at.dilation, at.groups)
        return y, (x,)

    def backward(self, saved: Tensors, g: Tensor) -> Tensor:
        at = self._layer
        steps = at.stride, at.padding, at.dilation, False, [0], at.groups, [True, False, False]
        found: Tensor = torch.ops.aten.convolution_backward(g, saved[0], at.weight, None, *steps)[0]
        return found

    def uses(self, saved: Tensors, g: Tensor) -> Iterator[tuple[Tensor, Use]]:
        at = self._layer
        if at.weight.requires_grad:
            windows = self._windows(saved[0])
            if at.groups == 1:
                yield at.weight, Product(windows, g.mT)
            else:
                a = windows.reshape(*windows.shape[:2], at.groups, -1)
                by_group = g.reshape(len(g), at.groups, -1, g.shape[2])
                found = torch.einsum("ntgd,ngpt->ngpd", a, by_group)
                yield at.weight, Whole(found.reshape(-1, *at.weight.shape))
        if at.bias is not None and at.bias.requires_grad:
            yield at.bias, Whole(g.sum(2))

    def _windows(self, x: Tensor) -> Tensor:
        """[n, positions, channels * kernel]."""
        at = self._layer
        assert not isinstance(at.padding, str)
        spread = {"dilation": (1, at.dilation[0]), "stride": (1, at.stride[0])}
        cut = F.unfold(x.unsqueeze(2), (1, at.kernel_size[0]), padding=(0, at.padding[0]), **spread)
        return cut.mT


def refusal(module: nn.Module) -> str | None:
    """Why no per-example gradient exists in `module`, with the remedy; None if it does."""
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        return (
            "normalises over the batch, so that every row changes the gradient of all others and "
            "no clipping bounds a row's share. Use LayerNorm or GroupNorm"
        )
    if isinstance(module, nn.modules.instancenorm._InstanceNorm) and module.track_running_stats:
        return "keeps running statistics of private rows. Set track_running_stats=False"
    if isinstance(module, nn.Embedding):
        odd = [n for n in ("max_norm", "scale_grad_by_freq", "sparse") if getattr(module, n)]
        if odd:
            return f"has {odd[0]} set, which mixes rows of the batch. Leave it out"
    return None


def rule_for(module: nn.Module) -> Rule | None:
    """The rule for exactly this type of layer, as a subclass may compute something else."""
    if type(module) is nn.Conv1d and (module.padding_mode != "zeros" or _by_name(module.padding)):
        return None
    make = RULES.get(type(module))
    return make(module) if make else None


RULES: dict[type, Callable[[Any], Rule]] = {
    nn.Linear: LinearRule,
    nn.Embedding: EmbeddingRule,
    nn.LayerNorm: LayerNormRule,
    nn.RMSNorm: RMSNormRule,
    nn.GroupNorm: GroupNormRule,
    nn.Conv1d: Conv1dRule,
}


def positioned(x: Tensor) -> Tensor:
    """[n, ..., d] as [n, T, d]."""
    return x.unsqueeze(1) if x.dim() == 2 else x.flatten(1, -2)


def over_positions(x: Tensor, axes: int = 1) -> Tensor:
    """Summed over all between the examples and the last `axes`."""
    between = tuple(range(1, x.dim() - axes))
    if not between:
        return x
    return x.squeeze(1) if between == (1,) and x.shape[1] == 1 else x.sum(between)


def _by_name(padding: object) -> bool:
    return isinstance(padding, str)
