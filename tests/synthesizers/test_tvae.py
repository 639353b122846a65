"""TVAE: the networks twice, labels sampled, latents' mixture, files, the budget."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from scipy.stats import chi2, multivariate_normal

from tests.synthesizers.tables import every_kind
from understudy.contracts import Inspectable
from understudy.data import Dataset
from understudy.errors import (
    BudgetError,
    ConditionError,
    EngineError,
    FormatError,
    MissingExtraError,
)
from understudy.privacy.accountant import epsilon_of
from understudy.privacy.budget import Budget
from understudy.privacy.replay import replay, replay_engine
from understudy.privacy.session import Session
from understudy.privacy.sessions import SeededSession
from understudy.runtime.progress import ProgressEvent
from understudy.schema import Category, Number, Unit, one_table
from understudy.synthesizers.tabular.neural.buying import Counted
from understudy.synthesizers.tabular.neural.head import head_of
from understudy.synthesizers.tabular.neural.modes import Modes
from understudy.synthesizers.tabular.neural.reading import read_columns
from understudy.synthesizers.tabular.neural.rows import RowTensors
from understudy.synthesizers.tabular.shape import Shape
from understudy.synthesizers.tabular.tvae import TvaeModel, TvaeSynthesizer
from understudy.synthesizers.tabular.tvae.decoder import Prior, decoder_of
from understudy.synthesizers.tabular.tvae.encoder import encoder_of
from understudy.synthesizers.tabular.tvae.network import Autoencoder

SMALL: dict[str, Any] = {"epochs": 15, "width": 48, "latent": 4, "parts": 8, "modes": 8}
TINY: dict[str, Any] = {"width": 12, "latent": 2, "modes": 4}


def session(epsilon: float, seed: int = 1) -> SeededSession:
    return SeededSession(Budget(epsilon, 1e-6), seed, 1)


@pytest.fixture(scope="module")
def leaning() -> Dataset:
    """b follows a, c is a's number with noise, d is rare in one row of a hundred."""
    rng = np.random.default_rng(0)
    a = rng.integers(0, 4, 4000)
    b = pa.array([f"b{i}" for i in a], mask=rng.random(4000) < 0.1)
    c = np.round(10.0 * a + rng.normal(0, 1, 4000), 2)
    d = np.where(rng.random(4000) < 0.01, "rare", "usual")
    table = pa.table({"a": [f"a{i}" for i in a], "b": b, "c": c, "d": d})
    spec = [Category(name="a"), Category(name="b"), Number(name="c", decimals=2)]
    return Dataset.single(one_table("t", [*spec, Category(name="d")]), table)


@pytest.fixture(scope="module")
def model(leaning: Dataset) -> TvaeModel:
    return TvaeSynthesizer(**SMALL).fit(leaning)


def modes_and_codes(data: Dataset, most: int = 6) -> tuple[Modes, Any]:
    spec = data.schema.table()
    shape = Shape.of_data(data.table, spec)
    table = shape.forward(data.table)
    columns: dict[str, Counted] = read_columns(table, shape.spec.learnt, shape.known)
    modes = Modes.of(columns, most)
    return modes, modes.encode(table)


# The networks


def test_numpy_s_networks_are_torch_s(leaning: Dataset) -> None:
    modes, codes = modes_and_codes(leaning)
    torch.manual_seed(0)
    network = Autoencoder(modes, 3, 16, 2)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.2 * torch.randn(p.shape))
    arrays = {**network.arrays(), **Prior.standard(3).arrays()}
    decoder, encoder = decoder_of(arrays), encoder_of(arrays, modes)
    head = head_of(modes, arrays, decoder.width)
    dense = modes.dense(codes[:50])
    mean, log = network.encode(torch.from_numpy(dense))
    found, spread = encoder.latents(dense)
    np.testing.assert_allclose(found, mean.detach().numpy(), atol=1e-4)
    np.testing.assert_allclose(spread, torch.exp(0.5 * log).detach().numpy(), rtol=1e-3)
    outputs = network.decode(mean).detach()
    state = decoder.hidden(found)
    for j, part in enumerate(outputs[:, : modes.total].split(list(modes.sizes), 1)):
        np.testing.assert_allclose(head.chances(state, j), part.softmax(1).numpy(), atol=1e-4)
    mode, _ = modes.cells(codes[:50])
    told, _ = head.scalar(state, modes.lines[0], mode[:, modes.lines[0]])
    own = RowTensors(modes).own_scalars(outputs, torch.from_numpy(mode))[:, 0]
    np.testing.assert_allclose(told, own.numpy(), atol=1e-3)


