from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.encoding.metric import BUCKETS, CLIP, TOP_LEVELS, MetricSpace
from understudy.encoding.neighbours import nearest
from understudy.schema import Boolean, Category, Datetime, Identifier, Number, Text, one_table

SPEC = one_table(
    "t",
    [Number(name="x"), Category(name="c"), Boolean(name="b"), Datetime(name="d")],
).table()


def table(x, c, b, d) -> pa.Table:
    days = pa.array(d, pa.int32()).cast(pa.date32())
    return pa.table(
        {"x": pa.array(x, pa.float64()), "c": pa.array(c, pa.string()), "b": pa.array(b), "d": days}
    )


@pytest.fixture
def reference() -> pa.Table:
    x = [None, *map(float, range(100))]
    return table(x, ["u", "v", "w", None] * 25 + ["u"], [True, False] * 50 + [True], range(101))


def test_one_mismatch_adds_exactly_one_to_squared_distance(reference):
    space = MetricSpace.fit(reference, SPEC)
    rows = table([5, 5, 5, 5], ["u", "v", None, "never seen"], [True] * 4, [3] * 4)
    points = space.transform(rows)
    gaps = ((points[:, None] - points[None]) ** 2).sum(-1)
    assert gaps == pytest.approx(1 - np.eye(4), abs=1e-6)


def test_numbers_are_measured_in_the_usual_range_and_clipped(reference):
    space = MetricSpace.fit(reference, SPEC)
    low, high = np.quantile(np.arange(100.0), [0.01, 0.99])
    points = space.transform(table([low, high, 1e9, -1e9], ["u"] * 4, [True] * 4, [3] * 4))
    assert points[:, 0] == pytest.approx([0, 1, CLIP, -CLIP], abs=1e-6)


def test_missing_number_has_its_own_coordinate(reference):
    space = MetricSpace.fit(reference, SPEC)
    points = space.transform(table([None, 49.5], ["u"] * 2, [True] * 2, [3] * 2))
    assert points[:, 1].tolist() == [1.0, 0.0]
    assert points[0, 0] == pytest.approx(points[1, 0], abs=1e-6)


def test_ranks_do_not_depend_on_the_scale(reference):
    space = MetricSpace.fit(reference, SPEC, ranks=True)
    stretched = reference.set_column(
        0, "x", pa.array(np.exp(np.r_[0.0, np.arange(100.0)]), mask=np.arange(101) == 0)
    )
    other = MetricSpace.fit(stretched, SPEC, ranks=True)
    assert other.transform(stretched) == pytest.approx(space.transform(reference))


def test_constants_identifiers_and_text_are_left_out_and_said():
    spec = one_table(
        "t", [Number(name="k"), Identifier(name="id"), Text(name="note"), Number(name="x")]
    ).table()
    rows = pa.table({"k": [1.0] * 5, "id": range(5), "note": ["t"] * 5, "x": range(5)})
    space = MetricSpace.fit(rows, spec)
    assert [axis.name for axis in space.axes] == ["x"]
    assert len(space.left_out) == 3
    assert space.transform(rows).flags.c_contiguous
    assert space.transform(rows).dtype == np.float32


def test_ten_thousand_levels_take_a_bounded_number_of_coordinates():
    spec = one_table("t", [Category(name="c")]).table()
    names = [f"common {i % 50}" for i in range(10_000)] + [f"rare {i}" for i in range(10_000)]
    space = MetricSpace.fit(pa.table({"c": names}), spec)
    assert space.width == 1 + BUCKETS + TOP_LEVELS
    assert any("hashed" in note for note in space.left_out)
    points = space.transform(pa.table({"c": ["common 1", "rare 1", "unheard of", None]}))
    assert (points**2).sum(axis=1) == pytest.approx([0.5] * 4)


def test_empty_table_and_nothing_but_missing():
    spec = one_table("t", [Number(name="x"), Category(name="c")]).table()
    rows = pa.table({"x": pa.nulls(3, pa.float64()), "c": pa.nulls(3, pa.string())})
    assert MetricSpace.fit(rows, spec).transform(rows).shape == (3, 0)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(1, 500), st.integers(1, 7), st.integers(0, 2**31))
def test_neighbours_agree_with_all_pairs(n, m, k, seed):
    rng = np.random.default_rng(seed)
    queries = rng.normal(size=(n, 3)).astype(np.float32)
    points = rng.normal(size=(m, 3)).astype(np.float32)
    found = nearest(queries, points, k)
    gaps = queries[:, None].astype(float) - points[None].astype(float)
    all_pairs = np.sort(np.sqrt((gaps**2).sum(-1)), axis=1)[:, :k]
    assert found.distance == pytest.approx(all_pairs)


def test_copies_are_at_distance_zero_far_from_the_origin(monkeypatch):
    monkeypatch.setattr("understudy.encoding.neighbours.CELLS", 1000)
    rng = np.random.default_rng(0)
    points = (1000 + rng.normal(size=(400, 20))).astype(np.float32)
    found = nearest(points, points, 2)
    assert found.index[:, 0].tolist() == list(range(400))
    assert np.all(found.distance[:, 0] == 0)
    assert np.all(found.to(2) > 0)
