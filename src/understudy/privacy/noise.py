"""Where noise comes from: AES-256 in counter mode, keyed by the operating system.

A generator whose state can be rebuilt from its output (Mersenne Twister, PCG) turns noise into a
constant that can be subtracted, and so does any seed that somebody knows. The stream here has a
fresh 256-bit key and a fresh counter block, lives in memory only, cannot be seeded, copied or
pickled, and a forked child starts a new one.

Numbers are made in chunks that stay in cache. Normals are Box & Muller's (1958): the radius from a
whole 64-bit word in float64, so that the tail is smooth up to 9.49 standard deviations, and the
angle from 32 bits in float32, which halves the cost. No floating-point sampler is exactly Gaussian;
the mechanisms for counts therefore round the noise to whole numbers before they add it, so that the
low bits of a float never leave (Mironov 2012).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, Protocol

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from understudy.errors import EngineError

Floats = NDArray[np.float64]
Words = NDArray[np.uint64]

CHUNK = 8192
"""Numbers made at a time: three arrays of these fit into a core's second-level cache."""
ZEROS = bytes(12 * CHUNK)
BELOW_ONE = 1 - 2.0**-53
FARTHEST = float(np.sqrt(130 * np.log(2.0)))
"""The largest normal that a stream can return, 9.49: the radius of word 0."""

_forks = 0


def _count_fork() -> None:
    global _forks
    _forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_fork)


class NoiseStream(Protocol):
    """Independent draws, in arrays of `n`."""

    @property
    def secure(self) -> bool:
        """Whether nobody can know the next number: the stream may protect people."""

    def uniforms(self, n: int) -> Floats:
        """In [0, 1), 53 bits each."""

    def exponentials(self, n: int) -> Floats:
        """Standard exponential, up to 45."""

    def normals(self, n: int) -> Floats:
        """Standard normal, up to 9.49 on either side."""

    def gumbels(self, n: int) -> Floats:
        """Standard Gumbel, from -3.6 to 45: the two ends have probability 2^-54 and 2^-65."""

    def coins(self, n: int, p: float) -> NDArray[np.bool_]:
        """True with probability `p`."""


class SecureNoise:
    """The stream that protects people. Draws of one stream belong to one thread."""

    secure = True

    def __init__(self) -> None:
        self._restart()

    def uniforms(self, n: int) -> Floats:
        return _in_chunks(n, lambda size: uniform(self._words(size)))

    def exponentials(self, n: int) -> Floats:
        return _in_chunks(n, lambda size: exponential(self._words(size)))

    def normals(self, n: int) -> Floats:
        out = np.empty(n + n % 2)
        for start, stop in _spans(len(out), 2 * CHUNK):
            half = (stop - start) // 2
            drawn = self._bytes(12 * half)
            r = radius(np.frombuffer(drawn, np.uint64, half))
            theta = angle(np.frombuffer(drawn, np.int32, half, offset=8 * half))
            np.multiply(r, np.cos(theta), out=out[start : start + half])
            np.multiply(r, np.sin(theta), out=out[start + half : stop])
        return out[:n]

    def gumbels(self, n: int) -> Floats:
        return _in_chunks(n, lambda size: gumbel(self._words(size)))

    def coins(self, n: int, p: float) -> NDArray[np.bool_]:
        return self.uniforms(n) < _probability(p)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a stream of secure noise cannot be copied or pickled: make a new one.")

    def _restart(self) -> None:
        """A key and a counter block from the operating system; the old ones are forgotten."""
        cipher = Cipher(algorithms.AES(os.urandom(32)), modes.CTR(os.urandom(16)))
        self._keystream = cipher.encryptor()
        self._born = _forks

    def _bytes(self, size: int) -> bytes:
        # A forked child holds the parent's key: going on would give both the same noise.
        if self._born != _forks:
            self._restart()
        return self._keystream.update(memoryview(ZEROS)[:size])

    def _words(self, size: int) -> Words:
        return np.frombuffer(self._bytes(8 * size), np.uint64)


class SeededNoise:
    """Noise that anybody with the seed can subtract: NOT PRIVATE, for tests and replay."""

    secure = False

    def __init__(self, seed: int) -> None:
        self._rng = np.random.Generator(np.random.PCG64(seed))

    def uniforms(self, n: int) -> Floats:
        return self._rng.random(n)

    def exponentials(self, n: int) -> Floats:
        return self._rng.standard_exponential(n)

    def normals(self, n: int) -> Floats:
        return self._rng.standard_normal(n)

    def gumbels(self, n: int) -> Floats:
        return self._rng.gumbel(size=n)

    def coins(self, n: int, p: float) -> NDArray[np.bool_]:
        return self._rng.random(n) < _probability(p)


def uniform(words: Words) -> Floats:
    """float64[n] in [0, 1): the high 53 bits."""
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def exponential(words: Words) -> Floats:
    """-log of (word + 1/2) / 2^64: the rarest values, near 45, come from the smallest words."""
    return -np.log(_centred(words))


def radius(words: Words) -> Floats:
    """The length of a standard normal pair."""
    length: Floats = np.sqrt(2.0 * exponential(words))
    return length


def angle(words: NDArray[np.int32]) -> NDArray[np.float32]:
    """In [-pi, pi]; float32 keeps 24 bits of it, more where it is small."""
    return words.astype(np.float32) * np.float32(np.pi * 2.0**-31)


def gumbel(words: Words) -> Floats:
    """-log of an exponential that is fine near zero, where a Gumbel's long tail comes from."""
    short = np.minimum(_centred(words), BELOW_ONE)
    return -np.log(-np.log1p(-short))


def _centred(words: Words) -> Floats:
    """(word + 1/2) / 2^64, never zero; the largest words round to one."""
    return (words.astype(np.float64) + 0.5) * 2.0**-64


def _in_chunks(n: int, make: Callable[[int], Floats]) -> Floats:
    out = np.empty(n)
    for start, stop in _spans(n, CHUNK):
        out[start:stop] = make(stop - start)
    return out


def _spans(n: int, step: int) -> Iterator[tuple[int, int]]:
    return ((start, min(start + step, n)) for start in range(0, n, step))


def _probability(p: Any) -> float:
    if not 0 <= p <= 1:
        raise EngineError(f"a coin needs a probability between 0 and 1, found {p}.")
    return float(p)
