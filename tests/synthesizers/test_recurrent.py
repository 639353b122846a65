"""Histories by a recurrent network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.errors import EngineError, FormatError
from understudy.schema import Running
from understudy.synthesizers.sequential.clock import Calendar, Clock
from understudy.synthesizers.sequential.events import Events, codes
from understudy.synthesizers.sequential.heads import Window
from understudy.synthesizers.sequential.recurrent import (
    RecurrentHistories,
    Training,
    fit_recurrent,
)
from understudy.synthesizers.sequential.recurrent.forward import chances, gap_logits
from understudy.synthesizers.sequential.recurrent.gaps import Gaps
from understudy.synthesizers.sequential.recurrent.layout import KNOWN, Layout
from understudy.synthesizers.sequential.recurrent.lengths import with_length
from understudy.synthesizers.sequential.recurrent.memory import Memory
from understudy.synthesizers.sequential.recurrent.rows import appearance

torch = pytest.importorskip("torch")

BEGIN = np.datetime64("2023-01-01", "D")
QUICK = Training(width=32, hidden=48, batch=16, epochs=8, rate=1e-2)


def bank(accounts: int = 300, seed: int = 0, months: int = 6) -> Events:
    """A salary on the account's own day, a rent of the same amount to the same landlord on the 5th,
    and shopping in between; the rich ones' salary is larger."""
    rng = np.random.default_rng(seed)
    day, entity, kind, amount, payee = [], [], [], [], []
    rich = rng.random(accounts) < 0.5
    for i in range(accounts):
        payday, rent = rng.integers(20, 29), int(rng.integers(300, 900))
        for month in range(months):
            first = (np.datetime64("2023-01", "M") + month).astype("datetime64[D]")
            events = [
                (first + payday - 1, "salary", 4000.0 if rich[i] else 2000.0, None),
                (first + 4, "rent", float(rent), f"L{i}"),
            ]
            for _ in range(rng.poisson(2)):
                spent = float(np.round(rng.gamma(2, 30), 2))
                events.append((first + rng.integers(0, 27), "shop", spent, None))
            for one in sorted(events):
                day.append(one[0])
                entity.append(i)
                kind.append(one[1])
                amount.append(one[2])
                payee.append(one[3])
    table = pa.table(
        {
            "day": pa.array(np.array(day, "datetime64[D]")),
            "kind": kind,
            "amount": amount,
            "balance": np.zeros(len(day)),
            "payee": pa.array(payee, pa.string()),
        }
    )
    context = pa.table({"segment": np.where(rich, "rich", "poor")})
    rule = Running(
        column="balance", amount="amount", by=("account",), sign="kind", plus=("salary",)
    )
    return Events(table, np.array(entity), context, "day", running=(rule,), payees=("payee",))


@pytest.fixture(scope="module")
def fitted() -> tuple[Events, RecurrentHistories]:
    events = bank()
    return events, fit_recurrent(events, seed=0, training=QUICK)


def test_drawn_histories_keep_the_calendar(fitted: tuple[Events, RecurrentHistories]) -> None:
    """Rents fall on the 5th, one a month; salaries on a day that each account keeps."""
    events, model = fitted
    table, entity = model.draw(events.context, seed=1)
    frame = table.select(["day", "kind", "amount"]).to_pandas().assign(entity=entity)
    frame["of month"] = Calendar.of(table["day"].cast(pa.int32()).to_numpy().astype(float)).day
    rents = frame[frame["kind"] == "rent"]
    assert (rents["of month"] == 5).mean() > 0.95
    each = len(rents) / (6 * events.context.num_rows)
    assert 0.9 < each < 1.1
    salaries = frame[frame["kind"] == "salary"]
    usual = salaries.groupby("entity")["of month"].transform(lambda days: days.mode().iloc[0])
    # By chance, one of nine days would be kept.
    assert (salaries["of month"] == usual).mean() > 0.7


def test_the_context_is_heeded(fitted: tuple[Events, RecurrentHistories]) -> None:
    events, model = fitted
    table, entity = model.draw(events.context, seed=2)
    rich = (events.context["segment"].to_numpy(zero_copy_only=False) == "rich")[entity]
    salary = table["kind"].to_numpy(zero_copy_only=False) == "salary"
    large = table["amount"].to_numpy() > 3000
    # Without its context, half of each would be large.
    assert np.mean(large[salary & rich]) > 0.75
    assert np.mean(large[salary & ~rich]) < 0.25


