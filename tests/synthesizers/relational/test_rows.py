"""What a row is told of its siblings, numbers that are copied, numbers that are products."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.synthesizers.relational import made
from understudy.data import Dataset
from understudy.synthesizers.relational.engine import RelationalSynthesizer
from understudy.synthesizers.relational.giving import nearest, waves_of
from understudy.synthesizers.relational.products import products_in
from understudy.synthesizers.relational.siblings import Siblings
from understudy.synthesizers.tabular.conditional import ABSENT

rows = st.lists(
    st.tuples(st.integers(-1, 3), st.sampled_from("ab"), st.integers(0, 9)), min_size=1, max_size=25
)


@given(rows)
def test_siblings_drawn_one_by_one_are_told_what_the_whole_table_tells(
    found: list[tuple[int, str, int]],
) -> None:
    parents = np.array([row[0] for row in found], np.int64)
    table = pa.table({"kind": [row[1] for row in found], "n": [row[2] for row in found]})
    siblings = Siblings.fit(table)
    whole = siblings.before(table, parents)
    assert whole.shape == (len(found), siblings.width)
    earlier, nth = siblings.nobody(5), dict.fromkeys(range(4), 0)
    levels = sorted({row[1] for row in found})
    for i, (parent, _, _) in enumerate(found):
        place = nth.get(parent, 0)
        told = earlier.told(np.array([parent]), place)[0]
        assert np.allclose(whole[i], told)
        before = [row for row in found[:i] if row[0] == parent and parent >= 0]
        assert told[0] == len(before)
        assert told[2] == (before[-1][2] if before else ABSENT)
        assert list(told[3:-1]) == [sum(b[1] == level for b in before) for level in levels]
        assert told[-1] == pytest.approx(np.mean([b[2] for b in before]) if before else 0)
        if parent >= 0:
            own = siblings.predictors.matrix(table.slice(i, 1))
            earlier.add(np.array([parent]), own)
            nth[parent] += 1


def visits(n: int = 900) -> Dataset:
    """Three rows a person, no kind twice; a third of the fees is the person's own."""
    rng = np.random.default_rng(0)
    at = np.repeat(np.arange(n), 3)
    kind = np.concatenate([rng.permutation(list("abcd"))[:3] for _ in range(n)])
    fee, own = rng.integers(100, 9000, n), rng.integers(100, 9000, 3 * n)
    hours, rate = rng.integers(1, 9, 3 * n), rng.integers(10, 60, 3 * n)
    specs = (
        made.table("who", "id:id fee:num"),
        made.table(
            "visit",
            "id:id up:id kind:cat fee:num hours:num rate:num cost:num",
            "id",
            made.key("up", "who"),
        ),
    )
    cells = {
        "who": {"id": made.ids(n), "fee": fee},
        "visit": {
            "id": made.ids(3 * n, 9000),
            "up": made.nth(made.ids(n), at),
            "kind": pa.array(kind),
            "fee": np.where(kind == "a", fee[at], own),
            "hours": hours,
            "rate": rate,
            "cost": hours * rate,
        },
    }
    return made.database(specs, cells, "who")


def test_kinds_rarely_repeat_copies_are_exact_and_products_hold() -> None:
    real = visits()
    fake = RelationalSynthesizer(seed=0).fit(real).sample(900)
    visit, who = fake.tables["visit"], fake.tables["who"]
    several = visit.group_by("up").aggregate([("kind", "count_distinct")])
    # Drawn without each other three kinds of four are all different in .375 of the cases.
    assert np.mean(np.asarray(several["kind_count_distinct"]) == 3) > 0.9
    theirs = who["fee"].take(pc.index_in(visit["up"], value_set=who["id"].combine_chunks()))
    same = np.asarray(pc.equal(visit["fee"], theirs))
    first = np.asarray(pc.equal(visit["kind"], "a"))
    assert same[first].mean() > 0.9
    assert same[~first].mean() < 0.1
    hours, rate, cost = (np.asarray(visit[name]) for name in ("hours", "rate", "cost"))
    assert (hours * rate == cost).all()


def test_products_are_found_only_where_they_hold_in_every_row() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(1, 50, 400), rng.integers(1, 50, 400)
    near = a * b
    near[7] += 1
    assert [p.of for p in products_in(pa.table({"a": a, "b": b, "p": a * b}), ())] == ["p"]
    assert products_in(pa.table({"a": a, "b": b, "p": near}), ()) == ()
    assert products_in(pa.table({"a": a, "b": np.ones(400), "p": a}), ()) == ()
    assert products_in(pa.table({"a": a[:50], "b": b[:50], "p": (a * b)[:50]}), ()) == ()
    assert products_in(pa.table({"a": a, "b": b, "p": a * b}), {"p"}) == ()


sides = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), max_size=20)


@given(sides, sides)
def test_nearest_pairs_as_many_as_can_be_and_in_order(
    ours: list[tuple[int, int]], theirs: list[tuple[int, int]]
) -> None:
    def side(members: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
        return (
            np.array([m[0] for m in members], np.int64),
            np.array([m[1] for m in members], np.float64),
        )

    mine, yours = nearest(side(ours), side(theirs))
    assert len(set(mine.tolist())) == len(mine) == len(set(yours.tolist()))
    pairs = [(ours[i], theirs[j]) for i, j in zip(mine, yours, strict=True)]
    assert all(a[0] == b[0] for a, b in pairs)
    for group in range(3):
        a, b = (sum(m[0] == group for m in members) for members in (ours, theirs))
        assert sum(p[0][0] == group for p in pairs) == min(a, b)
        lined = sorted((x[1], y[1]) for x, y in pairs if x[0] == group)
        assert [y for _, y in lined] == sorted(y for _, y in lined)
    if len({g for g, _ in ours}) == len(ours) and all(m in theirs for m in ours):
        assert all(a == b for a, b in pairs)


@given(st.lists(st.integers(-1, 4), min_size=1, max_size=30))
def test_waves_take_siblings_in_turn(parents: list[int]) -> None:
    waves, earlier = waves_of(np.array(parents, np.int64))
    for i, parent in enumerate(parents):
        before = [j for j in range(i) if parents[j] == parent and parent >= 0]
        assert (earlier[i] == -1) == (not before)
        if before:
            assert earlier[i] == before[min(len(before), 3) - 1]
            assert waves[earlier[i]] < waves[i] or waves[i] == 3
        if parent < 0 or parents.count(parent) == 1:
            assert waves[i] == 4


def test_sweeps_move_cells_and_nothing_else() -> None:
    real = visits(300)
    still = RelationalSynthesizer(seed=0).fit(real).sample(300)
    model = RelationalSynthesizer(seed=0, sweeps=1).fit(real)
    assert {(sweep.table, sweep.column) for sweep in model.sweeps} == {
        ("who", "fee"),
        ("visit", "kind"),
    }
    moved = model.sample(300)
    for name in ("id", "up", "hours", "rate", "cost", "fee"):
        assert moved.tables["visit"][name].equals(still.tables["visit"][name])
    assert moved.tables["who"]["id"].equals(still.tables["who"]["id"])
    for table, column in (("who", "fee"), ("visit", "kind")):
        ours, theirs = moved.tables[table][column], still.tables[table][column]
        assert ours.type == theirs.type
        assert np.mean(np.asarray(pc.not_equal(ours, theirs))) > 0.2
