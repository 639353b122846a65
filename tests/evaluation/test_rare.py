"""The rare-event scorecard: closed forms, and planted tables that drop or copy their tail."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.attacks.planted import SCHEMA, Rows, draw, jittered, most_outlying
from understudy.data.dataset import Dataset
from understudy.encoding.metric import MetricSpace
from understudy.encoding.neighbours import nearest
from understudy.errors import ColumnError
from understudy.evaluation.rare import rare_events
from understudy.evaluation.rare.card import budget_floor
from understudy.evaluation.rare.cells import rare_cells
from understudy.evaluation.rare.entry import paired_ratio, rate_ratio
from understudy.evaluation.rare.extremes import _chi, _xi
from understudy.evaluation.rare.landscape import chance_of_any, within
from understudy.evaluation.rare.sequences import _spans
from understudy.evaluation.samples import collect
from understudy.release.rare_lines import rare_lines
from understudy.release.thresholds import DEFAULTS
from understudy.schema import Category, Identifier, Number, Unit, one_table

N = 6_000


@given(st.integers(1, 40), st.data())
def test_chance_of_any_is_hypergeometric(total, data):
    from scipy.stats import hypergeom

    marked = data.draw(st.integers(0, total))
    drawn = data.draw(st.integers(0, total))
    found = chance_of_any(np.array([marked]), total, drawn)[0]
    assert found == pytest.approx(1 - hypergeom.pmf(0, total, marked, drawn), abs=1e-9)


def test_rows_within_a_radius_are_counted_exactly():
    rng = np.random.default_rng(0)
    queries = rng.normal(size=(20, 3)).astype(np.float32)
    points = rng.normal(size=(5000, 3)).astype(np.float32)
    gaps = np.linalg.norm(queries[:, None].astype(float) - points[None].astype(float), axis=2)
    radius = gaps[:, 7].copy()
    assert within(queries, points, radius).tolist() == (gaps <= radius[:, None]).sum(1).tolist()
    assert within(points[:1], points, np.zeros(1)).tolist() == [1]


def test_rate_ratio_covers_the_truth():
    """300 pairs of counts: fewer than 277 covered has probability below .02 at 95 %."""
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(300):
        found = rate_ratio(int(rng.poisson(60)), 5000, int(rng.poisson(20)), 2000)
        covered += found.low <= (60 / 5000) / (20 / 2000) <= found.high
    assert covered >= 277
    assert rate_ratio(0, 100, 50, 100).high < 0.1
    assert rate_ratio(10, 100, 0, 100).high == np.inf


def test_paired_ratio_of_equal_rows_is_one_without_spread():
    values = np.random.default_rng(2).random(50)
    found = paired_ratio(values, values, np.random.default_rng(0))
    assert (found.value, found.low, found.high) == pytest.approx((1, 1, 1))


@pytest.mark.parametrize("shape", [0.0, 0.3, -0.3])
def test_tail_shape_of_generalised_pareto(shape):
    from scipy.stats import genpareto

    sample = genpareto.rvs(shape, size=40_000, random_state=3)
    assert _xi(sample) == pytest.approx(shape, abs=0.04)


def test_columns_always_extreme_together_have_chi_one():
    flags = [np.random.default_rng(4).random((500, 1)) < 0.05]
    doubled = [np.hstack([flag, flag]).astype(float) for flag in flags]
    assert _chi(doubled, None)[0, 0, 1] == pytest.approx(1.0)


def test_spans_of_a_history_by_hand():
    owner = np.array([0, 0, 0, 0, 0, 1, 1, 1])
    event = np.array([0, 1, 1, 0, 1, 0, 0, 1], bool)
    gaps, bursts, before = _spans(owner, event)
    assert gaps.tolist() == [1, 2]
    assert bursts.tolist() == [2, 1, 1]
    assert before.tolist() == [1, 2]


def test_budget_floor_is_log_over_epsilon():
    assert budget_floor([], None, 2.0, np.exp(-10)).value == pytest.approx(5.0)


def outlierness(rows: Rows, reference: Rows) -> np.ndarray:
    table = reference.dataset().table
    space = MetricSpace.fit(table, SCHEMA.table())
    points = (space.transform(one) for one in (rows.dataset().table, table))
    return nearest(*points, 5).distance.mean(axis=1)


def without_tail(reference: Rows, rng: np.random.Generator) -> Rows:
    """Safe rows with the most unusual 2 % left out."""
    rows = draw(2 * N, rng)
    far = outlierness(rows, reference)
    return rows.take(np.flatnonzero(far <= np.quantile(far, 0.98))[:N])


def planted(kind: str, seed: int) -> dict[str, str]:
    """Rulings of the rare-event lines on one planted table."""
    rng = np.random.default_rng([seed, 5])
    train, holdout, reference = (draw(N, rng) for _ in range(3))
    if kind == "safe":
        synthetic = draw(N, rng)
    elif kind == "drops":
        synthetic = without_tail(reference, rng)
    elif kind == "copies":
        count = N // 200
        synthetic = draw(N, rng).put(rng.permutation(N)[:count], most_outlying(train, count))
    else:
        near = jittered(most_outlying(train, 50), 0.05, rng)
        synthetic = without_tail(reference, rng).put(np.arange(50), near)
    tables = (rows.dataset() for rows in (train, holdout, reference, synthetic))
    samples = collect(*tables, seed=seed)
    card = rare_events(samples, samples, SCHEMA, target="c1", found=None, seed=seed).as_dict()
    return {line.name: line.ruling for line in rare_lines({"rare": card}, DEFAULTS, decisive=True)}


@pytest.mark.parametrize("seed", [0, 1])
def test_a_safe_table_is_never_held_back(seed):
    found = planted("safe", seed)
    assert found["rate of rare rows"] in ("PASS", "INFO")
    assert found["rare rows kept"] in ("PASS", "INFO")
    assert found["rare rows copied"] == "INFO"


def test_a_table_without_its_tail_fails():
    found = planted("drops", 0)
    assert found["rate of rare rows"] == "FAIL"
    assert found["rare rows kept"] == "FAIL"
    assert found["rare rows copied"] == "INFO"


@pytest.mark.parametrize("kind", ["copies", "copies to please"])
def test_a_copied_tail_fails(kind):
    assert planted(kind, 0)["rare rows copied"] == "FAIL"


def table(seed: int, rows: int, rare: float = 0.02) -> Dataset:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    ill = np.where(rng.random(rows) < rare, "ill", "well")
    schema = one_table("t", [Number(name="x"), Category(name="state")])
    return Dataset.single(schema, pa.table({"x": x, "state": pa.array(ill)}))


def measured(*data: Dataset, **options):
    samples = collect(*data, seed=0)
    options = {"target": "state", "found": None, **options}
    card = rare_events(samples, samples, data[0].schema, **options)
    return {entry.code: entry for entry in card.entries}, card


def test_the_rarest_answer_is_watched_and_its_loss_seen():
    real = [table(seed, 4000) for seed in range(3)]
    found, _ = measured(*real, table(3, 4000, rare=0.005))
    part = next(p for p in found["R3"].parts if p["group"] == "state = ill")
    assert part["ratio_high"] < 0.67
    assert found["R3"].value == pytest.approx(part["ratio"])


def test_named_levels_join_and_unknown_ones_are_refused():
    data = [table(seed, 500) for seed in range(4)]
    _, card = measured(*data, named={"state": ["well"]})
    assert [group["name"] for group in card.definition["groups"]] == ["state = well", "state = ill"]
    with pytest.raises(ColumnError, match="no level 'dead'"):
        measured(*data, named={"state": "dead"})
    with pytest.raises(ColumnError):
        measured(*data, named={"stat": "ill"})


def test_rare_cells_by_hand():
    """Reference and holdout share one rare cell (c, 4 rows); the synthetic table lacks it."""
    schema = one_table("t", [Category(name="a")])

    def of(values: str) -> Dataset:
        return Dataset.single(schema, pa.table({"a": pa.array(list(values))}))

    real = of("a" * 96 + "cc")
    samples = collect(real, real, real, of("a" * 97 + "z"), seed=0)
    (kept,) = rare_cells(samples, np.random.default_rng(0))
    assert (kept.rare, kept.synthetic, kept.train) == (1, 0, 1)
    assert kept.invented == pytest.approx(1 / 98)
    assert kept.fresh == 0.0


def history(seed: int, burst: bool) -> Dataset:
    """Twenty events for each of 15 people, in bursts or scattered over 200 rows."""
    rng = np.random.default_rng(seed)
    event = np.zeros((15, 200), bool)
    for row in event:
        starts = rng.choice(40, 4, replace=False) * 5
        places = [s + i for s in starts for i in range(5)] if burst else rng.choice(200, 20, False)
        row[places] = True
    owner = np.repeat(np.arange(15), 200)
    columns = [Identifier(name="who"), Number(name="when"), Category(name="state")]
    schema = one_table("t", columns, Unit(of="entity", table="t", column="who"))
    spec = schema.table().model_copy(update={"order_by": "when"})
    state = np.where(event.ravel(), "event", "calm")
    when = np.tile(np.arange(200.0), 15)
    cells = pa.table({"who": owner, "when": when, "state": pa.array(state)})
    order = pa.array(rng.permutation(3000))
    return Dataset.single(schema.with_table(spec), cells.take(order))


def test_scattered_events_are_told_from_bursts():
    bursts = [history(seed, True) for seed in range(3)]
    alike, _ = measured(*bursts, history(3, True))
    apart, _ = measured(*bursts, history(3, False))
    assert alike["R10"].low < 0.1
    assert apart["R10"].low > 0.5
    without_order, _ = measured(*[table(seed, 500) for seed in range(4)])
    assert "R10" not in without_order


@settings(max_examples=8, deadline=None)
@given(st.sampled_from([0, 1, 3, 10, 60]), st.sampled_from([0, 1, 3, 10, 60]))
def test_tiny_tables_are_measured_or_noted(real, made):
    data = [table(0, real), table(1, real), table(2, real), table(3, made)]
    found, card = measured(*data)
    assert found or card.notes
