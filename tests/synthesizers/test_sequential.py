"""The sequential engine: calendars in closed form, balances, what it refuses and reproduces."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from understudy.contracts import Model, Synthesizer
from understudy.data import Dataset
from understudy.errors import ColumnError, ConditionError, EngineError, FormatError
from understudy.schema import (
    Boolean,
    Category,
    Datetime,
    Identifier,
    Inequality,
    Number,
    Running,
    Schema,
    Table,
    Unit,
)
from understudy.synthesizers.registry import create, load_model
from understudy.synthesizers.sequential import Events, fit_histories, motifs
from understudy.synthesizers.sequential.clock import Calendar, Clock, day_of
from understudy.synthesizers.sequential.engine import SequentialSynthesizer
from understudy.synthesizers.sequential.labels import ranks
from understudy.synthesizers.sequential.payees import Degrees
from understudy.synthesizers.sequential.rhythms import chains

BEGIN, END = dt.date(2023, 1, 1), dt.date(2023, 12, 31)
RENT, PAY, SHOP, FEE = "rent", "pay", "shop", "fee"


def bank(entities: int = 150, seed: int = 0, extra: dict[int, int] | None = None) -> pa.Table:
    """Pay on a day of each month, rent to one landlord, a fee at each month's end, shopping.

    Spending never exceeds what is there. `extra` adds shopping events to some entities.
    """
    rng = np.random.default_rng(seed)
    rows: list[tuple[object, ...]] = []
    for entity in range(entities):
        opened = BEGIN + dt.timedelta(int(rng.integers(0, 200)))
        pay, rent = 1000 * rng.integers(2, 9), 100 * rng.integers(3, 9)
        pay_day, rent_day, landlord = rng.integers(1, 10), rng.integers(10, 28), 10**6 + entity
        events = [(opened, PAY, 500.0, None)]
        day = opened
        while day <= END:
            if day > opened and day.day == pay_day:
                events.append((day, PAY, float(pay), None))
            if day > opened and day.day == rent_day:
                events.append((day, RENT, float(rent), landlord))
            if (day + dt.timedelta(1)).day == 1:
                events.append((day, FEE, 4.5, None))
            day += dt.timedelta(1)
        for _ in range(rng.poisson(15) + (extra or {}).get(entity, 0)):
            at = opened + dt.timedelta(int(rng.integers(0, (END - opened).days + 1)))
            events.append((at, SHOP, float(np.round(rng.gamma(2, 20) + 1, 2)), None))
        events.sort(key=lambda e: (e[0], [PAY, RENT, SHOP, FEE].index(e[1])))
        balance = 0.0
        for day, kind, amount, payee in events:
            balance = round(balance + (amount if kind == PAY else -amount), 2)
            rows.append((7000 + entity, day, kind, amount, balance, payee, "xy"[entity % 2]))
    names = ("account", "day", "kind", "amount", "balance", "payee", "plan")
    return pa.table({n: list(c) for n, c in zip(names, zip(*rows, strict=True), strict=True)})


RULE = Running(column="balance", amount="amount", by=("account",), sign="kind", plus=(PAY,))
SPEC = Table(
    name="log",
    columns=(
        Identifier(name="account"),
        Datetime(name="day"),
        Category(name="kind"),
        Number(name="amount", decimals=2),
        Number(name="balance", decimals=2),
        Identifier(name="payee"),
        Category(name="plan"),
    ),
    order_by="day",
    constraints=(RULE,),
)
UNIT = Unit(of="entity", table="log", column="account")


@cache
def data() -> Dataset:
    return Dataset.single(Schema(tables=(SPEC,), unit=UNIT), bank())


@cache
def fitted() -> Model:
    return SequentialSynthesizer().fit(data())


def changed(**update: object) -> Dataset:
    spec = SPEC.model_copy(update=update)
    return Dataset.single(Schema(tables=(spec,), unit=UNIT), bank(12))


@given(st.integers(-2000, 30000), st.integers(1, 400), st.integers(-2000, 30000))
@settings(max_examples=200, deadline=None)
def test_gaps_come_back(previous: int, gap: int, other: int) -> None:
    day = np.array([previous, other], float)
    last = np.array([np.nan, gap], float)
    anchor = motifs.anchor_of(day)
    code, days = motifs.encode(day, day + gap, anchor, last, calendar=True)
    assert np.array_equal(motifs.decode(day, anchor, last, code, days), day + gap)


def test_a_month_is_the_same_day_or_the_month_s_last() -> None:
    day = np.array(["2024-01-31", "2024-01-15", "2024-02-29"], "datetime64[D]").astype(float)
    later = day_of(Calendar.of(day).month + 1, motifs.anchor_of(day))
    expected = np.array(["2024-02-29", "2024-02-15", "2024-03-31"], "datetime64[D]").astype(float)
    assert np.array_equal(later, expected)


def test_clocks_of_every_kind_come_back() -> None:
    stamps = pa.chunked_array([pa.array([-1, 0, 86_399_999, 10**12], pa.timestamp("ms"))])
    dates = pa.chunked_array([pa.array([-1, 0, 19_000], pa.int32()).cast(pa.date32())])
    for column in (stamps, dates, pa.chunked_array([[0.5, 3.25]]), pa.chunked_array([[1, 2]])):
        clock = Clock.fit("t", column)
        assert clock.write(*clock.read(column), column.type).equals(column.chunk(0))


def test_a_rhythm_is_told_from_chance() -> None:
    """Every 30 days among as many events at random: the chain is found, and little else."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(60), 24)
    day = np.concatenate(
        [np.r_[10 + g % 20 + 30 * np.arange(12), rng.integers(0, 365, 12)] for g in range(60)]
    ).astype(float)
    true = np.tile(np.r_[np.ones(12, bool), np.zeros(12, bool)], 60)
    order = np.lexsort((day, group))
    clock = Clock("t", "date")
    found = chains(group[order], np.zeros(len(day), np.int64), day[order], clock) >= 0
    assert np.mean(found[true[order]]) > 0.95
    assert np.mean(found[~true[order]]) < 0.15