def test_amounts_and_payees_come_back(fitted: tuple[Events, RecurrentHistories]) -> None:
    """A landlord stays, so does the rent, and no landlord is a real one."""
    events, model = fitted
    table, entity = model.draw(events.context, seed=3)
    frame = table.to_pandas().assign(entity=entity)
    rents = frame[frame["payee"].notna()].groupby("entity")
    again = rents["payee"].apply(lambda p: (p == p.shift()).iloc[1:].mean())
    same = rents["amount"].apply(lambda a: (a == a.shift()).iloc[1:].mean())
    assert again.mean() > 0.9
    assert same.mean() > 0.8
    assert not set(frame["payee"].dropna()) & set(events.table["payee"].to_pylist())


def test_balances_add_up_and_time_goes_on(fitted: tuple[Events, RecurrentHistories]) -> None:
    events, model = fitted
    table, entity = model.draw(events.context, seed=4)
    frame = table.to_pandas().assign(entity=entity)
    cents = np.rint(frame["amount"] * 100) * np.where(frame["kind"] == "salary", 1, -1)
    total = cents.groupby(frame["entity"]).cumsum()
    assert (np.rint(frame["balance"] * 100) == total).all()
    day = table["day"].cast(pa.int32()).to_numpy()
    assert np.all((np.diff(day) >= 0) | (np.diff(entity) != 0))
    assert table["day"].to_numpy().max() <= events.table["day"].to_numpy().max()
    assert table.schema == events.table.schema


def test_workers_and_seeds(
    fitted: tuple[Events, RecurrentHistories], monkeypatch: pytest.MonkeyPatch
) -> None:
    from understudy.synthesizers.sequential.recurrent import model as module

    events, model = fitted
    monkeypatch.setattr(module, "SHARD", 20)
    few = events.context.slice(0, 60)
    one, two = (model.draw(few, seed=5, workers=w) for w in (1, 2))
    assert one[0].equals(two[0])
    assert np.array_equal(one[1], two[1])
    assert not one[0].equals(model.draw(few, seed=6)[0])


def test_saved_and_loaded(fitted: tuple[Events, RecurrentHistories], tmp_path: Path) -> None:
    events, model = fitted
    model.save(tmp_path / "model")
    again = RecurrentHistories.load(tmp_path / "model")
    assert again.draw(events.context, seed=7)[0].equals(model.draw(events.context, seed=7)[0])
    (tmp_path / "model" / "model.json").write_text('{"format": 99}')
    with pytest.raises(FormatError, match="format 99"):
        RecurrentHistories.load(tmp_path / "model")


def test_the_same_seed_learns_the_same() -> None:
    events = bank(30, months=3)
    short = Training(width=8, hidden=8, epochs=2)
    one, two = (fit_recurrent(events, seed=3, training=short) for _ in range(2))
    assert one.draw(events.context, seed=0)[0].equals(two.draw(events.context, seed=0)[0])


def test_numpy_draws_from_what_torch_learnt(fitted: tuple[Events, RecurrentHistories]) -> None:
    """Chances of the first event's tokens, by both."""
    from understudy.synthesizers.sequential.recurrent.network import Network, Shape
    from understudy.synthesizers.tabular.neural.tokens import encoded

    events, model = fitted
    layout, gaps, forward = model.drawing.layout, model.drawing.gaps, model.drawing.forward
    after = 1 + len(layout.payees)
    shape = Shape(
        layout.sizes, gaps.outputs, gaps.single, forward.context, 0, layout.recurring,
        tuple(layout.sizes[t] for t in layout.said),
        tuple(layout.sizes[t] for t in layout.counted), after, after + len(layout.said),
        QUICK.width, QUICK.hidden, 0.0,
    )  # fmt: skip
    width = Memory.width(layout, 1)
    network = Network(Shape(**{**shape.__dict__, "before": width}))
    network.load_state_dict({n: torch.from_numpy(a) for n, a in forward.weights.items()})
    rng = np.random.default_rng(0)
    lengths = np.full(events.context.num_rows, 9)
    context = encoded(with_length(events.context, lengths), model.context)[:20]
    before = rng.normal(size=(20, width)).astype(np.float32)
    previous = np.column_stack([rng.integers(0, size + 1, 20) for size in layout.sizes])
    dated = gaps.places(gaps.window.begin + rng.integers(0, 100, 20).astype(float))
    with torch.no_grad():
        state, steady = network.start(torch.from_numpy(context))
        x = network.inward.total(torch.from_numpy(previous))
        x = x + network.before(torch.from_numpy(before))
        x = x + network.dated(torch.from_numpy(dated)).sum(1) + steady
        seen, _ = network.gru(x[:, None], state[None])
        now = network.now(torch.from_numpy(before))
        sums = network.outward(seen[:, 0]) + now + network.place.weight[0]
        told = network.head(network.trunk(sums), 0).numpy()
    own, stays = forward.start(context)
    own = forward.step(own, forward.input(previous, before, dated, stays))
    assert np.allclose(own, seen[:, 0].numpy(), atol=1e-5)
    assert np.allclose(forward.logits(forward.begin(own, before), 0), told, atol=1e-4)


