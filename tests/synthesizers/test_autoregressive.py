"""The autoregressive engine: codings, the network twice, exact conditions, files, the budget."""

from __future__ import annotations

import itertools
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

from tests.synthesizers.tables import every_kind
from tests.synthesizers.tables import leaning as leaning_table
from understudy.contracts import Inspectable
from understudy.data import Dataset
from understudy.encoding.discrete import GridAxis, Line
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
from understudy.privacy.replay import replay, replay_engine
from understudy.privacy.session import Session
from understudy.privacy.sessions import SeededSession
from understudy.runtime.progress import ProgressEvent
from understudy.schema import Category, Inequality, Number, Schema, Table, Unit, one_table
from understudy.synthesizers.tabular.autoregressive import (
    AutoregressiveModel,
    AutoregressiveSynthesizer,
)
from understudy.synthesizers.tabular.autoregressive.drawing import Drawing
from understudy.synthesizers.tabular.autoregressive.forward import Forward
from understudy.synthesizers.tabular.autoregressive.masks import Masks
from understudy.synthesizers.tabular.autoregressive.network import Network
from understudy.synthesizers.tabular.autoregressive.tilting import tilted
from understudy.synthesizers.tabular.neural.coding import Coding, coded
from understudy.synthesizers.tabular.neural.gaps import find_gaps
from understudy.synthesizers.tabular.neural.tokens import sizes_of

SMALL: dict[str, Any] = {"epochs": 8, "width": 32, "dim": 4}


def session(epsilon: float, seed: int = 1, delta: float = 1e-6, rows: int = 1) -> SeededSession:
    return SeededSession(Budget(epsilon, delta), seed, rows)


def line_of(values: np.ndarray[Any, Any], most: int = 100) -> Coding:
    """The coding that a column of numbers gets without a budget."""
    from understudy.encoding.known import known_of_data
    from understudy.synthesizers.tabular.neural.coding import coded
    from understudy.synthesizers.tabular.neural.reading import read_columns

    column, table = Number(name="x"), pa.table({"x": values})
    known = {"x": known_of_data(column, table["x"])}
    found = read_columns(table, (column,), known)["x"]
    return coded(found.axis, found.counts, most, 200)


# Codings


