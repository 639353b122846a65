"""The book of a network: one forward, one backward, and who added what to which gradient.

While a loss is computed, each layer with trainable parameters runs under a rule that gives its
parameters no gradient and instead enters the factors of it here (`uses`). Outside of that the
network is untouched: its modules, names and speed are the user's.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from understudy.errors import EngineError
from understudy.privacy.dpsgd.fallback import Unknown
from understudy.privacy.dpsgd.layers import Rule, refusal, rule_for
from understudy.privacy.dpsgd.uses import Use, norms_of

Uses = dict[Tensor, list[Use]]
Norms = dict[Tensor, Tensor]


class Book:
    """The trainable parameters of `module` and what a backward pass enters for them."""

    def __init__(self, module: nn.Module) -> None:
        """Raises `EngineError` for layers without a per-example gradient."""
        self.module = module
        named = module.named_parameters()
        self.names: dict[Tensor, str] = {p: name for name, p in named if p.requires_grad}
        if not self.names:
            raise EngineError("the network has no parameter with requires_grad: nothing to train.")
        for name, part in module.named_modules():
            reason = refusal(part)
            if reason:
                raise EngineError(f"layer {name or 'itself'} ({type(part).__name__}) {reason}.")
        self._forwards = dict(self._ruled(module))
        self._buffers = [(m._buffers, name) for m in module.modules() for name in m._buffers]
        self._entries: Uses = {}
        self._norms: Norms = {}
        self._rows = 0
        self._open = False
        self._tried = False
        unknown = sorted({u.kind for u in self._forwards.values() if isinstance(u, Unknown)})
        if unknown:
            warnings.warn(
                f"no closed form for {', '.join(unknown)}: the gradients of its parameters are "
                "made row by row, which is exact and several times slower. Built from nn.Linear, "
                "nn.Embedding, nn.Conv1d and norms it would be fast.",
                RuntimeWarning,
                stacklevel=3,
            )

    def entries(self, loss: Callable[[], Tensor], rows: int) -> tuple[Uses, Norms]:
        """What each of `rows` rows adds to the gradient of the sum of `loss()`.

        `loss` returns one value a row; the first batch of several is also tried for losses that
        depend on other rows. With the uses come the norms of parameters that were used once, taken
        while the factors were in the cache.
        """
        if not self._tried and rows > 1:
            self._try_one_alone(loss, rows)
            self._tried = True
        return self._booked(loss, rows, slice(None))

    def _booked(self, loss: Callable[[], Tensor], rows: int, of: slice) -> tuple[Uses, Norms]:
        """Forward, and back from the losses of some rows."""
        before = self._buffers_now()
        with self._patched():
            losses = loss()
            _check_losses(losses, rows)
            if self._buffers_now() != before:
                raise EngineError(
                    "a buffer of the network was written to while the loss was computed. It would "
                    "keep what private rows left in it; keep no statistics in the forward pass."
                )
            if not losses.requires_grad:
                return {}, {}
            for p in self.names:
                p.grad = None
            self._entries, self._norms, self._rows, self._open = {}, {}, rows, True
            try:
                losses[of].sum().backward()  # type: ignore[no-untyped-call]
            finally:
                self._open = False
        self._check_covered()
        found = self._entries, self._norms
        self._entries, self._norms = {}, {}
        return found

    def _try_one_alone(self, loss: Callable[[], Tensor], rows: int) -> None:
        """Raises `EngineError` if the first row's loss has a gradient in other rows."""
        uses, _ = self._booked(loss, rows, slice(1))
        for parameter, every in uses.items():
            if any(bool(use.g[1:].nan_to_num().any()) for use in every):
                raise EngineError(
                    f"the loss of one row depends on other rows of the batch, as seen at parameter "
                    f"{self.names[parameter]!r}, so that no clipping bounds a row's share. Leave "
                    "out what compares or averages rows: batch statistics, in-batch negatives, "
                    "attention across rows."
                )

    def enter(self, uses: Iterator[tuple[Tensor, Use]]) -> None:
        """Called by the backward pass of a layer."""
        if not self._open:
            return
        for parameter, use in uses:
            if len(use.g) != self._rows:
                raise EngineError(
                    f"parameter {self.names[parameter]!r} met {len(use.g)} rows in a batch of "
                    f"{self._rows}. Layers need the rows of the batch on their first axis: keep "
                    "positions on an axis of their own, and expand what is shared by all rows."
                )
            if parameter in self._entries:
                self._entries[parameter].append(use)
                self._norms.pop(parameter, None)
            else:
                self._entries[parameter] = [use]
                self._norms[parameter] = norms_of([use], parameter.shape)

    def _ruled(self, module: nn.Module) -> Iterator[tuple[nn.Module, Known | Unknown]]:
        """The modules to patch: layers with a rule, and others with parameters of their own."""
        own = [p for p in module.parameters(recurse=False) if p.requires_grad]
        changed = "forward" in module.__dict__  # by somebody's wrapper
        rule = rule_for(module) if own and not changed else None
        if rule:
            yield module, Known(self, rule, own)
        elif own:
            yield module, Unknown(self.enter, module)
        else:
            for child in module.children():
                yield from self._ruled(child)

    @contextmanager
    def _patched(self) -> Iterator[None]:
        """The layers' `forward` replaced, as attributes of the instances."""
        kept = {m: m.__dict__["forward"] for m in self._forwards if "forward" in m.__dict__}
        for module, forward in self._forwards.items():
            module.__dict__["forward"] = forward
        try:
            yield
        finally:
            for module in self._forwards:
                del module.__dict__["forward"]
                module.__dict__.update({"forward": kept[module]} if module in kept else {})

    def _buffers_now(self) -> list[tuple[int, int]]:
        found = [home[name] for home, name in self._buffers]
        return [(id(b), b._version) for b in found if b is not None]

    def _check_covered(self) -> None:
        stray = [name for p, name in self.names.items() if p.grad is not None]
        if stray:
            for p in self.names:
                p.grad = None
            raise EngineError(
                f"parameter {stray[0]!r} is used outside of its own module, where rows cannot be "
                "told apart. Call the module instead of reading its parameters, and take no "
                "gradients of gradients."
            )


