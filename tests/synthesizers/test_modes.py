"""Modes and scalars, and rows drawn from a latent state: closed forms, conditions, columns set
right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, kstest

from understudy.encoding.discrete import Floats, GridAxis, LabelAxis, Line
from understudy.encoding.known import known_of_data
from understudy.schema import Category, Column, Number
from understudy.synthesizers.tabular.neural.buying import Counted
from understudy.synthesizers.tabular.neural.coding import Coding
from understudy.synthesizers.tabular.neural.head import Head
from understudy.synthesizers.tabular.neural.latent import LatentDrawing
from understudy.synthesizers.tabular.neural.modes import (
    Modes,
    chances_of_places,
    modes_of,
    placed,
    wide,
)
from understudy.synthesizers.tabular.neural.reading import read_columns
from understudy.synthesizers.tabular.neural.rows import RowTensors
from understudy.synthesizers.tabular.neural.setting_right import set_right


def counted(column: Column, values: Any) -> Counted:
    """The axis that a column gets without a budget."""
    table = pa.table({column.name: values})
    known = {column.name: known_of_data(column, table[column.name])}
    return read_columns(table, (column,), known)[column.name]


def line_of(values: Any, most: int = 10, **options: Any) -> Coding:
    return modes_of(counted(Number(name="x", **options), values), most)


# Cells to modes and scalars, and back


@given(
    st.lists(
        st.one_of(st.none(), st.integers(-(2**60), 2**60), st.integers(-5, 5)),
        min_size=1,
        max_size=200,
    ),
    st.integers(1, 12),
)
@settings(max_examples=60, deadline=None)
def test_a_code_s_mode_and_scalar_lead_back_to_it(cells: list[int | None], most: int) -> None:
    coding = line_of(pa.array(cells, pa.int64()), most, integer=True)
    modes = Modes({"x": coding})
    codes = coding.axis.encode(pa.chunked_array([pa.array(cells, pa.int64())]))
    mode, scalars = modes.cells(codes[:, None])
    if modes.lines:
        place = placed(coding, mode[:, 0], scalars[:, 0])
        single = ~wide(coding)[mode[:, 0]]
        assert (scalars[single] == 0).all()
        assert np.array_equal(np.where(single, 0, place), coding.place[codes])
    made = coding.decode([mode[:, 0], coding.place[codes]], np.random.default_rng(0))
    assert np.array_equal(coding.axis.encode(pa.chunked_array([made])), codes)


def test_scalars_are_standard_normal_in_every_mode_and_no_tail_is_cut() -> None:
    values = np.random.default_rng(0).standard_cauchy(20_000)
    coding = line_of(values, 8)
    rows = RowTensors(Modes({"x": coding}))
    codes = torch.from_numpy(coding.axis.encode(pa.chunked_array([values]))[:, None])
    place = torch.rand(20_000, 1, generator=torch.Generator().manual_seed(0))
    scalars, mode = rows.scalars(codes, place)[:, 0].numpy(), rows.modes(codes)[:, 0].numpy()
    for one in range(8):
        # Eight tests at .0005 each: one false alarm in 250 seeds.
        assert kstest(scalars[mode == one], "norm").pvalue > 5e-4
    made = coding.decode(
        [np.array([0, 7]), placed(coding, np.array([0, 7]), np.array([-40.0, 40.0]))],
        np.random.default_rng(0),
    ).to_numpy()
    first, last = np.sort(values)[[20, -20]]
    assert made[0] < first
    assert made[1] > last
    assert values.min() <= made[0]
    assert made[1] <= values.max()


def test_shared_values_and_missing_cells_are_modes_without_a_scalar() -> None:
    rng = np.random.default_rng(0)
    values = np.where(rng.random(4000) < 0.6, 0.0, rng.lognormal(3, 1, 4000))
    coding = line_of(pa.array(values, mask=rng.random(4000) < 0.1))
    codes = coding.axis.encode(pa.chunked_array([pa.array([0.0, None])]))
    modes = coding.group[codes]
    assert not wide(coding)[modes].any()
    assert (np.bincount(coding.group)[modes] == 1).all()
    made = coding.decode([modes, np.zeros(2, np.int64)], rng).to_pylist()
    assert made == [0.0, None]


def test_many_labels_share_modes_and_are_drawn_by_their_shares() -> None:
    labels = pa.array([f"code {i * i % 1500}" for i in range(6000)])
    coding = modes_of(counted(Category(name="x"), labels), 10)
    modes = Modes({"x": coding})
    assert modes.width <= 200
    assert modes.lines == ()
    state = np.zeros((20_000, 1), np.float32)
    head = Head(modes, np.zeros((modes.outputs, 1), np.float32), *_logits(modes))
    drawn = LatentDrawing(Fixed(state), head).draw(20_000, {}, np.random.default_rng(0), 0)
    assert drawn is not None
    codes = coding.axis.encode(
        pa.chunked_array([coding.decode(drawn[0].T, np.random.default_rng(1))])
    )
    share = coding.shares / coding.shares.sum()
    often = 20_000 * share >= 5
    seen = np.bincount(codes, minlength=len(share))[often]
    wanted = share[often] / share[often].sum() * seen.sum()
    # One false alarm in 10,000 seeds.
    assert chisquare(seen, wanted).pvalue > 1e-4


def test_tensors_say_what_arrays_say() -> None:
    rng = np.random.default_rng(0)
    table = {
        "a": pa.array(np.where(rng.random(500) < 0.3, 7.0, rng.normal(size=500))),
        "b": pa.array([f"l{i}" for i in rng.integers(0, 5, 500)]),
        "c": pa.array(rng.integers(0, 900, 500)),
    }
    spec = (Number(name="a"), Category(name="b"), Number(name="c", integer=True))
    modes = Modes.of({column.name: counted(column, table[column.name]) for column in spec}, 6)
    codes = modes.encode(pa.table(table))
    rows, tensor = RowTensors(modes), torch.from_numpy(codes)
    half = torch.full((500, rows.lines), 0.5)
    dense = rows.dense(rows.modes(tensor), rows.scalars(tensor, half))
    np.testing.assert_allclose(dense.numpy(), modes.dense(codes), atol=1e-5)
    outputs = torch.arange(float(modes.outputs)).expand(500, -1)
    own = rows.own_scalars(outputs, rows.modes(tensor)).numpy()
    mode, _ = modes.cells(codes)
    assert np.array_equal(own, np.array(modes.scalars_at) + mode[:, list(modes.lines)])


def test_a_normal_divides_over_the_members_of_its_mode() -> None:
    axis = GridAxis("x", Line(pa.int64()), np.arange(0, 80, 10), 79, False)
    coding = modes_of(Counted(axis, np.array([5.0, 0, 10, 5, 1, 2, 3, 14])), 2)
    rng = np.random.default_rng(0)
    group = np.repeat([0, 1], 40_000)
    mean, spread = np.where(group, 0.8, -0.3), np.where(group, 0.4, 1.3)
    told = chances_of_places(coding, group, mean, spread)
    np.testing.assert_allclose(told.sum(1), 1.0, atol=1e-5)
    place = placed(coding, group, mean + spread * rng.standard_normal(80_000))
    for one in (0, 1):
        wanted = told[group == one][0][: np.bincount(coding.group)[one]].astype(float)
        seen = np.bincount(place[group == one], minlength=len(wanted))
        open_ = wanted > 1e-4
        assert seen[~open_].sum() < 30
        expected = wanted[open_] / wanted[open_].sum() * seen[open_].sum()
        # Two tests at 1 in 10,000 each.
        assert chisquare(seen[open_], expected).pvalue > 1e-4


# Rows drawn from a latent state


@dataclass(frozen=True)
class Fixed:
    """States handed out evenly from a list, as a network's would be."""

    states: Any

    def start(self, rows: int, rng: np.random.Generator, lean: Mapping[str, Floats]) -> Any:
        return self.states[rng.integers(0, len(self.states), rows)]

    def lead(self, names: Sequence[str]) -> str | None:
        return None