@given(
    st.lists(
        st.one_of(st.none(), st.integers(-(2**60), 2**60), st.integers(-5, 5)),
        min_size=1,
        max_size=200,
    ),
    st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_codes_survive_the_way_to_values_and_back(cells: list[int | None], seed: int) -> None:
    from understudy.encoding.known import known_of_data
    from understudy.synthesizers.tabular.neural.coding import coded
    from understudy.synthesizers.tabular.neural.reading import read_columns

    column, table = Number(name="x", integer=True), pa.table({"x": pa.array(cells, pa.int64())})
    known = {"x": known_of_data(column, table["x"])}
    found = read_columns(table, (column,), known)["x"]
    coding = coded(found.axis, found.counts, 10, 20)
    tokens = coding.encode(table["x"])
    made = coding.decode(tokens, np.random.default_rng(seed))
    assert made.type == pa.int64()
    again = coding.encode(pa.chunked_array([made]))
    assert all(np.array_equal(a, b) for a, b in zip(tokens, again, strict=True))


def test_a_bin_keeps_the_inner_shape_of_its_column() -> None:
    values = np.random.default_rng(0).lognormal(3, 1.2, 20_000)
    coding = line_of(values, 10)
    assert coding.groups == 10
    tokens = coding.encode(pa.chunked_array([values]))
    made = np.sort(coding.decode(tokens, np.random.default_rng(1)).to_numpy())
    # Groups are kept, so only draws within a tenth differ: KS above .01 in one of 10^4 seeds.
    assert np.abs(made - np.sort(values)).max() > 0
    ks = np.abs(np.searchsorted(np.sort(values), made) / 20_000 - np.arange(20_000) / 20_000).max()
    assert ks < 0.01
    even = GridAxis("x", coding.axis.line, coding.axis.starts, coding.axis.last, False)  # type: ignore[union-attr]
    assert even.size > 500


def test_shared_values_stay_and_what_lies_beside_them_is_not_made_theirs() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate((np.zeros(500), rng.uniform(100, 200, 500).round(3)))
    coding = line_of(values, 20)
    made = coding.decode(coding.encode(pa.chunked_array([values])), rng).to_numpy()
    assert (made == 0).sum() == 500
    assert made[made > 0].min() >= 100


def test_a_condition_on_a_bin_is_the_share_of_its_line() -> None:
    from understudy.schema.domains import Domain

    axis = GridAxis("x", Line(pa.int64()), np.array([0, 10, 20, 30]), 39, False)
    coding = coded(axis, np.array([30.0, 10, 10, 50]), 2, 20)
    assert coding.group.tolist() == [0, 0, 0, 1]
    groups, members = coding.admitted(Domain(low=5, high=14))
    assert groups == pytest.approx([(30 * 0.5 + 10 * 0.5) / 50, 0.0])
    assert members[0] == pytest.approx([0.5, 0.5, 0.0])
    drawn = coding.decode([np.zeros(5000, int)], np.random.default_rng(0), Domain(low=5, high=14))
    values = drawn.to_numpy()
    assert values.min() >= 5
    assert values.max() <= 14
    # 15 of 20 admitted rows lie in the first run; 5 standard errors of 5,000 draws are .031.
    assert (values < 10).mean() == pytest.approx(0.75, abs=0.031)


def test_many_labels_are_told_in_two_stages_without_loss() -> None:
    labels = pa.chunked_array([pa.array([f"code {i % 1500}" for i in range(3000)])])
    from understudy.encoding.known import known_of_data
    from understudy.synthesizers.tabular.neural.coding import coded
    from understudy.synthesizers.tabular.neural.reading import read_columns

    column, table = Category(name="x"), pa.table({"x": labels})
    known = {"x": known_of_data(column, labels)}
    found = read_columns(table, (column,), known)["x"]
    coding = coded(found.axis, found.counts, 100, 200)
    assert coding.staged
    assert max(coding.sizes) <= 200
    tokens = coding.encode(labels)
    assert coding.decode(tokens, np.random.default_rng(0)).equals(labels.combine_chunks())


# Masks and the network


def test_masks_are_even_over_sizes_and_weigh_all_tokens() -> None:
    masks = Masks([2, 0, 1, 3], [0, 1, 2, 2])
    uniform = torch.rand(20_000, masks.uniforms, generator=torch.Generator().manual_seed(0))
    seen = masks.seen(uniform)
    assert not (seen[:, 3] & ~seen[:, 2]).any()
    weights = masks.weights(seen)
    assert not (weights.bool() & seen).any()
    torch.testing.assert_close(weights.sum(1), torch.full((20_000,), 4.0))
    # Half of the rows show a beginning of the order: 2 before 0 before 1 (5 standard errors).
    two = masks.seen(torch.cat((torch.zeros(20_000, 1), uniform[:, 1:]), 1))
    assert not (two[:, 0] & ~two[:, 2]).any()
    assert two[:, 2].float().mean() == pytest.approx(0.75, abs=0.016)


def small_drawing(seed: int = 0, strength: float = 30) -> Drawing:
    """An untrained network with strong weights over three columns of labels."""
    torch.manual_seed(seed)
    axis_sizes = {"a": 3, "b": 4, "c": 2}
    codings = {}
    for name, size in axis_sizes.items():
        from understudy.encoding.discrete import LabelAxis

        axis = LabelAxis(name, pa.array([f"{name}{i}" for i in range(size)]), False, False)
        codings[name] = coded(axis, np.arange(1.0, size + 1), 100, 200)
    network = Network(sizes_of(codings), 5, 16, 2)
    with torch.no_grad():
        network.heads.weight.mul_(strength)
    return Drawing(Forward(sizes_of(codings), network.arrays()), codings, ("a", "b", "c"))


def test_numpy_s_network_is_torch_s() -> None:
    torch.manual_seed(0)
    network = Network((3, 4, 2), 5, 16, 2)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.3 * torch.randn(p.shape))
    forward = Forward((3, 4, 2), network.arrays())
    rng = np.random.default_rng(0)
    codes = np.stack([rng.integers(0, size, 50) for size in (3, 4, 2)], 1)
    for seen in itertools.product([False, True], repeat=3):
        logits = network(torch.from_numpy(codes), torch.tensor(seen).expand(50, 3))
        state = forward.blank(50)
        for token in np.flatnonzero(seen):
            forward.see(state, int(token), codes[:, token])
        for token, part in enumerate(logits.split([3, 4, 2], 1)):
            expected = part.softmax(1).detach().numpy()
            np.testing.assert_allclose(forward.chances(state, token), expected, atol=2e-5)


