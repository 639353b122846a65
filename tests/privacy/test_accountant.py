"""The accountant against closed forms, exact binomials and published values."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm

from understudy.errors import BudgetError, FormatError
from understudy.privacy.accountant import (
    account,
    calibrate,
    check_delta,
    curve,
    delta_of,
    epsilon_of,
    replace_one,
    tpr_at,
)
from understudy.privacy.budget import Budget
from understudy.privacy.events import (
    Approximate,
    Composed,
    Event,
    Exponential,
    Gaussian,
    Laplace,
    PoissonGaussian,
    dump_event,
    load_event,
)
from understudy.privacy.loss import bounded_range_delta

RHO = {0.1: 0.000177138, 1.0: 0.0149731, 3.0: 0.120582, 10.0: 1.09079}
"""zCDP budgets of a marginal engine at delta 1e-9, by epsilon."""


def marginal_plan(rho: float, columns: int = 14) -> Callable[[float], list[Event]]:
    """Three thirds of `rho`: 1-way tables, choices, 2-way tables; and a noisy total."""
    first = math.sqrt(3 * columns / (2 * rho))
    second = math.sqrt(3 * (columns - 1) / (2 * rho))
    choice = math.sqrt(8 * (rho / 3) / (columns - 1))
    return lambda x: [
        *[Gaussian(first * x)] * columns,
        *[Exponential(choice / x)] * (columns - 1),
        *[Gaussian(second * x)] * (columns - 1),
        Laplace(200.0),
    ]


def exact_epsilon(delta_at: Callable[[float], float], delta: float) -> float:
    """Bisection on an exact privacy profile."""
    low, high = 0.0, 200.0
    while high - low > 1e-10:
        middle = (low + high) / 2
        low, high = (low, middle) if delta_at(middle) <= delta else (middle, high)
    return high


def two_point_delta(
    losses: tuple[float, float], chance: float, times: int
) -> Callable[[float], float]:
    """The exact profile of a pair with two losses, the first with `chance`, composed `times`."""
    m = np.arange(times + 1)
    weights = binom.pmf(m, times, chance)
    total = m * losses[0] + (times - m) * losses[1]
    return lambda e: float(np.sum(weights * np.maximum(0.0, -np.expm1(e - total))))


@pytest.mark.parametrize(
    ("rate", "sigma", "steps", "published", "central_limit"),
    [
        (0.01, 1.0, 1000, 1.828, 1.618),
        (0.01, 0.8, 3000, 5.242, 4.702),
        (0.0064, 1.0, 4700, 2.461, 2.331),
        (0.05, 2.0, 500, 2.532, 2.426),
    ],
)
def test_subsampled_gaussians_have_their_published_epsilon(
    rate: float, sigma: float, steps: int, published: float, central_limit: float
) -> None:
    found = account([PoissonGaussian(rate, sigma, steps)], 1e-5)
    assert found.accountant == "pld"
    assert found.epsilon == pytest.approx(published, abs=0.01)
    assert found.epsilon > central_limit * 1.03


@pytest.mark.parametrize(("epsilon", "sigma"), [(1, 3.7310), (4, 1.0811), (8, 0.6003)])
def test_one_gaussian_has_its_exact_epsilon(epsilon: float, sigma: float) -> None:
    found = account([Gaussian(sigma)], 1e-5)
    assert found.accountant == "closed form"
    assert found.epsilon == pytest.approx(epsilon, rel=1e-3)


@pytest.mark.parametrize(
    ("asked", "spent"), [(0.1, 0.0943), (1.0, 0.949), (3.0, 2.854), (10.0, 9.55)]
)
def test_gaussians_spend_less_than_zcdp_would_charge(asked: float, spent: float) -> None:
    sigma = 1 / math.sqrt(2 * RHO[asked])
    assert epsilon_of([Gaussian(sigma)], 1e-9) == pytest.approx(spent, rel=2e-3)


@given(
    st.lists(st.floats(0.3, 300), min_size=1, max_size=12), st.sampled_from([1e-5, 1e-9]), st.data()
)
def test_gaussians_compose_as_one_in_any_order(
    sigmas: list[float], delta: float, data: st.DataObject
) -> None:
    one = Gaussian(1 / math.sqrt(sum(s**-2 for s in sigmas)))
    shuffled = data.draw(st.permutations(sigmas))
    found = epsilon_of([Gaussian(s) for s in sigmas], delta)
    assert found == pytest.approx(epsilon_of([one], delta), rel=1e-9, abs=1e-12)
    assert found == epsilon_of([Gaussian(s) for s in shuffled], delta)


@given(st.floats(0.2, 200), st.floats(1e-10, 1e-3))
def test_the_gaussian_curve_is_its_own_inverse(sigma: float, delta: float) -> None:
    epsilon = epsilon_of([Gaussian(sigma)], delta)
    found = delta_of([Gaussian(sigma)], epsilon)
    assert found <= delta * (1 + 1e-9)
    if epsilon > 0:
        assert found == pytest.approx(delta, rel=1e-6)


def test_the_composed_distribution_agrees_with_the_closed_form() -> None:
    """With a Laplace of next to no cost, Gaussians go through the grid."""
    for sigma in (0.5, 4.0, 40.0):
        closed = epsilon_of([Gaussian(sigma)], 1e-9)
        composed = account([Gaussian(sigma), Laplace(1e5)], 1e-9)
        assert composed.accountant == "pld"
        assert closed <= composed.epsilon <= closed * 1.001 + 1e-4


@pytest.mark.parametrize("times", [1, 13, 200])
@pytest.mark.parametrize("epsilon", [0.02, 0.5])
def test_randomised_response_composes_as_its_binomial(epsilon: float, times: int) -> None:
    chance = 1 / (1 + math.exp(-epsilon))
    exact = exact_epsilon(two_point_delta((epsilon, -epsilon), chance, times), 1e-6)
    found = epsilon_of([Approximate(epsilon)] * times, 1e-6)
    assert exact - 1e-9 <= found <= exact * 1.01


@given(st.floats(0.01, 4), st.floats(-1.2, 1.2))
def test_the_bounded_range_profile_is_the_worst_of_its_family(eta: float, where: float) -> None:
    epsilon = where * eta
    t = np.linspace(0, eta, 2001)
    chance = (1 - np.exp(t - eta)) / -np.expm1(-eta)
    members = chance * np.maximum(0, -np.expm1(epsilon - t)) + (1 - chance) * np.maximum(
        0, -np.expm1(epsilon - t + eta)
    )
    found = float(bounded_range_delta(eta, np.array([epsilon]))[0])
    assert found >= members.max() - 1e-12
    assert found == pytest.approx(members.max(), abs=1e-5)


@given(st.floats(0.01, 4), st.floats(0, 1))
def test_the_bounded_range_profile_is_symmetric(eta: float, where: float) -> None:
    epsilon = where * eta
    there, back = bounded_range_delta(eta, np.array([epsilon, -epsilon]))
    assert back == pytest.approx(-math.expm1(-epsilon) + math.exp(-epsilon) * there, abs=1e-12)


@pytest.mark.parametrize("times", [1, 2, 13, 60])
@pytest.mark.parametrize("eta", [0.0577, 0.5])
def test_choices_cost_at_least_every_member_and_less_than_any_pure_mechanism(
    eta: float, times: int
) -> None:
    found = epsilon_of([Exponential(eta)] * times, 1e-6)
    for t in np.linspace(0.05, 0.95, 19) * eta:
        chance = -math.expm1(t - eta) / -math.expm1(-eta)
        assert found >= exact_epsilon(two_point_delta((t, t - eta), chance, times), 1e-6)
    assert found <= times * eta * (1 + 1e-12)
    if times > 1:
        assert found < epsilon_of([Approximate(eta)] * times, 1e-6)
    assert epsilon_of([Exponential(eta)] * times, 0.0) == pytest.approx(times * eta)


def test_an_exponential_mechanism_on_neighbouring_scores_stays_within() -> None:
    """Score changes of at most 1 at random: measured losses against the promised profile."""
    rng = np.random.default_rng(5)
    eta = 0.8
    for _ in range(200):
        scores = rng.normal(0, 3, 6)
        p, q = (np.exp(eta * s / 2) for s in (scores, scores + rng.uniform(-1, 1, 6)))
        p, q = p / p.sum(), q / q.sum()
        for epsilon in (-0.5, 0.0, 0.1, 0.4, 0.7):
            measured = np.maximum(0, p - math.exp(epsilon) * q).sum()
            promised = bounded_range_delta(eta, np.array([epsilon]))[0]
            assert measured <= promised + 1e-12
            if epsilon >= 0:
                assert delta_of([Exponential(eta)], epsilon) >= promised - 1e-12


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 3.0, 10.0])
def test_calibration_ends_just_below_what_was_asked(epsilon: float) -> None:
    plan = marginal_plan(RHO[epsilon])
    x = calibrate(plan, Budget(epsilon, 1e-9))
    found = account(plan(x), 1e-9)
    assert found.accountant == "pld"
    assert epsilon * 0.999 <= found.epsilon <= epsilon
    assert epsilon_of(plan(x * 0.99), 1e-9) > epsilon


@settings(max_examples=20, deadline=None)
@given(
    st.floats(0.05, 12),
    st.sampled_from([1e-5, 1e-7, 1e-9]),
    st.floats(0.3, 50),
    st.integers(1, 20),
)
def test_calibration_never_exceeds_the_budget(
    epsilon: float, delta: float, ratio: float, choices: int
) -> None:
    def plan(x: float) -> list[Event]:
        return [Gaussian(x), *[Exponential(ratio / x)] * choices, Laplace(3 * x)]

    x = calibrate(plan, Budget(epsilon, delta))
    assert epsilon * 0.99 <= epsilon_of(plan(x), delta) <= epsilon


def test_calibration_makes_room_for_what_was_spent_before() -> None:
    before = [Laplace(5.0), Gaussian(10.0)]
    x = calibrate(lambda x: [Gaussian(x)], Budget(1.0, 1e-6), already=before)
    assert x > calibrate(lambda x: [Gaussian(x)], Budget(1.0, 1e-6))
    assert 0.999 <= epsilon_of([*before, Gaussian(x)], 1e-6) <= 1.0


def test_calibration_of_what_cannot_fit_is_refused() -> None:
    with pytest.raises(BudgetError, match="no amount of noise"):
        calibrate(lambda x: [Gaussian(x)], Budget(1.0, 1e-6), already=[Laplace(0.5)])
    with pytest.raises(BudgetError, match="no amount of noise"):
        calibrate(lambda x: [Gaussian(x)], Budget(1.0, 0.0))


def test_pure_events_add_up_at_delta_zero() -> None:
    pure = [Laplace(2.0), Exponential(0.25), Approximate(0.25)]
    assert account(pure, 0.0).accountant == "closed form"
    assert epsilon_of(pure, 0.0) == pytest.approx(1.0)
    assert epsilon_of([*pure, Gaussian(5.0)], 0.0) == math.inf
    assert epsilon_of([], 1e-9) == 0.0


def test_one_pure_event_costs_no_more_than_itself() -> None:
    for epsilon in (0.3, 0.7123):
        assert epsilon_of([Laplace(1 / epsilon)], 1e-9) <= epsilon
        assert epsilon_of([Exponential(epsilon)], 1e-9) <= epsilon


def test_a_threshold_that_may_tell_outright_costs_its_delta() -> None:
    events = [Gaussian(5.0), Approximate(0.0, 4e-7)]
    assert epsilon_of(events, 3e-7) == math.inf
    plain = epsilon_of([Gaussian(5.0)], 1e-6 - 4e-7)
    assert plain <= epsilon_of(events, 1e-6) <= plain * 1.001
    assert epsilon_of([Composed(tuple(events))], 1e-6) == epsilon_of(events, 1e-6)


def test_what_the_grid_cannot_hold_is_accounted_by_renyi_and_said() -> None:
    wide: list[Event] = [Laplace(0.01), Gaussian(1.0)]
    with pytest.warns(RuntimeWarning, match="Renyi"):
        found = account(wide, 1e-6)
    assert found.accountant == "rdp"
    assert "privacy losses reach" in found.because
    assert 100 < found.epsilon < math.inf

    small: list[Event] = [Laplace(2.0), Gaussian(2.0), Exponential(0.1), Approximate(0.1)]
    with pytest.warns(RuntimeWarning, match="resolution"):
        loose = account([*small, PoissonGaussian(0.1, 2.0, 10)], 9.9e-13)
    tight = account([*small, PoissonGaussian(0.1, 2.0, 10)], 1.01e-12)
    assert (loose.accountant, tight.accountant) == ("rdp", "pld")
    assert tight.epsilon < loose.epsilon < 1.3 * tight.epsilon


def test_renyi_counts_what_is_told_outright() -> None:
    events = [Laplace(0.01), Approximate(0.1, 1e-7), Gaussian(1.0)]
    with pytest.warns(RuntimeWarning):
        assert epsilon_of(events, 9e-8) == math.inf
    with pytest.warns(RuntimeWarning):
        assert epsilon_of(events, 2e-7) < math.inf


def test_replacing_a_unit_is_two_changes() -> None:
    events: list[Event] = [
        Gaussian(2.0),
        Laplace(4.0),
        Exponential(0.1),
        Composed((Gaussian(6.0),)),
    ]
    doubled: tuple[Event, ...] = (
        Gaussian(1.0),
        Laplace(2.0),
        Exponential(0.2),
        Composed((Gaussian(3.0),)),
    )
    assert replace_one(events) == doubled
    (twice,) = replace_one([Approximate(0.5, 1e-7)])
    assert twice == Approximate(1.0, 1e-7 * (1 + math.exp(0.5)))
    with pytest.raises(BudgetError, match="adding or removing"):
        replace_one([PoissonGaussian(0.1, 1.0, 5)])


def test_the_curve_and_the_best_attack_follow_from_the_events() -> None:
    points = curve([Gaussian(2.0), Laplace(10.0)])
    assert [p.delta for p in points] == [1e-5, 1e-6, 1e-7, 1e-8, 1e-9]
    assert all(a.epsilon < b.epsilon for a, b in pairwise(points))
    for sigma in (1.0, 5.0):
        for rate, bound in tpr_at([Gaussian(sigma)]).items():
            exact = float(norm.cdf(norm.ppf(rate) + 1 / sigma))
            assert exact <= bound <= exact + 0.002
    assert tpr_at([Laplace(1.0)])[0.01] == pytest.approx(0.01 * math.e, rel=1e-3)
    assert tpr_at([Approximate(0.0, 0.01)])[0.05] == pytest.approx(0.0595, abs=1e-3)


def test_a_delta_that_publishes_somebody_is_refused() -> None:
    check_delta(1e-5, 10_000)
    with pytest.raises(BudgetError, match=r"not below one in the 10,000 people"):
        check_delta(1e-4, 10_000)
    with pytest.raises(BudgetError, match=r"\[0, 1\)"):
        epsilon_of([Gaussian(1.0)], 1.0)


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan, math.inf])
def test_events_that_no_mechanism_has_are_refused(wrong: float) -> None:
    for kind in (Gaussian, Laplace, Exponential):
        with pytest.raises(BudgetError, match="must be a positive number"):
            kind(wrong)
    with pytest.raises(BudgetError, match="must be a positive number"):
        PoissonGaussian(0.1, wrong, 5)
    if wrong != 0.0:
        with pytest.raises(BudgetError, match="at least 0"):
            Approximate(wrong)


def test_events_survive_storage_and_unknown_ones_are_refused() -> None:
    events: list[Event] = [
        Gaussian(1.5),
        PoissonGaussian(0.1, 1.0, 7),
        Composed((Laplace(2.0), Approximate(0.0, 1e-7))),
    ]
    assert [load_event(dump_event(event)) for event in events] == events
    for text in ('{"event": "geometric"}', '{"event": "gaussian", "tau": 1}'):
        with pytest.raises(FormatError):
            load_event(text)
