"""Measures of databases: closed forms, planted defects, and floors that real samples keep.

Samples are fixed by their seeds; what is said of chance is said of the draw of those.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.data.random_databases import banks
from tests.evaluation import czech_bank, small_bank
from understudy.data import Dataset
from understudy.encoding.profiles import ENTITY, Profiler
from understudy.errors import ColumnError, SourceError
from understudy.evaluation import evaluate_database
from understudy.evaluation.discriminator import c2st
from understudy.evaluation.relational.association import associations, modal
from understudy.evaluation.relational.comparing import Items, compare, draw, ordered
from understudy.evaluation.relational.database import Database, database, entities
from understudy.evaluation.relational.integrity import foreign_keys, primary_keys
from understudy.evaluation.relational.judging import target_of
from understudy.evaluation.relational.structure import child_counts, pairings
from understudy.evaluation.relational.workload import Query, drawn, error
from understudy.evaluation.samples import Feature
from understudy.evaluation.sequential import sequences
from understudy.evaluation.sequential.histories import histories
from understudy.evaluation.sequential.identities import declared, holds
from understudy.evaluation.sequential.marks import Lagged
from understudy.evaluation.sequential.timing import calendar, gaps, lengths
from understudy.release.database_lines import database_lines
from understudy.release.thresholds import DEFAULTS
from understudy.schema import ForeignKey, Identifier, Number, Schema, Table, Unit

REAL = {"train": (700, 1), "holdout": (400, 2), "reference": (200, 3)}


@pytest.fixture(scope="module")
def real() -> dict[str, Dataset]:
    return {role: small_bank.draw(size, seed) for role, (size, seed) in REAL.items()}


def _base(real: dict[str, Dataset], synthetic: Dataset) -> Database:
    return database(real["train"], real["holdout"], real["reference"], synthetic, seed=0)


def _rulings(real: dict[str, Dataset], synthetic: Dataset) -> dict[str, str]:
    card = evaluate_database(*real.values(), synthetic).as_dict()
    return {line.name: line.ruling for line in database_lines(card, DEFAULTS, decisive=True)}


# --- closed forms ---------------------------------------------------------------------------------


def _orders(counts: list[int]) -> Dataset:
    """People with so many orders each, and nothing else."""
    schema = Schema(
        tables=(
            Table(name="person", columns=(Identifier(name="id"),), primary_key=("id",)),
            Table(
                name="order",
                columns=(Identifier(name="person"), Number(name="x")),
                foreign_keys=(ForeignKey(columns=("person",), table="person", references=("id",)),),
            ),
        ),
        unit=Unit(of="entity", table="person", column="id"),
    )
    owner = np.repeat(np.arange(len(counts)), counts)
    return Dataset(
        schema,
        {
            "person": pa.table({"id": np.arange(len(counts))}),
            "order": pa.table({"person": owner, "x": np.ones(len(owner))}),
        },
    )


def test_child_counts_are_a_kolmogorov_smirnov_distance_with_childless_parents() -> None:
    # Train: 0, 1, 1, 2. Synthetic: 0, 0, 0, 2. Up to 0 lie a quarter and three quarters: .5.
    train, synthetic = _orders([0, 1, 1, 2]), _orders([0, 0, 0, 2])
    base = database(train, train, train, synthetic, seed=0)
    found = compare(child_counts(base), draw(base.entities, np.random.default_rng(0)))
    assert found.values.tolist() == [0.5]
    assert found.names == ("children by order.person -> person",)


def test_an_orphan_and_a_repeated_key_are_counted() -> None:
    data = _orders([1, 2, 0])
    data = small_bank.changed(data, "order", person=[0, 1, 7])
    data = small_bank.changed(data, "person", id=[0, 1, 1])
    (foreign,), (primary,) = foreign_keys(data), primary_keys(data)
    assert (foreign.values, foreign.broken) == (3, 1)
    assert foreign.share == pytest.approx(2 / 3)
    assert (primary.values, primary.broken) == (3, 2)


def test_an_empty_foreign_key_points_nowhere_and_is_no_orphan() -> None:
    data = small_bank.changed(_orders([1, 2]), "order", person=pa.array([None, 1, 0]))
    assert [(one.values, one.broken) for one in foreign_keys(data)] == [(2, 0)]


def test_pairs_of_parents_are_counted_with_their_degrees() -> None:
    key = lambda column, table: ForeignKey(columns=(column,), table=table, references=("id",))  # noqa: E731
    ids = Table(name="a", columns=(Identifier(name="id"),), primary_key=("id",), role="owned")
    link = Table(
        name="link",
        columns=(Identifier(name="a"), Identifier(name="b")),
        foreign_keys=(key("a", "a"), key("b", "b")),
    )
    schema = Schema(
        tables=(ids, ids.model_copy(update={"name": "b"}), link),
        unit=Unit(of="entity", table="a", column="id"),
    )

    def made(a: list[int], b: list[int]) -> Dataset:
        three = pa.table({"id": [0, 1, 2]})
        return Dataset(schema, {"a": three, "b": three, "link": pa.table({"a": a, "b": b})})

    once, twice = made([0, 1, 2], [0, 1, 2]), made([0, 0, 2], [0, 0, 2])
    base = database(once, once, once, twice, seed=0)
    found = compare(pairings(base), draw(base.entities, np.random.default_rng(0)))
    values = dict(zip(found.names, found.values, strict=True))
    # Two of three rows have parents of degree 2, where all had 1; one of two pairs repeats.
    assert values["joint degrees, link of a and b"] == pytest.approx(2 / 3)
    assert values["rows a pair, link of a and b"] == pytest.approx(1 / 2)


def test_the_commonest_level_of_children() -> None:
    owner, codes = np.array([0, 0, 0, 2, 2, -1]), np.array([3, 1, 1, 4, 2, 0])
    # Owner 1 has no children; owner 2 has two levels as often, and the lower one counts.
    assert modal(owner, codes, 3, 5).tolist() == [1, 5, 2]


def test_errors_of_answers_are_relative_over_groups() -> None:
    query = Query("t", "COUNT", "", ())
    real = {"a": (0.5, 0.5), "b": (0.5, 0.5)}
    assert error(query, real, {"a": (0.75, 0.75), "b": (0.25, 0.25)}) == pytest.approx(0.5)
    assert error(query, real, {}) == pytest.approx(1.0)
    assert np.isnan(error(query, {}, real))
    mean = Query("t", "AVG", "", ())
    assert error(mean, {None: (0.1, 10.0)}, {None: (0.9, 12.0)}) == pytest.approx(0.2)


def test_a_workload_is_drawn_with_its_seed_and_runs(real: dict[str, Dataset]) -> None:
    base = _base(real, real["train"])
    texts = [[str(q) for q in drawn(base, np.random.default_rng(5), 30)] for _ in range(2)]
    assert texts[0] == texts[1]
    assert any("JOIN" in text and "GROUP BY" in text for text in texts[0])


def test_lagged_correlation_is_numpys_under_equal_weights() -> None:
    pairs = np.random.default_rng(0).random((50, 2))
    one = Lagged("x", {"train": pairs}, {"train": np.zeros(50, np.int64)})
    assert one.of("train", np.ones(2))[0] == pytest.approx(np.corrcoef(pairs.T)[0, 1])


def test_gaps_lengths_and_calendar_by_hand(real: dict[str, Dataset]) -> None:
    base = _base(real, real["train"])
    (found,) = histories(base)
    rows = real["train"].tables["visit"].to_pandas().sort_values(["person", "day"], kind="stable")
    days = rows["day"].astype("datetime64[s]")
    expected = days.groupby(rows["person"]).diff().dt.days.to_numpy()
    assert np.array_equal(found.gaps("train"), expected, equal_nan=True)
    weights = np.ones(base.entities["train"] + 1)
    counts = np.bincount(rows.groupby("person").size())
    length = lengths(found)
    assert isinstance(length, Items)
    shares = dict(zip(length.points, length.of("train", weights), strict=True))
    assert shares == pytest.approx(
        {n: counts[int(n)] / counts.sum() if n < len(counts) else 0.0 for n in length.points}
    )
    weekday = next(one for one in calendar(found) if one.name == "weekday")
    tally = days.dt.day_of_week.value_counts(normalize=True).sort_index().to_numpy()
    assert weekday.of("train", weights) == pytest.approx(tally)


def test_a_running_balance_holds_to_the_cent(real: dict[str, Dataset]) -> None:
    data = real["train"]
    spec, table = data.schema.table("visit"), data.tables["visit"]
    (rule,) = declared(spec)
    assert holds(rule, spec, table).all()
    balance = table["balance"].to_numpy().copy()
    balance[17] += 0.01
    broken = small_bank.changed(data, "visit", balance=balance).tables["visit"]
    # The row itself, and the one that follows from it.
    assert (~holds(rule, spec, broken)).sum() == 2


# --- properties -----------------------------------------------------------------------------------


@settings(max_examples=15)
@given(st.integers(0, 2**31), st.integers(3, 30))
def test_profiles_do_not_depend_on_the_order_of_child_rows(seed: int, people: int) -> None:
    data = small_bank.draw(people, 4)
    # Days without ties, or the latest of two rows on one day would be the one that comes last.
    data = small_bank.changed(
        data, "visit", day=np.arange(data.tables["visit"].num_rows, dtype=np.int32)
    )
    order = np.random.default_rng(seed).permutation(data.tables["visit"].num_rows)
    moved = Dataset(
        data.schema, {**data.tables, "visit": data.tables["visit"].take(pa.array(order))}
    )
    profiler = Profiler.fit(data, entities(data))
    ours, theirs = (profiler.profiles(one, entities(one)).table for one in (data, moved))
    assert ours.num_rows == people
    assert ours.equals(theirs)


@settings(max_examples=25)
@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=40),
    st.lists(st.integers(0, 5), min_size=1, max_size=40),
)
def test_distances_are_symmetric_bounded_and_nothing_for_equals(a: list[int], b: list[int]) -> None:
    values = {"train": np.array(a, float), "synthetic": np.array(b, float)}
    owner = {role: np.zeros(len(found), np.int64) for role, found in values.items()}
    one = ordered("x", values, owner)
    left, right = (one.of(role, np.ones(2)) for role in values)
    assert one.distance(left, left) == 0
    assert one.distance(left, right) == pytest.approx(one.distance(right, left))
    assert 0 <= one.distance(left, right) <= 1


# --- floors and planted defects -------------------------------------------------------------------


def test_a_fresh_draw_is_as_near_as_real_samples_are(real: dict[str, Dataset]) -> None:
    """Every measure against the holdout at most twice its floor or .02: of 40 measures, means of
    eight draws that scatter by a third, fewer than one in a hundred lies beyond by chance."""
    fresh = small_bank.draw(700, 9)
    card = evaluate_database(*real.values(), fresh, target="person.job")
    held = {n: m for n, m in card.measurements.items() if n.endswith("_holdout")}
    assert len(held) > 15
    beyond = {n for n, m in held.items() if m.value > max(2 * m.floor, 0.02)}
    assert beyond <= {n for n in held if "worst" in n or "tails" in n}
    judge = card.measurements["c2st"]
    assert judge.low <= 0.5 <= judge.high
    lines = database_lines(card.as_dict(), DEFAULTS, decisive=True)
    assert {one.ruling for one in lines} <= {"PASS", "INFO"}
    assert {"keys", "balances", "worst pair"} <= {one.name for one in lines if one.ruling == "PASS"}
    assert {one.model for one in card.utility} >= {"boosted trees", "linear"}
    assert card.unit == "person.id"


def test_shuffled_parents_are_found(real: dict[str, Dataset]) -> None:
    fresh = small_bank.draw(700, 9)
    owner = np.random.default_rng(0).permutation(fresh.tables["account"]["person"].to_numpy())
    rulings = _rulings(real, small_bank.changed(fresh, "account", person=owner))
    # Every parent has as many children as before, and no child fits its parent.
    assert rulings["children"] == "PASS"
    assert rulings["worst pair"] == "FAIL"


def test_shifted_gaps_are_found(real: dict[str, Dataset]) -> None:
    fresh = small_bank.draw(700, 9)
    days = fresh.tables["visit"]["day"].cast(pa.int32()).to_numpy()
    rulings = _rulings(real, small_bank.changed(fresh, "visit", day=2 * days))
    assert rulings["histories of visit"] == "FAIL"


def test_orphans_broken_balances_and_too_few_children_fail(real: dict[str, Dataset]) -> None:
    few = small_bank.draw(700, 9, visits=3.0)
    owner = few.tables["visit"]["person"].to_numpy().copy()
    owner[0] = -1
    balance = few.tables["visit"]["balance"].to_numpy().copy()
    balance[9] += 0.01
    rulings = _rulings(real, small_bank.changed(few, "visit", person=owner, balance=balance))
    assert {rulings[name] for name in ("keys", "balances", "children")} == {"FAIL"}


def test_floors_do_not_know_who_made_the_sample(real: dict[str, Dataset]) -> None:
    """Train in the synthetic's place scores what its floor says: they are one computation."""
    base = _base(real, real["train"])
    found = compare(child_counts(base), draw(base.entities, np.random.default_rng(1)))
    assert found.values.tolist() == [0.0] * len(found)
    ratio = found.held.mean() / found.held_floors.mean()
    assert 0.7 < ratio < 1.4


