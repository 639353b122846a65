"""Clipped sums from the book equal those of one backward pass a row, layer by layer."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from tests.privacy.dpsgd import nets
from tests.privacy.dpsgd.reference import batch_of, booked, expected, middle_norm
from understudy.errors import EngineError
from understudy.privacy.dpsgd import layers, uses
from understudy.privacy.dpsgd.book import Book

FEW_GROUPS = torch.tensor([0, 0, 0, 1, 2, 2, 3, 4, 4, 4, 4])


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    torch.manual_seed(5)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "no closed form")
        yield


def relative(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).abs().max() / wanted.abs().max())


@pytest.mark.parametrize("units", [None, FEW_GROUPS], ids=["rows", "units"])
@pytest.mark.parametrize("clipping", ["flat", "automatic"])
@pytest.mark.parametrize("name", nets.CASES)
def test_clipped_sums_are_exact(name: str, clipping: str, units: Tensor | None) -> None:
    make, rows = nets.CASES[name]
    net = make().double()
    batch = batch_of(rows(), nets.weights(), unit_of=units)
    clip = middle_norm(net, batch, nets.loss)
    wanted = expected(net, batch, nets.loss, clip, clipping)
    assert relative(booked(net, batch, nets.loss, clip, clipping), wanted) < 1e-10


@pytest.mark.parametrize("name", nets.CASES)
def test_single_precision_is_close(name: str) -> None:
    make, rows = nets.CASES[name]
    net = make().double()
    inputs = rows()
    batch = batch_of(inputs, nets.weights())
    clip = middle_norm(net, batch, nets.loss)
    wanted = expected(net, batch, nets.loss, clip, "flat")
    single = inputs.float() if inputs.is_floating_point() else inputs
    found = booked(net.float(), batch_of(single, nets.weights().float()), nets.loss, clip)
    assert relative(found, wanted.float()) < 5e-5


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("units", [None, FEW_GROUPS], ids=["rows", "units"])
@pytest.mark.parametrize("name", nets.CASES)
def test_a_row_without_a_number_is_left_out(name: str, units: Tensor | None, bad: float) -> None:
    make, rows = nets.CASES[name]
    net = make().double()
    inputs, weights = rows(), nets.weights()
    if inputs.is_floating_point():
        inputs[4] = bad
    weights[9] = bad
    batch = batch_of(inputs, weights, unit_of=units)
    wanted = expected(net, batch, nets.loss, 0.1, "flat")
    found = booked(net, batch, nets.loss, 0.1)
    assert found.isfinite().all()
    assert wanted.abs().max() > 0
    assert relative(found, wanted) < 1e-10


def test_gram_and_instantiated_norms_agree() -> None:
    a, g = torch.randn(7, 5, 6, dtype=torch.float64), torch.randn(7, 5, 4, dtype=torch.float64)
    written = torch.bmm(g.mT, a).flatten(1).norm(dim=1)
    torch.testing.assert_close(uses.gram_norms(a, g), written, rtol=1e-13, atol=0)
    torch.testing.assert_close(uses.instantiated_norms(a, g), written, rtol=1e-13, atol=0)


def test_the_cheaper_norm_is_taken() -> None:
    assert uses.gram_is_cheaper(positions=16, width=64, height=192)
    assert not uses.gram_is_cheaper(positions=256, width=64, height=192)
    # LoRA of rank 4: about as many positions as the rank.
    assert uses.gram_is_cheaper(3, 768, 4)
    assert not uses.gram_is_cheaper(5, 768, 4)


def test_norms_that_cancel_do_not_come_out_too_small() -> None:
    a = torch.randn(200, 8, 50).repeat_interleave(2, 1)
    g = torch.randn(200, 8, 40)
    g = torch.stack((g, -g * (1 + 1e-4)), 2).flatten(1, 2)
    exact = torch.bmm(g.double().mT, a.double()).flatten(1).norm(dim=1)
    found = uses.gram_norms(a, g).double()
    assert (found >= exact * (1 - 1e-6)).all()
    # The terms are ten thousand times the result: without the margin some norms are far too small.
    terms = (torch.bmm(a, a.mT) * torch.bmm(g, g.mT)).sum((1, 2)).clamp(min=0).sqrt()
    assert (terms.double() < exact * 0.9).any()


@pytest.mark.parametrize("name", nets.CASES)
def test_no_clipped_row_is_longer_than_the_clip(name: str) -> None:
    make, rows = nets.CASES[name]
    net, inputs = make(), rows()
    inputs = inputs.float() if inputs.is_floating_point() else inputs
    for i in range(nets.ROWS):
        batch = batch_of(inputs[i : i + 1], torch.tensor([100.0]))
        length = float(booked(net, batch, nets.loss, 0.01).double().norm())
        assert 0.01 * 0.999 < length < 0.01


def test_the_network_is_left_as_it_was() -> None:
    net = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.LayerNorm(4))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    booked(net, batch_of(nets.numbers(6).float(), nets.weights().float()), nets.loss, 1.0)
    assert all("forward" not in part.__dict__ for part in net.modules())
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert list(before) == list(net.state_dict())


def test_a_forward_that_somebody_replaced_is_kept_and_used() -> None:
    net = nn.Linear(6, 4).double()
    net.forward = lambda x: 3 * nn.Linear.forward(net, x)  # type: ignore[method-assign]
    batch = batch_of(nets.numbers(6), nets.weights())
    clip = middle_norm(net, batch, nets.loss)
    wanted = expected(net, batch, nets.loss, clip, "flat")
    assert relative(booked(net, batch, nets.loss, clip), wanted) < 1e-10
    assert "forward" in net.__dict__


@pytest.mark.parametrize(
    ("layer", "remedy"),
    [
        (nn.BatchNorm1d(4), "LayerNorm or GroupNorm"),
        (nn.BatchNorm1d(4, affine=False), "LayerNorm or GroupNorm"),
        (nn.InstanceNorm1d(4, track_running_stats=True), "track_running_stats=False"),
        (nn.Embedding(3, 4, max_norm=1.0), "Leave it out"),
        (nn.Embedding(3, 4, sparse=True), "Leave it out"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_layers_that_mix_rows_are_refused_with_a_remedy(layer: nn.Module, remedy: str) -> None:
    with pytest.raises(EngineError, match=remedy):
        Book(nn.Sequential(nn.Linear(4, 4), layer))


def test_the_slow_way_is_announced_once_and_by_name() -> None:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        book = Book(nn.Sequential(nets.Scaled(), nn.Linear(6, 6), nets.Scaled()))
        book.entries(lambda: torch.ones(0), 0)
    assert [str(w.message).count("Scaled") for w in heard] == [1]


def test_every_rule_is_tried_above() -> None:
    tried = {type(part) for make, _ in nets.CASES.values() for part in make().modules()}
    assert set(layers.RULES) <= tried