def joint(drawing: Drawing, order: tuple[str, ...]) -> np.ndarray[Any, Any]:
    every = np.array(list(itertools.product(range(3), range(4), range(2))))
    return np.exp(drawing.log_chances(every, order).sum(1)).reshape(3, 4, 2)


def test_probabilities_of_all_rows_sum_to_one_in_any_order() -> None:
    drawing = small_drawing()
    for order in itertools.permutations("abc"):
        assert joint(drawing, order).sum() == pytest.approx(1.0, abs=1e-5)


def test_rows_come_as_often_as_their_probability_says() -> None:
    from scipy.stats import chisquare

    drawing = small_drawing()
    found = drawing.draw(200_000, {}, np.random.default_rng(0), 0)
    assert found is not None
    counts = np.zeros((3, 4, 2))
    np.add.at(counts, tuple(found[0].T), 1)
    expected = 200_000 * joint(drawing, drawing.order)
    often = expected >= 5
    observed, wanted = ([*x[often], x[~often].sum() + 1e-3] for x in (counts, expected))
    scale = sum(observed) / sum(wanted)
    # One false alarm in 10,000 seeds.
    assert chisquare(observed, [scale * w for w in wanted]).pvalue > 1e-4


def test_several_conditions_are_met_with_the_conditional_shares() -> None:
    drawing = small_drawing(1)
    admitted = {
        "b": (np.array([1.0, 0, 0.5, 0]), np.ones((4, 1))),
        "c": (np.array([0.2, 1.0]), np.ones((2, 1))),
    }
    found = drawing.draw(40_000, admitted, np.random.default_rng(0), 160_000)
    assert found is not None
    codes, mass = found
    table = joint(drawing, ("b", "c", "a")) * admitted["b"][0][:, None] * admitted["c"][0]
    assert mass == pytest.approx(table.sum(), rel=0.03)
    counts = np.zeros((3, 4, 2))
    np.add.at(counts, tuple(codes.T), 1)
    # Weighted rows vary more than plain ones, by less than 2: 5 standard errors are below .018.
    np.testing.assert_allclose(counts / 40_000, table / table.sum(), atol=0.018)


def test_tilts_set_every_column_right() -> None:
    drawing = tilted(small_drawing(2, 8), np.random.default_rng(0))
    found = drawing.draw(50_000, {}, np.random.default_rng(1), 0)
    assert found is not None
    for token, coding in enumerate(drawing.codings.values()):
        shares = np.bincount(found[0][:, token], minlength=coding.groups) / 50_000
        # What the tilts were found on and what is judged err by .004 each: 5 standard errors.
        np.testing.assert_allclose(shares, coding.margin, atol=0.028)


def test_what_never_met_never_meets() -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 3, 3000)
    b = np.where(a == 0, rng.integers(0, 2, 3000), rng.integers(0, 4, 3000))
    gaps = find_gaps(np.stack((a, b), 1), (3, 4), (0, 1))
    assert gaps[1, 0].T.tolist() == gaps[0, 1].tolist()
    assert gaps[0, 1].tolist() == [[True, True, False, False], [True] * 4, [True] * 4]


# The engine


@pytest.fixture(scope="module")
def leaning() -> Dataset:
    return leaning_table()


@pytest.fixture(scope="module")
def model(leaning: Dataset) -> AutoregressiveModel:
    return AutoregressiveSynthesizer(width=64, dim=8, epochs=20, rate=0.01).fit(leaning)