def test_pairs_two_keys_apart_are_named(real: dict[str, Dataset]) -> None:
    made = associations(_base(real, real["train"]))
    names = {one.name for one in made.two_hops()}
    assert "visit.kind × town.region" in names
    assert "mean visit.amount × person.age" in names
    assert "number of account × commonest visit.kind" in names


def test_rows_of_one_entity_stay_in_one_fold() -> None:
    """A thousand rows of ten strangers each: a judge that met them would know them again."""
    rng = np.random.default_rng(0)
    owners = {role: np.repeat(np.arange(10), 100) for role in ("holdout", "synthetic")}
    values = {r: rng.normal(size=10)[codes] + 0.01 for r, codes in owners.items()}
    values["reference"] = values["holdout"]
    feature = Feature("x", "number", True, pa.float64(), (), values)
    met = c2st([feature], "holdout", "synthetic", np.random.default_rng(1))
    apart = c2st([feature], "holdout", "synthetic", np.random.default_rng(1), owners=owners)
    assert met is not None
    assert apart is not None
    assert met.value > 0.99
    assert apart.low < 0.6
    assert apart.high - apart.low > 10 * (met.high - met.low)


# --- entry ----------------------------------------------------------------------------------------


def test_a_target_is_named_by_table_and_column(real: dict[str, Dataset]) -> None:
    base = _base(real, real["train"])
    assert target_of(base, "visit.kind") == ("visit", "kind")
    assert target_of(base, "job") == ("person", "job")
    with pytest.raises(ColumnError, match=r"visit\.kind"):
        target_of(base, "visit.kin")


