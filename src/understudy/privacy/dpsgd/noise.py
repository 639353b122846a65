"""Noise for whole gradients, made in a thread of its own while the network runs.

The stream is the cryptographic one unless the session is a test's. It belongs to the thread, as
streams must. A network in float32 gets float32 noise, for which the same bytes go a shorter way.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from understudy.privacy.noise import CHUNK, NoiseStream, SecureNoise, angle

Singles = NDArray[np.float32]

SPAN = 4 * CHUNK
"""Pairs made at a time: long calls, as the network's thread wants its turn between any two."""


class NoiseAhead:
    """Vectors of `size` independent normals with standard deviation `deviation`."""

    def __init__(
        self, stream: NoiseStream, size: int, deviation: float, dtype: torch.dtype
    ) -> None:
        self._stream = stream
        self._size = size
        self._deviation = deviation
        self._single = dtype == torch.float32
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="noise")
        self._coming: Future[NDArray[Any]] | None = None

    def prepare(self) -> None:
        """Starts making the next vector, unless one is on its way."""
        if self._coming is None:
            self._coming = self._thread.submit(self._make)

    def take(self) -> Tensor:
        """The next vector, which nobody gets again."""
        self.prepare()
        assert self._coming is not None
        vector, self._coming = torch.from_numpy(self._coming.result()), None
        return vector

    def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _make(self) -> NDArray[Any]:
        if self._single and isinstance(self._stream, SecureNoise):
            return single_normals(self._stream, self._size, self._deviation)
        normals = self._deviation * self._stream.normals(self._size)
        return normals.astype(np.float32) if self._single else normals


def single_normals(stream: SecureNoise, n: int, deviation: float) -> Singles:
    """Box & Muller's pairs in float32, the radius from 64 bits.

    A word of 64 bits as float32 keeps 24 bits of whatever size it is, so that small ones, the tail,
    are as fine as in float64. Only at radii below .0004 are the steps coarser than the format's.
    """
    out = np.empty(n + n % 2, np.float32)
    for start in range(0, len(out), 2 * SPAN):
        half = min(SPAN, (len(out) - start) // 2)
        sizes = (min(CHUNK, half - done) for done in range(0, half, CHUNK))
        drawn = b"".join([stream._bytes(12 * size) for size in sizes])
        r = np.frombuffer(drawn, np.uint64, half).astype(np.float32)
        r += np.float32(0.5)
        r *= np.float32(2.0**-64)
        np.log(r, out=r)
        r *= np.float32(-2 * deviation**2)
        np.sqrt(r, out=r)
        theta = angle(np.frombuffer(drawn, np.int32, half, offset=8 * half))
        np.multiply(r, np.cos(theta), out=out[start : start + half])
        np.multiply(r, np.sin(theta), out=out[start + half : start + 2 * half])
    return out[:n]
