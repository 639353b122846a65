"""Axes: exact conditions, exact integers, nothing but known labels; bins and labels bought."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.data import Dataset
from understudy.encoding.discrete import GridAxis, LabelAxis, Line
from understudy.encoding.invented import invent
from understudy.encoding.known import (
    Known,
    is_numeric,
    known_of_data,
    known_of_schema,
    lines_of,
    written,
)
from understudy.encoding.private_bins import Binned, learn, queries_of
from understudy.privacy.budget import Budget
from understudy.privacy.session import Session
from understudy.privacy.sessions import OpenSession, SeededSession
from understudy.schema import (
    Category,
    Column,
    Datetime,
    Duration,
    Identifier,
    Number,
    Range,
    Table,
    one_table,
)
from understudy.schema.domains import Domain

TYPES = {
    "int64": (pa.int64(), Number(name="x", integer=True), Line(pa.int64())),
    "float64": (pa.float64(), Number(name="x"), Line(pa.float64(), decimals=2)),
    "decimal": (pa.decimal128(9, 2), Number(name="x"), Line(pa.decimal128(9, 2), decimals=2)),
    "date": (pa.date32(), Datetime(name="x"), Line(pa.date32())),
    "timestamp": (pa.timestamp("us"), Datetime(name="x"), Line(pa.timestamp("us"), every=10**6)),
    "duration": (pa.duration("ms"), Duration(name="x"), Line(pa.duration("ms"), every=60_000)),
}


def grid(name: str, starts: list[int], last: int) -> GridAxis:
    return GridAxis("x", TYPES[name][2], np.array(starts, np.int64), last, True)


def value(name: str, step: int) -> object:
    """A step as conditions write it."""
    found = TYPES[name][2].values(np.array([step]), np.array([False]))[0].as_py()
    return dt.datetime.combine(found, dt.time()) if name == "date" else found


@pytest.mark.parametrize("name", TYPES)
def test_every_drawn_value_lies_in_its_run_and_meets_the_condition(name: str) -> None:
    axis = grid(name, [-40, -7, -6, 30], 99)

    @settings(max_examples=40)
    @given(
        st.integers(-60, 120),
        st.integers(0, 80),
        st.booleans(),
        st.booleans(),
        st.lists(st.integers(-45, 110), max_size=3),
    )
    def holds(low: int, span: int, low_open: bool, high_open: bool, excluded: list[int]) -> None:
        domain = Domain(
            low=value(name, low),
            high=value(name, low + span),
            low_open=low_open,
            high_open=high_open,
            excluded=frozenset(value(name, step) for step in excluded),
        )
        steps = np.arange(-40, 100)
        met = domain.mask(axis.line.values(steps, np.zeros(len(steps), bool)))
        run = np.searchsorted(axis.starts, steps, side="right") - 1
        share = np.bincount(run, met, minlength=4) / np.bincount(run, minlength=4)
        np.testing.assert_allclose(axis.admitted(domain)[:4], share)
        codes = np.repeat(np.flatnonzero(share > 0), 50)
        if len(codes):
            made = axis.decode(codes, np.random.default_rng(0), domain)
            assert domain.mask(made).all()
            assert (axis.encode(pa.chunked_array([made])) == codes).all()

    holds()


def test_listed_values_are_admitted_exactly() -> None:
    axis = grid("float64", [0, 100], 999)
    domain = Domain(allowed=frozenset([Decimal("0.5"), Decimal("3.25"), 7, Decimal("0.123")]))
    assert axis.admitted(domain).tolist() == [1 / 100, 2 / 900, 0.0]
    made = axis.decode(np.array([0, 1, 1, 1, 1]), np.random.default_rng(0), domain).to_pylist()
    assert set(made) == {0.5, 3.25, 7.0}


def test_integers_beyond_2_to_53_survive() -> None:
    line = Line(pa.int64())
    cells = pa.chunked_array([pa.array([2**60 + 1, 2**61 + 3, None])])
    steps, missing = line.steps(cells)
    assert line.values(steps, missing).to_pylist() == cells.to_pylist()


def test_nan_is_missing_and_infinity_is_clipped() -> None:
    axis = grid("float64", [0, 50], 100)
    cells = pa.chunked_array([pa.array([np.nan, np.inf, -np.inf, 0.25])])
    assert axis.encode(cells).tolist() == [2, 1, 0, 0]


def test_unknown_labels_become_known_ones_by_their_shares() -> None:
    axis = LabelAxis("x", pa.array(["a", "b"]), True, True).with_shares(np.array([30.0, 10.0, 5.0]))
    codes = axis.encode(pa.chunked_array([pa.array(["b", "z", None, "a"])]))
    assert codes.tolist() == [1, 2, 3, 0]
    made = axis.decode(np.full(4000, 2), np.random.default_rng(0)).to_pylist()
    # Binomial with p = .75 and n = 4,000: 5 standard errors.
    assert abs(made.count("a") / 4000 - 0.75) < 0.035
    only_b = Domain(allowed=frozenset(["b"]))
    assert set(axis.decode(np.full(50, 2), np.random.default_rng(0), only_b).to_pylist()) == {"b"}
    assert axis.admitted(only_b).tolist() == [0.0, 1.0, 0.25, 0.0]


@pytest.mark.parametrize(
    ("cells", "type", "column", "step"),
    [
        ([1.5, 2.25, None, 3.0], pa.float64(), Number(name="x"), 2),
        ([1 / 3, 2.0], pa.float64(), Number(name="x"), 10),
        (
            [dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 2)],
            pa.timestamp("ns"),
            Datetime(name="x"),
            0,
        ),
        ([dt.timedelta(minutes=61)], pa.duration("us"), Duration(name="x"), 2),
        ([dt.datetime(2024, 1, 1, 0, 0, 0, 5)], pa.timestamp("us"), Datetime(name="x"), 5),
    ],
)
def test_the_step_that_values_are_written_in(
    cells: list[object], type: pa.DataType, column: Column, step: int
) -> None:
    lines = lines_of(column, type)
    found = written(pa.chunked_array([pa.array(cells, type)]), lines)
    assert int(np.flatnonzero(found)[-1]) == step
    assert found.sum() == sum(cell is not None for cell in cells)


def test_a_range_among_the_constraints_is_a_public_bound() -> None:
    column = Number(name="x", integer=True, minimum=-5)
    rule = Range(column="x", minimum=0, maximum=7)
    known = known_of_schema(
        column, Table(name="t", columns=(column,), constraints=(rule,)), pa.int64()
    )
    assert (known.low, known.high, known.few) == (0, 7, True)
    assert [query.name for query in queries_of(column, known)] == ["x: counts"]


def bought(
    cells: pa.Array, column: Column, session: Session, scale: float, *, known: Known | None = None
) -> Binned:
    """The column learnt through the door, with noise for `scale`."""
    schema = one_table("t", [column])
    known = known or known_of_schema(column, schema.table(), cells.type)
    asked = {q.name: q.mechanism(scale, 1.0, 1e-9) for q in queries_of(column, known)}
    rows = session.admit(Dataset.single(schema, pa.table({column.name: cells})))
    return learn(rows.map(lambda d: d.table), column, cells.type, known, asked)


def seeded() -> SeededSession:
    return SeededSession(Budget(50.0, 1e-6), 3)


def test_point_masses_get_a_run_of_their_own() -> None:
    rng = np.random.default_rng(0)
    spread = np.exp(rng.normal(8, 1, 20_000)).astype(np.int64)
    cells = np.where(rng.random(20_000) < 0.6, 0, spread)
    cells[:3000] = 7688
    found = bought(pa.array(cells), Number(name="x", integer=True), seeded(), 5.0)
    axis = found.axis
    assert isinstance(axis, GridAxis)
    for point, held in ((0, int((cells == 0).sum())), (7688, int((cells == 7688).sum()))):
        code = int(axis.encode(pa.chunked_array([[point]]))[0])
        assert axis.starts[code] == point
        assert axis.widths[code] == 1
        assert abs(found.counts[code] - held) < 60
    low, high = int(axis.starts[0]), axis.last
    assert low == 0
    assert 2**15 - 1 <= high < 2**21


def test_only_labels_that_many_share_are_known() -> None:
    cells = pa.array(["common"] * 5000 + [f"rare {i}" for i in range(500)] + ["other"] * 900)
    axis = bought(cells, Category(name="x"), seeded(), 5.0).axis
    assert isinstance(axis, LabelAxis)
    assert axis.values.to_pylist() == ["common", "other"]


def test_without_a_budget_ends_labels_and_steps_are_the_data_s() -> None:
    numbers = pa.chunked_array([pa.array([3.5, 1.25, None, 9.0])])
    column = Number(name="x")
    known = known_of_data(column, numbers)
    assert (float(known.low or 0), float(known.high or 0)) == (1.25, 9.0)
    axis = bought(numbers.combine_chunks(), column, OpenSession(), 1.0, known=known).axis
    assert isinstance(axis, GridAxis)
    assert axis.ends().to_pylist() == [1.25, 9.0]
    labels = known_of_data(Category(name="x"), pa.chunked_array([pa.array(["b", "a", "b"])])).labels
    assert labels is not None
    assert labels.to_pylist() == ["a", "b"]


@pytest.mark.parametrize(
    "column", [Number(name="x", integer=True), Category(name="x"), Datetime(name="x")]
)
def test_a_column_of_nothing_comes_out_empty(column: Column) -> None:
    type = pa.int64() if column.kind == "number" else pa.string()
    type = pa.timestamp("us") if column.kind == "datetime" else type
    for cells in (pa.nulls(500, type), pa.nulls(500)):
        found = bought(cells, column, seeded(), 5.0)
        assert found.axis.size == len(found.counts)
        made = found.axis.decode(np.zeros(3, np.intp), np.random.default_rng(0))
        assert made.null_count == 3
        assert made.type == cells.type


@pytest.mark.parametrize(
    "form",
    [
        "key",
        "email",
        "phone",
        "iban",
        "account",
        "card",
        "national",
        "ip",
        "name",
        "uuid",
        "url",
        "code",
    ],
)
def test_identifiers_are_invented_without_a_look(form: str) -> None:
    column = Identifier(name="x", form=form)  # type: ignore[arg-type]
    for type in (pa.string(), pa.int64(), pa.int32()):
        made = invent(column, type, 500, np.random.default_rng(0))
        assert made.type == type
        assert len(set(made.to_pylist())) == 500
        assert made.null_count == 0


def test_is_numeric_says_which_kinds_have_a_number_line() -> None:
    assert is_numeric(Duration(name="x"))
    assert not is_numeric(Category(name="x"))
