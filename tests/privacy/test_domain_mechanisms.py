"""What is bought when nobody declared it: labels, quantiles, bounds. Noise is seeded; a correct
mechanism would fail for one seed in a million."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from understudy.privacy.events import (
    Approximate,
    Composed,
    Exponential,
    Gaussian,
    dump_event,
    load_event,
)
from understudy.privacy.mechanisms import (
    Bounds,
    Quantiles,
    StableHistogram,
    magnitudes,
    tally,
)
from understudy.privacy.mechanisms.bounds import BINS, ZERO
from understudy.privacy.noise import SeededNoise

FALSE_ALARM = 1e-6
DRAWS = 20_000


# Histograms of labels nobody listed


@pytest.mark.parametrize("rows", [1, 2, 7])
@pytest.mark.parametrize("multiplier", [0.5, 3.0, 40.0])
@pytest.mark.parametrize("delta", [1e-3, 1e-9, 1e-15])
def test_threshold_keeps_its_delta(rows: int, multiplier: float, delta: float) -> None:
    mechanism = StableHistogram(multiplier, delta, sensitivity=rows)

    def seen(threshold: int) -> float:
        """The largest chance that a unit's own labels show, over all ways to spread its rows."""
        worst = 0.0
        for parts in partitions(rows):
            margin = (threshold - 0.5 - np.array(parts)) / mechanism.sigma
            worst = max(worst, float(stats.norm.sf(margin).sum()))
        return worst

    assert seen(mechanism.threshold) <= delta * (1 + 1e-9)
    assert seen(mechanism.threshold - 1) > delta


def partitions(total: int, most: int | None = None) -> list[list[int]]:
    most = total if most is None else most
    if total == 0:
        return [[]]
    return [
        [first, *rest]
        for first in range(min(total, most), 0, -1)
        for rest in partitions(total - first, first)
    ]


def test_a_label_of_one_unit_shows_as_often_as_charged() -> None:
    mechanism = StableHistogram(3.0, 0.02)
    exact = tally(["only me"])
    noise = SeededNoise(0)
    shown = sum(len(mechanism.release(exact, noise)) for _ in range(DRAWS))
    assert stats.binomtest(shown, DRAWS, 0.02, alternative="greater").pvalue > FALSE_ALARM
    assert shown > 0.5 * 0.02 * DRAWS
    assert mechanism.event == Composed((Gaussian(3.0), Approximate(0.0, 0.02)))
    assert load_event(dump_event(mechanism.event)) == mechanism.event


def test_the_answer_tells_nothing_of_labels_that_are_not_in_it() -> None:
    mechanism = StableHistogram(1e-3, 1e-6)
    few = mechanism.release(tally(["b"] * 50 + ["ü"] * 40), SeededNoise(0))
    more = mechanism.release(tally(["x" * 90] + ["ü"] * 40 + ["b"] * 50), SeededNoise(0))
    assert few.dtype == more.dtype
    assert few.tolist() == more.tolist() == [("b", 50), ("ü", 40)]
    none = mechanism.release(tally([]), SeededNoise(0))
    assert none.tolist() == []


def test_tally_takes_each_label_by_itself() -> None:
    labels = ["a", None, "a\0", "z" * 300, "z" * 200, "北京", ""]
    assert tally(labels).tolist() == [("", 1), ("a", 2), ("z" * 100, 2), ("北京", 1)]
    mechanism = StableHistogram(1.0, 1e-6)
    assert mechanism.noiseless(tally(labels)).tolist() == tally(labels).tolist()


def test_distance_is_taken_label_by_label() -> None:
    mechanism = StableHistogram(1.0, 1e-6, 5.0)
    one, other = tally(["a"] * 3 + ["b"]), tally(["b"] * 5)
    assert mechanism.distance(one, other) == 5.0
    assert mechanism.distance(other, one) == 5.0
    assert mechanism.distance(one, one) == 0.0


# Quantiles


def test_one_quantile_falls_into_each_gap_as_often_as_it_should() -> None:
    values = np.array([0.1, 0.4, 0.5])
    mechanism = Quantiles(2.0, (0.75,), 0.0, 1.0)
    noise = SeededNoise(0)
    found = np.array([mechanism.release(values, noise)[0] for _ in range(DRAWS)])
    gaps = np.histogram(found, [0.0, *values, 1.0])[0]
    widths = np.diff([0.0, *values, 1.0])
    # A row moves the distance between rank and 3/4 of the rows by 3/4 at most.
    odds = widths * np.exp(-2.0 * np.abs(np.arange(4) - 0.75 * 3) / (2 * 0.75))
    expected = odds / odds.sum() * DRAWS
    assert stats.chisquare(gaps, expected).pvalue > FALSE_ALARM


def test_quantiles_are_close_on_plenty_of_rows() -> None:
    wanted = (0.05, 0.25, 0.5, 0.75, 0.95)
    values = np.random.default_rng(0).lognormal(3, 1, 20_000)
    found = Quantiles(1.0, wanted, 0.0, 10_000.0).release(values, SeededNoise(0))
    shares = [(values < point).mean() for point in found]
    # Three levels at 1/3: the rank is off by log(2^40 * 3) * 2 * 3 / epsilon = 173 rows, twice.
    assert shares == pytest.approx(wanted, abs=2 * 173 / 20_000)


