"""The closed form must equal a density refitted with the record in it."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.attacks.likelihood_ratio import _principal, gen_lra, kernel_sums


def test_closed_form_equals_the_refit():
    rng = np.random.default_rng(0)
    reference, synthetic, pool = (
        (rng.normal(size=(n, 4)) @ np.diag([3, 2, 1, 0.5])).astype(np.float32)
        for n in (300, 200, 25)
    )
    near = np.stack([rng.choice(200, 12, replace=False) for _ in pool])
    found = gen_lra(pool, near, synthetic, reference)
    centre, basis = _principal(reference, len(reference))
    asked, made, known = (
        ((rows - centre) @ basis).astype(np.float32) for rows in (pool, synthetic, reference)
    )
    base = kernel_sums(made, known) / 300
    expected = []
    for x, rows in zip(asked, near, strict=True):
        refit = kernel_sums(made[rows], np.vstack([known, x[None]])) / 301
        expected.append((np.log(refit) - np.log(base[rows])).sum())
    # The closed form leaves out what all records share: log(m / (m + 1)) per synthetic row.
    shared = 12 * np.log(300 / 301)
    assert found + shared == pytest.approx(expected, abs=1e-4)


def test_kernel_sums_closed_form():
    rows = np.array([[0.0], [2.0]], np.float32)
    centres = np.array([[0.0], [1.0]], np.float32)
    expected = [1 + np.exp(-0.5), np.exp(-2) + np.exp(-0.5)]
    assert kernel_sums(rows, centres) == pytest.approx(expected)


def test_constant_axes_are_left_out():
    points = np.c_[np.random.default_rng(1).normal(size=50), np.ones(50)].astype(np.float32)
    _, basis = _principal(points, 50)
    assert basis.shape == (2, 1)