def test_conditions_on_any_columns_lead_the_others(model: AutoregressiveModel) -> None:
    made = model.sample(500, where="c BETWEEN 18 AND 22 AND b IS NOT NULL").table
    assert made["c"].to_numpy().min() >= 18
    assert made["c"].to_numpy().max() <= 22
    agree = np.mean([v == "a2" for v in made["a"].to_pylist()])
    assert agree > 0.9


def test_missing_cells_are_drawn_from_the_others(
    model: AutoregressiveModel, leaning: Dataset
) -> None:
    made = model.impute(leaning, seed=1)
    before, after = leaning.table["b"].to_pylist(), made.table["b"].to_pylist()
    assert all(b is None or a == b for a, b in zip(after, before, strict=True))
    assert None not in after
    for name in ("a", "c", "d"):
        assert made.table[name].equals(leaning.table[name])
    a = leaning.table["a"].to_pylist()
    right = [x[1:] == y[1:] for x, y, b in zip(a, after, before, strict=True) if b is None]
    assert np.mean(right) > 0.9
    assert model.impute(leaning, seed=1).table.equals(made.table)


def test_imputation_leaves_what_it_cannot_read_and_checks_columns(
    model: AutoregressiveModel, leaning: Dataset
) -> None:
    odd = pa.table({"d": [1], "a": pa.array([None], pa.string()), "b": ["never seen"], "c": [20.0]})
    made = model.impute(leaning.with_table(odd.select(["a", "b", "c", "d"])))
    assert made.table["b"].to_pylist() == ["never seen"]
    assert made.table["a"].to_pylist() == ["a2"]
    spec = one_table("t", [Category(name="a"), Category(name="b")])
    fewer = Dataset.single(spec, odd.select(["a", "b"]))
    with pytest.raises(ColumnError, match="the same columns"):
        model.impute(fewer)


def test_likely_records_are_those_that_fit(model: AutoregressiveModel, leaning: Dataset) -> None:
    own = model.log_likelihood(leaning)
    assert np.isfinite(own).all()
    turned = leaning.with_table(
        leaning.table.set_column(0, "a", leaning.table["a"].take(pa.array(range(4000)[::-1])))
    )
    assert own.mean() > model.log_likelihood(turned).mean() + 1
    # Orders are different factorisations of about the same distribution.
    other = model.log_likelihood(leaning, order=("d", "c", "b", "a"))
    assert abs(other.mean() - own.mean()) < 0.5
    with pytest.raises(ColumnError, match="every learnt column once"):
        model.log_likelihood(leaning, order=("a", "b"))


def test_the_model_lets_itself_be_attacked(model: AutoregressiveModel, leaning: Dataset) -> None:
    assert isinstance(model, Inspectable)
    found = model.scores(leaning)
    assert list(found) == ["likelihood"]
    assert found["likelihood"].shape == (leaning.num_rows,)
    assert np.isfinite(found["likelihood"]).all()


def test_constraints_hold_and_survive_imputation() -> None:
    rng = np.random.default_rng(0)
    low = rng.integers(0, 50, 2000)
    spec = Table(
        name="t",
        columns=(Number(name="low", integer=True), Number(name="high", integer=True)),
        constraints=(Inequality(low="low", high="high"),),
    )
    gone = pa.array(rng.random(2000) < 0.2)
    high = pa.array(low + rng.integers(0, 9, 2000))
    data = Dataset.single(Schema(tables=(spec,)), pa.table({"low": low, "high": high}))
    model = AutoregressiveSynthesizer(**SMALL).fit(data)
    made = model.sample(2000).table
    assert (made["low"].to_numpy() <= made["high"].to_numpy()).all()
    import pyarrow.compute as pc

    holes = data.with_table(
        pa.table({"low": low, "high": pc.if_else(gone, pa.scalar(None, pa.int64()), high)})
    )
    filled = model.impute(holes).table
    assert filled["high"].null_count == 0
    assert (filled["low"].to_numpy() <= filled["high"].to_numpy()).all()


