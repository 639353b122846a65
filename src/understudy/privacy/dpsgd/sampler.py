"""Poisson sampling: each unit joins each step by a coin of its own, and nobody sees the coins.

Amplification by sampling rests on exactly this; shuffled or fixed-size batches leak several times
what the accountant would say (Chua et al. 2024). A batch may hold any number of units, none
included. The coins come from the secure stream, as a gap to the next unit that joins: gaps between
successes of independent coins are geometric, so a step costs what its batch costs, not what the
data costs.

In replay two neighbouring datasets must toss the same coins for the units they share, or a unit
more would move all batches. There a coin follows from the seed, the step and the unit's own rows.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
import torch

from understudy.privacy.dpsgd.records import Batch, Integers, Records, Words, mixed
from understudy.privacy.noise import NoiseStream


class Coins(Protocol):
    """Who joins a step, among the units of the records and after them `extra` more."""

    def toss(self, step: int, extra: int) -> tuple[Integers, Words]:
        """The indices that joined, ascending, and a random word for each."""


class FreeCoins:
    """Independent coins from a stream."""

    def __init__(self, records: Records, rate: float, noise: NoiseStream) -> None:
        self._units = records.units
        self._rate = rate
        self._noise = noise

    def toss(self, step: int, extra: int) -> tuple[Integers, Words]:
        joined = joining(self._units + extra, self._rate, self._noise)
        first = np.uint64(self._noise.uniforms(1)[0] * 2.0**53)
        return joined, mixed(first + joined.astype(np.uint64))


class CoupledCoins:
    """Coins that follow from a seed and from each unit alone: NOT PRIVATE, for replay."""

    def __init__(self, records: Records, rate: float, seed: int) -> None:
        self._names = records.names()
        self._rate = rate
        self._seed = seed

    def toss(self, step: int, extra: int) -> tuple[Integers, Words]:
        names = np.concatenate((self._names, np.arange(extra, dtype=np.uint64)))
        words = mixed(names ^ mixed(np.array([self._seed + step], np.uint64)))
        joined = np.flatnonzero((words >> np.uint64(11)) * 2.0**-53 < self._rate)
        return joined, mixed(words[joined])


def joining(n: int, rate: float, noise: NoiseStream) -> Integers:
    """The indices below `n` whose coin of chance `rate` showed heads."""
    if rate >= 1:
        return np.arange(n)
    hazard = -math.log1p(-rate)
    some = int(rate * n + 6 * math.sqrt(rate * n)) + 16
    heads = np.empty(0)
    last = -1.0
    while last < n:
        gaps = 1 + np.floor(noise.exponentials(some) / hazard)
        gaps[0] += last
        heads = np.concatenate((heads, gaps.cumsum()))
        last = float(heads[-1])
    return heads[: np.searchsorted(heads, n)].astype(np.int64)


def drawn(records: Records, coins: Coins, step: int, canaries: int) -> Batch:
    """The batch of a step; canaries stand behind the units and toss the same coins."""
    joined, words = coins.toss(step, canaries)
    real = int(np.searchsorted(joined, records.units))
    rows, unit_of = records.rows_of(joined[:real])
    keys = words[:real] if unit_of is None else _row_keys(words[:real], unit_of)
    tensors = records.taken(rows)
    units = None if unit_of is None else torch.from_numpy(unit_of).to(tensors[0].device)
    return Batch(step, tensors, units, keys, joined[real:] - records.units)


def _row_keys(words: Words, unit_of: Integers) -> Words:
    """A key for each row of the units with `words`."""
    begins = np.searchsorted(unit_of, unit_of)
    within = (np.arange(len(unit_of)) - begins).astype(np.uint64)
    return mixed(words[unit_of] + within)
