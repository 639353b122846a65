"""Two bounds by other ways: a right epsilon lies between them, a wrong one does not."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.privacy.accountant import epsilon_of
from understudy.privacy.events import Exponential, Gaussian, Laplace, PoissonGaussian
from understudy.privacy.second_accountant import second_opinion

DELTA = 1e-6

events = st.one_of(
    st.builds(Gaussian, st.floats(0.5, 50)),
    st.builds(Laplace, st.floats(0.5, 100)),
    st.builds(Exponential, st.floats(0.01, 0.5)),
)


@settings(max_examples=25)
@given(st.lists(events, min_size=1, max_size=6), st.sampled_from([1e-5, 1e-6, 1e-8]))
def test_the_first_accountant_lies_between_the_two_bounds(asked: list, delta: float) -> None:
    second, first = second_opinion(asked, delta), epsilon_of(asked, delta)
    assert not second.contradicts(first)
    assert first <= second.high * 1.001


@pytest.mark.parametrize(("epsilon", "sigma"), [(1, 3.7310), (4, 1.0811), (8, 0.6003)])
def test_one_gaussian_is_bounded_closely_from_below(epsilon: float, sigma: float) -> None:
    """Against the closed form at delta 1e-5."""
    second = second_opinion([Gaussian(sigma)], 1e-5)
    assert second.low == pytest.approx(epsilon, rel=2e-3)
    assert second.high < 1.15 * epsilon


@pytest.mark.parametrize("factor", [0.1, 0.5, 0.9])
def test_an_accountant_told_a_wrong_sampling_rate_is_contradicted(factor: float) -> None:
    steps = {"sigma": 1.0, "steps": 500}
    second = second_opinion([PoissonGaussian(rate=0.02, **steps)], DELTA)
    assert second.contradicts(epsilon_of([PoissonGaussian(rate=0.02 * factor, **steps)], DELTA))
    assert not second.contradicts(epsilon_of([PoissonGaussian(rate=0.02, **steps)], DELTA))


def test_without_a_bound_nothing_is_claimed() -> None:
    assert second_opinion([Exponential(0.5)], 0.0).low == 0.0
    assert second_opinion([Gaussian(0.01)], DELTA).low == 0.0
    assert second_opinion([Gaussian(1.0)], 0.0).as_dict()["high"] is None
    assert math.isinf(second_opinion([Gaussian(1.0)], 0.0).high)
