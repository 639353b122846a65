"""The diffusion engine: schedules, scores, the way forwards and back, the engine, the budget."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, kstest

from tests.synthesizers.tables import every_kind
from tests.synthesizers.tables import leaning as leaning_table
from understudy.contracts import Inspectable
from understudy.data import Dataset
from understudy.encoding.discrete import GridAxis, LabelAxis, Line
from understudy.errors import (
    BudgetError,
    ColumnError,
    ConditionError,
    EngineError,
    FormatError,
    MissingExtraError,
)
from understudy.privacy.accountant import epsilon_of
from understudy.privacy.budget import Budget
from understudy.privacy.neighbours import neighbours
from understudy.privacy.replay import replay, replay_engine
from understudy.privacy.session import Session
from understudy.privacy.sessions import SeededSession
from understudy.runtime.progress import ProgressEvent
from understudy.schema import Category, Inequality, Number, Schema, Table, Unit, one_table
from understudy.synthesizers.tabular.tabdiff import TabDiffModel, TabDiffSynthesizer, schedules
from understudy.synthesizers.tabular.tabdiff import model as model_module
from understudy.synthesizers.tabular.tabdiff.layout import Layout, layout_of
from understudy.synthesizers.tabular.tabdiff.losses import (
    Rows,
    _token_weights,
    noised,
    row_losses,
    uniforms_of,
)
from understudy.synthesizers.tabular.tabdiff.mixed import Mixed, mixed, normal_score, parted
from understudy.synthesizers.tabular.tabdiff.network import Network, Shown
from understudy.synthesizers.tabular.tabdiff.sampling import Sampler, State, Steps, blank

SMALL: dict[str, Any] = {"epochs": 6, "width": 32, "dim": 4, "depth": 1, "sampler_steps": 8}
TIMES = st.floats(0.001, 1.0)


def session(epsilon: float, seed: int = 1, delta: float = 1e-6, rows: int = 1) -> SeededSession:
    return SeededSession(Budget(epsilon, delta), seed, rows)


def grid(counts: list[float], nullable: bool = False) -> Mixed:
    """A column of numbers, one code a value."""
    axis = GridAxis("x", Line(pa.int64()), np.arange(len(counts)) * 3, 3 * len(counts), nullable)
    return mixed(axis, np.array([*counts, *([5.0] if nullable else [])]))


def labels(name: str, size: int) -> Mixed:
    values = pa.array([f"{name}{i:05}" for i in range(size)])
    return mixed(LabelAxis(name, values, False, False), np.ones(size))


# Schedules


@given(TIMES, st.floats(5.0, 15.0))
@settings(deadline=None)
def test_a_time_and_its_noise_determine_each_other(t: float, rho: float) -> None:
    power = torch.tensor(rho, dtype=torch.float64)
    sigma = schedules.sigma_of(torch.tensor(t, dtype=torch.float64), power)
    assert schedules.LEAST_SIGMA <= float(sigma) <= schedules.MOST_SIGMA * (1 + 1e-9)
    assert float(schedules.time_of(sigma, power)) == pytest.approx(t, abs=1e-9)


@given(TIMES, st.floats(1.0, 4.0))
@settings(deadline=None)
def test_a_token_s_weight_is_the_slope_of_its_chance(t: float, k: float) -> None:
    at = torch.tensor(t, dtype=torch.float64, requires_grad=True)
    power = torch.tensor(k, dtype=torch.float64)
    chance = schedules.hidden_of(at, power)
    (slope,) = torch.autograd.grad(chance, at)
    wanted = float((slope / chance).detach())
    assert float(schedules.weight_of(at, power).detach()) == pytest.approx(wanted, rel=1e-9)
    # MDLM's own form: d sigma / (exp(sigma) - 1) with sigma = -log(1 - chance).
    noise = -torch.log1p(-schedules.hidden_of(at, power))
    (rate,) = torch.autograd.grad(noise, at)
    assert float((rate / torch.expm1(noise)).detach()) == pytest.approx(wanted, rel=1e-6)


def test_the_ends_are_the_paper_s() -> None:
    ends, rho, k = torch.tensor([0.0, 1.0]), torch.tensor(7.0), torch.tensor(1.0)
    assert schedules.sigma_of(ends, rho).tolist() == pytest.approx([0.002, 80.0], rel=1e-4)
    assert schedules.hidden_of(ends, k).tolist() == pytest.approx([1e-5, 0.999], rel=1e-4)


@given(st.floats(0.002, 80.0))
@settings(deadline=None)
def test_the_scalings_give_unit_variance_in_and_out(sigma: float) -> None:
    """Of data of variance 1 (Karras et al. 2022, appendix B.6)."""
    at = torch.tensor(sigma, dtype=torch.float64)
    skip, outward, inward = (f(at) for f in (schedules.skip, schedules.outward, schedules.inward))
    assert float(inward.square() * (1 + at.square())) == pytest.approx(1.0)
    # What the output has to be is (x0 - c_skip x) / c_out.
    variance = ((1 - skip).square() + (skip * at).square()) / outward.square()
    assert float(variance) == pytest.approx(1.0)
    # The angle: c_in is its cosine, c_out its sine.
    assert float(inward.square() + outward.square()) == pytest.approx(1.0)


# Columns


@given(
    st.lists(st.floats(0, 1000).map(lambda x: 0.0 if x < 1 else x), min_size=40, max_size=120),
    st.integers(0, 10**6),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_codes_survive_the_way_to_scores_and_back(
    counts: list[float], seed: int, nullable: bool
) -> None:
    column, rng = grid(counts, nullable), np.random.default_rng(seed)
    fine = rng.integers(0, column.axis.size, 200)
    low, high = column.interval_of(fine).T
    assert (high > low).all()
    score = normal_score(low + (high - low) * rng.uniform(0.01, 0.99, 200))
    again = column.fine(column.tokens_of(fine), score, 200)
    assert np.array_equal(again, fine)


def test_normal_scores_give_the_column_s_own_shares() -> None:
    counts = [float(1 + i % 7) for i in range(60)]
    column = grid(counts)
    assert column.free is not None
    assert column.sizes == ()
    drawn = column.fine([], np.random.default_rng(0).standard_normal(100_000), 100_000)
    found = np.bincount(drawn, minlength=60)
    # One false alarm in 10,000 seeds.
    assert chisquare(found, 100_000 * np.array(counts) / sum(counts)).pvalue > 1e-4


def test_heavy_values_and_missing_cells_are_classes_of_their_own() -> None:
    column = grid([900.0, *[1.0] * 50, 200.0], nullable=True)
    assert column.sizes == (4,)  # two heavy values, all others, missing
    group = column.coding.group
    assert group[0] != column.free
    assert group[51] != column.free
    assert group[52] != column.free
    assert set(group[1:51]) == {column.free}
    # What is no score takes all of the line.
    assert column.interval_of(np.array([0, 52])).tolist() == [[0, 1], [0, 1]]
    assert grid([5.0] * 20).free is None


# Forwards


def wide_layout() -> tuple[Layout, dict[str, Mixed]]:
    """A score, two labels, a number with heavy values, labels told in two stages."""
    columns = {
        "x": grid([1.0] * 60),
        "a": labels("a", 3),
        "b": labels("b", 4),
        "y": grid([300.0, *[2.0] * 50]),
        "many": labels("m", 900),
    }
    return layout_of(columns), columns


def forwards(n: int = 20_000, learnt: bool = False) -> tuple[Any, Any, Network, Rows]:
    layout, columns = wide_layout()
    rng = np.random.default_rng(0)
    fine = np.stack([rng.integers(0, c.axis.size, n) for c in columns.values()], 1)
    # The first column's rows are as many as its shares say, so that its score is normal.
    rows = Rows(*(torch.from_numpy(part) for part in parted(fine, columns)))
    torch.manual_seed(0)
    network = Network(layout, 4, 16, 1, learnt)
    uniform = torch.rand(n, uniforms_of(layout), generator=torch.Generator().manual_seed(1))
    return layout, uniform, network, rows


def test_noised_rows_have_the_law_of_their_time() -> None:
    layout, uniform, network, rows = forwards()
    uniform[:, 0], uniform[:, 1] = 0.3, 1.0
    at = noised(network, rows, uniform)
    sigma = float(schedules.sigma_of(torch.tensor(0.3), torch.tensor(7.0)))
    assert at.sigma[0, 0] == pytest.approx(sigma, rel=1e-5)
    # One false alarm in 10,000 seeds each.
    assert kstest((at.noisy[:, 0] / (1 + sigma**2) ** 0.5).numpy(), "norm").pvalue > 1e-4
    assert kstest(((at.noisy - at.clean)[:, 0] / sigma).numpy(), "norm").pvalue > 1e-4
    chance = float(schedules.hidden_of(torch.tensor(0.3), torch.tensor(1.0)))
    # 5 standard errors of 20,000 coins.
    assert at.hiding.float().mean(0).tolist() == pytest.approx([chance] * 4, abs=0.0163)
    group, member = layout.first[3], layout.last[3]
    hidden = at.shown.hidden
    assert not (hidden[:, group] & ~hidden[:, member]).any()
    shown = (~hidden[:, group] & hidden[:, member]).float().sum() / hidden[:, member].sum()
    assert float(shown) == pytest.approx(0.5, abs=0.035)


def test_given_numbers_are_shown_as_they_are_with_their_token() -> None:
    layout, uniform, network, rows = forwards()
    uniform[:, 1] = 0.1
    at = noised(network, rows, uniform)
    assert at.shown.given.any(0).all()
    torch.testing.assert_close(at.noisy[at.shown.given], at.clean[at.shown.given])
    token = layout.token_of[1]
    assert not (at.shown.hidden[:, token] & at.shown.given[:, 1]).any()


def test_a_score_is_absent_where_its_token_is_seen_to_say_something_else() -> None:
    layout, uniform, network, rows = forwards(4000)
    at = noised(network, rows, uniform)
    token, free = layout.token_of[1], layout.free[1]
    expected = ~at.shown.hidden[:, token] & (rows.codes[:, token] != free)
    assert torch.equal(at.shown.absent[:, 1], expected)
    assert not at.shown.absent[:, 0].any()


def test_tokens_weigh_as_the_paper_s_integral_over_times() -> None:
    _, uniform, network, rows = forwards()
    uniform[:, 1] = 1.0
    at = noised(network, rows, uniform)
    weight = _token_weights(network, at)
    # Each of 4 columns has mean weight 1: the integral of t (chance hidden) times 1 / t. The weight
    # of a row varies by less than 5, that of a column told in stages by twice that: 5 standard
    # errors of 20,000 rows, and a hundredth for the ends of the schedule.
    by_column = [float(weight[:, [j]].mean()) for j in range(3)]
    assert by_column == pytest.approx([1.0] * 3, abs=0.1)
    assert float(weight[:, 3].mean()) == pytest.approx(1.0, abs=0.15)
    assert not weight[~at.shown.hidden].any()


def test_schedules_are_learnt_where_they_are_parameters() -> None:
    _, uniform, network, rows = forwards(2000, learnt=True)
    tokens, scores = row_losses(network, rows, uniform)
    (tokens + scores).mean().backward()  # type: ignore[no-untyped-call]
    assert network.schedules.rho.grad is not None
    assert network.schedules.k.grad is not None
    assert (network.schedules.rho.grad != 0).all()
    assert (network.schedules.k.grad != 0).all()
    assert not list(Network(network.layout, 4, 16, 1, False).schedules.parameters())


# Back


class Known(torch.nn.Module):
    """The exact denoiser of a small law: a of three classes, b given a, a normal number given a."""

    CHANCE = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    GIVEN_A = torch.tensor([[0.9, 0.1, 0.0], [0.0, 0.5, 0.5], [1.0, 0.0, 0.0]], dtype=torch.float64)
    MEAN = torch.tensor([-1.2, 0.0, 1.5], dtype=torch.float64)
    SPREAD = 0.4

    def __init__(self) -> None:
        super().__init__()
        self.layout = Layout((3, 3), (0, 1), (0, 1), 2, (-1,), (-1,), (1.0, 1.0))
        self.schedules = schedules.Schedules(1, 2, False)
        self.anchor = torch.nn.Parameter(torch.zeros(1))

    def forward(
        self, shown: Shown, t: torch.Tensor, soft: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        sigma = torch.where(shown.given, 0.0, self.schedules.sigma(t)).double()
        x = shown.scores.double() * (1 + sigma**2).sqrt()
        width = self.SPREAD**2 + sigma**2
        near = self.CHANCE.log() - 0.5 * (x - self.MEAN) ** 2 / width
        seen_b = ~shown.hidden[:, 1:]
        near = near + torch.where(seen_b, self.GIVEN_A[:, shown.codes[:, 1]].T.log(), 0.0)
        only = torch.nn.functional.one_hot(shown.codes[:, 0], 3).double().log()
        near = near + torch.where(~shown.hidden[:, :1], only, 0.0)
        chance = near.softmax(1)
        mean = (self.MEAN * sigma**2 + x * self.SPREAD**2) / width
        clean = (chance * mean).sum(1, keepdim=True)
        wanted = (clean - schedules.skip(sigma) * x) / schedules.outward(sigma).clamp(min=1e-9)
        logits = torch.cat((near, (chance @ self.GIVEN_A).log()), 1)
        return logits.float().nan_to_num(neginf=-1e9), wanted.float()

    def joint(self) -> np.ndarray[Any, Any]:
        return (self.CHANCE[:, None] * self.GIVEN_A).numpy()


def walked(rows: int, steps: Steps, seed: int, start: Any = None) -> State:
    network: Any = Known()
    state = blank(network, rows)
    if start is not None:
        start(state)
    Sampler(network, steps, np.random.default_rng(seed)).walk(state)
    return state


def check_joint(state: State, expected: np.ndarray[Any, Any]) -> None:
    """One false alarm in 10,000 seeds; what cannot be never is."""
    counts = np.zeros((3, 3))
    np.add.at(counts, (state.codes[:, 0].numpy(), state.codes[:, 1].numpy()), 1)
    assert not counts[expected == 0].any()
    often = expected > 0
    assert chisquare(counts[often], counts.sum() * (expected / expected.sum())[often]).pvalue > 1e-4


@pytest.mark.parametrize("steps", [Steps(40, 0.0, 10), Steps(40, 1.0, 0), Steps(8, 0.0, 0)])
def test_the_sampler_draws_the_law_of_an_exact_denoiser(steps: Steps) -> None:
    """Also in eight steps, where several tokens of a row come out in one."""
    state = walked(3000, steps, 0)
    assert not state.hidden.any()
    check_joint(state, Known().joint())
    if steps.count < 40:
        return
    # Each class's number has its own law, but for what 40 steps leave: .02 of KS at most.
    for a in range(3):
        own = state.scores[state.codes[:, 0] == a, 0].numpy()
        found = kstest(own, "norm", (float(Known.MEAN[a]), Known.SPREAD))
        # Of n draws KS is above 1.95 / sqrt(n) once in 1,000.
        assert found.statistic < 0.02 + 1.95 / len(own) ** 0.5


def test_what_is_known_stays_and_leads() -> None:
    def start(state: State) -> None:
        state.codes[:, 1], state.hidden[:, 1], state.kept[:, 1] = 1, False, True

    state = walked(3000, Steps(20, 1.0, 0), 1, start)
    assert (state.codes[:, 1] == 1).all()
    expected = Known().joint() * np.array([0.0, 1.0, 0.0])
    check_joint(state, expected)


def test_a_number_that_is_known_leads() -> None:
    def start(state: State) -> None:
        state.scores[:, 0], state.given[:, 0] = 0.7, True

    state = walked(3000, Steps(20, 1.0, 0), 2, start)
    assert (state.scores == 0.7).all()
    near = Known.CHANCE.log() - 0.5 * (0.7 - Known.MEAN) ** 2 / Known.SPREAD**2
    check_joint(state, (near.softmax(0)[:, None] * Known.GIVEN_A).numpy())


# The engine


@pytest.fixture(scope="module")
def leaning() -> Dataset:
    return leaning_table()


@pytest.fixture(scope="module")
def model(leaning: Dataset) -> TabDiffModel:
    small = TabDiffSynthesizer(width=64, dim=8, depth=2, rate=0.01, target="d")
    return small.set_params(epochs=30, batch=256).fit(leaning)


def test_rows_look_like_the_table_s(model: TabDiffModel, leaning: Dataset) -> None:
    made = model.sample(2000).table
    agree = [a[1:] == b[1:] for a, b in zip(*(made[n].to_pylist() for n in "ab"), strict=True) if b]
    assert np.mean(agree) > 0.98
    near = np.abs(made["c"].to_numpy() - 10 * np.array([int(a[1]) for a in made["a"].to_pylist()]))
    # The four groups of c lie side by side on the line of scores, where a small net blurs edges.
    assert np.mean(near < 4) > 0.8
    # A tenth is missing, in 4,000 rows and in 2,000: 5 standard errors, and as much again.
    assert made["b"].null_count / 2000 == pytest.approx(0.1, abs=0.08)


def test_conditions_on_any_columns_lead_the_others(model: TabDiffModel) -> None:
    made = model.sample(300, where="c BETWEEN 18 AND 22 AND b IS NOT NULL").table
    assert made["c"].to_numpy().min() >= 18
    assert made["c"].to_numpy().max() <= 22
    assert made["b"].null_count == 0
    assert np.mean([v == "a2" for v in made["a"].to_pylist()]) > 0.9
    made = model.sample(300, where="a IN ('a1', 'a3')").table
    assert set(made["a"].to_pylist()) == {"a1", "a3"}
    assert np.mean(np.abs(made["c"].to_numpy() - 20) > 5) > 0.9


def test_a_condition_nothing_was_seen_of_is_refused(model: TabDiffModel) -> None:
    with pytest.raises(ConditionError, match="goes from"):
        model.sample(5, where="c > 1000")
    with pytest.raises(ConditionError, match="widen"):
        model.sample(5, where="a = 'a0' AND b = 'b3'")


def two_numbers() -> Dataset:
    rng = np.random.default_rng(0)
    x = rng.normal(size=2000).round(3)
    table = pa.table({"x": x, "y": (x + rng.normal(0, 0.3, 2000)).round(3)})
    return Dataset.single(
        one_table("t", [Number(name="x", decimals=3), Number(name="y", decimals=3)]), table
    )


def test_numbers_alone_and_conditions_on_several() -> None:
    fitted = TabDiffSynthesizer(width=32, depth=1, epochs=12, rate=0.005).fit(two_numbers())
    made = fitted.sample(2000).table
    assert np.corrcoef(made["x"].to_numpy(), made["y"].to_numpy())[0, 1] > 0.85
    made = fitted.sample(200, where="x > 0.5 AND y BETWEEN 0 AND 1").table
    assert made.num_rows == 200
    assert made["x"].to_numpy().min() > 0.5
    assert made["y"].to_numpy().min() >= 0
    assert made["y"].to_numpy().max() <= 1
    with pytest.raises(ConditionError, match="widen"):
        fitted.sample(50, where="x > 2 AND y < -2")


@pytest.mark.parametrize("names", [["a"], ["c"], ["a", "b"], ["d"]])
def test_any_mix_of_columns(leaning: Dataset, names: list[str]) -> None:
    spec = leaning.schema.table()
    columns = [spec.column(name) for name in names]
    data = Dataset.single(one_table("t", columns), leaning.table.slice(0, 300).select(names))
    made = TabDiffSynthesizer(**{**SMALL, "epochs": 2}).fit(data).sample(50)
    assert made.table.schema.equals(data.table.schema)
    assert made.num_rows == 50


def test_shards_do_not_depend_on_workers(
    model: TabDiffModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_module, "SHARD", 40)
    one, two = (model.sample(150, seed=3, workers=workers).table for workers in (1, 2))
    assert one.equals(two)


def test_missing_cells_are_drawn_from_the_others(model: TabDiffModel, leaning: Dataset) -> None:
    table = leaning.table.slice(0, 1000)
    gone = pa.array(np.random.default_rng(1).random(1000) < 0.2)
    import pyarrow.compute as pc

    holes = pc.if_else(gone, pa.scalar(None, pa.float64()), table["c"])
    data = leaning.with_table(table.set_column(2, "c", holes))
    made = model.impute(data, seed=1)
    for name in "abcd":
        before, after = data.table[name].to_pylist(), made.table[name].to_pylist()
        assert None not in after
        assert all(b is None or a == b for a, b in zip(after, before, strict=True))
    a = table["a"].to_pylist()
    pairs = zip(a, made.table["b"].to_pylist(), table["b"].to_pylist(), strict=True)
    assert np.mean([x[1:] == y[1:] for x, y, b in pairs if b is None]) > 0.9
    near = made.table["c"].to_numpy() - 10.0 * np.array([int(v[1]) for v in a])
    assert np.mean(np.abs(near[gone.to_numpy(False)]) < 4) > 0.8
    assert model.impute(data, seed=1).table.equals(made.table)


def test_imputation_leaves_what_it_cannot_read_and_checks_columns(
    model: TabDiffModel, leaning: Dataset
) -> None:
    odd = pa.table({"a": pa.array([None], pa.string()), "b": ["never seen"], "c": [20.0], "d": [1]})
    made = model.impute(leaning.with_table(odd))
    assert made.table["b"].to_pylist() == ["never seen"]
    assert made.table["a"].to_pylist() == ["a2"]
    fewer = Dataset.single(one_table("t", [Category(name="a")]), odd.select(["a"]))
    with pytest.raises(ColumnError, match="the same columns"):
        model.impute(fewer)
    nobody = leaning.with_table(leaning.table.slice(0, 0))
    assert model.impute(nobody).num_rows == 0
    assert model.scores(nobody)["denoising"].shape == (0,)


def test_constraints_hold() -> None:
    rng = np.random.default_rng(0)
    low = rng.integers(0, 50, 1000)
    spec = Table(
        name="t",
        columns=(Number(name="low", integer=True), Number(name="high", integer=True)),
        constraints=(Inequality(low="low", high="high"),),
    )
    table = pa.table({"low": low, "high": low + rng.integers(0, 9, 1000)})
    data = Dataset.single(Schema(tables=(spec,)), table)
    made = TabDiffSynthesizer(**SMALL).fit(data).sample(1000).table
    assert pa.types.is_integer(made["low"].type)
    assert (made["low"].to_numpy() <= made["high"].to_numpy()).all()


def test_records_that_fit_score_higher(model: TabDiffModel, leaning: Dataset) -> None:
    assert isinstance(model, Inspectable)
    own = model.scores(leaning)
    assert all(score.shape == (4000,) and np.isfinite(score).all() for score in own.values())
    turned = leaning.table.set_column(0, "a", leaning.table["a"].take(pa.array(range(4000)[::-1])))
    other = model.scores(leaning.with_table(turned))
    assert own["denoising"].mean() > other["denoising"].mean() + 0.3
    again = model.scores(leaning.with_table(leaning.table.slice(7, 1)))
    assert again["denoising"][0] == pytest.approx(own["denoising"][7], abs=1e-4)


def test_an_over_trained_model_gives_its_members_away() -> None:
    """What training stops for: without that, and far too long, members score higher."""
    from sklearn.metrics import roc_auc_score

    data = every_kind(300, seed=3)
    members, others = (data.with_table(data.table.slice(i, 150)) for i in (0, 150))
    far = TabDiffSynthesizer(epochs=120, patience=0, width=128, depth=2, rate=5e-3, batch=50)
    fitted = far.fit(members)
    scores = [fitted.scores(part)["denoising"] for part in (others, members)]
    # Standard error .033 without a difference: one false alarm in 10,000 is below .63.
    assert roc_auc_score([0] * 150 + [1] * 150, np.concatenate(scores)) > 0.65


def test_training_stops_when_held_out_rows_gain_nothing() -> None:
    rng = np.random.default_rng(0)
    table = pa.table({"a": rng.integers(0, 9, 400), "b": rng.integers(0, 9, 400)})
    data = Dataset.single(
        one_table("t", [Number(name="a", integer=True), Number(name="b", integer=True)]), table
    )
    told: list[ProgressEvent] = []
    TabDiffSynthesizer(epochs=200, width=64, rate=0.01, patience=5).fit(data, progress=told.append)
    assert len(told) < 100
    assert "held out" in told[-1].note


def test_a_training_that_blows_up_says_what_to_change(leaning: Dataset) -> None:
    with pytest.raises(EngineError, match="Lower the rate"):
        TabDiffSynthesizer(**{**SMALL, "rate": 1e30}).fit(leaning)


def test_without_torch_one_sentence_says_what_to_install(
    leaning: Dataset, model: TabDiffModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.save(tmp_path / "model")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"understudy\[deep\]"):
        TabDiffSynthesizer().fit(leaning)
    with pytest.raises(MissingExtraError, match=r"understudy\[deep\]"):
        TabDiffModel.load(tmp_path / "model")


def test_odd_parameters() -> None:
    with pytest.raises(EngineError, match="no parameter 'depht'"):
        TabDiffSynthesizer().set_params(depht=3)
    assert TabDiffSynthesizer().set_params(depth=3).get_params()["depth"] == 3
    with pytest.raises(EngineError, match="no preset"):
        TabDiffSynthesizer(preset="tpu")  # type: ignore[arg-type]


# Files


@pytest.mark.parametrize("name", ["network.safetensors", "columns.safetensors"])
def test_damaged_files_are_named(model: TabDiffModel, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "model"
    for damage in (lambda b: b[: len(b) // 2], lambda b: b[:-1] + bytes([b[-1] ^ 1])):
        model.save(folder)
        file = folder / name
        file.write_bytes(damage(file.read_bytes()))
        with pytest.raises(FormatError, match=name.replace(".", r"\.")):
            TabDiffModel.load(folder)


def test_a_card_that_does_not_fit_is_refused(model: TabDiffModel, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    model.save(folder)
    card = json.loads((folder / "model.json").read_text())
    for change in ({"config": {"depht": 1}}, {"columns": {}}, {"steps": {}}):
        (folder / "model.json").write_text(json.dumps({**card, **change}))
        with pytest.raises(FormatError):
            TabDiffModel.load(folder)


def test_learnt_schedules_and_gaps_come_back_from_a_file(leaning: Dataset, tmp_path: Path) -> None:
    small = leaning.with_table(leaning.table.slice(0, 1000))
    fitted = TabDiffSynthesizer(**{**SMALL, "epochs": 2}, learnt=True).fit(small)
    fitted.save(tmp_path / "model")
    again = TabDiffModel.load(tmp_path / "model")
    assert again.drawing.gaps.keys() == fitted.drawing.gaps.keys()
    assert len(again.drawing.gaps) == 2
    assert again.sample(100, seed=1).table.equals(fitted.sample(100, seed=1).table)


# Under a budget


def test_replay_finds_nothing() -> None:
    data = every_kind(40)
    names = ["größe", "label"]
    spec = data.schema.table()
    few = one_table("people", [spec.column(name) for name in names])
    engine = TabDiffSynthesizer(target="label", width=16, dim=2, sampler_steps=3)
    report = replay_engine(engine, Dataset.single(few, data.table.select(names)))
    assert report.clean, report.sentences()
    steps = [line for line in report.queries if "step" in line.query]
    assert len(steps) > 20
    assert max(line.measured for line in steps) > 0.5


def test_what_was_asked_costs_the_budget_and_no_more(leaning: Dataset) -> None:
    asked = session(2.0)
    fitted = TabDiffSynthesizer(**SMALL).fit(leaning, privacy=asked)
    spent = epsilon_of(asked.spent, asked.budget.delta)
    assert 1.98 < spent <= 2.0
    assert abs(fitted.rows - 4000) < 300
    assert fitted.holds_training_values  # noise from a known seed protects nobody
    assert not fitted.drawing.gaps
    assert not fitted.drawing.network.schedules.learnt


def test_learnt_schedules_are_refused_under_a_budget(leaning: Dataset) -> None:
    with pytest.raises(EngineError, match="learnt"):
        TabDiffSynthesizer(**SMALL, learnt=True).fit(leaning, privacy=session(2.0))


def test_rows_of_a_unit_are_clipped_together(leaning: Dataset) -> None:
    data = leaning.with_table(leaning.table.slice(0, 60))
    owned = data.table.append_column("who", pa.array(np.arange(60) // 3))
    spec = data.schema.table()
    wide = spec.model_copy(update={"columns": (*spec.columns, Number(name="who", integer=True))})
    schema = data.schema.with_table(wide).model_copy(
        update={"unit": Unit(of="entity", table=spec.name, column="who")}
    )

    def fit(privacy: Session, rows: Dataset) -> bytes:
        engine = TabDiffSynthesizer(width=8, dim=2)
        weights = engine.fit(rows, privacy=privacy).drawing.network.arrays()
        return b"".join(weights[name].tobytes() for name in sorted(weights))

    whole = Dataset(schema, {spec.name: owned})
    report = replay(fit, whole, list(neighbours(whole))[:4], rows_per_unit=3)
    assert report.clean, report.sentences()


def test_a_private_model_knows_what_it_bought(tmp_path: Path) -> None:
    data = every_kind(2000)
    fitted = TabDiffSynthesizer(target="label", **SMALL).fit(data, privacy=session(5.0))
    fitted.save(tmp_path / "model")
    assert not (tmp_path / "model" / "identifiers.parquet").exists()
    made = TabDiffModel.load(tmp_path / "model").sample(300, seed=2).table
    assert made.schema.equals(data.table.schema)
    assert made["many"].null_count == 300
    assert not set(made["id"].to_pylist()) & set(data.table["id"].to_pylist())
    where = fitted.sample(100, where="stadt = 'Zürich' AND flag = TRUE").table
    assert set(where["stadt"].to_pylist()) == {"Zürich"}


def test_budgets_that_cannot_be_met() -> None:
    data = every_kind(200)
    with pytest.raises(BudgetError, match="delta above 0"):
        TabDiffSynthesizer().plan(data.schema, Budget(1.0))
    with pytest.raises(BudgetError, match="smallest epsilon that works"):
        TabDiffSynthesizer(**SMALL).fit(data, privacy=session(0.01))
