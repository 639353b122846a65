"""The marginal engine: closed forms, exact conditioning, sensitivity, the plan and its cost."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.synthesizers.tables import every_kind
from understudy.data import Dataset
from understudy.errors import BudgetError, ConditionError, EngineError
from understudy.privacy.accountant import epsilon_of
from understudy.privacy.budget import Budget
from understudy.privacy.replay import replay_engine
from understudy.privacy.sessions import SeededSession
from understudy.schema import (
    Category,
    Column,
    Dependency,
    Inequality,
    Number,
    Range,
    Schema,
    Table,
    one_table,
)
from understudy.synthesizers.tabular.marginals import MarginalModel, MarginalSynthesizer
from understudy.synthesizers.tabular.marginals.cliques import Measured, fit_cliques
from understudy.synthesizers.tabular.marginals.grain import ladder, runs
from understudy.synthesizers.tabular.marginals.network import Network, Node, systematic
from understudy.synthesizers.tabular.marginals.oneway import Classes, Coded
from understudy.synthesizers.tabular.marginals.selection import (
    Pair,
    Structure,
    gain,
    score_all,
)
from understudy.synthesizers.tabular.marginals.tables import (
    Floats,
    rake,
    reconcile,
    residual_share,
    shrink,
    simplex,
    weighted,
)

COUNTS = st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=30).map(np.array)


def session(epsilon: float, seed: int = 1, delta: float = 1e-6, rows: int = 1) -> SeededSession:
    return SeededSession(Budget(epsilon, delta), seed, rows)


def chain(rows: int, seed: int = 0) -> Dataset:
    """y leads a, a leads b, b leads c; d stands alone."""
    rng = np.random.default_rng(seed)
    y = rng.random(rows) < 0.3
    a = (rng.integers(0, 4, rows) + 2 * y) % 6
    b = np.where(rng.random(rows) < 0.8, a % 3, rng.integers(0, 3, rows))
    c = np.where(rng.random(rows) < 0.8, 10 * b, rng.integers(0, 30, rows))
    d = rng.integers(0, 5, rows)
    columns = {"y": y.astype(int), "a": a, "b": b, "c": c, "d": d}
    spec: list[Column] = [
        Category(name="y", levels=(0, 1), nullable=False),
        Category(name="a", levels=tuple(range(6)), nullable=False),
        Category(name="b", levels=(0, 1, 2), nullable=False),
        Number(name="c", integer=True, minimum=0, maximum=29, nullable=False),
        Category(name="d", levels=tuple(range(5)), nullable=False),
    ]
    return Dataset.single(one_table("chain", spec), pa.table(columns))


# Closed forms


@given(COUNTS, st.floats(0.1, 1e5))
def test_simplex_is_the_nearest_point_with_that_sum(values: Floats, total: float) -> None:
    found = simplex(values, total)
    assert found.min() >= 0
    assert found.sum() == pytest.approx(total, rel=1e-9)
    # Optimality: all entries above zero moved by the same, none at zero would have moved less.
    shift = values - found
    inside = shift[found > 0]
    assert np.ptp(inside) < 1e-6 * max(1.0, np.abs(values).max())
    assert (shift <= inside.mean() + 1e-6 * max(1.0, np.abs(values).max())).all()


def test_raking_and_reconciling_meet_the_margins() -> None:
    rng = np.random.default_rng(0)
    table = rng.random((3, 5, 7)) * 100
    rows, columns = rng.random((3, 5)) + 0.1, rng.random((3, 7)) + 0.1
    columns *= (rows.sum(1) / columns.sum(1))[:, None]
    for made in (rake(table, rows, columns, rounds=200), reconcile(table, rows, columns)):
        np.testing.assert_allclose(made.sum(2), rows, atol=1e-8)
        np.testing.assert_allclose(made.sum(1), columns, atol=1e-8)
    odds = table[:, :-1, :-1] * table[:, 1:, 1:] / (table[:, 1:, :-1] * table[:, :-1, 1:])
    raked = rake(table, rows, columns)
    kept = raked[:, :-1, :-1] * raked[:, 1:, 1:] / (raked[:, 1:, :-1] * raked[:, :-1, 1:])
    np.testing.assert_allclose(kept, odds, rtol=1e-5)


@pytest.mark.parametrize("shape", [(2, 2), (5, 10), (16, 40)])
def test_noise_left_after_reconciling(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).normal(size=(4000, *shape))
    left = reconcile(noise, np.zeros((4000, shape[0])), np.zeros((4000, shape[1])))
    # A mean of at least 4,000 squares: its own standard error is below 2.3 %.
    assert left.var() == pytest.approx(residual_share(*shape), rel=0.08)


def test_shrinking_keeps_signal_and_drops_noise() -> None:
    rng = np.random.default_rng(0)
    base = np.full(2000, 10_000.0)
    signal = rng.normal(0, 3000, 2000)
    np.testing.assert_allclose(shrink(base + signal, base, 1.0), base + signal, atol=40)
    noise = rng.normal(0, 3000, 2000)
    assert np.abs(shrink(base + noise, base, 3000.0**2) - base).mean() < 300


def test_weights_are_precisions() -> None:
    assert weighted([np.array([4.0]), np.array([10.0])], [1.0, 3.0])[0] == pytest.approx(5.5)


@given(st.lists(st.floats(0, 100), min_size=2, max_size=60), st.integers(2, 20))
def test_runs_are_as_few_as_asked(weights: list[float], most: int) -> None:
    weight = np.array(weights)
    starts = runs(weight, most)
    assert starts[0] == 0
    assert (np.diff(starts) > 0).all()
    assert len(starts) <= most


def test_full_cells_are_runs_of_their_own() -> None:
    weight = np.array([1.0, 1, 50, 1, 1, 60, 1, 1])
    assert runs(weight, 5).tolist() == [0, 2, 3, 5, 6]
    assert runs(np.ones(12), 4).tolist() == [0, 3, 6, 9]


def test_ladders_are_nested_and_like_labels_lie_together() -> None:
    rng = np.random.default_rng(0)
    share = rng.random(80)
    table = np.stack([share, 1 - share]) * rng.integers(50, 100, 80)
    found = ladder(table, ordered=False)
    for coarse, fine in itertools.pairwise(found.starts):
        assert set(coarse) <= set(fine)
    groups = found.groups(1)
    spread = [np.ptp(share[groups == g]) for g in range(found.size(1))]
    assert sum(spread) < 1.1
    summed_up = np.add.reduceat(np.bincount(found.groups(3), table.sum(0)), found.between(3, 1))
    np.testing.assert_allclose(summed_up, np.bincount(groups, table.sum(0)))


# Drawing and conditioning


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_systematic_draws_are_within_one_of_their_expectation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = rng.random((3, 6)) * (rng.random((3, 6)) < 0.7)
    table[:, 0] += 0.01
    context = rng.integers(0, 3, 500)
    drawn = systematic(table, context, rng)
    for one in range(3):
        rows = context == one
        expected = rows.sum() * table[one] / table[one].sum()
        found = np.bincount(drawn[rows], minlength=6)
        assert (np.abs(found - expected) < 1 + 1e-9).all()
        assert (found[table[one] == 0] == 0).all()


def random_network(seed: int) -> Network:
    """Two classes; b has one parent, c two, d the latest two."""
    rng = np.random.default_rng(seed)

    def node(parents: tuple[str, ...], shape: tuple[int, ...], codes: int) -> Node:
        table = rng.random((2, *shape))
        more = rng.integers(0, shape[-1], codes - shape[-1])
        groups = np.sort(np.concatenate([np.arange(shape[-1]), more]))
        return Node(parents, groups, table / table.sum(-1, keepdims=True), rng.random((2, codes)))

    nodes = {
        "a": node((), (3,), 4),
        "b": node(("a",), (3, 2), 3),
        "c": node(("b", "a"), (2, 3, 3), 5),
        "d": node(("a", "c"), (3, 3, 2), 2),
    }
    return Network("y", np.array([0, 1, 1]), rng.random(3), nodes)


def joint(network: Network) -> dict[tuple[int, ...], float]:
    """Every combination of codes (y, a, b, c, d) with its probability, by the definition."""
    shares = network.shares / network.shares.sum()
    inner = {}
    for name, n in network.nodes.items():
        size = n.table.shape[-1]
        held = np.stack([np.bincount(n.groups, part, minlength=size) for part in n.codes])
        inner[name] = n.codes / held[:, n.groups]
    sizes = [3, *(len(n.groups) for n in network.nodes.values())]
    found = {}
    for row in itertools.product(*map(range, sizes)):
        one = network.of_code[row[0]]
        chance = shares[row[0]]
        code = dict(zip(network.nodes, row[1:], strict=True))
        for name, n in network.nodes.items():
            place = [network.nodes[p].groups[code[p]] for p in n.parents]
            chance *= n.table[(one, *place, n.groups[code[name]])] * inner[name][one, code[name]]
        found[row] = float(chance)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_conditions_are_exact(seed: int) -> None:
    network = random_network(seed)
    rng = np.random.default_rng(100 + seed)
    admitted = {
        "y": rng.random(3),
        "b": np.array([1.0, 0.0, 0.4]),
        "d": np.array([0.3, 1.0]),
    }
    conditioned, probability = network.given(admitted)
    every = joint(network)
    weight = {
        row: p * admitted["y"][row[0]] * admitted["b"][row[2]] * admitted["d"][row[4]]
        for row, p in every.items()
    }
    assert sum(every.values()) == pytest.approx(1.0)
    assert probability == pytest.approx(sum(weight.values()))
    drawn = conditioned.draw(60_000, rng)
    assert set(np.unique(drawn["b"])) <= {0, 2}
    for place, name in enumerate(("y", "a", "b", "c", "d")):
        size = 1 + max(row[place] for row in every)
        expected = np.zeros(size)
        for row, p in weight.items():
            expected[row[place]] += p / probability
        found = np.bincount(drawn[name], minlength=size) / 60_000
        # Systematic draws err less than independent ones, whose 5 standard errors are below this.
        np.testing.assert_allclose(found, expected, atol=0.0103)


def test_noiseless_tables_of_a_chain_give_the_chain() -> None:
    """With a count that drowns sampling error, the fit is a - b - c itself, to the last digits."""
    rng = np.random.default_rng(0)
    total = 1e12
    a = rng.dirichlet(np.ones(4), 2)
    b = rng.dirichlet(np.ones(3), (2, 4))
    c = rng.dirichlet(np.ones(5), (2, 3))
    of_class = np.array([0.3, 0.7])
    whole = total * np.einsum("y,ya,yab,ybc->yabc", of_class, a, b, c)
    tables = {"a": whole.sum((2, 3)), "b": whole.sum((1, 3)), "c": whole.sum((1, 2))}
    ladders = {name: ladder(table, ordered=True) for name, table in tables.items()}
    last = {name: len(lad.starts) - 1 for name, lad in ladders.items()}
    measured = [
        Measured(Pair("a", "b", (last["a"], last["b"]), True), whole.sum(3), 1e-3),
        Measured(Pair("b", "c", (last["b"], last["c"]), True), whole.sum(1), 1e-3),
    ]
    structure = Structure({"a": (), "b": ("a",), "c": ("b",)}, tuple(m.pair for m in measured))
    cliques = fit_cliques(structure, measured, tables, ladders, whole.sum((1, 2, 3)))
    np.testing.assert_allclose(cliques["a"].table, a, atol=1e-6)
    np.testing.assert_allclose(cliques["b"].table, b, atol=1e-6)
    np.testing.assert_allclose(cliques["c"].table, c, atol=1e-6)


# Sensitivity


@given(
    st.floats(0, 1e6),
    st.floats(0, 1),
    st.lists(st.floats(0, 1e5), min_size=1, max_size=20),
    st.floats(0.1, 1e4),
)
def test_gain_rises_by_at_most_what_the_distance_does(
    distance: float, more: float, expected: list[float], sigma: float
) -> None:
    cells = np.array(expected)
    change = gain(distance + more, cells, sigma) - gain(distance, cells, sigma)
    assert -1e-9 <= change <= more + 1e-9


def test_a_row_moves_no_score_by_more_than_one() -> None:
    """1,000 neighbours, half with a row removed and half with one added."""
    rng = np.random.default_rng(0)
    sizes = {"a": 4, "b": 9, "c": 3}
    largest = 0.0
    for _ in range(1000):
        rows = int(rng.integers(5, 60))
        codes: Coded = {n: rng.integers(0, k, rows) for n, k in (*sizes.items(), ("y", 2))}
        tables = {n: rng.random((2, k)) * 20 + 0.1 for n, k in sizes.items()}
        totals = rng.random(2) * 30 + 1
        tables = {n: t * (totals / t.sum(1))[:, None] for n, t in tables.items()}
        classes = Classes("y", np.array([0, 1]), totals, totals)
        ladders = {n: ladder(t, ordered=True) for n, t in tables.items()}
        sigma = float(np.exp(rng.uniform(-4, 3)))
        before = score_all(codes, ladders, tables, classes, sigma)
        if rng.random() < 0.5:
            gone = int(rng.integers(rows))
            other = {n: np.delete(c, gone) for n, c in codes.items()}
        else:
            other = {n: np.append(c, c[rng.integers(rows)]) for n, c in codes.items()}
        after = score_all(other, ladders, tables, classes, sigma)
        largest = max(largest, *(float(np.abs(after[p] - before[p]).max()) for p in before))
    assert 0.9 < largest <= 1 + 1e-9


def test_replay_finds_nothing() -> None:
    report = replay_engine(MarginalSynthesizer(target="label"), every_kind(300))
    assert report.clean, report.sentences()
    assert len(report.queries) > 100


# The plan and what it costs


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 8.0])
def test_the_plan_is_what_is_asked_and_meets_the_budget(epsilon: float) -> None:
    data = chain(20_000)
    asked = session(epsilon)
    engine = MarginalSynthesizer(target="y")
    plan = engine.plan(data.schema, asked.budget)
    engine.fit(data, privacy=asked)
    assert asked.spent == plan.events
    spent = epsilon_of(plan.events, asked.budget.delta)
    assert 0.999 * epsilon < spent <= epsilon


def test_the_plan_knows_no_rows() -> None:
    engine = MarginalSynthesizer(target="label")
    few, many = every_kind(50, seed=1), every_kind(900, seed=2)
    types = few.table.schema
    plans = [engine.plan(d.schema, Budget(1.0, 1e-6), types=types) for d in (few, many)]
    assert plans[0] == plans[1]
    assert len({query.name for query in plans[0].queries}) == len(plans[0].queries)


def test_rows_of_a_unit_multiply_the_noise() -> None:
    engine, budget = MarginalSynthesizer(target="y"), Budget(1.0, 1e-6)
    one = engine.plan(chain(10).schema, budget)
    five = engine.plan(chain(10).schema, budget, rows_per_unit=5)
    assert one.events == five.events
    for query, wider in zip(one.queries, five.queries, strict=True):
        assert wider.mechanism.sensitivity == pytest.approx(5 * query.mechanism.sensitivity)


def test_a_budget_that_drowns_the_table_is_refused_with_one_that_does_not() -> None:
    with pytest.raises(BudgetError, match=r"smallest epsilon that works is about (.*);") as raised:
        MarginalSynthesizer(target="y").fit(chain(2000), privacy=session(0.002))
    needed = float(str(raised.value).split("about ")[-1].split(";")[0])
    assert 0.002 < needed < 0.1
    MarginalSynthesizer(target="y").fit(chain(2000), privacy=session(4 * needed))


def test_a_delta_of_zero_is_refused() -> None:
    with pytest.raises(BudgetError, match="delta above 0"):
        MarginalSynthesizer().plan(chain(10).schema, Budget(1.0))


# Under a budget


@pytest.fixture(scope="module")
def private_model() -> MarginalModel:
    return MarginalSynthesizer(target="y").fit(chain(30_000), privacy=session(2.0))


def shares(table: pa.Table, *names: str) -> Floats:
    columns = [np.asarray(table[name].to_numpy(), np.intp) for name in names]
    return np.histogramdd(np.stack(columns, 1), bins=[np.arange(32)] * len(names))[0] / len(table)


def test_tables_come_out_as_they_went_in(private_model: MarginalModel) -> None:
    source, made = chain(30_000).table, private_model.sample(30_000).table
    # 30,000 rows: the noise of any cell is below 40 rows, so 20 cells in doubt are .02.
    for pair in (("y", "a"), ("a", "b"), ("b", "c"), ("y", "d"), ("c", "d")):
        assert np.abs(shares(source, *pair) - shares(made, *pair)).sum() / 2 < 0.04
    assert abs(private_model.rows - 30_000) < 300


def test_a_condition_gives_the_conditional_shares(private_model: MarginalModel) -> None:
    source = chain(30_000).table
    made = private_model.sample(5000, where="c BETWEEN 10 AND 20 AND y = 1").table
    c = source["c"].to_numpy()
    met = (c >= 10) & (c <= 20) & (source["y"].to_numpy() == 1)
    wanted = np.bincount(source["b"].to_numpy()[met], minlength=3) / met.sum()
    found = np.bincount(made["b"].to_numpy(), minlength=3) / 5000
    np.testing.assert_allclose(found, wanted, atol=0.05)
    assert made["c"].to_numpy().min() >= 10
    assert made["c"].to_numpy().max() <= 20


def test_rows_are_refused_that_the_model_does_not_know(private_model: MarginalModel) -> None:
    with pytest.raises(ConditionError, match="goes from 0 to 29"):
        private_model.sample(5, where="c > 40")
    with pytest.raises(ConditionError, match="one column at a time"):
        private_model.sample(5, balance={"a": "uniform", "b": "uniform"})


def test_a_private_model_holds_no_values_of_rows(tmp_path: Path) -> None:
    data = every_kind(3000)
    asked = session(3.0)
    model = MarginalSynthesizer(target="label").fit(data, privacy=asked)
    model.save(tmp_path / "model")
    assert not (tmp_path / "model" / "identifiers.parquet").exists()
    again = MarginalModel.load(tmp_path / "model")
    made = again.sample(500, seed=2).table
    assert made.equals(model.sample(500, seed=2).table)
    assert made.schema.equals(data.table.schema)
    assert made["note"].null_count == 500
    assert not set(made["id"].to_pylist()) & set(data.table["id"].to_pylist())
    assert made["many"].null_count == 500
    # Noise from a known seed protects nobody, and the model says so.
    assert model.holds_training_values


def test_levels_nobody_may_know_never_come_out() -> None:
    data = chain(20_000)
    spec = [Category(name=c.name, nullable=False) for c in data.schema.table().columns]
    table = pa.table({n: data.table[n].cast(pa.string()) for n in data.table.column_names})
    odd = table["d"].to_pylist()
    odd[:3] = ["only me", "and me", "me too"]
    table = table.set_column(4, "d", pa.array(odd))
    open_ = Dataset.single(one_table("t", spec), table)
    model = MarginalSynthesizer(target="y").fit(open_, privacy=session(2.0))
    assert set(model.sample(20_000).table["d"].to_pylist()) == {"0", "1", "2", "3", "4"}


def constrained(*rules: object) -> Dataset:
    rng = np.random.default_rng(0)
    low = rng.integers(0, 50, 8000)
    spec = Table(
        name="t",
        columns=(Number(name="low", integer=True), Number(name="high", integer=True)),
        constraints=rules,  # type: ignore[arg-type]
    )
    table = pa.table({"low": low, "high": low + rng.integers(0, 9, 8000)})
    return Dataset.single(Schema(tables=(spec,)), table)


def test_constraints_that_need_no_rows_hold_under_a_budget() -> None:
    rules = Inequality(low="low", high="high"), Range(column="low", minimum=0, maximum=40)
    data = constrained(*rules)
    made = MarginalSynthesizer().fit(data, privacy=session(2.0)).sample(3000).table
    low, high = made["low"].to_numpy(), made["high"].to_numpy()
    assert (low <= high).all()
    assert low.min() >= 0
    assert low.max() <= 40
    assert (high - low).mean() == pytest.approx(4.0, abs=0.5)


@pytest.mark.parametrize(
    "rules",
    [
        [Dependency(by=("low",), determines="high")],
        [Inequality(low="low", high="high"), Range(column="high", minimum=0)],
    ],
)
def test_constraints_that_only_rows_could_settle_are_refused(rules: list[object]) -> None:
    with pytest.raises(EngineError, match="looking at the rows"):
        MarginalSynthesizer().fit(constrained(*rules), privacy=session(2.0))


def test_many_columns_and_many_levels() -> None:
    rng = np.random.default_rng(0)
    lead = rng.integers(0, 3, 4000)
    columns = {
        f"c{i}": np.where(rng.random(4000) < 0.5, lead, rng.integers(0, 3, 4000)) for i in range(70)
    }
    columns["levels"] = rng.integers(0, 10_000, 4000)
    spec = [Category(name=n, levels=(0, 1, 2), nullable=False) for n in list(columns)[:-1]]
    spec.append(Category(name="levels", levels=tuple(range(10_000))))
    data = Dataset.single(one_table("t", spec), pa.table(columns))
    model = MarginalSynthesizer(target="c0", width=1).fit(data)
    made = model.sample(4000).table
    assert sum(node.table.size for node in model.network.nodes.values()) < 1_000_000
    agree = (made["c1"].to_numpy() == made["c0"].to_numpy()).mean()
    assert agree == pytest.approx((columns["c1"] == columns["c0"]).mean(), abs=0.03)
    assert len(set(made["levels"].to_pylist())) > 1000
