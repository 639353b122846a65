"""The ledgered session: paid before drawn, stored before seen, never paid twice, never more."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.privacy.killing import killed_at, needs_fork
from understudy.data import Dataset
from understudy.errors import BudgetError, EngineError, FormatError
from understudy.privacy.accountant import epsilon_of
from understudy.privacy.answers import Answer, AnswerStore
from understudy.privacy.budget import Budget
from understudy.privacy.events import Event, Gaussian
from understudy.privacy.ledger import Ledger
from understudy.privacy.ledger_session import LedgerSession
from understudy.privacy.mechanisms import Choice, NoisyCounts
from understudy.privacy.noise import NoiseStream
from understudy.privacy.session import Array
from understudy.schema import Category, Schema, Table

DATA = "a1" * 32
BUDGET = Budget(2.0, 1e-6)
EXACT = np.array([[120, 3], [0, 77]])


def open_session(
    folder: Path,
    budget: Budget = BUDGET,
    run: str = "run 1",
    unit: str = "row",
    dataset: str = DATA,
) -> LedgerSession:
    folder.mkdir(exist_ok=True)
    store = AnswerStore(folder / "run.sqlite")
    return LedgerSession(budget, Ledger(folder / "home"), dataset, unit, run, store)


def close(session: LedgerSession) -> None:
    session.ledger.close()
    session.store.close()


@pytest.fixture
def session(tmp_path: Path) -> Iterator[LedgerSession]:
    made = open_session(tmp_path)
    yield made
    close(made)


def test_an_answer_is_noisy_charged_stored_and_committed(session: LedgerSession) -> None:
    counts = NoisyCounts(30.0)
    answer = session.release("age, 1-way", counts, EXACT)
    assert session.private
    assert answer.shape == EXACT.shape
    assert not np.array_equal(answer, EXACT)
    assert session.spent == (Gaussian(30.0),)
    assert [e.kind for e in session.ledger.entries()] == ["reserve", "commit"]
    stored = session.store.get("age, 1-way")
    assert stored is not None
    assert stored.entry == 1
    assert np.array_equal(stored.output, answer)


def test_noise_has_the_promised_spread_and_no_seed(tmp_path: Path) -> None:
    """4,000 draws: the sample deviation is within 6 % but for one run in 10 million."""
    session = open_session(tmp_path)
    draws = session.release("a", NoisyCounts(25.0), np.zeros(4000, np.int64))
    assert draws.std() == pytest.approx(25.0, rel=0.06)
    again = session.release("b", NoisyCounts(25.0), np.zeros(4000, np.int64))
    assert not np.array_equal(draws, again)
    close(session)


def test_the_same_question_after_a_restart_costs_nothing(tmp_path: Path) -> None:
    first = open_session(tmp_path)
    counts, choice = NoisyCounts(30.0), Choice(0.1)
    answers = [
        first.release("counts", counts, EXACT),
        first.release("best", choice, np.array([1.0, 5.0, 2.0])),
    ]
    close(first)
    second = open_session(tmp_path)
    again = [
        second.release("counts", counts, EXACT + 1000),
        second.release("best", choice, np.array([1.0, 5.0, 2.0])),
    ]
    for one, other in zip(answers, again, strict=True):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)
    assert second.spent == (Gaussian(30.0), choice.event)
    close(second)


def test_the_same_name_for_another_question_is_refused(session: LedgerSession) -> None:
    session.release("counts", NoisyCounts(30.0), EXACT)
    with pytest.raises(EngineError, match="asked twice with different parameters"):
        session.release("counts", NoisyCounts(30.0, sensitivity=2.0), EXACT)


def test_a_run_that_would_pass_its_budget_is_stopped(session: LedgerSession) -> None:
    once, fits = Gaussian(6.0), 0
    while epsilon_of([once] * (fits + 1), BUDGET.delta) <= BUDGET.epsilon:
        fits += 1
        session.release(f"query {fits}", NoisyCounts(6.0), EXACT)
    assert fits > 1
    with pytest.raises(BudgetError, match="query 'more' does not fit into what run 'run 1'"):
        session.release("more", NoisyCounts(6.0), EXACT)
    assert session.spent == (once,) * fits
    assert session.store.get("more") is None


def test_a_budget_above_the_cap_is_refused_at_the_door(tmp_path: Path) -> None:
    with pytest.raises(BudgetError, match="above the cap of 10"):
        open_session(tmp_path, Budget(12.0, 1e-6))


def test_a_plan_is_paid_once_and_found_again(tmp_path: Path) -> None:
    events: list[Event] = [Gaussian(3.6), Gaussian(3.6), Choice(0.1).event]
    assert 1.5 < epsilon_of(events, BUDGET.delta) <= 2.0
    first = open_session(tmp_path)
    number = first.reserve_plan(events)
    answer = first.release("a", NoisyCounts(3.6), EXACT)
    close(first)

    second = open_session(tmp_path)
    assert second.reserve_plan(events[::-1]) == number
    assert np.array_equal(second.release("a", NoisyCounts(3.6), EXACT), answer)
    second.release("b", NoisyCounts(3.6), EXACT)
    second.release("c", Choice(0.1), np.array([1.0, 2.0]))
    assert second.charged == tuple(events)
    assert second.spent == tuple(events)
    with pytest.raises(BudgetError, match="may spend"):
        second.reserve_plan(events)
    close(second)


def test_a_lost_answer_stays_spent_and_is_paid_again_or_refused(tmp_path: Path) -> None:
    session = open_session(tmp_path)
    event = NoisyCounts(2.4).event
    session.ledger.reserve(DATA, "row", "run 1", "a", event, budget=BUDGET)
    with pytest.raises(BudgetError, match="reserved before, its answer was lost"):
        session.release("a", NoisyCounts(2.4), EXACT)
    assert session.spent == (event,)
    close(session)

    other = open_session(tmp_path, Budget(4.0, 1e-6), run="run 2")
    other.ledger.reserve(DATA, "row", "run 2", "a", event, budget=other.budget)
    other.release("a", NoisyCounts(2.4), EXACT)
    assert other.spent == (event, event)
    close(other)


def test_answers_of_another_ledger_are_not_taken(tmp_path: Path) -> None:
    session = open_session(tmp_path)
    session.release("a", NoisyCounts(30.0), EXACT)
    close(session)
    shutil.rmtree(tmp_path / "home")
    lost = open_session(tmp_path)
    with pytest.raises(FormatError, match="knows nothing of it"):
        lost.release("a", NoisyCounts(30.0), EXACT)
    close(lost)


def test_arrays_are_stored_bit_for_bit_and_never_pickled(tmp_path: Path) -> None:
    store = AnswerStore(tmp_path / "run.sqlite")
    arrays = [
        np.array(7),
        np.arange(6, dtype=np.int64).reshape(2, 3)[:, ::2],
        np.array([np.nan, -0.0, math.pi]),
        np.empty((0, 4), np.float32),
    ]
    for i, array in enumerate(arrays):
        store.put(str(i), Answer(i, "m", array))
    store.close()
    again = AnswerStore(tmp_path / "run.sqlite")
    for i, array in enumerate(arrays):
        found = again.get(str(i))
        assert found is not None
        assert found.output.dtype == array.dtype
        assert found.output.shape == array.shape
        assert found.output.tobytes() == array.tobytes()
    with pytest.raises(ValueError, match="pickle"):
        again.put("x", Answer(1, "m", np.array([object()])))
    again._db.execute("UPDATE answers SET output = x'00' WHERE query = '0'")
    with pytest.raises(FormatError, match="is damaged"):
        again.get("0")
    again.close()


@dataclass(frozen=True)
class Weighted:
    """A mechanism with a long public array among its parameters."""

    weights: tuple[float, ...]
    sensitivity: float = 1.0

    @property
    def event(self) -> Gaussian:
        return Gaussian(40.0)

    def distance(self, one: Array, other: Array) -> float:
        return float(np.abs(one - other).max())

    def release(self, exact: Array, noise: NoiseStream) -> Array:
        return exact + 40 * noise.normals(exact.size).reshape(exact.shape)

    def noiseless(self, exact: Array) -> Array:
        return exact


def test_every_parameter_of_a_mechanism_counts(session: LedgerSession) -> None:
    weights = tuple(np.linspace(0, 1, 3000).tolist())
    session.release("a", Weighted(weights), EXACT)
    session.release("a", Weighted(weights), EXACT)
    with pytest.raises(EngineError):
        session.release("a", Weighted((*weights[:1500], 9.0, *weights[1501:])), EXACT)


def test_rows_enter_through_the_session_with_their_units_bounded(tmp_path: Path) -> None:
    entity = {"of": "entity", "table": "t", "column": "who"}
    schema = Schema.model_validate(
        {"tables": [Table(name="t", columns=(Category(name="who"),))], "unit": entity}
    )
    data = Dataset.single(schema, pa.table({"who": ["a"] * 500 + ["b"]}))
    store = AnswerStore(tmp_path / "run.sqlite")
    with Ledger(tmp_path / "home") as ledger:
        session = LedgerSession(BUDGET, ledger, DATA, "who", "run 1", store, rows_per_unit=2)
        rows = session.admit(data)
        assert rows.rows_per_unit == 2
        count = rows.ask("rows", NoisyCounts(30.0), lambda d: np.array([d.num_rows]))
        assert abs(int(count[0]) - 3) < 9 * 30
        assert session.spent == (Gaussian(30.0),)
    store.close()


@needs_fork
@pytest.mark.parametrize("planned", [False, True], ids=["single", "planned"])
def test_a_kill_at_every_step_neither_overspends_nor_loses(tmp_path: Path, planned: bool) -> None:
    """Two queries that just fit, in a run and a dataset of their own for every kill.

    After the kill the run is asked to go on. What was seen comes again unchanged; what was lost is
    refused for want of budget; the total never passes the budget.
    """
    counts = NoisyCounts(3.5)
    budget = Budget(epsilon_of([counts.event] * 2, 1e-6) * 1.01, 1e-6)
    outcomes = set()

    def start() -> LedgerSession:
        session = open_session(tmp_path, budget, f"run {line}", dataset=f"{line:064x}")
        if planned:
            session.reserve_plan([counts.event] * 2)
        return session

    def work() -> None:
        session = start()
        for query in (f"a {line}", f"b {line}"):
            seen = session.release(query, counts, EXACT)
            (tmp_path / query).write_text(json.dumps(seen.tolist()))

    line = 0
    while killed_at(line, ("ledger_session", "answers"), work):
        session = start()
        lost = [_lost(session, query, counts, tmp_path) for query in (f"a {line}", f"b {line}")]
        outcomes.add(sum(lost))
        assert len(session.charged) <= 2
        assert epsilon_of(session.charged, budget.delta) <= budget.epsilon
        assert session.ledger.verify() is None
        close(session)
        line += 1
    assert outcomes == {0, 1}


def _lost(session: LedgerSession, query: str, counts: NoisyCounts, seen: Path) -> bool:
    """Whether an answer that nobody saw is gone for good; one that was seen must come again."""
    try:
        answer = session.release(query, counts, EXACT)
    except BudgetError:
        assert not (seen / query).exists()
        return True
    if (seen / query).exists():
        assert json.loads((seen / query).read_text()) == answer.tolist()
    return False