def test_the_loss_is_minus_the_evidence_bound(leaning: Dataset) -> None:
    """Without what the latents say: cross-entropies of the margins, and a normal's own density."""
    modes, codes = modes_and_codes(leaning)
    network = Autoencoder(modes, 3, 16, 1)
    network.start_at(modes, 1e12)
    with torch.no_grad():
        network.head.weight.zero_()
        network.code.weight.zero_()
        network.code.bias.zero_()
        network.spread.table.weight.zero_()
    rows = RowTensors(modes)
    uniform = torch.full((len(codes), rows.lines + 3), 0.5)
    found = network.losses(rows, torch.from_numpy(codes), uniform).detach().numpy()
    mode, scalars = modes.cells(codes)
    logs = np.log(modes.margins)[mode + np.array(modes.first[:-1])].sum(1)
    np.testing.assert_allclose(found, -logs + 0.5 * (scalars**2).sum(1), rtol=1e-4)


def test_a_row_s_loss_is_its_own(leaning: Dataset) -> None:
    modes, codes = modes_and_codes(leaning)
    torch.manual_seed(0)
    network, rows = Autoencoder(modes, 3, 16, 1), RowTensors(modes)
    uniform = torch.rand(20, rows.lines + 3)
    part = torch.from_numpy(codes[:20])
    whole = network.losses(rows, part, uniform)
    alone = torch.cat(
        [network.losses(rows, part[i : i + 1], uniform[i : i + 1]) for i in range(20)]
    )
    torch.testing.assert_close(whole, alone)


def test_the_latents_mixture_draws_what_its_density_says() -> None:
    rng = np.random.default_rng(0)
    root = np.tril(rng.normal(size=(2, 3, 3)))
    root[:, range(3), range(3)] = np.abs(root[:, range(3), range(3)]) + 0.3
    mean = rng.normal(0, 2, (2, 3))
    prior = Prior(*(x.astype(np.float32) for x in (np.array([0.3, 0.7]), mean, root)))
    latent = prior.draw(20_000, rng)
    parts = [multivariate_normal(m, r @ r.T) for m, r in zip(mean, root, strict=True)]
    density = 0.3 * parts[0].pdf(latent[:200]) + 0.7 * parts[1].pdf(latent[:200])
    np.testing.assert_allclose(prior.log_density(latent[:200]), np.log(density), atol=1e-3)
    centre = 0.3 * mean[0] + 0.7 * mean[1]
    square = sum(
        w * (r @ r.T + np.outer(m, m)) for w, m, r in zip((0.3, 0.7), mean, root, strict=True)
    )
    gap = latent.mean(0) - centre
    # Hotelling's statistic: one false alarm in 10,000 seeds.
    covariance = square - np.outer(centre, centre)
    assert 20_000 * gap @ np.linalg.solve(covariance, gap) < chi2.ppf(1 - 1e-4, 3)


# The engine


def test_rare_labels_come_as_often_as_they_do(model: TvaeModel, leaning: Dataset) -> None:
    real = leaning.table["d"].to_pylist().count("rare") / 4000
    made = model.sample(40_000, seed=1).table["d"].to_pylist().count("rare") / 40_000
    # Set right on 16,384 states, drawn 40,000 times: 5 standard errors of both are .0048.
    assert abs(made - real) < 0.005