def test_the_card_is_deterministic_json() -> None:
    samples = [small_bank.draw(size, seed) for seed, size in enumerate((150, 80, 60, 150), 20)]
    texts = [
        json.dumps(evaluate_database(*samples, seed=3).as_dict(), allow_nan=False) for _ in range(2)
    ]
    assert texts[0] == texts[1]
    assert json.loads(texts[0])["kind"] == "database"


def test_an_empty_child_table_is_measured_around(real: dict[str, Dataset]) -> None:
    fresh = small_bank.draw(300, 5)
    without = Dataset(
        fresh.schema, {**fresh.tables, "account": fresh.tables["account"].slice(0, 0)}
    )
    card = evaluate_database(*real.values(), without)
    assert card.measurements["child_counts"].value > 0.1


def test_profiles_have_a_row_an_entity_and_its_number(real: dict[str, Dataset]) -> None:
    data = real["reference"]
    found = Profiler.fit(data, entities(data)).profiles(data, entities(data)).table
    assert found[ENTITY].to_pylist() == list(range(200))
    sums = data.tables["visit"].group_by("person").aggregate([("amount", "sum")])
    total = dict(zip(sums["person"].to_pylist(), sums["amount_sum"].to_pylist(), strict=True))
    ids = data.tables["person"]["id"].to_pylist()
    assert found["visit.amount total"].to_pylist() == pytest.approx([total[i] for i in ids])
    assert found["person.job"].to_pylist() == data.tables["person"]["job"].to_pylist()


