"""The noise of a gradient: normal, of the right size, new each time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from understudy.privacy.dpsgd.noise import SPAN, NoiseAhead, single_normals
from understudy.privacy.noise import SecureNoise, SeededNoise

FALSE_ALARM = 1e-6


class FixedWords(SecureNoise):
    """Words and angles that are given instead of drawn."""

    def __init__(self, words: np.ndarray) -> None:
        self.words = words

    def _bytes(self, size: int) -> bytes:
        return self.words.tobytes() + np.zeros(len(self.words), np.int32).tobytes()


def test_singles_are_normal() -> None:
    x = single_normals(SecureNoise(), 400_001, 2.5) / 2.5
    assert x.dtype == np.float32
    assert len(x) == 400_001
    assert stats.kstest(x.astype(np.float64), "norm").pvalue > FALSE_ALARM
    p = stats.chi2.cdf((x.astype(np.float64) ** 2).sum(), len(x))
    assert min(p, 1 - p) > FALSE_ALARM
    half = min(SPAN, 200_000)
    assert abs(np.corrcoef(x[:half], x[half : 2 * half])[0, 1]) < 6 / np.sqrt(half)


def test_the_tail_of_singles_is_as_fine_as_the_middle() -> None:
    words = np.array([1, 2, 3, 1000, 1 << 20, 1 << 40, (1 << 64) - 1], np.uint64)
    x = single_normals(FixedWords(words), 14, 1.0)[:7].astype(np.float64)
    wanted = np.sqrt(-2 * (np.log(words.astype(np.float64) + 0.5) - 64 * np.log(2)))
    np.testing.assert_allclose(x[:-1], wanted[:-1], rtol=3e-7)
    assert x[-1] == 0
    assert x[0] > 9.3
    assert len(set(x)) == 7


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("stream", [SecureNoise(), SeededNoise(4)], ids=["secure", "seeded"])
def test_every_vector_is_new(dtype: torch.dtype, stream: SecureNoise | SeededNoise) -> None:
    noise = NoiseAhead(stream, 5001, 3.0, dtype)
    noise.prepare()
    noise.prepare()
    first, second = noise.take(), noise.take()
    noise.close()
    assert first.dtype == second.dtype == dtype
    assert float(first.std()) == pytest.approx(3.0, rel=0.06)
    assert abs(float(torch.corrcoef(torch.stack((first, second)))[0, 1])) < 6 / np.sqrt(5001)
