"""Per-example gradients of a module that no rule covers: made one by one, a few at a time.

The module runs once in the forward pass with its parameters held fixed. When the gradient of its
output is known, `vmap` differentiates it again for each row alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from understudy.errors import EngineError
from understudy.privacy.dpsgd.uses import Use, Whole

ROWS_AT_ONCE = 32

Enter = Callable[[Iterator[tuple[Tensor, Use]]], None]


class Unknown:
    """The `forward` of a module that has parameters and no rule.

    Positional tensors have rows on their first axis; keyword arguments are shared by all rows.
    """

    def __init__(self, enter: Enter, module: nn.Module) -> None:
        self._enter = enter
        self._module = module
        self._as_written = module.__dict__.get("forward", type(module).forward.__get__(module))
        self.kind = type(module).__name__
        self.trained = {n: p for n, p in module.named_parameters() if p.requires_grad}

    def __call__(self, *inputs: Tensor, **shared: Any) -> Tensor:
        fixed = {name: p.detach() for name, p in self.trained.items()}
        out = self.run(fixed, inputs, shared)
        if not (isinstance(out, Tensor) and all(isinstance(x, Tensor) for x in inputs)):
            raise EngineError(
                f"{self.kind} takes or returns something else than tensors, so that its rows "
                "cannot be told apart. Give it tensors, and everything else by keyword."
            )
        trained = self.trained.values()
        arguments = self, shared, out, len(trained), *trained, *inputs
        result: Tensor = _Tapped.apply(*arguments)  # type: ignore[no-untyped-call]
        return result

    def run(self, parameters: dict[str, Tensor], inputs: tuple[Tensor, ...], shared: Any) -> Any:
        """The module as it was written, with `parameters` for its own."""
        attributes = self._module.__dict__
        patched, attributes["forward"] = attributes["forward"], self._as_written
        try:
            return functional_call(self._module, parameters, inputs, shared)
        finally:
            attributes["forward"] = patched

    def enter(self, shared: Any, g: Tensor, inputs: tuple[Tensor, ...]) -> None:
        self._enter(self._uses(shared, g, inputs))

    def _uses(
        self, shared: Any, g: Tensor, inputs: tuple[Tensor, ...]
    ) -> Iterator[tuple[Tensor, Use]]:
        fixed = {name: p.detach() for name, p in self.trained.items()}

        def told(parameters: dict[str, Tensor], g_row: Tensor, *row: Tensor) -> Tensor:
            out = self.run(parameters, tuple(x.unsqueeze(0) for x in row), shared)
            product: Tensor = (out.squeeze(0) * g_row).sum()
            return product

        each = vmap(grad(told), in_dims=(None, 0, *(0 for _ in inputs)), chunk_size=ROWS_AT_ONCE)
        try:
            with torch.enable_grad():
                found = each(fixed, g, *inputs)
        except RuntimeError as error:
            raise EngineError(
                f"the gradients of {self.kind} cannot be made row by row ({error}). Build it from "
                "nn.Linear, nn.Embedding, nn.Conv1d and norms."
            ) from None
        for name, parameter in self.trained.items():
            yield parameter, Whole(found[name].detach())


class _Tapped(torch.autograd.Function):
    """The identity, which tells the module what gradient came back."""

    @staticmethod
    def forward(
        ctx: Any, owner: Unknown, shared: Any, out: Tensor, count: int, *rest: Tensor
    ) -> Tensor:
        ctx.save_for_backward(*rest[count:])
        ctx.owner, ctx.shared = owner, shared
        return out.view_as(out)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        inputs = tuple(x.detach() for x in ctx.saved_tensors)
        ctx.owner.enter(ctx.shared, grads[0], inputs)
        return (None, None, grads[0], *(None for _ in ctx.needs_input_grad[3:]))
