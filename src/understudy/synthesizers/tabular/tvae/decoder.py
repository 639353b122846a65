"""The decoder and what latents it is given, in NumPy: rows are drawn without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.encoding.discrete import Floats
from understudy.errors import FormatError
from understudy.synthesizers.tabular.neural.head import Arrays, State, check_shapes


@dataclass(frozen=True)
class Prior:
    """A mixture of normals over latents: `weight` [k], `mean` [k, latent], `root` [k, latent,
    latent], the covariances' lower Cholesky factors."""

    weight: NDArray[np.float32]
    mean: NDArray[np.float32]
    root: NDArray[np.float32]

    @classmethod
    def standard(cls, latent: int) -> Prior:
        one = np.eye(latent, dtype=np.float32)[None]
        return cls(np.ones(1, np.float32), np.zeros((1, latent), np.float32), one)

    def draw(self, rows: int, rng: np.random.Generator) -> State:
        """float32 [rows, latent]."""
        edges = np.cumsum(self.weight, dtype=np.float64)
        which = np.searchsorted(edges, rng.random(rows) * edges[-1] * (1 - 1e-12), side="right")
        noise = rng.standard_normal((rows, self.mean.shape[1]), np.float32)
        latent = np.empty_like(noise)
        for k in range(len(self.weight)):
            mine = which == k
            latent[mine] = noise[mine] @ self.root[k].T + self.mean[k]
        return latent

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        return {"prior.weight": self.weight, "prior.mean": self.mean, "prior.root": self.root}


@dataclass(frozen=True)
class Decoder:
    """The hidden layers, by the names of the module, and the prior."""

    weights: Arrays
    prior: Prior

    @cached_property
    def depth(self) -> int:
        return sum(
            name.startswith("decoder.") and name.endswith(".weight") for name in self.weights
        )

    @property
    def width(self) -> int:
        return len(self.weights[f"decoder.{2 * (self.depth - 1)}.bias"])

    def start(self, rows: int, rng: np.random.Generator, lean: Mapping[str, Floats]) -> State:
        """float32 [rows, width]: latents of the prior, through the hidden layers."""
        x = self.prior.draw(rows, rng)
        for i in range(self.depth):
            weight, bias = (self.weights[f"decoder.{2 * i}.{part}"] for part in ("weight", "bias"))
            x = x @ weight.T + bias
            np.maximum(x, 0, out=x)
        return x

    def lead(self, names: Sequence[str]) -> str | None:
        """It cannot be steered."""
        return None


def decoder_of(arrays: Arrays) -> Decoder:
    """From a model's arrays; raises `FormatError` where they do not fit together."""
    try:
        latent = arrays["decoder.0.weight"].shape[1]
        parts = len(arrays["prior.weight"])
        depth = sum(name.startswith("decoder.") and name.endswith(".weight") for name in arrays)
        shapes: dict[str, tuple[int, ...]] = {
            "prior.weight": (parts,),
            "prior.mean": (parts, latent),
            "prior.root": (parts, latent, latent),
        }
        width = latent
        for i in range(depth):
            bias = len(arrays[f"decoder.{2 * i}.bias"])
            shapes[f"decoder.{2 * i}.weight"], shapes[f"decoder.{2 * i}.bias"] = (
                (bias, width),
                (bias,),
            )
            width = bias
    except (KeyError, IndexError) as error:
        raise FormatError(f"the network has no {error}.") from None
    check_shapes(arrays, shapes)
    prior = Prior(*(arrays[f"prior.{name}"] for name in ("weight", "mean", "root")))
    return Decoder(_hidden(arrays), prior)


def _hidden(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name: value for name, value in arrays.items() if name.startswith("decoder.")}
