"""CTGAN: the reference's defects, the networks twice, training by sampling, the budget."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from scipy.stats import chisquare

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
from understudy.privacy.dpsgd import Batch
from understudy.privacy.replay import replay_engine
from understudy.privacy.sessions import SeededSession
from understudy.schema import Category, Number, one_table
from understudy.synthesizers.tabular.ctgan import CtganModel, CtganSynthesizer
from understudy.synthesizers.tabular.ctgan.duel import mean_variation
from understudy.synthesizers.tabular.ctgan.generator import maker_of
from understudy.synthesizers.tabular.ctgan.judging import judgement_of
from understudy.synthesizers.tabular.ctgan.network import (
    Critic,
    Generator,
    arrays_of,
    slope_penalty,
)
from understudy.synthesizers.tabular.ctgan.private_duel import RowLosses, SpectralBound
from understudy.synthesizers.tabular.ctgan.slots import Finder, Slots
from understudy.synthesizers.tabular.neural.head import head_of
from understudy.synthesizers.tabular.neural.latent_learning import read_rows
from understudy.synthesizers.tabular.neural.modes import Modes
from understudy.synthesizers.tabular.neural.rows import RowTensors

SMALL: dict[str, Any] = {"epochs": 25, "width": 48, "noise": 16, "critic": 48, "modes": 6}
TINY: dict[str, Any] = {"width": 12, "noise": 4, "critic": 12, "modes": 4}


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
    table = pa.table({"c": c, "a": [f"a{i}" for i in a], "b": b, "d": d})
    spec = [Number(name="c", decimals=2), Category(name="a"), Category(name="b")]
    return Dataset.single(one_table("t", [*spec, Category(name="d")]), table)


@pytest.fixture(scope="module")
def model(leaning: Dataset) -> CtganModel:
    return CtganSynthesizer(**SMALL, batch=100, pac=2).fit(leaning)


@pytest.fixture(scope="module")
def coded(leaning: Dataset) -> tuple[Modes, Any]:
    found = read_rows(leaning, leaning.schema.table(), 6, lambda event: None)
    return found.modes, found.codes


# The conditional vector


def test_each_column_sets_its_own_slots(coded: tuple[Modes, Any]) -> None:
    slots = Slots(coded[0])
    assert slots.columns == (1, 2, 3)
    assert slots.width == sum(coded[0].sizes[1:])
    names = list(coded[0].codings)
    where = {"a": 0, "b": 4, "d": 9}
    for k, j in enumerate(slots.columns):
        for mode in range(coded[0].sizes[j]):
            vector = slots.vector(np.array([k]), np.array([mode]))[0]
            assert vector.sum() == 1
            assert vector[where[names[j]] + mode] == 1


def test_conditions_on_each_label_are_steered_to_their_slot(
    model: CtganModel, coded: tuple[Modes, Any]
) -> None:
    maker = model.drawing.source
    noise, slots = maker.noise, maker.slots  # type: ignore[attr-defined]
    for name, j in (("a", 1), ("b", 2), ("d", 3)):
        for mode in range(coded[0].sizes[j]):
            lean = {name: np.eye(coded[0].sizes[j])[mode]}
            state = maker.start(20, np.random.default_rng(0), lean)
            # The vector is the end of a state, as blocks hand on what they were given.
            vector = state[:, -slots.width :]
            assert state.shape[1] > noise + slots.width
            which = slots.columns.index(j)
            assert (vector == slots.vector(np.full(20, which), np.full(20, mode))).all()


def test_training_meets_rare_labels_often_and_drawing_seldom(coded: tuple[Modes, Any]) -> None:
    modes, codes = coded
    slots = Slots(modes)
    mode, _ = modes.cells(codes)
    finder = Finder.of(slots, mode)
    d = slots.columns.index(3)
    count = np.bincount(mode[:, 3])
    np.testing.assert_allclose(finder.log_shares[d], np.log1p(count) / np.log1p(count).sum())
    np.testing.assert_allclose(slots.frequencies[d], count / count.sum())
    rng = np.random.default_rng(0)
    which, drawn = slots.draw(60_000, slots.frequencies, rng)
    # Two tests, 1 in 10,000 seeds each.
    assert chisquare(np.bincount(which)).pvalue > 1e-4
    seen = np.bincount(drawn[which == d], minlength=2)
    assert chisquare(seen, seen.sum() * count / count.sum()).pvalue > 1e-4


def test_rows_found_hold_the_label_and_are_drawn_evenly(coded: tuple[Modes, Any]) -> None:
    modes, codes = coded
    slots = Slots(modes)
    mode, _ = modes.cells(codes)
    finder = Finder.of(slots, mode)
    rng = np.random.default_rng(0)
    which, drawn = slots.draw(50_000, finder.log_shares, rng)
    rows = finder.rows(which, drawn, rng)
    column = np.array(slots.columns)[which]
    assert (mode[rows, column] == drawn).all()
    rare = int(np.argmin(np.bincount(mode[:, 3])))
    found = rows[(column == 3) & (drawn == rare)]
    among = np.flatnonzero(mode[:, 3] == rare)
    # One false alarm in 10,000 seeds.
    assert chisquare(np.bincount(found, minlength=4000)[among]).pvalue > 1e-4
    # How often training meets each row follows from the shares alone.
    weight = finder.weights
    assert weight.sum() == pytest.approx(1.0)
    seen = np.bincount(rows, minlength=4000)
    assert seen[among].sum() == pytest.approx(50_000 * weight[among].sum(), rel=0.05)


# The networks


def test_numpy_s_networks_are_torch_s(coded: tuple[Modes, Any]) -> None:
    modes, _ = coded
    slots = Slots(modes)
    torch.manual_seed(0)
    generator, critic = Generator(modes, slots.width, 5, 16, 2), Critic(7, 3, 16)
    for p in [*generator.parameters(), *critic.parameters()]:
        p.data.add_(0.2 * torch.randn(p.shape))
    arrays = arrays_of(generator)
    maker = maker_of(slots, arrays)
    spread = np.ones(modes.outputs - modes.total, np.float32)
    head = head_of(modes, {**arrays, "head.spread": spread}, maker.width)
    which, mode = slots.draw(50, slots.frequencies, np.random.default_rng(0))
    noise = np.random.default_rng(1).standard_normal((50, 5), np.float32)
    state = maker.through(noise, slots.vector(which, mode))
    outputs = generator(*map(torch.from_numpy, (noise, slots.vector(which, mode)))).detach()
    for j, part in enumerate(outputs[:, : modes.total].split(list(modes.sizes), 1)):
        np.testing.assert_allclose(head.chances(state, j), part.softmax(1).numpy(), atol=1e-4)
    rows = torch.randn(3, 7)
    judgement = judgement_of({f"critic.{n}": a for n, a in arrays_of(critic).items()}, 7)
    assert judgement.pac == 3
    score = judgement.scores(rows[:1].numpy(), rows[1:].numpy())
    np.testing.assert_allclose(score, critic(rows).detach().numpy(), atol=1e-4)


def test_a_row_does_not_depend_on_its_batch(model: CtganModel) -> None:
    maker = model.drawing.source
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((500, maker.noise), np.float32)  # type: ignore[attr-defined]
    slots = maker.slots  # type: ignore[attr-defined]
    vector = slots.vector(*slots.draw(500, slots.frequencies, rng))
    whole = maker.through(noise, vector)  # type: ignore[attr-defined]
    vector[100:] = 0.0
    noise[100:] *= 50
    other = maker.through(noise, vector)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(whole[:100], other[:100])


def test_the_slope_penalty_of_a_plane_is_known() -> None:
    critic = Critic(4, 2, 8)
    critic.layers = torch.nn.Sequential(torch.nn.Linear(8, 1))
    weight = critic.layers[0].weight
    real, fake = torch.randn(6, 4), torch.randn(6, 4)
    found = slope_penalty(critic, real, fake, torch.rand(6, 1))
    torch.testing.assert_close(found, (weight.norm() - 1) ** 2)


def test_the_distance_of_two_tables_is_the_mean_over_columns_and_pairs() -> None:
    one = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    other = np.array([[0, 0], [0, 0], [1, 1], [1, 1]])
    # Columns with themselves: 0 and 0; the pair: half of the rows sit elsewhere.
    assert mean_variation(one, other, (2, 2)) == pytest.approx(0.5 / 3)
    assert mean_variation(one, one, (2, 2)) == 0.0


# The engine


def test_rare_labels_come_as_often_as_they_do(model: CtganModel, leaning: Dataset) -> None:
    real = leaning.table["d"].to_pylist().count("rare") / 4000
    made = model.sample(40_000, seed=1).table["d"].to_pylist().count("rare") / 40_000
    # Set right on 16,384 states, drawn 40,000 times: 5 standard errors of both are .0048.
    assert abs(made - real) < 0.005


def test_columns_lean_on_each_other_as_in_the_rows(model: CtganModel) -> None:
    made = model.sample(2000).table.to_pylist()
    agree = [row["b"][1:] == row["a"][1:] for row in made if row["b"] is not None]
    near = [abs(row["c"] - 10 * int(row["a"][1:])) < 8 for row in made]
    assert np.mean(agree) > 0.7
    assert np.mean(near) > 0.7


def test_conditions_lead_the_other_columns(model: CtganModel) -> None:
    made = model.sample(500, where="a = 'a2'").table
    assert set(made["a"].to_pylist()) == {"a2"}
    assert np.mean([v in ("b2", None) for v in made["b"].to_pylist()]) > 0.7
    rare = model.sample(300, where="d = 'rare' AND c BETWEEN 8 AND 12").table
    assert set(rare["d"].to_pylist()) == {"rare"}
    assert 8 <= min(rare["c"].to_pylist()) <= max(rare["c"].to_pylist()) <= 12
    with pytest.raises(ConditionError, match="goes from"):
        model.sample(5, where="c > 1000")
    with pytest.raises(ConditionError, match="widen"):
        model.sample(5, where="a = 'a0' AND b = 'b3'")


def test_the_model_lets_itself_be_attacked(model: CtganModel, leaning: Dataset) -> None:
    assert isinstance(model, Inspectable)
    own = model.scores(leaning)["critic"]
    assert own.shape == (4000,)
    assert own.dtype == np.float64
    part = leaning.with_table(leaning.table.slice(7, 5))
    np.testing.assert_allclose(model.scores(part)["critic"], own[7:12], rtol=1e-3, atol=1e-4)
    turned = leaning.table.set_column(1, "a", leaning.table["a"].take(pa.array(range(4000)[::-1])))
    assert own.mean() > model.scores(leaning.with_table(turned))["critic"].mean()


@pytest.mark.parametrize("kind", ["numbers", "labels", "nulls", "one row"])
def test_odd_tables(kind: str) -> None:
    rng = np.random.default_rng(0)
    null = pa.nulls(9, pa.string())
    table, spec = {
        "numbers": (pa.table({"x": rng.normal(size=40), "y": rng.normal(size=40)}), Number),
        "labels": (pa.table({"x": list("abcd") * 10, "y": list("ab") * 20}), Category),
        "nulls": (pa.table({"x": null, "y": null}), Category),
        "one row": (pa.table({"x": [1.5], "y": [2.5]}), Number),
    }[kind]
    data = Dataset.single(one_table("t", [spec(name="x"), spec(name="y")]), table)
    model = CtganSynthesizer(**{**SMALL, "epochs": 2}).fit(data)
    made = model.sample(7)
    assert made.num_rows == 7
    assert made.table.schema.equals(table.schema)
    assert np.isfinite(model.scores(data)["critic"]).all()


def test_a_training_that_blows_up_says_what_to_change(leaning: Dataset) -> None:
    with pytest.raises(EngineError, match="Lower the rate"):
        CtganSynthesizer(**{**SMALL, "rate": 1e30}).fit(leaning)


def test_without_torch_one_sentence_says_what_to_install(
    leaning: Dataset, model: CtganModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.save(tmp_path / "model")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"understudy\[deep\]"):
        CtganSynthesizer().fit(leaning)
    again = CtganModel.load(tmp_path / "model")
    assert again.sample(50, seed=3).table.equals(model.sample(50, seed=3).table)
    np.testing.assert_array_equal(again.scores(leaning)["critic"], model.scores(leaning)["critic"])


# Files


@pytest.mark.parametrize("name", ["network.safetensors", "columns.safetensors"])
def test_damaged_files_are_named(model: CtganModel, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "model"
    for damage in (lambda b: b[: len(b) // 2], lambda b: b[:-1] + bytes([b[-1] ^ 1])):
        model.save(folder)
        file = folder / name
        file.write_bytes(damage(file.read_bytes()))
        with pytest.raises(FormatError, match=name.replace(".", r"\.")):
            CtganModel.load(folder)


def test_a_card_that_does_not_fit_is_refused(model: CtganModel, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    model.save(folder)
    card = json.loads((folder / "model.json").read_text())
    for change in ({"staged": []}, {"config": {"pack": 1}}, {"columns": {}}, {"engine": "tvae"}):
        (folder / "model.json").write_text(json.dumps({**card, **change}))
        with pytest.raises(FormatError):
            CtganModel.load(folder)


# Under a budget


def test_replay_finds_nothing() -> None:
    data = every_kind(60)
    keep = ["größe", "stadt", "many", "label"]
    spec = data.schema.table()
    few = spec.model_copy(update={"columns": tuple(spec.column(name) for name in keep)})
    part = Dataset(data.schema.with_table(few), {few.name: data.table.select(keep)})
    report = replay_engine(CtganSynthesizer(target="label", **TINY), part)
    assert report.clean, report.sentences()
    steps = [line for line in report.queries if "step" in line.query]
    assert len(steps) > 20
    assert max(line.measured for line in steps) > 0.5


def test_what_was_asked_costs_the_budget_and_no_more(leaning: Dataset) -> None:
    asked = session(2.0)
    model = CtganSynthesizer(**TINY).fit(leaning, privacy=asked)
    spent = epsilon_of(asked.spent, asked.budget.delta)
    assert 1.98 < spent <= 2.0
    assert abs(model.rows - 4000) < 300
    assert model.holds_training_values  # noise from a known seed protects nobody
    assert not model.drawing.gaps
    assert set(model.sample(50, where="a = 'a2'").table["a"].to_pylist()) == {"a2"}


def test_a_row_s_loss_is_its_own_and_names_its_own_label(coded: tuple[Modes, Any]) -> None:
    modes, codes = coded
    slots, rows = Slots(modes), RowTensors(modes)
    torch.manual_seed(0)
    generator = Generator(modes, slots.width, 4, 12, 1)
    critic = Critic(modes.width + slots.width, 1, 12)
    losses = RowLosses(generator, critic, slots, rows)
    keys = np.arange(30, dtype=np.uint64) * np.uint64(977)
    part = torch.from_numpy(codes[:30])
    whole = losses(Batch(1, (part,), None, keys))
    ends = [(i, i + 1) for i in range(30)]
    alone = [losses(Batch(1, (part[i:j],), None, keys[i:j])) for i, j in ends]
    torch.testing.assert_close(whole, torch.cat(alone))
    mode = rows.modes(part)
    vector = losses.condition(mode, torch.linspace(0, 0.999, 30)).numpy()
    own = [slots.vector(np.full(30, k), mode[:, j].numpy()) for k, j in enumerate(slots.columns)]
    assert (vector.sum(1) == 1).all()
    assert all((vector <= np.sum(own, 0)).all(1))


def test_weights_are_cut_to_a_slope_of_one() -> None:
    torch.manual_seed(0)
    critic = Critic(30, 1, 20)
    for p in critic.parameters():
        p.data.mul_(9)
    bound = SpectralBound(critic)
    for _ in range(60):
        bound.cut()
    weights = [p.detach() for p in critic.parameters() if p.dim() == 2]
    norms = [float(torch.linalg.matrix_norm(weight, 2)) for weight in weights]
    np.testing.assert_allclose(norms, 1.0, atol=0.02)


def test_budgets_and_packs_that_cannot_be(leaning: Dataset) -> None:
    with pytest.raises(BudgetError, match="delta above 0"):
        CtganSynthesizer().plan(leaning.schema, Budget(1.0))
    with pytest.raises(BudgetError, match="smallest epsilon that works"):
        CtganSynthesizer(**TINY).fit(every_kind(200), privacy=session(0.01))
    with pytest.raises(EngineError, match="pac=4"):
        CtganSynthesizer(pac=4).fit(leaning, privacy=session(1.0))