def test_columns_lean_on_each_other_as_in_the_rows(model: TvaeModel) -> None:
    made = model.sample(2000).table.to_pylist()
    agree = [row["b"][1:] == row["a"][1:] for row in made if row["b"] is not None]
    near = [abs(row["c"] - 10 * int(row["a"][1:])) < 5 for row in made]
    assert np.mean(agree) > 0.9
    assert np.mean(near) > 0.9


def test_conditions_on_any_columns_lead_the_others(model: TvaeModel) -> None:
    made = model.sample(500, where="c BETWEEN 18 AND 22 AND b IS NOT NULL").table
    assert made["c"].to_numpy().min() >= 18
    assert made["c"].to_numpy().max() <= 22
    assert np.mean([v == "a2" for v in made["a"].to_pylist()]) > 0.9
    with pytest.raises(ConditionError, match="goes from"):
        model.sample(5, where="c > 1000")
    with pytest.raises(ConditionError, match="widen"):
        model.sample(5, where="a = 'a0' AND b = 'b3'")


def test_the_model_knows_rows_that_fit_better(model: TvaeModel, leaning: Dataset) -> None:
    assert isinstance(model, Inspectable)
    own = model.scores(leaning)["evidence"]
    assert own.shape == (4000,)
    assert own.dtype == np.float64
    turned = leaning.table.set_column(0, "a", leaning.table["a"].take(pa.array(range(4000)[::-1])))
    assert own.mean() > model.scores(leaning.with_table(turned))["evidence"].mean() + 1
    part = leaning.with_table(leaning.table.slice(7, 5))
    np.testing.assert_allclose(model.scores(part)["evidence"], own[7:12], rtol=1e-4)
    odd = leaning.table.slice(0, 1).set_column(1, "b", pa.array(["never seen"]))
    assert model.scores(leaning.with_table(odd))["evidence"][0] < own[0] - 50


@pytest.mark.parametrize("kind", ["numbers", "labels", "nulls", "one row"])
def test_odd_tables(kind: str) -> None:
    rng = np.random.default_rng(0)
    null = pa.nulls(9, pa.string())
    table, spec = {
        "numbers": (pa.table({"x": rng.normal(size=40), "y": rng.normal(size=40)}), Number),
        "labels": (pa.table({"x": list("abcd") * 10, "y": list("ab") * 20}), Category),
        "nulls": (
            pa.table({"x": null, "y": null}),
            Category,
        ),
        "one row": (pa.table({"x": [1.5], "y": [2.5]}), Number),
    }[kind]
    data = Dataset.single(one_table("t", [spec(name="x"), spec(name="y")]), table)
    made = TvaeSynthesizer(**{**SMALL, "epochs": 2}).fit(data).sample(7)
    assert made.num_rows == 7
    assert made.table.schema.equals(table.schema)


def test_training_stops_and_tells_shared_labels() -> None:
    rng = np.random.default_rng(0)
    table = pa.table({"a": [f"l{i}" for i in rng.integers(0, 300, 900)], "b": rng.normal(size=900)})
    data = Dataset.single(one_table("t", [Category(name="a"), Number(name="b")]), table)
    told: list[ProgressEvent] = []
    config = {**SMALL, "epochs": 150, "batch": 100}
    TvaeSynthesizer(**config, rate=0.01).fit(data, progress=told.append)
    assert "labels: learnt in" in told[0].note
    assert sum("held out" in event.note for event in told) < 120


def test_a_training_that_blows_up_says_what_to_change(leaning: Dataset) -> None:
    with pytest.raises(EngineError, match="Lower the rate"):
        TvaeSynthesizer(**{**SMALL, "rate": 1e30}).fit(leaning)


def test_without_torch_one_sentence_says_what_to_install(
    leaning: Dataset, model: TvaeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.save(tmp_path / "model")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"understudy\[deep\]"):
        TvaeSynthesizer().fit(leaning)
    again = TvaeModel.load(tmp_path / "model")
    assert again.sample(50, seed=3).table.equals(model.sample(50, seed=3).table)
    np.testing.assert_array_equal(
        again.scores(leaning)["evidence"], model.scores(leaning)["evidence"]
    )


