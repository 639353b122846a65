"""Codes: exact round trips, and jitter that keeps marginals and point masses."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.encoding.columns import Levels, Ranks, fit_codec

INTEGERS = st.integers(-(2**63), 2**63 - 1)
DATES = st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1))
SOURCES = {
    "int64": (pa.int64(), INTEGERS, True),
    "uint64": (pa.uint64(), st.integers(0, 2**64 - 1), True),
    "float64": (pa.float64(), st.floats(allow_nan=False, allow_infinity=False), True),
    "date": (pa.date32(), DATES, True),
    "timestamp": (pa.timestamp("us"), st.datetimes(dt.datetime(1900, 1, 1)), True),
    "bool": (pa.bool_(), st.booleans(), False),
    "string": (pa.string(), st.text(), False),
}


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("repeat", [1, 150])
def test_decode_undoes_encode(name: str, repeat: int) -> None:
    type, values, numeric = SOURCES[name]
    many = st.lists(st.none() | values, min_size=1, max_size=40)
    wide = (
        st.lists(values, min_size=120, max_size=150, unique=True)
        if repeat > 1 and numeric
        else many
    )

    @given(wide)
    def holds(cells: list[object]) -> None:
        column = pa.chunked_array([pa.array([*cells, None], type)])
        codec = fit_codec("x", column, numeric=numeric)
        decoded = codec.decode(codec.encode(column), type)
        assert decoded.to_pylist() == column.to_pylist()

    holds()


def ranks(values: np.ndarray) -> tuple[Ranks, np.ndarray]:
    column = pa.chunked_array([pa.array(values)])
    codec = fit_codec("x", column, numeric=True)
    assert isinstance(codec, Ranks)
    return codec, codec.encode(column)


def test_jitter_keeps_the_marginal_and_leaves_point_masses() -> None:
    rng = np.random.default_rng(0)
    values = np.where(rng.random(20_000) < 0.3, 0.0, np.round(rng.lognormal(3, 1, 20_000), 2))
    codec, codes = ranks(values)
    moved, new = codec.jitter(codes, 40, rng)
    assert np.mean(moved == 0) == pytest.approx(np.mean(values == 0), abs=1e-9)
    both = np.sort(np.concatenate([moved, values]))
    gap = np.abs(
        np.searchsorted(np.sort(moved), both, "right")
        - np.searchsorted(np.sort(values), both, "right")
    ).max()
    assert gap <= 80
    assert np.all(np.round(moved, 2) == moved)
    assert values.min() <= moved.min()
    assert moved.max() <= values.max()
    assert np.mean(np.isin(moved[values > 0], values[values > 0])) < 0.9
    assert np.all(codec.heavy[new] == (moved == 0))


def test_nothing_piles_up_on_the_extremes() -> None:
    """The old prototype clipped, which put about reach/2 rows on the minimum and the maximum."""
    rng = np.random.default_rng(1)
    values = np.sort(rng.normal(size=5000))
    codec, codes = ranks(values)
    moved, _ = codec.jitter(np.repeat(codes, 10), 50, rng)
    # With reflection a given order statistic is hit exactly with probability zero.
    assert np.sum(moved == values[0]) + np.sum(moved == values[-1]) <= 2


def test_integers_beyond_2_to_53_move_exactly() -> None:
    rng = np.random.default_rng(2)
    values = (1 << 60) + rng.choice(10**6, 3000, replace=False)
    codec, codes = ranks(values)
    moved, _ = codec.jitter(codes, 6, rng)
    assert moved.dtype == np.int64
    assert values.min() <= moved.min() <= moved.max() <= values.max()


def test_missing_stays_missing() -> None:
    column = pa.chunked_array([pa.array([None, *range(200)], pa.int64())])
    codec = fit_codec("x", column, numeric=True)
    _, codes = codec.jitter(codec.encode(column), 6, np.random.default_rng(0))
    assert codes[0] == -1
    assert isinstance(fit_codec("x", column.slice(0, 30), numeric=True), Levels)
