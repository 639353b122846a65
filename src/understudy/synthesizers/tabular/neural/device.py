"""Torch: whether it is here, on which device, and with how many threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from understudy.errors import MissingExtraError


def require_torch(engine: str) -> None:
    """Raises `MissingExtraError`, which says what to install, where torch is missing."""
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError.of(f"the {engine} engine", "deep") from None


@contextmanager
def on_threads(threads: int, seed: int) -> Iterator[None]:
    """Torch with so many threads, and its generator at a seed; both are put back."""
    import torch

    before, state = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_rng_state(state)


def device_of(name: str) -> str:
    """torch's name of a device; `auto` is a GPU where there is one."""
    import torch

    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"
