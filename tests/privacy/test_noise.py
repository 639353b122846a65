"""The secure stream cannot be seeded, so every statistical comparison below raises a false alarm
with probability 1e-6; what can be tested on the mapping from words to numbers is exact."""

from __future__ import annotations

import copy
import math
import os
import pickle
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from understudy.errors import EngineError
from understudy.privacy.noise import (
    CHUNK,
    FARTHEST,
    NoiseStream,
    SecureNoise,
    SeededNoise,
    angle,
    exponential,
    gumbel,
    radius,
    uniform,
)

N = 1_000_000
FALSE_ALARM = 1e-6
Z = float(stats.norm.isf(FALSE_ALARM / 2))
"""4.89: a standard normal lies farther out with probability 1e-6."""
LAST = (1 << 64) - 1

STREAMS: list[Callable[[], NoiseStream]] = [SecureNoise, lambda: SeededNoise(7)]
DRAWS = {
    "uniforms": "uniform",
    "exponentials": "expon",
    "normals": "norm",
    "gumbels": "gumbel_r",
}


def words(*values: int) -> np.ndarray:
    return np.array(values, np.uint64)


@pytest.mark.parametrize("make", STREAMS, ids=["secure", "seeded"])
@pytest.mark.parametrize("draw", DRAWS)
def test_draws_follow_their_law(make: Callable[[], NoiseStream], draw: str) -> None:
    drawn = getattr(make(), draw)(N)
    assert stats.kstest(drawn, DRAWS[draw]).pvalue > FALSE_ALARM


def test_mean_and_variance_of_normals() -> None:
    drawn = SecureNoise().normals(N)
    assert abs(drawn.mean()) < Z / math.sqrt(N)
    # The square of a normal has variance 2.
    assert abs((drawn**2).mean() - 1) < Z * math.sqrt(2 / N)
    assert stats.binomtest(int((np.abs(drawn) > 4).sum()), N, 2 * stats.norm.sf(4)).pvalue > 1e-6


def test_the_two_of_a_pair_and_neighbours_are_independent() -> None:
    drawn = SecureNoise().normals(2 * CHUNK * 50).reshape(50, 2, CHUNK)
    one, other = drawn[:, 0].ravel(), drawn[:, 1].ravel()
    for f in (lambda x: x, lambda x: x**2 - 1, np.abs):
        assert stats.pearsonr(f(one), f(other)).pvalue > FALSE_ALARM
    for lag in (1, 2, CHUNK, 2 * CHUNK):
        flat = drawn.ravel()
        assert stats.pearsonr(flat[lag:], flat[:-lag]).pvalue > FALSE_ALARM
    turn = np.floor((np.arctan2(other, one) / math.pi + 1) * 180).astype(int)
    assert stats.chisquare(np.bincount(turn % 360, minlength=360)).pvalue > FALSE_ALARM


def test_low_bits_of_uniforms_are_uniform() -> None:
    low = (SecureNoise().uniforms(N) * 2.0**53).astype(np.int64) & 255
    assert stats.chisquare(np.bincount(low, minlength=256)).pvalue > FALSE_ALARM


def test_a_stream_never_repeats_itself() -> None:
    noise = SecureNoise()
    drawn = np.concatenate([noise._words(size) for size in (1, 7, CHUNK, 500_000, 491_800)])
    # 10^6 words of 64 bits collide by chance with probability 2.7e-8.
    assert np.unique(drawn).size == drawn.size
    assert not np.intersect1d(drawn, SecureNoise()._words(1000)).size


@given(st.integers(0, LAST))
def test_radius_has_the_tail_it_claims(word: int) -> None:
    share = (word + 0.5) / 2**64
    assert math.isclose(math.exp(-(radius(words(word))[0] ** 2) / 2), share, rel_tol=1e-12)


def test_the_far_tail_has_no_gap_and_no_step() -> None:
    far = radius(np.arange(100_000, dtype=np.uint64))
    assert (np.diff(far) < 0).all()
    assert far[0] == pytest.approx(math.sqrt(-2 * math.log(0.5 / 2**64)), rel=1e-15)
    assert far[0] == FARTHEST
    assert far[0] - far[1] < 0.12  # A 32-bit radius leaves 0.88 between its last two.
    assert np.isfinite(radius(words(0, 1, LAST - 1, LAST))).all()


def test_mappings_at_their_ends() -> None:
    assert uniform(words(0))[0] == 0
    assert uniform(words(LAST))[0] == 1 - 2.0**-53
    assert exponential(words(0))[0] == pytest.approx(65 * math.log(2))
    assert exponential(words(LAST))[0] == 0
    ends = gumbel(words(0, LAST))
    assert ends == pytest.approx([65 * math.log(2), -math.log(53 * math.log(2))])
    turned = angle(np.array([-(2**31), 0, 2**31 - 1], np.int32))
    assert turned == pytest.approx([-math.pi, 0, math.pi])


@given(st.integers(0, LAST - 1))
def test_gumbel_falls_with_the_word(word: int) -> None:
    nearer, farther = gumbel(words(word, word + 1))
    assert nearer >= farther


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("n", [0, 1, 2, 3, CHUNK - 1, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1])
def test_as_many_as_asked_for(draw: str, n: int) -> None:
    drawn = getattr(SecureNoise(), draw)(n)
    assert drawn.shape == (n,)
    assert drawn.dtype == np.float64
    assert np.isfinite(drawn).all()


def test_coins() -> None:
    noise = SecureNoise()
    assert not noise.coins(1000, 0.0).any()
    assert noise.coins(1000, 1.0).all()
    heads = int(noise.coins(N, 0.01).sum())
    assert stats.binomtest(heads, N, 0.01).pvalue > FALSE_ALARM
    for stream in (noise, SeededNoise(1)):
        for p in (-0.1, 1.1, float("nan")):
            with pytest.raises(EngineError, match="between 0 and 1"):
                stream.coins(1, p)


def test_a_forked_child_does_not_go_on_with_its_parents_stream() -> None:
    noise = SecureNoise()
    noise.normals(10)
    children = [_drawn_in_child(noise) for _ in range(2)]
    mine = noise.uniforms(64).tobytes()
    assert len({mine, *children}) == 3
    assert all(len(child) == len(mine) for child in children)


def _drawn_in_child(noise: SecureNoise) -> bytes:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, noise.uniforms(64).tobytes())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        return pipe.read()


def test_secure_noise_cannot_be_seeded_copied_or_stored() -> None:
    with pytest.raises(TypeError):
        SecureNoise(1)  # type: ignore[call-arg]
    for keep in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="copied or pickled"):
            keep(SecureNoise())
    np.random.seed(0)  # noqa: NPY002 - the global seed must change nothing
    one = SecureNoise().normals(4)
    np.random.seed(0)  # noqa: NPY002
    assert not np.array_equal(one, SecureNoise().normals(4))
    assert SecureNoise().secure
    assert not SeededNoise(0).secure


def test_seeded_noise_repeats() -> None:
    for draw in DRAWS:
        one, same, other = (getattr(SeededNoise(seed), draw)(9) for seed in (1, 1, 2))
        assert np.array_equal(one, same)
        assert not np.array_equal(one, other)