def test_ties_do_not_mislead_the_halves() -> None:
    values = np.repeat([0, 40, 41, 99], [2000, 12_000, 2000, 4000])
    mechanism = Quantiles(2.0, (0.05, 0.3, 0.5, 0.75, 0.9), 0.0, 1000.0)
    found = mechanism.release(values, SeededNoise(0))
    assert found == pytest.approx([0, 40, 40, 41, 99], abs=1e-3)
    assert mechanism.noiseless(values) == pytest.approx([0, 40, 40, 41, 99], abs=1e-3)


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True, width=64), max_size=30),
    st.integers(1, 9),
    st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_quantiles_of_anything_are_ordered_and_within_bounds(
    values: list[float], number: int, seed: int
) -> None:
    wanted = tuple((i + 1) / (number + 1) for i in range(number))
    mechanism = Quantiles(1.0, wanted, -7.0, 11.0)
    for found in (
        mechanism.release(np.array(values), SeededNoise(seed)),
        mechanism.noiseless(np.array(values)),
    ):
        assert found.shape == (number,)
        assert (np.diff(found) >= 0).all()
        assert -7 <= found.min() <= found.max() <= 11


def test_missing_numbers_change_nothing() -> None:
    mechanism = Quantiles(1.0, (0.5,), 0.0, 9.0)
    with_nan = np.array([1.0, np.nan, 2.0, np.inf, 3.0, -np.inf])
    assert mechanism.distance(with_nan, np.array([3.0, 1.0, 2.0])) == 0.0
    same = [mechanism.release(v, SeededNoise(0)) for v in (with_nan, np.array([1.0, 2.0, 3.0]))]
    assert same[0] == same[1]


@given(
    st.lists(st.integers(0, 9), max_size=20),
    st.lists(st.integers(0, 9), max_size=3),
)
@settings(deadline=None)
def test_distance_counts_rows(rows: list[int], more: list[int]) -> None:
    mechanism = Quantiles(1.0, (0.5,), 0.0, 9.0)
    assert mechanism.distance(np.array(rows), np.array(more + rows[::-1])) == len(more)


@pytest.mark.parametrize(("number", "levels"), [(1, 1), (2, 2), (3, 2), (4, 3), (7, 3), (8, 4)])
def test_quantiles_cost_a_choice_a_level(number: int, levels: int) -> None:
    wanted = tuple((i + 1) / (number + 1) for i in range(number))
    event = Quantiles(0.9, wanted, 0.0, 1.0).event
    choices = event.events if isinstance(event, Composed) else (event,)
    assert choices == (Exponential(0.9 / levels),) * levels


# Bounds


def test_magnitudes_at_every_edge() -> None:
    powers = 2.0 ** np.arange(-30, 63)
    assert magnitudes(powers).tolist() == [0] * (ZERO + 1) + [1] * 93
    assert magnitudes(-powers).tolist() == [1] * 93 + [0] * (ZERO + 1)
    assert magnitudes(np.nextafter(powers, 0)).tolist() == [0] * ZERO + [1] * 93 + [0]
    assert magnitudes(np.array([0.0, -0.0, 1e-300, -5e-324]))[ZERO] == 4
    assert magnitudes(np.array([1e300, 2**63]))[-1] == 2
    assert magnitudes(np.array([np.nan, np.inf, -np.inf, None], object)).sum() == 0
    unsigned = magnitudes(np.array([2**54 - 1, 2**64 - 1], np.uint64))
    assert np.flatnonzero(unsigned).tolist() == [ZERO + 84, BINS - 1]
    extremes = magnitudes(np.array([2**63 - 1, -(2**63)]))
    assert (extremes[0], extremes[-1], len(extremes)) == (1, 1, BINS)


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-99, 99), min_size=1, max_size=20))
def test_bounds_without_noise_hold_every_integer(values: list[int]) -> None:
    low, high = Bounds(1.0).noiseless(magnitudes(np.array(values))).tolist()
    assert low <= min(values)
    assert max(values) <= high
    # Powers of two: neither end is more than twice as far as need be.
    assert int(low) >= min(2 * min(values), 0)
    assert int(high) <= max(2 * max(values), 0)


def test_bounds_leave_out_the_few_and_keep_the_many() -> None:
    values = np.concatenate((np.random.default_rng(0).uniform(17, 90, 3000), [1e9, -4.0, np.nan]))
    assert Bounds(3.0).release(magnitudes(values), SeededNoise(0)).tolist() == [16.0, 128.0]
    negative = magnitudes(-values)
    assert Bounds(3.0).release(negative, SeededNoise(0)).tolist() == [-128.0, -16.0]
    assert Bounds(3.0).event == Gaussian(3.0)


@pytest.mark.parametrize("multiplier", [0.2, 5.0])
def test_an_empty_column_seldom_has_bounds(multiplier: float) -> None:
    mechanism = Bounds(multiplier, failure=0.05)
    empty, noise = magnitudes(np.array([])), SeededNoise(0)
    found = sum(mechanism.release(empty, noise).size > 0 for _ in range(2000))
    assert stats.binomtest(found, 2000, 0.05, alternative="greater").pvalue > FALSE_ALARM
    assert mechanism.noiseless(empty).size == 0