def test_likelihoods_sum_to_one() -> None:
    """Over every code of the gap: codes inside the window, and the end for all beyond."""
    from understudy.synthesizers.sequential.recurrent.network import FAR

    window = Window(0.0, 40.0)
    gaps = Gaps.fit(np.arange(100.0), Clock("day", "date"), window)
    rng = np.random.default_rng(1)
    day = np.array([0.0, 20.0, 40.0])
    told = rng.normal(size=(3, gaps.outputs)).astype(np.float32)
    expected = rng.integers(0, 3, (3, gaps.single)).astype(np.float32)
    share = chances(gap_logits(told, gaps, day, expected))
    beyond = gaps.beyond(day)
    inside = np.where(beyond, 0, share).sum(1)
    assert np.allclose(inside + np.where(beyond, share, 0).sum(1), 1)
    assert beyond.sum(1).tolist() == [gaps.end + 1 - 41, gaps.end + 1 - 21, gaps.end + 1 - 1]
    assert FAR < -1e6


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=60), st.booleans())
def test_gaps_come_back_within_their_bin(values: list[int], calendar: bool) -> None:
    gaps_ = np.array(values, float)
    clock = Clock("t", "date") if calendar else Clock("t", "number")
    gaps = Gaps.fit(gaps_, clock, Window(0.0, 3000.0))
    code = gaps.encode(gaps_)
    assert code.max() < gaps.end
    drawn = gaps.draw(code, np.random.default_rng(0))
    assert np.array_equal(gaps.encode(drawn), code)
    alone = code < gaps.single
    assert np.array_equal(drawn[alone], gaps_[alone])


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 5)), max_size=60))
def test_payees_by_recency_come_back(events: list[tuple[int, int]]) -> None:
    """Codes of payees lead to the same payees when the history is lived again."""
    ordered = sorted(events, key=lambda e: e[0])
    entity = np.array([e[0] for e in ordered], np.int64)
    payee = appearance(entity, np.array([e[1] for e in ordered], np.int64))
    layout = Layout(1, 0.0, ("to",), (), (), (), {}, {}, {})
    first, second = (
        Memory.empty(layout, np.zeros(4), 1.0, {}, {}, False, np.zeros(4, int)) for _ in range(2)
    )
    rng, zero = np.random.default_rng(0), np.zeros(1)
    for one, whom in zip(entity, payee, strict=True):
        at = np.array([one])
        code = first.code_of(at, "to", np.array([whom]))
        assert code[0] < first.reach(at, "to")[0]
        found = second.payee_of(at, "to", code, rng)
        assert found[0] == whom
        tokens = np.zeros((1, 2), np.int64)
        for memory in (first, second):
            memory.absorb(at, zero, zero, found[:, None], tokens, {}, {})


