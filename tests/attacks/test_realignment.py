from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.attacks.realignment import interpolate, realigned
from understudy.schema import Category, Number, one_table

SPEC = one_table("t", [Number(name="x"), Category(name="c")]).table()


def table(x) -> pa.Table:
    return pa.table({"x": np.asarray(x, np.float64), "c": ["a"] * len(x)})


@given(st.floats(0.01, 100), st.floats(-1000, 1000))
def test_shift_and_scale_are_undone_even_beyond_the_outer_knots(scale, shift):
    x = np.random.default_rng(0).standard_t(3, 400)
    back = realigned(table(scale * x + shift), table(x), SPEC)
    if back is None:
        assert np.median(np.abs(scale * x + shift - x)) < 0.6
        return
    assert back["x"].to_numpy() == pytest.approx(x, abs=1e-6 * (1 + abs(shift)))
    assert back["c"].to_pylist() == ["a"] * 400


def test_a_column_in_its_place_is_left_alone():
    rng = np.random.default_rng(1)
    assert realigned(table(rng.normal(size=400)), table(rng.normal(size=400)), SPEC) is None


def test_a_value_that_many_rows_hold_goes_to_one_place():
    source, goal = np.array([0.0, 0.0, 0.0, 1.0]), np.array([5.0, 5.0, 7.0, 9.0])
    assert interpolate(np.array([0.0, 1.0, 0.5]), source, goal) == pytest.approx([5, 9, 7])


def test_missing_cells_stay_missing():
    x = pa.array(np.arange(200.0), mask=np.arange(200) % 2 == 0)
    ours = pa.table({"x": x, "c": ["a"] * 200})
    back = realigned(ours, table(np.arange(200.0) + 900), SPEC)
    assert back["x"].null_count == 100
