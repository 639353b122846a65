"""What one unit can move: bounded by what is declared, and by no less than it must be."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.privacy.mechanisms.bounds import BINS, Bounds
from understudy.privacy.noise import SeededNoise
from understudy.synthesizers.relational.private.bounds import shortfall
from understudy.synthesizers.relational.private.given import COARSE, MOVES, _distance
from understudy.synthesizers.relational.private.histories import Log, Streams, regular
from understudy.synthesizers.relational.private.looks import _tally
from understudy.synthesizers.relational.private.thinning import salts, thinned
from understudy.synthesizers.relational.rows import ranks

CELLS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, COARSE - 1)), max_size=40)


def apart(cells: list[tuple[int, int]]) -> float:
    one, other = (np.array([c[i] for c in cells], np.int64) for i in (0, 1))
    return _distance(one, other, 3)


@given(CELLS, st.tuples(st.integers(0, 2), st.integers(0, COARSE - 1)))
@settings(max_examples=500)
def test_a_row_moves_the_distance_from_independence_by_less_than_four(
    cells: list[tuple[int, int]], more: tuple[int, int]
) -> None:
    assert abs(apart([*cells, more]) - apart(cells)) <= MOVES


def test_a_row_moves_it_by_nearly_four_where_it_is_alone() -> None:
    """4 n/(n+1): the bound that is declared is no larger than it must be."""
    for n in (9, 99, 999):
        cells = [(0, 0)] * n
        assert apart([*cells, (1, 1)]) - apart(cells) == pytest.approx(4 * n / (n + 1))


UNITS = st.lists(st.integers(0, 5), max_size=80)


@given(UNITS, st.integers(1, 9), st.lists(st.floats(0, 1, exclude_max=True), min_size=6))
def test_thinning_keeps_so_many_rows_of_each_unit_and_looks_at_no_other(
    units: list[int], most: int, salt: list[float]
) -> None:
    unit, table = np.array(units, np.int64), pa.table({"row": np.arange(len(units))})
    kept = thinned(table, unit, np.array(salt), most)["row"].to_numpy()
    for who in range(6):
        mine = np.flatnonzero(unit == who)
        held = kept[unit[kept] == who]
        assert len(held) <= most
        assert len(held) >= min(len(mine), most) - 1
        alone = thinned(table.take(pa.array(mine)), unit[mine], np.array(salt), most)
        assert alone["row"].to_pylist() == held.tolist()


def test_salts_follow_from_the_key_alone() -> None:
    one = salts(pa.chunked_array([["a", "b", "c"]]))
    other = salts(pa.chunked_array([["c", "x", "a"]]))
    assert (one[0], one[2]) == (other[2], other[0])
    assert ((one >= 0) & (one < 1)).all()


@given(st.lists(st.integers(0, 2000), max_size=30), st.integers(0, 10**6))
def test_a_unit_moves_every_shortfall_by_at_most_one(counts: list[int], more: int) -> None:
    before, after = (shortfall(np.array(c, np.int64), 3.0) for c in (counts, [*counts, more]))
    assert np.abs(after - before).max() <= 1


EVENTS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 400), st.sampled_from("abc")), max_size=60
)


def log_of(events: list[tuple[int, int, str]]) -> Log:
    events = sorted(events)
    day = np.array([e[1] for e in events], np.float64) + 10_000
    return Log(
        np.array([e[0] for e in events], np.int64),
        day,
        np.zeros(len(events)),
        {"kind": pa.array([e[2] for e in events], pa.string())},
        {},
        np.full(6, 10_000.0),
    )


@given(EVENTS, st.lists(st.tuples(st.integers(0, 400), st.sampled_from("abc")), max_size=60))
def test_an_entity_moves_regularity_by_at_most_one(
    events: list[tuple[int, int, str]], more: list[tuple[int, str]]
) -> None:
    new = [*events, *((5, day, kind) for day, kind in more)]
    for names in ((), ("kind",)):
        moved = regular(log_of(new), names, 6) - regular(log_of(events), names, 6)
        assert -1e-9 <= moved <= 1 + 1e-9


@given(EVENTS, st.integers(1, 3), st.permutations([0, 0, 1, 1, 2]))
def test_a_unit_of_several_entities_brings_each_kind_once(
    events: list[tuple[int, int, str]], most: int, unit: list[int]
) -> None:
    """Two accounts of one client with the same kind are one count: else it would move by two."""
    found = _tally(log_of(events), np.array(unit), ("kind",), most)
    for who in range(3):
        others = [e for e in events if unit[e[0]] != who]
        less = dict(_tally(log_of(others), np.array(unit), ("kind",), most).tolist())
        moved = [count - less.get(label, 0) for label, count in found.tolist()]
        assert all(move in (0, 1) for move in moved)
        assert math.sqrt(sum(moved)) <= math.sqrt(most * unit.count(who))


@given(EVENTS, st.integers(1, 3))
def test_streams_of_an_entity_follow_from_its_own_events(
    events: list[tuple[int, int, str]], most: int
) -> None:
    """Tables of histories hold the same rows of an entity whoever else is there."""
    labels = pa.array(["a", "b"])
    whole = Streams.of(log_of(events), ("kind",), labels, most)
    assert np.bincount(whole.owner, minlength=1).max() <= most
    for who in range(5):
        mine = Streams.of(log_of([e for e in events if e[0] == who]), ("kind",), labels, most)
        ours = whole.firsts(10_400, False).filter(pa.array(whole.owner == who))
        assert mine.firsts(10_400, False).to_pylist() == ours.to_pylist()
        next_ones = whole.nexts(False).filter(pa.array(whole.followers == who))
        assert mine.nexts(False).to_pylist() == next_ones.to_pylist()
    assert (ranks(whole.stream) == whole.rank).all()


def test_noise_alone_gives_bounds_as_seldom_as_is_said() -> None:
    """Fails by chance for one seed in a million: a sound rate of .05 shows more than 137 times in
    2,000 with that probability."""
    for multiplier in (0.3, 0.5, 3.0, 300.0):
        mechanism, noise = Bounds(multiplier, failure=0.05), SeededNoise(7)
        empty = np.zeros(BINS, np.int64)
        found = sum(len(mechanism.release(empty, noise)) > 0 for _ in range(2_000))
        assert found <= 150


def test_values_spread_over_bins_are_found_together() -> None:
    """Each bin holds but three standard deviations of the noise, below the threshold alone."""
    mechanism, noise = Bounds(10.0), SeededNoise(3)
    counts = np.zeros(BINS, np.int64)
    counts[100:112] = 30
    assert (counts < mechanism.threshold).all()
    found = [mechanism.release(counts, noise) for _ in range(50)]
    assert sum(len(bounds) > 0 for bounds in found) == 50