def test_what_is_due_is_due_once() -> None:
    """A month later, clamped at the month's end, until something like it has come."""
    layout = Layout(70, 0.0, ("to",), (), (), (), {}, {}, {})
    begin = np.datetime64("2023-01-31").astype("datetime64[D]").astype(float)
    memory = Memory.empty(layout, np.array([begin]), begin + 400, {}, {}, True, np.array([2]))
    at, tokens, one = np.array([0]), np.zeros((1, 2), np.int64), np.array([[0]])
    memory.absorb(at, np.array([begin]), np.zeros(1), one, tokens, {}, {})
    assert np.flatnonzero(memory.coming(at, 62)[0]).tolist() == [28]
    due = np.array([begin + 28])
    assert memory.due_on(at, due)[0, 0] == KNOWN + 1
    memory.absorb(at, due, np.zeros(1), one, tokens, {}, {})
    # The last day of February was one of a month's last days.
    assert np.flatnonzero(memory.coming(at, 62)[0]).tolist() == [31]
    assert memory.due_on(at, due)[0, 0] == 0


def test_a_number_as_a_clock_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    table = pa.table({"tick": np.cumsum(rng.exponential(3, 400))})
    events = Events(table, np.repeat(np.arange(40), 10), pa.table({"a": np.zeros(40)}), "tick")
    model = fit_recurrent(events, seed=0, training=Training(width=8, hidden=8, epochs=2))
    drawn, entity = model.draw(events.context, seed=0)
    assert drawn.schema == table.schema
    tick = drawn["tick"].to_numpy()
    assert np.all((np.diff(tick) >= 0) | (np.diff(entity) != 0))


def test_times_of_day_never_go_back() -> None:
    rng = np.random.default_rng(0)
    second = np.sort(rng.integers(0, 3 * 86_400, (60, 12)), axis=1).ravel()
    moment = BEGIN.astype("datetime64[s]") + second
    flag = (rng.random(len(moment)) < 0.2).astype(np.int64)
    table = pa.table({"at": moment, "shop": rng.integers(0, 9, len(moment)), "bad": flag})
    entity = np.repeat(np.arange(60), 12)
    events = Events(table, entity, pa.table({"a": np.zeros(60)}), "at", payees=("shop",))
    model = fit_recurrent(events, seed=0, training=Training(width=16, hidden=16, epochs=4))
    drawn, whose = model.draw(events.context, seed=0)
    moments = drawn["at"].to_numpy().astype(np.int64)
    assert np.all((np.diff(moments) >= 0) | (np.diff(whose) != 0))
    assert set(drawn["bad"].to_pylist()) <= {0, 1}
    assert not set(drawn["shop"].to_pylist()) & set(range(9))


def test_a_clock_with_gaps_is_refused() -> None:
    table = pa.table({"at": pa.array([1, None])})
    events = Events(table, np.array([0, 0]), pa.table({"a": [0]}), "at")
    with pytest.raises(EngineError, match="missing in 1 of 2 rows"):
        fit_recurrent(events, seed=0)


def test_on_the_czech_bank(real_data: Callable[[str], Path]) -> None:
    """A few epochs on some accounts: balances hold, and days are already the bank's days."""
    import duckdb
    from benchmarks.berka import BALANCE, QUERIES

    folder = real_data("berka")
    db = duckdb.connect()
    trans = db.sql(
        f"select * from ({QUERIES['trans'].format(folder)}) where account_id < 1000 "
        "order by account_id, date, trans_id"
    ).to_arrow_table()
    entity = codes(trans["account_id"])
    context = pa.table({"account": np.arange(entity.max() + 1) % 2})
    table = trans.drop_columns(["trans_id", "account_id"])
    events = Events(table, entity, context, "date", running=(BALANCE,), payees=("account",))
    model = fit_recurrent(events, seed=0, training=Training(hidden=64, batch=16, epochs=3))
    drawn, whose = model.draw(context, seed=1)
    plus = drawn["type"].to_numpy(zero_copy_only=False) == "PRIJEM"
    cents = np.rint(drawn["amount"].to_numpy() * 100).astype(np.int64) * np.where(plus, 1, -1)
    total = np.cumsum(cents)
    start = np.flatnonzero(np.r_[True, np.diff(whose) != 0])
    before = np.repeat(np.r_[0, total][start], np.diff(np.r_[start, len(whose)]))
    assert np.array_equal(np.rint(drawn["balance"].to_numpy() * 100), total - before)
    shares = [_days(drawn), _days(table)]
    assert np.abs(shares[0] - shares[1]).sum() / 2 < 0.15


def _days(table: pa.Table) -> np.ndarray:
    day = Calendar.of(table["date"].cast(pa.int32()).to_numpy().astype(float)).day
    return np.bincount(day.astype(int), minlength=32) / len(day)
