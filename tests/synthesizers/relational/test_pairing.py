"""Giving out parents: nobody twice, as many as there are, by as many features as can be met."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from understudy.synthesizers.relational.giving import anybody, fitting, given_out
from understudy.synthesizers.relational.hierarchy import depths
from understudy.synthesizers.relational.rows import ranks

codes = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=30)


def columns(rows: list[tuple[int, int]]) -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    return [np.array([row[i] for row in rows], np.int64) for i in range(2)]


@given(codes, codes, st.integers(0, 9))
def test_nobody_is_given_twice_and_as_many_as_can_be(
    asked: list[tuple[int, int]], offered: list[tuple[int, int]], seed: int
) -> None:
    everybody = [np.zeros(len(asked), np.int64), *columns(asked)]
    there = [np.zeros(len(offered), np.int64), *columns(offered)]
    found = given_out(everybody, there, np.random.default_rng(seed))
    given_away = found[found >= 0]
    assert len(np.unique(given_away)) == len(given_away) == min(len(asked), len(offered))
    # Each pair of groups that could meet met as often as it could.
    for pair in set(asked):
        wanted = [i for i, row in enumerate(asked) if row == pair]
        exact = sum(found[i] >= 0 and offered[found[i]] == pair for i in wanted)
        assert exact == min(len(wanted), sum(row == pair for row in offered))


@given(codes, codes, st.integers(0, 9))
def test_hard_features_are_always_met(
    asked: list[tuple[int, int]], offered: list[tuple[int, int]], seed: int
) -> None:
    found = given_out(columns(asked), columns(offered), np.random.default_rng(seed), hard=1)
    for i, place in enumerate(found):
        assert place < 0 or offered[place][0] == asked[i][0]
    for code in range(3):
        wanted = sum(row[0] == code for row in asked)
        there = sum(row[0] == code for row in offered)
        met = sum(found[i] >= 0 for i, row in enumerate(asked) if row[0] == code)
        assert met == min(wanted, there)


@given(codes, codes, st.lists(st.integers(0, 5), min_size=30, max_size=30), st.integers(0, 9))
def test_anybody_agrees_with_what_must_be_equal(
    slots: list[tuple[int, int]],
    parents: list[tuple[int, int]],
    counts: list[int],
    seed: int,
) -> None:
    must = list(zip(columns(slots), columns(parents), strict=True))
    load = np.array(counts[: len(parents)], np.int64)
    found = anybody(must, load, np.random.default_rng(seed))
    for slot, place in zip(slots, found, strict=True):
        assert (place == -1) == (slot not in parents)
        assert place == -1 or parents[place] == slot
        rivals = [load[i] for i, row in enumerate(parents) if row == slot]
        assert place == -1 or load[place] > 0 or max(rivals) == 0 or min(rivals) == 0


def test_anybody_follows_the_counts() -> None:
    rng = np.random.default_rng(0)
    nothing = np.zeros(9000, np.int64)
    found = anybody([(nothing, np.zeros(3, np.int64))], np.array([1, 2, 6]), rng)
    # Binomial(9000, p) lies within 5 standard deviations but for 6e-7.
    assert (np.abs(np.bincount(found) - [1000, 2000, 6000]) < 5 * 47).all()


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40), st.integers(0, 120), st.integers(0, 9))
def test_counts_fit_the_slots(counts: list[int], slots: int, seed: int) -> None:
    before = np.array(counts, np.int64)
    after = fitting(before, slots, np.random.default_rng(seed))
    assert after.sum() == slots
    assert (after >= 0).all()
    # Only more or only less: nobody loses where others gain.
    assert (after >= before).all() or (after <= before).all()
    if max(counts) == 1 and slots <= len(counts):
        assert after.max(initial=0) <= 1


@given(st.lists(st.integers(-1, 30), max_size=31))
def test_depths_follow_the_keys_or_there_is_a_circle(keys: list[int]) -> None:
    parents = np.array([k if k < len(keys) else -1 for k in keys], np.int64)
    found = depths(parents)
    circle = False
    for i in range(len(keys)):
        at, steps = i, 0
        while parents[at] not in (-1, at) and steps <= len(keys):
            at, steps = int(parents[at]), steps + 1
        circle |= steps > len(keys)
        if found is not None:
            assert found[i] == steps
    assert (found is None) == circle


@given(st.lists(st.integers(0, 4), max_size=40))
def test_ranks_number_the_rows_of_a_group(group: list[int]) -> None:
    found = ranks(np.array(group, np.int64))
    assert found.tolist() == [group[:i].count(g) for i, g in enumerate(group)]
