"""Clouds of points: the same cloud scores one, a collapsed or a copied one does not."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.evaluation.manifold import cloud, diagonal_score
from understudy.evaluation.tabsyn import naive


def points(seed: int, rows: int = 800, spread: float = 1.0) -> np.ndarray:
    return (spread * np.random.default_rng(seed).normal(size=(rows, 4))).astype(np.float32)


def test_even_shares_lie_on_the_diagonal():
    assert diagonal_score(np.linspace(0, 1, 10_001)) == pytest.approx(1.0, abs=1e-3)
    # All mass at the centre: the curve is 1 everywhere, 1 - sum(1 - alpha) / sum(alpha) = 0.
    assert diagonal_score(np.zeros(100)) == pytest.approx(0.0)
    assert diagonal_score(np.full(100, np.inf)) == pytest.approx(0.0)


def test_weights_are_repetitions():
    shares = np.random.default_rng(0).random(60)
    counts = np.random.default_rng(1).integers(0, 4, 60)
    repeated = diagonal_score(np.repeat(shares, counts))
    assert diagonal_score(shares, counts.astype(float)) == pytest.approx(repeated)


def test_two_samples_of_one_cloud_fill_it_evenly():
    found = cloud(points(0), points(1))
    assert diagonal_score(found.precise) > 0.93
    assert found.dense.mean() == pytest.approx(1.0, abs=0.12)
    assert found.covered.mean() > 0.9


def test_a_collapsed_cloud_is_dense_and_covers_little():
    found, fair = cloud(points(0), points(1, spread=0.2)), cloud(points(0), points(1))
    assert diagonal_score(found.precise) < 0.3
    assert found.covered.mean() < 0.5 * fair.covered.mean()


def test_density_and_coverage_by_hand():
    """Eight rows on a line, and one far row that no ball holds."""
    real = np.arange(8, dtype=np.float32)[:, None]
    found = cloud(real, np.array([[0.0], [100.0]], np.float32))
    # Balls reach the fifth neighbour: that of row 0 to 5, of 1 to 4, of 2 and 3 to 3: four hold 0.
    reach = [5, 4, 3, 3, 3, 3, 4, 5]
    assert found.dense.tolist() == [sum(i <= r for i, r in enumerate(reach)) / 5, 0.0]
    assert found.covered.tolist() == [float(i <= r) for i, r in enumerate(reach)]


def test_recall_judged_on_train_rewards_a_copy():
    """Why the corrected form judges on the holdout."""
    real = points(0)
    assert naive(real, real)[1] > naive(real, points(1))[1] + 0.3