def _logits(modes: Modes) -> tuple[Any, Any]:
    bias = np.zeros(modes.outputs, np.float32)
    bias[: modes.total] = np.log(np.maximum(modes.margins, 1e-9))
    return bias, np.full(modes.outputs - modes.total, 1.0, np.float32)


def small_drawing(strength: float = 2.0) -> LatentDrawing:
    """Two columns of labels and a number line with two wide modes, leaning on four states."""
    codings = {
        name: modes_of(
            Counted(LabelAxis(name, pa.array(list("uvwxyz")[:size]), False, False), np.ones(size)),
            10,
        )
        for name, size in (("a", 3), ("b", 4))
    }
    axis = GridAxis("n", Line(pa.int64()), np.arange(0, 80, 10), 79, False)
    codings["n"] = modes_of(Counted(axis, np.array([5.0, 3, 10, 5, 1, 2, 3, 14])), 2)
    modes = Modes(codings)
    rng = np.random.default_rng(0)
    weight = rng.normal(0, strength, (modes.outputs, 4)).astype(np.float32)
    spread = np.full(modes.outputs - modes.total, 0.5, np.float32)
    head = Head(modes, weight, np.zeros(modes.outputs, np.float32), spread)
    return LatentDrawing(Fixed(np.eye(4, dtype=np.float32)), head)