def test_gaps_of_two_samples_lie_where_two_real_samples_do(real: dict[str, Dataset]) -> None:
    base = _base(real, small_bank.draw(700, 11))
    (found,) = histories(base)
    one = compare([gaps(found)], draw(base.entities, np.random.default_rng(0)))
    assert one.held.mean() < 2 * max(0.02, one.held_floors.mean())
    assert sequences(base, draw(base.entities, np.random.default_rng(0)))[0].kind == "kind"


def test_on_the_czech_bank(real_data: Callable[[str], Path]) -> None:
    """Part of the accounts learnt from, as synthetic, stand beside held-out ones as floors say."""
    seed = 0
    train, holdout, reference = czech_bank.parts(real_data("berka"), seed)
    learnt, fresh = czech_bank.part(train, 0.6, seed)
    card = evaluate_database(learnt, holdout, reference, fresh, target="loan.status", seed=seed)
    lines = database_lines(card.as_dict(), DEFAULTS, decisive=True)
    assert not [line.detail for line in lines if line.ruling == "FAIL"]
    measured = card.measurements
    for name in ("parent_child", "two_hop"):
        one = measured[f"{name}_holdout"]
        assert one.value < 1.2 * one.floor
    assert measured["c2st"].low <= 0.5 + (measured["c2st"].floor - 0.5)
    assert measured["integrity"].value == 1.0


@settings(max_examples=10, suppress_health_check=list(HealthCheck))
@given(banks(), banks(), banks(), banks())
def test_any_database_is_measured_or_refused(
    train: Dataset, holdout: Dataset, reference: Dataset, synthetic: Dataset
) -> None:
    """Joint accounts, transfers, hierarchies, orphans, repeated keys, nobody at all."""
    others = (replace(one, schema=train.schema) for one in (holdout, reference, synthetic))
    try:
        card = evaluate_database(train, *others)
    except SourceError:
        return
    json.dumps(card.as_dict(), allow_nan=False)