def test_training_stops_when_held_out_rows_gain_nothing() -> None:
    rng = np.random.default_rng(0)
    table = pa.table({"a": rng.integers(0, 9, 400), "b": rng.integers(0, 9, 400)})
    data = Dataset.single(
        one_table("t", [Number(name="a", integer=True), Number(name="b", integer=True)]), table
    )
    told: list[ProgressEvent] = []
    AutoregressiveSynthesizer(epochs=200, width=64, rate=0.01).fit(data, progress=told.append)
    assert len(told) < 100
    assert "held out" in told[-1].note


def test_a_training_that_blows_up_says_what_to_change(leaning: Dataset) -> None:
    with pytest.raises(EngineError, match="Lower the rate"):
        AutoregressiveSynthesizer(**{**SMALL, "rate": 1e30}).fit(leaning)


def test_without_torch_one_sentence_says_what_to_install(
    leaning: Dataset, model: AutoregressiveModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.save(tmp_path / "model")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"understudy\[deep\]"):
        AutoregressiveSynthesizer().fit(leaning)
    again = AutoregressiveModel.load(tmp_path / "model")
    assert again.sample(50, seed=3).table.equals(model.sample(50, seed=3).table)


def test_odd_parameters_and_orders() -> None:
    with pytest.raises(EngineError, match="no parameter 'depht'"):
        AutoregressiveSynthesizer().set_params(depht=3)
    assert AutoregressiveSynthesizer().set_params(depth=3).get_params()["depth"] == 3


# Files


