"""Whatever way foreign keys run, a made database holds together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings

from tests.data.random_databases import banks
from tests.synthesizers.relational import made
from understudy.data import Dataset
from understudy.data.integrity import check_integrity
from understudy.data.matching import links
from understudy.errors import EngineError, PlanError
from understudy.privacy.budget import Budget
from understudy.privacy.sessions import SeededSession
from understudy.synthesizers.relational.engine import RelationalSynthesizer
from understudy.synthesizers.relational.hierarchy import depths

SHAPES: dict[str, Callable[[], Dataset]] = {
    "keys that share a column": made.shops,
    "hierarchy and circle": made.company,
    "pairs": made.school,
    "pairs with a small reference table": lambda: made.school(role="reference"),
    "pairs with a large reference table": lambda: made.school(courses=300, role="reference"),
    "chain of five": made.chain,
}


def fit(dataset: Dataset) -> object:
    return RelationalSynthesizer(seed=1).fit(dataset)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [0.5, 1, 2])
def test_every_shape_holds_together_at_every_size(shape: str, scale: float) -> None:
    real = SHAPES[shape]()
    check_integrity(real)
    model = RelationalSynthesizer(seed=1).fit(real)
    fake = model.sample(round(scale * model.rows), seed=7)
    check_integrity(fake)
    for spec in real.schema.tables:
        table, source = fake.tables[spec.name], real.tables[spec.name]
        assert table.schema.equals(source.schema)
        if spec.role == "reference":
            assert table.equals(source)
            continue
        assert abs(table.num_rows - scale * source.num_rows) <= 0.15 * scale * source.num_rows
        if len(spec.primary_key) == 1:
            own = spec.primary_key[0]
            assert not pc.any(pc.is_in(table[own], value_set=source[own].combine_chunks())).as_py()


def test_keys_that_share_a_column_lead_to_one_tenant() -> None:
    fake = RelationalSynthesizer(seed=0).fit(made.shops()).sample(80)
    spec = fake.schema.table("order")
    counted = 0
    for key in spec.foreign_keys:
        pairs = links(fake.tables["order"], fake.tables[key.table], key)
        column = "id" if key.table == "tenant" else "tenant"
        ours = fake.tables["order"]["tenant"].take(pa.array(pairs.child))
        assert ours.equals(fake.tables[key.table][column].take(pa.array(pairs.parent)))
        counted += len(pairs.child)
    empty = fake.tables["order"]["product"].null_count
    assert counted == 3 * fake.tables["order"].num_rows - empty
    assert 0 < empty < 0.5 * fake.tables["order"].num_rows


def test_keys_that_share_a_column_agree_under_a_budget_too() -> None:
    session = SeededSession(Budget(20.0, 1e-6), 1)
    fake = RelationalSynthesizer(seed=0).fit(made.shops(), privacy=session).sample(60)
    check_integrity(fake)
    assert fake.tables["order"].num_rows > 40


def test_shared_columns_without_a_table_of_their_own_are_refused() -> None:
    real = made.shops()
    tables = tuple(
        spec.model_copy(
            update={"foreign_keys": tuple(k for k in spec.foreign_keys if k.table != "tenant")}
        )
        for spec in real.schema.tables
    )
    lonely = Dataset(real.schema.model_copy(update={"tables": tables[1:]}), dict(real.tables))
    unit = real.schema.unit.model_copy(update={"of": "row", "table": None, "column": None})
    lonely = Dataset(lonely.schema.model_copy(update={"unit": unit}), real.tables)
    with pytest.raises(EngineError, match="'tenant' of table 'order' is part of several keys"):
        fit(lonely)


@pytest.mark.parametrize("roots", ["empty", "themselves"])
def test_hierarchies_have_no_circles_and_are_as_deep(roots: str) -> None:
    real = made.company(2000, roots=roots)
    fake = RelationalSynthesizer(seed=0).fit(real).sample(100)
    shares = []
    for dataset in (real, fake):
        staff = dataset.tables["employee"]
        above = pc.index_in(staff["manager"], value_set=staff["id"].combine_chunks())
        found = depths(np.asarray(above.fill_null(-1).to_numpy(), np.int64))
        assert found is not None
        shares.append(np.bincount(found, minlength=5) / len(found))
        pay = np.asarray(staff["pay"])
        # Pay is read off the depth in the source: a manager earns more than those below.
        assert np.mean(pay[found == 0]) > np.mean(pay[found == 2]) + 3000
    assert np.abs(shares[0] - shares[1]).max() < 0.06
    staff = fake.tables["employee"]
    same = pc.sum(pc.equal(staff["manager"], staff["id"])).as_py() or 0
    assert (same > 0) == (roots == "themselves")
    assert (staff["manager"].null_count > 0) == (roots == "empty")


def test_heads_of_departments_are_as_often_missing() -> None:
    real = made.company(2000)
    fake = RelationalSynthesizer(seed=0).fit(real).sample(100)
    share = fake.tables["department"]["head"].null_count / 100
    # Binomial(100, .3): 0.12 to 0.5 holds with all but 2e-5.
    assert 0.12 < share < 0.5


def test_circles_without_an_empty_key_are_refused() -> None:
    real = made.company()
    head = real.schema.table("department").columns[1].model_copy(update={"nullable": False})
    spec = real.schema.table("department")
    columns = (spec.columns[0], head, spec.columns[2])
    tables = (spec.model_copy(update={"columns": columns}), real.schema.table("employee"))
    with pytest.raises(PlanError, match="circle"):
        fit(Dataset(real.schema.model_copy(update={"tables": tables}), real.tables))


def test_degrees_of_both_sides_of_a_link_are_kept() -> None:
    real = made.school(400, 60)
    fake = RelationalSynthesizer(seed=0).fit(real).sample(400)
    for column, most in (("student", 0.06), ("course", 0.3)):
        ours, theirs = (_degrees(d, column) for d in (real, fake))
        top = max(ours.max(), theirs.max()) + 1
        cumulative = [np.cumsum(np.bincount(x, minlength=top)) / len(x) for x in (ours, theirs)]
        # Kolmogorov-Smirnov at 1e-4 for 400 students (.155) and for 60 courses (.40): a leaf's
        # donors are spread evenly, so the counts themselves stand far below.
        assert np.abs(cumulative[0] - cumulative[1]).max() < most


def _degrees(dataset: Dataset, column: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    parent = dataset.tables[column]["id"].combine_chunks()
    found = pc.index_in(dataset.tables["takes"][column], value_set=parent)
    return np.bincount(found.to_numpy(), minlength=len(parent))


def test_natural_keys_and_unique_columns_that_are_pointed_at() -> None:
    rng = np.random.default_rng(0)
    names = pa.array([f"AC-{n:05d}" for n in rng.permutation(300)])
    mails = pa.array([f"p{n}@example.org" for n in rng.permutation(300)])
    at = rng.integers(0, 300, 500)
    specs = (
        made.table("firm", "name:cat mail:cat size:num", "name"),
        made.table("visit", "id:id firm:cat n:num", "id", made.key("firm", "firm", "name")),
        made.table("letter", "id:id to?:cat n:num", "id", made.key("to", "firm", "mail")),
    )
    cells = {
        "firm": {"name": names, "mail": mails, "size": rng.integers(1, 50, 300)},
        "visit": {"id": made.ids(500), "firm": made.nth(names, at), "n": at},
        "letter": {"id": made.ids(500), "to": made.nth(mails, at - 30), "n": at},
    }
    real = made.database(specs, cells, "firm")
    check_integrity(real)
    fake = RelationalSynthesizer(seed=0).fit(real).sample(300)
    check_integrity(fake)
    for column, source in (("name", names), ("mail", mails)):
        new = fake.tables["firm"][column]
        assert pc.count_distinct(new).as_py() == 300
        assert not pc.any(pc.is_in(new, value_set=source)).as_py()
    assert pc.all(pc.match_substring_regex(fake.tables["firm"]["name"], r"^AC-\d{5}$")).as_py()
    assert 0 < fake.tables["letter"]["to"].null_count < 150


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(banks(whole=True))
def test_small_random_banks_hold_together(real: Dataset) -> None:
    unit = real.schema.unit.table
    model_of = RelationalSynthesizer(seed=0)
    if real.tables[str(unit)].num_rows == 0:
        with pytest.raises(EngineError, match="no rows to learn from"):
            model_of.fit(real)
        return
    fake = model_of.fit(real).sample(5)
    check_integrity(fake)
    assert fake.tables[str(unit)].num_rows == 5 or unit == "client"
    for name, table in fake.tables.items():
        assert table.schema.equals(real.tables[name].schema)


def test_links_that_hold_nothing_but_their_keys() -> None:
    real = made.school(300, 20)
    spec = real.schema.table("takes")
    bare = spec.model_copy(update={"columns": spec.columns[:2]})
    tables = {**real.tables, "takes": real.tables["takes"].drop_columns(["grade"])}
    dataset = Dataset(real.schema.with_table(bare), tables)
    fake = RelationalSynthesizer(seed=0).fit(dataset).sample(300)
    check_integrity(fake)
    rows = real.tables["takes"].num_rows
    assert abs(fake.tables["takes"].num_rows - rows) < 0.1 * rows
