"""Every draw hangs on (seed, name) and on nothing else."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from understudy.runtime.random import fresh_seed, stream

NAME = st.one_of(st.text(max_size=8), st.integers(0, 1000))


@given(st.integers(0, 2**31 - 1), st.lists(NAME, min_size=1, max_size=3))
def test_a_name_gives_its_numbers_whatever_was_drawn_before(
    seed: int, names: list[str | int]
) -> None:
    first = stream(seed, *names).integers(0, 2**63, 4)
    stream(seed, "another").random(100)
    np.random.default_rng(0).random(10)
    assert np.array_equal(first, stream(seed, *names).integers(0, 2**63, 4))


def test_names_and_seeds_part_streams() -> None:
    keys = [(1, ("a",)), (2, ("a",)), (1, ("b",)), (1, ("a", "b")), (1, ("ab",)), (1, ("a", 0))]
    heads = {stream(seed, *names).bytes(16) for seed, names in keys}
    assert len(heads) == len(keys)


def test_streams_of_one_seed_are_uncorrelated() -> None:
    """4,950 pairs of 2,000 draws: the largest |z| of as many stays below 5.2 but for 1 in 1,000."""
    draws = np.stack([stream(7, "shard", i).standard_normal(2000) for i in range(100)])
    pairs = np.corrcoef(draws)[np.triu_indices(100, 1)]
    assert np.abs(pairs).max() * np.sqrt(2000) < 5.2


def test_a_fresh_seed_is_one_that_users_could_give() -> None:
    seeds = {fresh_seed() for _ in range(20)}
    assert len(seeds) > 1
    assert all(0 <= seed < 2**31 for seed in seeds)