def joint(drawing: LatentDrawing) -> Any:
    """[a, b, modes of n, members]: the probability of every row, by summing over states."""
    total = 0.0
    for state in np.eye(4, dtype=np.float32)[:, None]:
        a, b, n = (drawing.head.chances(state, j)[0] for j in range(3))
        coding = drawing.codings["n"]
        within = np.concatenate(
            [
                chances_of_places(
                    coding, np.array([m]), *drawing.head.scalar(state, 2, np.array([m]))
                )
                for m in range(len(n))
            ]
        )
        total = total + np.einsum("i,j,k,kl->ijkl", a, b, n, within)
    return total / 4


def test_rows_come_as_often_as_their_states_say() -> None:
    drawing = small_drawing()
    found = drawing.draw(100_000, {}, np.random.default_rng(1), 0)
    assert found is not None
    expected = 100_000 * joint(drawing).astype(float)
    counts = np.zeros(expected.shape)
    np.add.at(counts, tuple(found[0].T), 1)
    often = expected >= 5
    wanted = expected[often] / expected[often].sum() * counts[often].sum()
    # One false alarm in 10,000 seeds.
    assert chisquare(counts[often], wanted).pvalue > 1e-4
    assert counts[~often].sum() < expected[~often].sum() + 5 * np.sqrt(expected[~often].sum()) + 5


def test_conditions_are_met_with_the_conditional_shares() -> None:
    drawing = small_drawing(1.0)
    coding = drawing.codings["n"]
    members = np.zeros(coding.inner.shape)
    members[0, 1:3], members[1, :] = 1.0, 0.5
    admitted = {
        "b": (np.array([1.0, 0, 1.0, 0]), np.ones((4, 1))),
        "n": (np.ones(2), members),
    }
    found = drawing.draw(40_000, admitted, np.random.default_rng(0), 160_000)
    assert found is not None
    codes, mass = found
    table = joint(drawing) * admitted["b"][0][None, :, None, None] * members
    counts = np.zeros(table.shape)
    np.add.at(counts, tuple(codes.T), 1)
    assert counts[table == 0].sum() == 0
    # Resampled states vary more than plain rows, by less than 2: 5 standard errors are below .018.
    np.testing.assert_allclose(counts / 40_000, table / table.sum(), atol=0.018)
    # The first column's shares are taken as known, so the mass leans on its margin.
    one = joint(drawing).sum((0, 2, 3)) @ admitted["b"][0]
    assert mass == pytest.approx(table.sum() / one * 0.5, rel=0.05)


def test_modes_that_exclude_each_other_never_meet() -> None:
    drawing = small_drawing()
    open_ = np.ones((3, 4), bool)
    open_[0, 1:] = False
    barred = LatentDrawing(drawing.source, drawing.head, {(0, 1): open_, (1, 0): open_.T})
    rng = np.random.default_rng(0)
    found = barred.draw(5_000, {}, rng, 0)
    assert found is not None
    assert (found[0][found[0][:, 0] == 0, 1] == 0).all()
    only = {"a": np.array([1.0, 0, 0]), "b": np.array([0.0, 0, 1, 0])}
    admitted = {name: (share, np.ones((len(share), 1))) for name, share in only.items()}
    assert barred.draw(100, admitted, rng, 1000) is None


def test_columns_are_set_right() -> None:
    drawing = set_right(small_drawing(1.5), np.random.default_rng(0))
    found = drawing.draw(50_000, {}, np.random.default_rng(1), 0)
    assert found is not None
    for j, coding in enumerate(drawing.codings.values()):
        token = drawing.places[list(drawing.codings)[j]][0]
        shares = np.bincount(found[0][:, token], minlength=coding.groups) / 50_000
        # What was moved and what is judged err by .005 each: 5 standard errors.
        np.testing.assert_allclose(shares, coding.margin, atol=0.03)
    state = drawing.source.start(20_000, np.random.default_rng(2), {})
    for mode in (0, 1):
        mean, spread = drawing.head.scalar(state, 2, np.full(20_000, mode))
        weight = drawing.head.chances(state, 2)[:, mode]
        centre = np.average(mean, weights=weight)
        square = np.average((mean - centre) ** 2 + spread**2, weights=weight)
        assert centre == pytest.approx(0.0, abs=0.08)
        assert square == pytest.approx(1.0, abs=0.08)