class Known:
    """The `forward` of a layer that has a rule."""

    def __init__(self, book: Book, rule: Rule, own: list[nn.Parameter]) -> None:
        self._book = book
        self._rule = rule
        self._own = own

    def __call__(self, x: Tensor) -> Tensor:
        # The parameters are arguments so that a first layer, whose input needs no gradient, is
        # still reached by the backward pass.
        arguments = self._book, self._rule, x, *self._own
        result: Tensor = _Entered.apply(*arguments)  # type: ignore[no-untyped-call]
        return result


class _Entered(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, book: Book, rule: Rule, x: Tensor, *own: Tensor) -> Tensor:
        y, saved = rule.forward(x)
        ctx.save_for_backward(*saved)
        ctx.book, ctx.rule = book, rule
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        # Detached, or the book would keep the graph alive until the sums are made.
        saved = tuple(x.detach() for x in ctx.saved_tensors)
        ctx.book.enter(ctx.rule.uses(saved, grads[0]))
        back = ctx.rule.backward(saved, grads[0]) if ctx.needs_input_grad[2] else None
        return (None, None, back, *(None for _ in ctx.needs_input_grad[3:]))


def _check_losses(losses: Tensor, rows: int) -> None:
    if losses.shape != (rows,):
        raise EngineError(
            f"a loss needs one value for each of the {rows} rows, found shape "
            f"{tuple(losses.shape)}. Take reduction='none' and the mean over everything but the "
            "first axis; a mean over rows would hide how much each of them adds."
        )
