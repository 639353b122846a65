"""The decoder and what latents it is given, in NumPy: rows are drawn without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from understudy.encoding.discrete import Floats
from understudy.errors import FormatError
from understudy.synthesizers.tabular.neural.head import Arrays, State, check_shapes
from understudy.synthesizers.tabular.tvae.encoder import check_layers, through


@dataclass(frozen=True)
class Prior:
    """A mixture of normals over latents: `weight` [parts], `mean` [parts, latent], `root` [parts,
    latent, latent], the covariances' lower Cholesky factors."""

    weight: NDArray[np.float32]
    mean: NDArray[np.float32]
    root: NDArray[np.float32]

    @classmethod
    def standard(cls, latent: int) -> Prior:
        """The standard normal."""
        one = np.eye(latent, dtype=np.float32)[None]
        return cls(np.ones(1, np.float32), np.zeros((1, latent), np.float32), one)

    def draw(self, rows: int, rng: np.random.Generator) -> State:
        """float32 [rows, latent]."""
        edges = np.cumsum(self.weight, dtype=np.float64)
        which = np.searchsorted(edges, rng.random(rows) * edges[-1] * (1 - 1e-12), side="right")
        noise = rng.standard_normal((rows, self.mean.shape[1]), np.float32)
        latent = np.empty_like(noise)
        for part in range(len(self.weight)):
            mine = which == part
            latent[mine] = noise[mine] @ self.root[part].T + self.mean[part]
        return latent

    def log_density(self, latent: State) -> Floats:
        """float64 [rows]."""
        each = np.empty((len(latent), len(self.weight)))
        constant = 0.5 * latent.shape[1] * np.log(2 * np.pi)
        for part, root in enumerate(self.root.astype(np.float64)):
            white = np.linalg.solve(root, (latent - self.mean[part]).T.astype(np.float64))
            each[:, part] = -0.5 * (white**2).sum(0) - np.log(np.diag(root)).sum() - constant
        return np.asarray(logsumexp(each, axis=1, b=self.weight.astype(np.float64)))

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        return {"prior.weight": self.weight, "prior.mean": self.mean, "prior.root": self.root}


@dataclass(frozen=True)
class Decoder:
    """The hidden layers, by the names of the module, and the prior."""

    weights: Arrays
    prior: Prior

    @cached_property
    def depth(self) -> int:
        return sum(name.endswith(".weight") for name in self.weights)

    @property
    def width(self) -> int:
        """Numbers of a state."""
        return len(self.weights[f"decoder.{2 * (self.depth - 1)}.bias"])

    def start(self, rows: int, rng: np.random.Generator, lean: Mapping[str, Floats]) -> State:
        return self.hidden(self.prior.draw(rows, rng))

    def hidden(self, latent: State) -> State:
        """float32 [rows, width]."""
        return through(self.weights, "decoder", self.depth, latent)

    def lead(self, names: Sequence[str]) -> str | None:
        """It cannot be steered."""
        return None


def decoder_of(arrays: Arrays) -> Decoder:
    """From a model's arrays; raises `FormatError` where they do not fit together."""
    weights = {name: array for name, array in arrays.items() if name.startswith("decoder.")}
    if "decoder.0.weight" not in weights or "prior.weight" not in arrays:
        raise FormatError("the network has no decoder, or no prior.")
    latent, parts = weights["decoder.0.weight"].shape[-1], len(arrays["prior.weight"])
    shapes = {
        "prior.weight": (parts,),
        "prior.mean": (parts, latent),
        "prior.root": (parts, latent, latent),
    }
    check_shapes(arrays, shapes)
    found = Decoder(weights, Prior(*(arrays[name] for name in shapes)))
    check_layers(weights, "decoder", found.depth, latent)
    return found
