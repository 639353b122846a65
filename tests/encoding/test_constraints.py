"""Constraints by construction: the way back is exact, and obeys every rule whatever is drawn."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.encoding.constraints import Reparametrisation, violations
from understudy.errors import ColumnError, ConditionError, ConstraintError
from understudy.schema import (
    Boolean,
    Category,
    Column,
    Constraint,
    Datetime,
    Dependency,
    Duration,
    FixedCombinations,
    Identifier,
    Inequality,
    Number,
    Range,
    Sum,
    Table,
    Unique,
)
from understudy.schema.conditions import parse_where
from understudy.schema.domains import Domain

quick = settings(max_examples=60, deadline=None)


def spec_of(columns: list[Column], *rules: Constraint) -> Table:
    return Table(name="t", columns=tuple(columns), constraints=rules)


def whole(name: str) -> Number:
    return Number(name=name, integer=True)


def shuffled(table: pa.Table, seed: int) -> pa.Table:
    """An adversarial engine: every column permuted on its own."""
    rng = np.random.default_rng(seed)
    order = {name: pa.array(rng.permutation(table.num_rows)) for name in table.column_names}
    return pa.table({name: table[name].take(order[name]) for name in table.column_names})


def assert_holds(table: pa.Table, spec: Table) -> Reparametrisation:
    """Exact way back, also after saving, and every rule kept after shuffling."""
    fitted = Reparametrisation.fit(table, spec)
    modelled = fitted.forward(table)
    assert tuple(modelled.column_names) == fitted.spec.column_names
    assert fitted.backward(modelled).equals(table)
    saved = json.loads(json.dumps(fitted.to_json()))
    assert Reparametrisation.from_json(saved, fitted.tables()).backward(modelled).equals(table)
    for seed in range(3):
        drawn = fitted.backward(shuffled(modelled, seed))
        assert drawn.schema.equals(table.schema)
        for rule in spec.constraints:
            assert not violations(rule, drawn, table).any(), rule
    return fitted


TZ = timezone(timedelta(hours=2))
LINES: dict[str, tuple[Callable[[str], Column], pa.DataType, pa.DataType, Any]] = {
    "big": (whole, pa.int64(), pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "unsigned": (whole, pa.uint64(), pa.uint64(), st.integers(0, 2**64 - 1)),
    "mixed": (whole, pa.int64(), pa.uint64(), st.integers(0, 2**63 - 1)),
    "small": (whole, pa.int8(), pa.int32(), st.integers(-128, 127)),
    "cents": (
        lambda name: Number(name=name, decimals=2),
        pa.float64(),
        pa.float64(),
        st.integers(-(10**6), 10**6).map(lambda cents: cents / 100),
    ),
    "decimal": (
        lambda name: Number(name=name, decimals=2),
        pa.decimal128(38, 2),
        pa.decimal128(38, 2),
        st.decimals(-(10**35), 10**35, places=2),
    ),
    "dates": (
        lambda name: Datetime(name=name),
        pa.date32(),
        pa.date32(),
        st.dates(date(1, 1, 1), date(9999, 12, 31)),
    ),
    "instants": (
        lambda name: Datetime(name=name),
        pa.timestamp("us", "Europe/Vienna"),
        pa.timestamp("us", "UTC"),
        st.datetimes(datetime(1800, 1, 1), datetime(2200, 1, 1), timezones=st.just(TZ)),
    ),
    "spans": (
        lambda name: Duration(name=name),
        pa.duration("ms"),
        pa.duration("ms"),
        st.integers(-(10**9), 10**9).map(lambda ms: timedelta(milliseconds=ms)),
    ),
}


@st.composite
def ordered_pairs(draw: st.DrawFn) -> tuple[pa.Table, Table]:
    make, low_type, high_type, cells = LINES[draw(st.sampled_from(sorted(LINES)))]
    strict = draw(st.booleans())
    pairs = draw(st.lists(st.tuples(st.none() | cells, st.none() | cells), max_size=12))
    kept = [
        pair if None in pair else tuple(sorted(pair))
        for pair in pairs
        if not (strict and pair[0] == pair[1] and None not in pair)
    ]
    table = pa.table(
        {
            "low": pa.array([low for low, _ in kept], low_type),
            "high": pa.array([high for _, high in kept], high_type),
        }
    )
    rule = Inequality(low="low", high="high", strict=strict)
    return table, spec_of([make("low"), make("high")], rule)


@quick
@given(ordered_pairs())
def test_inequalities_of_every_type(case: tuple[pa.Table, Table]) -> None:
    assert_holds(*case)


@quick
@given(
    st.lists(st.tuples(st.floats(0, 1e12), st.floats(0, 1e12)).map(sorted), min_size=1),
    st.booleans(),
)
def test_inequality_of_arbitrary_floats(pairs: list[list[float]], strict: bool) -> None:
    pairs = [pair for pair in pairs if not strict or pair[0] < pair[1]]
    low, high = ([pair[end] for pair in pairs] for end in (0, 1))
    table = pa.table({"low": pa.array(low, pa.float64()), "high": pa.array(high, pa.float64())})
    spec = spec_of(
        [Number(name="low"), Number(name="high")],
        Inequality(low="low", high="high", strict=strict),
    )
    fitted = Reparametrisation.fit(table, spec)
    modelled = fitted.forward(table)
    back = fitted.backward(modelled)
    np.testing.assert_allclose(back["high"], table["high"], rtol=1e-15)
    drawn = fitted.backward(shuffled(modelled, 1))
    assert not violations(spec.constraints[0], drawn).any()


def test_a_coarser_high_is_rounded_up_not_down() -> None:
    table = pa.table(
        {
            "low": pa.array([datetime(2024, 1, 1, 10), datetime(2024, 1, 5, 23)]),
            "high": pa.array([date(2024, 1, 2), date(2024, 1, 6)]),
        }
    )
    rule = Inequality(low="low", high="high")
    assert_holds(table, spec_of([Datetime(name="low"), Datetime(name="high")], rule))
    prices = pa.table({"low": [1.25, 2.5], "high": pa.array([2, 9])})
    assert_holds(prices, spec_of([Number(name="low"), whole("high")], rule))


def test_a_negative_gap_from_an_engine_is_lifted() -> None:
    table = pa.table({"low": [1, 5], "high": [2, 9]})
    rule = Inequality(low="low", high="high", strict=True)
    fitted = Reparametrisation.fit(table, spec_of([whole("low"), whole("high")], rule))
    drawn = fitted.backward(pa.table({"low": [1, 9], "gap(low, high)": [-7, -7]}))
    assert drawn["high"].to_pylist() == [2, 10]


def test_a_chain_is_undone_in_order_and_high_stays_within_the_source() -> None:
    rng = np.random.default_rng(3)
    low = rng.integers(0, 100, 500)
    mid = low + rng.integers(0, 50, 500)
    table = pa.table({"c": mid + 7, "a": low, "b": mid})
    rules = [
        Inequality(low="b", high="c", strict=True),
        Inequality(low="a", high="b"),
        Range(column="c", minimum=0, maximum=200),
    ]
    fitted = assert_holds(table, spec_of([whole("c"), whole("a"), whole("b")], *rules))
    assert set(fitted.spec.column_names) == {"a", "gap(a, b)", "gap(b, c)"}


@st.composite
def sums(draw: st.DrawFn) -> tuple[pa.Table, Table]:
    type, cells, add = draw(
        st.sampled_from(
            [
                (pa.int64(), st.integers(-(2**60), 2**60), lambda a, b: a + b),
                (pa.decimal128(20, 3), st.decimals(-(10**9), 10**9, places=3), Decimal.__add__),
                (
                    pa.float64(),
                    st.integers(-(10**6), 10**6).map(lambda n: n / 10),
                    lambda a, b: round(a + b, 1),
                ),
            ]
        )
    )
    rows = draw(st.lists(st.tuples(st.none() | cells, st.none() | cells, st.booleans())))
    known = draw(st.none() | cells)
    totals = [known if a is None or b is None else (add(a, b) if t else None) for a, b, t in rows]
    table = pa.table(
        {
            "a": pa.array([a for a, _, _ in rows], type),
            "total": pa.array(totals, type),
            "b": pa.array([b for _, b, _ in rows], type),
        }
    )
    columns: list[Column] = [Number(name=name) for name in table.column_names]
    return table, spec_of(columns, Sum(total="total", parts=("a", "b")))


@quick
@given(sums())
def test_sums(case: tuple[pa.Table, Table]) -> None:
    assert_holds(*case)


labels = st.none() | st.sampled_from(["Wien", "Zürich", "東京", "", "a, b"])


@quick
@given(st.lists(st.tuples(labels, labels, st.none() | st.integers(2**53, 2**53 + 2))))
def test_fixed_combinations(rows: list[tuple[Any, Any, Any]]) -> None:
    names = ("city", "street", "code")
    types = (pa.string(), pa.string(), pa.int64())
    cells = {n: pa.array([r[i] for r in rows], types[i]) for i, n in enumerate(names)}
    columns = [Category(name="city"), Category(name="street"), whole("code")]
    fitted = assert_holds(pa.table(cells), spec_of(columns, FixedCombinations(columns=names)))
    assert fitted.spec.column_names == ("combination(city, street, code)",)


@quick
@given(
    st.lists(labels),
    st.lists(st.none() | st.dates(), min_size=6, max_size=6),
)
def test_dependency_is_looked_up(cities: list[str | None], days: list[date | None]) -> None:
    known = dict(zip([None, "Wien", "Zürich", "東京", "", "a, b"], days, strict=True))
    table = pa.table(
        {
            "founded": pa.array([known[city] for city in cities], pa.date32()),
            "city": pa.array(cities, pa.string()),
        }
    )
    rule = Dependency(by=("city",), determines="founded")
    fitted = assert_holds(table, spec_of([Datetime(name="founded"), Category(name="city")], rule))
    assert fitted.spec.column_names == ("city",)


def test_dependencies_on_several_columns_or_numbers_become_one_column() -> None:
    table = pa.table({"a": ["x", "x", "y"], "b": [1, 2, 1], "c": ["p", "q", "q"]})
    columns = [Category(name="a"), whole("b"), Category(name="c")]
    both = Dependency(by=("a", "b"), determines="c")
    assert len(assert_holds(table, spec_of(columns, both)).spec.columns) == 1
    number = spec_of(columns, Dependency(by=("b",), determines="c"))
    with pytest.raises(ConstraintError, match=r"dependency 'b' -> 'c' in 1 of 3 rows"):
        Reparametrisation.fit(table, number)


def test_dependencies_chain_and_their_inverse_is_implied() -> None:
    table = pa.table({"a": ["x", "y", "z"], "b": ["1", "2", "3"], "c": ["p", "q", "q"]})
    rules = [
        Dependency(by=("a",), determines="b"),
        Dependency(by=("b",), determines="c"),
        Dependency(by=("b",), determines="a"),
    ]
    columns = [Category(name=name) for name in "abc"]
    assert assert_holds(table, spec_of(columns, *rules)).spec.column_names == ("a",)


def test_overlapping_combinations_merge_and_imply_what_is_inside() -> None:
    table = pa.table({"a": [1, 2, 3], "b": [2, 3, 4], "c": [9, 9, 8]})
    rules = [
        FixedCombinations(columns=("a", "b")),
        FixedCombinations(columns=("b", "c")),
        Inequality(low="a", high="b"),
    ]
    fitted = assert_holds(table, spec_of([whole(name) for name in "abc"], *rules))
    assert fitted.spec.column_names == ("combination(a, b, c)",)


def test_range_clips_what_an_engine_draws_beyond() -> None:
    table = pa.table(
        {
            "n": pa.array([1, 5, None]),
            "d": pa.array([date(2020, 1, 1), None, date(2021, 1, 1)]),
            "p": pa.array([Decimal("0.10"), Decimal("0.20"), None], pa.decimal128(9, 2)),
        }
    )
    rules = [
        Range(column="n", minimum=0.5, maximum=5),
        Range(column="d", minimum="2019-06-01"),
        Range(column="p", minimum=0.1),
    ]
    spec = spec_of([whole("n"), Datetime(name="d"), Number(name="p")], *rules)
    fitted = assert_holds(table, spec)
    wild = pa.table(
        {
            "n": [-9, 99, None],
            "d": pa.array([date(1, 1, 1), date(9999, 1, 1), None]),
            "p": pa.array([Decimal("-3.00"), Decimal("7.00"), None]),
        }
    )
    drawn = fitted.backward(wild.cast(table.schema))
    assert drawn["n"].to_pylist() == [1, 5, None]
    assert drawn["d"].to_pylist() == [date(2019, 6, 1), date(9999, 1, 1), None]
    assert drawn["p"].to_pylist() == [Decimal("0.10"), Decimal("7.00"), None]


def test_unique_marks_later_repeats_and_leaves_nulls_alone() -> None:
    table = pa.table({"a": ["x", "x", "y"], "b": pa.array([1, 2, None])})
    columns = [Category(name="a"), whole("b")]
    fitted = Reparametrisation.fit(table, spec_of(columns, Unique(columns=("a", "b"))))
    drawn = pa.table({"a": ["x", "y", "x", "y"], "b": pa.array([1, None, 1, None])})
    assert fitted.duplicates(drawn).tolist() == [False, False, True, False]
    made_anew = Table(
        name="t",
        columns=(Identifier(name="a"), whole("b")),
        constraints=(Unique(columns=("a",)),),
    )
    distinct = table.set_column(0, "a", pa.array(["x", "y", "z"]))
    assert Reparametrisation.fit(distinct, made_anew).keys == ()


def test_without_constraints_nothing_is_copied() -> None:
    table = pa.table({"a": [1, 2]})
    fitted = Reparametrisation.fit(table, spec_of([whole("a")]))
    assert fitted.forward(table) is table
    assert fitted.backward(table)["a"].chunk(0).equals(table["a"].chunk(0))
    assert fitted.spec is fitted.source_spec


def test_new_names_do_not_clash() -> None:
    table = pa.table({"a": [1], "b": [2], "gap(a, b)": [3]})
    spec = spec_of([whole(n) for n in table.column_names], Inequality(low="a", high="b"))
    assert assert_holds(table, spec).spec.column_names == ("a", "gap(a, b)'", "gap(a, b)")


ABC = pa.table({"a": [1, 2, 3], "b": [2, 3, 4], "c": [3, 5, 7]})


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([Inequality(low="b", high="a")], r"inequality 'b' <= 'a' in 3 of 3 rows"),
        ([Sum(total="a", parts=("b", "c"))], r"sum 'a' = 'b' \+ 'c' in 3 of 3"),
        ([Range(column="c", maximum=6)], r"in 1 of 3 rows \(the first is row 3\)"),
        ([Range(column="c", maximum="2024-01-01")], r"range of column 'c'"),
        (
            [Inequality(low="a", high="c"), Inequality(low="b", high="c")],
            r"both have to work out column 'c'",
        ),
        (
            [Sum(total="c", parts=("a", "b")), Range(column="c", maximum=6.5)],
            r"in 1 of 3 rows",
        ),
    ],
)
def test_broken_or_impossible_constraints_say_so(rules: list[Constraint], message: str) -> None:
    with pytest.raises(ConstraintError, match=message):
        Reparametrisation.fit(ABC, spec_of([whole(name) for name in "abc"], *rules))


def test_rules_that_need_each_other_are_refused() -> None:
    zeros = pa.table({"a": [0, 0], "b": [0, 0]})
    circle = [Inequality(low="a", high="b"), Inequality(low="b", high="a")]
    with pytest.raises(ConstraintError, match="in a circle"):
        Reparametrisation.fit(zeros, spec_of([whole("a"), whole("b")], *circle))


def test_a_range_that_a_sum_can_leave_is_refused_and_one_it_cannot_is_kept() -> None:
    columns = [whole(name) for name in "abc"]
    table = pa.table({"a": [0, 9], "b": [9, 0], "c": [9, 9]})
    total = Sum(total="c", parts=("a", "b"))
    assert_holds(table, spec_of(columns, total, Range(column="c", minimum=0, maximum=18)))
    with pytest.raises(ConstraintError, match="cannot be kept"):
        Reparametrisation.fit(table, spec_of(columns, total, Range(column="c", maximum=9)))


def test_a_range_is_followed_through_a_chain_of_rules() -> None:
    # The sum can reach 18, and so can the limit above it.
    table = pa.table({"a": [0, 9], "b": [9, 0], "c": [9, 9], "limit": [10, 12]})
    columns = [whole(name) for name in table.column_names]
    rules = [Sum(total="c", parts=("a", "b")), Inequality(low="c", high="limit", strict=True)]
    assert_holds(table, spec_of(columns, *rules, Range(column="limit", maximum=19)))
    with pytest.raises(ConstraintError, match="as far as 10 to 19"):
        Reparametrisation.fit(table, spec_of(columns, *rules, Range(column="limit", maximum=18)))


def test_columns_without_a_type_are_left_alone() -> None:
    table = pa.table({"a": pa.nulls(3), "b": [1, 2, 3]})
    columns = [whole("a"), whole("b")]
    rules = [Inequality(low="a", high="b"), Range(column="a", minimum=0)]
    assert_holds(table, spec_of(columns, *rules))
    assert_holds(table, spec_of(columns, Sum(total="a", parts=("b", "b"))))
    assert_holds(table, spec_of(columns, Sum(total="b", parts=("a", "a"))))


def test_identifiers_are_never_looked_up() -> None:
    table = pa.table({"shop": ["x", "y"], "iban": ["AT1", "AT2"]})
    columns = [Category(name="shop"), Identifier(name="iban", form="iban")]
    spec = spec_of(columns, Dependency(by=("shop",), determines="iban"))
    with pytest.raises(ConstraintError, match="never copied"):
        Reparametrisation.fit(table, spec)


SHOPS = pa.table(
    {
        "town": ["Linz", "Linz", "Graz", None],
        "land": ["O", "O", "S", None],
        "low": [1, 2, 3, 4],
        "high": [2, 4, 6, 8],
        "open": [True, False, True, None],
    }
)
SHOP_SPEC = spec_of(
    [
        Category(name="town"),
        Category(name="land"),
        whole("low"),
        whole("high"),
        Boolean(name="open"),
    ],
    Dependency(by=("town",), determines="land"),
    FixedCombinations(columns=("town", "open")),
    Inequality(low="low", high="high"),
)


@pytest.mark.parametrize(
    "text",
    [
        "land = 'O'",
        "land IS NULL",
        "land <> 'O' AND open = TRUE",
        "town IN ('Linz', 'Graz') AND low > 1",
        "land = 'O' AND town = 'Linz' AND open = FALSE",
    ],
)
def test_translated_conditions_select_the_same_rows(text: str) -> None:
    fitted = Reparametrisation.fit(SHOPS, SHOP_SPEC)
    domains = parse_where(text, SHOP_SPEC)
    moved, residual = fitted.translate(domains)
    modelled = fitted.forward(SHOPS)
    assert residual == {}
    assert _selected(modelled, moved) == _selected(SHOPS, domains)


def test_conditions_on_worked_out_columns_are_residual() -> None:
    fitted = Reparametrisation.fit(SHOPS, SHOP_SPEC)
    moved, residual = fitted.translate(parse_where("high > 3 AND low < 4", SHOP_SPEC))
    assert (set(moved), set(residual)) == ({"low"}, {"high"})
    with pytest.raises(ConditionError, match="no combination"):
        fitted.translate(parse_where("town = 'Graz' AND open = FALSE", SHOP_SPEC))
    with pytest.raises(ConditionError, match="goes with"):
        fitted.translate(parse_where("land = 'X'", SHOP_SPEC))
    with pytest.raises(ColumnError, match="no column"):
        fitted.translate({"lnd": Domain()})


def test_saved_tables_survive_parquet(tmp_path: Path) -> None:
    fitted = Reparametrisation.fit(SHOPS, SHOP_SPEC)
    tables = {}
    for name, table in fitted.tables().items():
        pq.write_table(table, tmp_path / f"{name}.parquet")
        tables[name] = pq.read_table(tmp_path / f"{name}.parquet")
    again = Reparametrisation.from_json(fitted.to_json(), tables)
    assert again.backward(again.forward(SHOPS)).equals(SHOPS)


def _selected(table: pa.Table, domains: dict[str, Domain]) -> list[bool]:
    masks = [domain.mask(table[name]) for name, domain in domains.items()]
    return [bool(row) for row in np.logical_and.reduce(masks)]
