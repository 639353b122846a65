"""Who joins a step: independent coins, whole units, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from understudy.errors import EngineError
from understudy.privacy.dpsgd.records import Batch, Records
from understudy.privacy.dpsgd.sampler import CoupledCoins, FreeCoins, drawn, joining
from understudy.privacy.noise import SecureNoise, SeededNoise

FALSE_ALARM = 1e-6


def test_each_unit_joins_with_the_rate_and_alone() -> None:
    n, rate, steps = 60, 0.07, 20_000
    noise = SecureNoise()
    seen = np.zeros((steps, n), bool)
    for step in range(steps):
        seen[step, joining(n, rate, noise)] = True
    p = [stats.binomtest(int(count), steps, rate).pvalue for count in seen.sum(0)]
    assert min(p) * n > FALSE_ALARM
    pairs = (seen[:, :-1] & seen[:, 1:]).sum()
    assert stats.binomtest(int(pairs), steps * (n - 1), rate**2).pvalue > FALSE_ALARM
    sizes = np.bincount(seen.sum(1), minlength=n)[:12]
    wanted = stats.binom.pmf(np.arange(12), n, rate) * steps
    common = wanted > 10
    z = (sizes - wanted)[common] / np.sqrt(wanted[common])
    assert np.abs(z).max() < 6


@pytest.mark.parametrize(("n", "rate"), [(0, 0.5), (1, 0.5), (5, 1.0), (3, 1e-9), (1000, 0.999)])
def test_edges(n: int, rate: float) -> None:
    for _ in range(50):
        joined = joining(n, rate, SecureNoise())
        assert (np.diff(joined) > 0).all()
        assert ((joined >= 0) & (joined < n)).all()
    if rate == 1:
        assert len(joined) == n


def test_a_batch_holds_all_rows_of_its_units_side_by_side() -> None:
    owner = np.array([7, -2, 7, 5, -2, 7, 9])
    records = Records(torch.arange(7), unit_of=owner)
    assert records.units == 4
    seen = set()
    for step in range(60):
        batch = drawn(records, FreeCoins(records, 0.5, SeededNoise(step)), step, 0)
        assert batch.unit_of is not None
        taken = batch.tensors[0].numpy()
        assert (np.diff(batch.unit_of.numpy()) >= 0).all()
        for unit in range(int(batch.unit_of.max()) + 1 if batch.rows else 0):
            mine = taken[batch.unit_of.numpy() == unit]
            assert sorted(mine) == np.flatnonzero(owner == owner[mine[0]]).tolist()
        seen.add(tuple(sorted(set(owner[taken]))))
    assert len(seen) > 10


def test_canaries_stand_behind_the_units() -> None:
    records = Records(torch.zeros(3, 2))
    batch = drawn(records, FreeCoins(records, 1.0, SeededNoise(0)), 1, 4)
    assert (batch.rows, batch.canaries.tolist()) == (3, [0, 1, 2, 3])


def test_parts_keep_units_whole_and_lose_nothing() -> None:
    unit_of = torch.tensor([0, 0, 0, 1, 2, 2, 2, 2, 2, 3])
    for size in range(1, 12):
        batch = Batch(1, (torch.arange(10),), unit_of, np.arange(10, dtype=np.uint64))
        parts = list(batch.parts(size))
        assert torch.cat([part.tensors[0] for part in parts]).tolist() == list(range(10))
        owners = [set(unit_of[part.tensors[0]].tolist()) for part in parts]
        assert sum(map(len, owners)) == 4
        assert all(part.unit_of is not None and part.unit_of[0] == 0 for part in parts)
        free = list(Batch(1, (torch.arange(10),), None, batch.keys).parts(size))
        assert [part.rows for part in free][:-1] == [min(size, 10)] * (len(free) - 1)


def test_in_replay_one_unit_more_moves_nobody_else() -> None:
    x = torch.randn(50, 3)
    x[10] = x[20] = x[30]
    whole, without = Records(x), Records(torch.cat((x[:20], x[21:])))
    for step in range(30):
        one = drawn(whole, CoupledCoins(whole, 0.3, 5), step, 2)
        other = drawn(without, CoupledCoins(without, 0.3, 5), step, 2)
        assert one.canaries.tolist() == other.canaries.tolist()
        gone = one.rows - other.rows
        assert gone in (0, 1)
        mine = {(tuple(r), tuple(u)) for r, u in _randomness(one)}
        theirs = {(tuple(r), tuple(u)) for r, u in _randomness(other)}
        assert theirs <= mine
        assert len(mine - theirs) == gone


def _randomness(batch: Batch) -> list[tuple[list[float], list[float]]]:
    pairs = zip(batch.tensors[0].tolist(), batch.uniforms(4).tolist(), strict=True)
    return list(pairs)


def test_coupled_coins_have_the_rate() -> None:
    records = Records(torch.randn(400, 2))
    coins = CoupledCoins(records, 0.2, 9)
    joined = sum(len(coins.toss(step, 0)[0]) for step in range(200))
    assert stats.binomtest(joined, 400 * 200, 0.2).pvalue > FALSE_ALARM


def test_uniforms_of_a_batch_are_uniform_and_differ_by_salt() -> None:
    records = Records(torch.zeros(2000, 1))
    batch = drawn(records, FreeCoins(records, 1.0, SecureNoise()), 1, 0)
    one, other = batch.uniforms(20), batch.uniforms(20, salt=1)
    assert 0 < float(one.min()) <= float(one.max()) < 1
    for u in (one, other):
        assert stats.kstest(u.flatten().double().numpy(), "uniform").pvalue > FALSE_ALARM
    assert abs(np.corrcoef(one.flatten(), other.flatten())[0, 1]) < 6 / np.sqrt(40_000)
    assert abs(np.corrcoef(one[:, 0], one[:, 1])[0, 1]) < 6 / np.sqrt(2000)


def test_tensors_of_different_length_are_refused() -> None:
    with pytest.raises(EngineError, match="one entry a row"):
        Records(torch.zeros(3), torch.zeros(4))
    with pytest.raises(EngineError, match="one entry a row"):
        Records(torch.zeros(3), unit_of=np.zeros(2, np.int64))