@pytest.mark.parametrize("name", ["network.safetensors", "columns.safetensors", "types.parquet"])
def test_damaged_files_are_named(model: AutoregressiveModel, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "model"
    for damage in (lambda b: b[: len(b) // 2], lambda b: b[:-1] + bytes([b[-1] ^ 1])):
        model.save(folder)
        file = folder / name
        file.write_bytes(damage(file.read_bytes()))
        with pytest.raises(FormatError, match=name.replace(".", r"\.")):
            AutoregressiveModel.load(folder)
    model.save(folder)
    (folder / name).unlink()
    with pytest.raises(FormatError, match="is missing"):
        AutoregressiveModel.load(folder)


def test_a_card_that_does_not_fit_is_refused(model: AutoregressiveModel, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    model.save(folder)
    card = json.loads((folder / "model.json").read_text())
    for change in ({"order": ["a", "a", "b", "c"]}, {"config": {"depht": 1}}, {"columns": {}}):
        (folder / "model.json").write_text(json.dumps({**card, **change}))
        with pytest.raises(FormatError):
            AutoregressiveModel.load(folder)
    (folder / "model.json").write_text(json.dumps(card)[:200])
    with pytest.raises(FormatError, match="damaged"):
        AutoregressiveModel.load(folder)


# Under a budget


def test_replay_finds_nothing() -> None:
    engine = AutoregressiveSynthesizer(target="label", width=16, dim=2, bins=6)
    report = replay_engine(engine, every_kind(100))
    assert report.clean, report.sentences()
    steps = [line for line in report.queries if "step" in line.query]
    assert len(steps) > 20
    assert max(line.measured for line in steps) > 0.5


@pytest.mark.parametrize("epsilon", [0.5, 4.0])
def test_what_was_asked_costs_the_budget_and_no_more(leaning: Dataset, epsilon: float) -> None:
    asked = session(epsilon)
    model = AutoregressiveSynthesizer(**SMALL).fit(leaning, privacy=asked)
    spent = epsilon_of(asked.spent, asked.budget.delta)
    assert 0.99 * epsilon < spent <= epsilon
    assert abs(model.rows - 4000) < 600 / epsilon
    assert model.holds_training_values  # noise from a known seed protects nobody
    assert not model.drawing.gaps


def test_rows_of_a_unit_are_clipped_together(leaning: Dataset) -> None:
    data = leaning.with_table(leaning.table.slice(0, 200))
    owned = data.table.append_column("who", pa.array(np.arange(200) // 3))
    spec = data.schema.table()
    wide = spec.model_copy(update={"columns": (*spec.columns, Number(name="who", integer=True))})
    schema = data.schema.with_table(wide).model_copy(
        update={"unit": Unit(of="entity", table=spec.name, column="who")}
    )

    def fit(privacy: Session, rows: Dataset) -> bytes:
        engine = AutoregressiveSynthesizer(width=8, dim=2, bins=4)
        weights = engine.fit(rows, privacy=privacy).drawing.forward.weights
        return b"".join(weights[name].tobytes() for name in sorted(weights))

    report = replay(fit, Dataset(schema, {spec.name: owned}), rows_per_unit=3)
    assert report.clean, report.sentences()


def test_a_private_model_knows_what_it_bought(leaning: Dataset, tmp_path: Path) -> None:
    data = every_kind(2000)
    model = AutoregressiveSynthesizer(target="label", **SMALL).fit(data, privacy=session(5.0))
    model.save(tmp_path / "model")
    assert not (tmp_path / "model" / "identifiers.parquet").exists()
    made = AutoregressiveModel.load(tmp_path / "model").sample(300, seed=2).table
    assert made.schema.equals(data.table.schema)
    assert made["many"].null_count == 300
    assert not set(made["id"].to_pylist()) & set(data.table["id"].to_pylist())
    where = model.sample(100, where="stadt = 'Zürich' AND flag = TRUE").table
    assert set(where["stadt"].to_pylist()) == {"Zürich"}


def test_budgets_that_cannot_be_met() -> None:
    data = every_kind(200)
    with pytest.raises(BudgetError, match="delta above 0"):
        AutoregressiveSynthesizer().plan(data.schema, Budget(1.0))
    with pytest.raises(BudgetError, match="smallest epsilon that works"):
        AutoregressiveSynthesizer(**SMALL).fit(data, privacy=session(0.01))


class Paid:
    """Fits within one run, as often as it is gone on with; `stop` ends a fit after as many notes
    about steps."""

    def __init__(self, data: Dataset, folder: Path) -> None:
        self._data, self._folder = data, folder
        self.kept = folder / "training.safetensors"
        self.told: list[float] = []

    def fit(self, stop: int | None = None) -> AutoregressiveModel:
        from understudy.privacy.answers import AnswerStore
        from understudy.privacy.ledger import Ledger
        from understudy.privacy.ledger_session import LedgerSession

        def progress(event: ProgressEvent) -> None:
            if event.note == "steps of DP-SGD":
                self.told.append(event.done)
                if len(self.told) == stop:
                    raise KeyboardInterrupt

        with Ledger(self._folder / "home") as ledger:
            store = AnswerStore(self._folder / "run.sqlite")
            asked = LedgerSession(Budget(4.0, 1e-6), ledger, "data", "row", "run", store)
            try:
                engine = AutoregressiveSynthesizer(width=16, dim=2)
                return engine.fit(self._data, privacy=asked, progress=progress)
            finally:
                store.close()


def test_a_private_training_goes_on_where_it_was_kept(leaning: Dataset, tmp_path: Path) -> None:
    run = Paid(leaning, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run.fit(stop=12)
    stopped = run.told[-1]
    model = run.fit()
    assert model.private
    assert not model.holds_training_values
    assert len(run.told) == len(set(run.told))
    assert run.told == sorted(run.told)
    assert run.told[12] > stopped  # no step is drawn a second time
    weights = model.drawing.forward.weights
    again = run.fit().drawing.forward.weights  # the run died before it had saved the model
    assert all(np.array_equal(weights[name], again[name]) for name in weights)


def test_a_training_that_is_lost_is_not_passed_off_as_one(leaning: Dataset, tmp_path: Path) -> None:
    run = Paid(leaning, tmp_path)
    run.fit()
    run.kept.unlink()
    with pytest.raises(BudgetError, match="Start a new run"):
        run.fit()


def test_a_condition_nothing_was_seen_of_is_refused(model: AutoregressiveModel) -> None:
    with pytest.raises(ConditionError, match="goes from"):
        model.sample(5, where="c > 1000")
    with pytest.raises(ConditionError, match="widen"):
        model.sample(5, where="a = 'a0' AND b = 'b3'")