def test_parameters() -> None:
    with pytest.raises(EngineError, match="no parameter 'latnet'"):
        TvaeSynthesizer().set_params(latnet=3)
    assert TvaeSynthesizer().set_params(latent=3).get_params()["latent"] == 3


# Files


@pytest.mark.parametrize("name", ["network.safetensors", "columns.safetensors", "types.parquet"])
def test_damaged_files_are_named(model: TvaeModel, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "model"
    for damage in (lambda b: b[: len(b) // 2], lambda b: b[:-1] + bytes([b[-1] ^ 1])):
        model.save(folder)
        file = folder / name
        file.write_bytes(damage(file.read_bytes()))
        with pytest.raises(FormatError, match=name.replace(".", r"\.")):
            TvaeModel.load(folder)


def test_a_card_that_does_not_fit_is_refused(model: TvaeModel, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    model.save(folder)
    card = json.loads((folder / "model.json").read_text())
    for change in ({"staged": []}, {"config": {"latnet": 1}}, {"columns": {}}, {"engine": "tree"}):
        (folder / "model.json").write_text(json.dumps({**card, **change}))
        with pytest.raises(FormatError):
            TvaeModel.load(folder)


# Under a budget


def test_replay_finds_nothing() -> None:
    data = every_kind(60)
    keep = ["größe", "stadt", "many", "label"]
    spec = data.schema.table()
    few = spec.model_copy(update={"columns": tuple(spec.column(name) for name in keep)})
    schema = data.schema.with_table(few)
    part = Dataset(schema, {few.name: data.table.select(keep)})
    report = replay_engine(TvaeSynthesizer(target="label", **TINY), part)
    assert report.clean, report.sentences()
    steps = [line for line in report.queries if "step" in line.query]
    assert len(steps) > 20
    assert max(line.measured for line in steps) > 0.5


@pytest.mark.parametrize("epsilon", [0.5, 4.0])
def test_what_was_asked_costs_the_budget_and_no_more(leaning: Dataset, epsilon: float) -> None:
    asked = session(epsilon)
    model = TvaeSynthesizer(**TINY).fit(leaning, privacy=asked)
    spent = epsilon_of(asked.spent, asked.budget.delta)
    assert 0.99 * epsilon < spent <= epsilon
    assert abs(model.rows - 4000) < 600 / epsilon
    assert model.holds_training_values  # noise from a known seed protects nobody
    assert not model.drawing.gaps
    assert len(model.arrays["prior.weight"]) == 1


def test_rows_of_a_unit_are_clipped_together(leaning: Dataset) -> None:
    data = leaning.with_table(leaning.table.slice(0, 60))
    owned = data.table.append_column("who", pa.array(np.arange(60) // 3))
    spec = data.schema.table()
    wide = spec.model_copy(update={"columns": (*spec.columns, Number(name="who", integer=True))})
    schema = data.schema.with_table(wide).model_copy(
        update={"unit": Unit(of="entity", table=spec.name, column="who")}
    )

    def fit(privacy: Session, rows: Dataset) -> bytes:
        arrays = TvaeSynthesizer(**TINY).fit(rows, privacy=privacy).arrays
        return b"".join(arrays[name].tobytes() for name in sorted(arrays))

    report = replay(fit, Dataset(schema, {spec.name: owned}), rows_per_unit=3)
    assert report.clean, report.sentences()


def test_budgets_that_cannot_be_met() -> None:
    data = every_kind(200)
    with pytest.raises(BudgetError, match="delta above 0"):
        TvaeSynthesizer().plan(data.schema, Budget(1.0))
    with pytest.raises(BudgetError, match="smallest epsilon that works"):
        TvaeSynthesizer(**SMALL).fit(data, privacy=session(0.01))