@given(st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_labels_are_drawn_after_all_that_precedes_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = 60
    entity, payee = np.sort(rng.integers(0, 8, rows)), rng.integers(-1, 6, rows)
    day = np.concatenate([np.sort(rng.integers(0, 20, n)) for n in np.bincount(entity)])
    day, second = day.astype(float), np.zeros(rows)
    rank = np.full(rows, -1)
    for place, row in enumerate(ranks(entity, [payee], day, second)):
        assert len(np.unique(entity[row])) == len(row)
        rank[row] = place
    assert (rank >= 0).all()
    time = np.lexsort((np.arange(rows), day))
    for holder in (entity, payee):
        for each in range(8):
            mine = time[holder[time] == each]
            assert np.all(np.diff(rank[mine]) > 0)


def test_payees_are_met_by_as_many_entities_as_real_ones() -> None:
    column = pa.chunked_array([pa.array(np.repeat(np.arange(1000, 1100), 7))])
    degrees = Degrees.fit(column, np.arange(700))
    owner, made = degrees.share_out(700, seed=0, name="shop")
    assert np.bincount(owner).tolist() == [7] * 100
    assert not set(made.to_pylist()) & set(range(1000, 1100))


def test_protocols_schema_and_types() -> None:
    made = fitted().sample(40, seed=1)
    assert isinstance(create("sequential"), Synthesizer)
    assert isinstance(fitted(), Model)
    assert made.schema == data().schema
    assert made.table.schema.equals(data().table.schema)
    assert pc.count_distinct(made.table["account"]).as_py() == 40
    assert fitted().rows == 150


def test_same_seed_same_bytes_for_any_number_of_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    first = fitted().sample(60, seed=3)
    assert first.table.equals(SequentialSynthesizer().fit(data()).sample(60, seed=3).table)
    assert not first.table.equals(fitted().sample(60, seed=4).table)
    assert first.table.equals(fitted().sample(60, seed=3, workers=2).table)


def test_save_load_sample_are_equal(tmp_path: Path) -> None:
    fitted().save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    assert fitted().sample(20, seed=5).table.equals(again.sample(20, seed=5).table)
    assert not list((tmp_path / "model").rglob("*.pkl"))
    card = tmp_path / "model" / "model.json"
    card.write_text(card.read_text().replace('"format": 1', '"format": 99', 1))
    with pytest.raises(FormatError, match="Upgrade"):
        load_model(tmp_path / "model")


def test_balances_add_up_in_every_row() -> None:
    made = fitted().sample(150, seed=2).table
    cents = np.rint(100 * made["amount"].to_numpy()).astype(int)
    signed = np.where(np.array(made["kind"].to_pylist()) == PAY, cents, -cents)
    account = made["account"].to_numpy()
    first = np.r_[True, account[1:] != account[:-1]]
    total = np.cumsum(signed)
    start = np.repeat((total - signed)[first], np.diff(np.r_[np.flatnonzero(first), len(first)]))
    assert np.array_equal(np.rint(100 * made["balance"].to_numpy()).astype(int), total - start)


def test_days_are_in_order_within_each_entity() -> None:
    made = fitted().sample(150, seed=2).table
    account = made["account"].to_numpy()
    day = made["day"].cast(pa.int32()).to_numpy()
    same = account[1:] == account[:-1]
    assert np.all(np.diff(day)[same] >= 0)
    assert np.unique(account).size == 1 + np.sum(~same)


def test_fees_fall_on_month_ends_and_rents_repeat() -> None:
    made = fitted().sample(150, seed=2).table
    fees = made.filter(pc.equal(made["kind"], FEE))["day"].to_pylist()
    assert np.mean([(day + dt.timedelta(1)).day == 1 for day in fees]) > 0.98
    rents = made.filter(pc.equal(made["kind"], RENT)).to_pandas()
    by = rents.groupby("account")
    # The real share of both is 1.
    assert np.mean(by["amount"].nunique() == 1) > 0.9
    assert np.mean(by["payee"].nunique() == 1) > 0.9
    assert rents["payee"].notna().all()


def test_what_is_drawn_looks_like_what_was_learnt() -> None:
    """Events an entity, gaps and amounts against another real sample of the same world; a KS of
    two real samples of 150 entities exceeds these bounds with a chance below 1 in 1,000."""
    made, other = fitted().sample(150, seed=7).table, bank(150, seed=1)

    def counts(table: pa.Table) -> np.ndarray:
        return np.unique(table["account"].to_numpy(), return_counts=True)[1]

    def gaps(table: pa.Table) -> np.ndarray:
        account, day = table["account"].to_numpy(), table["day"].cast(pa.int32()).to_numpy()
        return np.diff(day)[account[1:] == account[:-1]]

    assert ks_2samp(counts(made), counts(other)).statistic < 0.23
    assert ks_2samp(gaps(made), gaps(other)).statistic < 0.08
    shop = [t.filter(pc.equal(t["kind"], SHOP))["amount"].to_numpy() for t in (made, other)]
    assert ks_2samp(*shop).statistic < 0.08


def test_no_identifier_is_real_and_no_history_is_copied() -> None:
    made, real = fitted().sample(150, seed=2).table, data().table
    for name in ("account", "payee"):
        assert not set(made[name].drop_null().to_pylist()) & set(real[name].to_pylist())

    def spent(table: pa.Table) -> set[tuple[float, ...]]:
        shop = table.filter(pc.equal(table["kind"], SHOP)).to_pandas()
        return {tuple(v) for v in shop.groupby("account")["amount"].agg(list) if len(v) > 2}

    assert not spent(made) & spent(real)


def test_bad_requests() -> None:
    with pytest.raises(EngineError, match=r"no clock.*order_by.*'day'"):
        SequentialSynthesizer().fit(changed(order_by=None))
    with pytest.raises(EngineError, match="whose histories"):
        SequentialSynthesizer().fit(Dataset.single(Schema(tables=(SPEC,)), bank(12)))
    with pytest.raises(EngineError, match="no privacy budget"):
        SequentialSynthesizer().fit(data(), privacy=object())
    with pytest.raises(ColumnError, match="Did you mean 'kind'"):
        SequentialSynthesizer(target="kindd").fit(data())
    with pytest.raises(EngineError, match="whole histories"):
        fitted().sample(5, where="amount > 3")
    with pytest.raises(EngineError, match="whole histories"):
        fitted().sample(5, balance={"kind": "uniform"})
    with pytest.raises(ConditionError, match="at least 1"):
        fitted().sample(0)


def test_a_missing_clock_is_named() -> None:
    table = bank(12)
    days = table["day"].to_pylist()
    days[3] = None
    table = table.set_column(1, "day", pa.array(days, pa.date32()))
    broken = Dataset.single(Schema(tables=(SPEC,), unit=UNIT), table)
    with pytest.raises(EngineError, match="'day' is missing in 1 of"):
        SequentialSynthesizer().fit(broken)


def test_events_say_what_is_wrong() -> None:
    table = pa.table({"t": [1, 2], "v": [1.0, 2.0]})
    context = pa.table({"c": [0]})
    with pytest.raises(ColumnError, match=r"Did you mean|Known"):
        Events(table, np.zeros(2, np.int64), context, "time")
    with pytest.raises(EngineError, match="no events"):
        Events(table.slice(0, 0), np.zeros(0, np.int64), context, "t")
    with pytest.raises(EngineError, match="row for each entity"):
        Events(table, np.ones(2, np.int64), context, "t")


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_tiny_tables(rows: int) -> None:
    table = bank(12).slice(0, rows)
    made = SequentialSynthesizer().fit(Dataset.single(Schema(tables=(SPEC,), unit=UNIT), table))
    assert pc.count_distinct(made.sample(3).table["account"]).as_py() <= 3


def test_constraints_hold_beside_the_balance() -> None:
    spec = Table(
        name="visits",
        columns=(
            Identifier(name="patient"),
            Datetime(name="came"),
            Number(name="low"),
            Number(name="high"),
            Boolean(name="ill"),
        ),
        order_by="came",
        constraints=(Inequality(low="low", high="high"),),
    )
    rng = np.random.default_rng(0)
    low = rng.normal(80, 9, 900)
    table = pa.table(
        {
            "patient": np.sort(rng.integers(0, 90, 900)),
            "came": pa.array(1_600_000_000 + rng.integers(0, 10**7, 900), pa.timestamp("s")),
            "low": low,
            "high": low + rng.gamma(3, 12, 900),
            "ill": rng.random(900) < 0.2,
        }
    )
    unit = Unit(of="entity", table="visits", column="patient")
    dataset = Dataset.single(Schema(tables=(spec,), unit=unit), table)
    made = SequentialSynthesizer().fit(dataset).sample(90).table
    assert pc.all(pc.less_equal(made["low"], made["high"])).as_py()
    assert abs(pc.mean(made["ill"].cast(pa.int8())).as_py() - 0.2) < 0.08


def test_a_number_is_a_clock_too() -> None:
    """Sensors read every 5 ticks, some now and then skipping; the level walks around its mean."""
    rng = np.random.default_rng(0)
    entity = np.repeat(np.arange(60), 40)
    tick = np.concatenate([np.cumsum(5 * (1 + (rng.random(40) < 0.1))) for _ in range(60)])
    level = rng.normal(0, 3, 60)[entity] + rng.normal(0, 1, len(entity))
    events = Events(
        pa.table({"tick": tick, "level": level}), entity, pa.table({"c": np.zeros(60)}), "tick"
    )
    table, owner = fit_histories(events, seed=0).draw(pa.table({"c": np.zeros(60)}), seed=1)
    gap = np.diff(table["tick"].to_numpy())[owner[1:] == owner[:-1]]
    assert set(np.unique(gap)) <= {5, 10}
    means = np.bincount(owner, table["level"].to_numpy()) / np.bincount(owner)
    # Means of 40 readings spread by 3 between entities; .16 if entities had no level of their own.
    assert np.std(means) > 1.5


def test_a_czech_bank_s_months_come_back(real_data: Callable[[str], Path]) -> None:
    """300 accounts of the bank: interest on month ends, standing orders that repeat, gaps."""
    real_data("berka")
    sequences = pytest.importorskip("benchmarks.sequences")
    accounts = np.unique(sequences.bank()["account_id"])
    train, other = accounts[:300], accounts[300:600]
    events = sequences.bank_events(train)
    model = fit_histories(events, seed=0)
    made = sequences.drawn_frame(*model.draw(events.context, seed=1))
    real = sequences.bank_frame(sequences.bank(), other)
    found = sequences.bank_figures(made, real)
    floor = sequences.bank_figures(sequences.bank_frame(sequences.bank(), train), real)
    assert found["balance identity"] == 1.0
    assert found["inter-event time KS"] <= floor["inter-event time KS"] + 0.05
    assert found["day of month TV"] <= floor["day of month TV"] + 0.05
    assert abs(found["repeated amounts"] - found["... held out "]) < 0.1
    interest = made[made["kind"] == "PRIJEM||UROK"]["day"].to_numpy() + 1
    first_of_month = interest.astype("datetime64[D]")
    assert np.mean(first_of_month == first_of_month.astype("datetime64[M]")) > 0.97
    assert sequences.copies(made, sequences.bank_frame(sequences.bank(), train)) == 0


def test_one_long_history_is_taken() -> None:
    """An entity alone with 3,000 events, two an hour."""
    rng = np.random.default_rng(0)
    seconds = 1_600_000_000 + np.cumsum(rng.exponential(1800, 3000)).astype(np.int64)
    table = pa.table({"t": pa.array(seconds, pa.timestamp("s")), "v": rng.normal(50, 5, 3000)})
    context = pa.table({"c": [0]})
    model = fit_histories(Events(table, np.zeros(3000, np.int64), context, "t"), seed=0)
    made, _ = model.draw(context, seed=1)
    assert made.num_rows == 3000
    assert ks_2samp(made["v"].to_numpy(), table["v"].to_numpy()).statistic < 0.06
