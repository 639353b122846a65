"""What rows of different tables have to do with each other comes through."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.synthesizers.relational import made
from understudy.data import Dataset
from understudy.data.integrity import check_integrity
from understudy.errors import PlanError
from understudy.schema import Unit
from understudy.synthesizers.relational.engine import RelationalSynthesizer, graph_for


def equal_share(dataset: Dataset, child: str, parent: str) -> float:
    """How often a row's kind is that of the row it hangs on, one generation up or several."""
    names = list(dataset.tables)
    way = names[names.index(parent) : names.index(child) + 1]
    found = dataset.tables[child]
    kind, up = found["kind"], found["up"]
    for name in reversed(way[:-1]):
        above = dataset.tables[name]
        place = pc.index_in(up, value_set=above["id"].combine_chunks())
        theirs = above["kind"].take(place)
        up = above["up"].take(place) if "up" in above.column_names else up
    return float(pc.mean(pc.equal(kind, theirs).cast(pa.float64())).as_py())


def test_kinds_come_down_a_chain_of_five() -> None:
    real = made.chain(1500)
    fake = RelationalSynthesizer(seed=0).fit(real).sample(1500)
    names = list(real.tables)
    for child, parent in ((1, 0), (2, 1), (2, 0), (3, 1), (4, 3)):
        ours, theirs = (equal_share(d, names[child], names[parent]) for d in (real, fake))
        # Independent kinds would agree in a third of the rows; the source says .87 to .93.
        assert ours > 0.8
        assert theirs > ours - 0.08, (child, parent)


def cousins(n: int, seed: int = 0) -> Dataset:
    """Two tables below one, whose rows agree with each other and not with their parent; the second
    has a third below it that looks at its grandparent only."""
    rng = np.random.default_rng(seed)
    mood = rng.integers(0, 2, n)
    secret = rng.random(n)
    a, b = np.repeat(np.arange(n), 2), np.repeat(np.arange(n), rng.integers(0, 3, n))
    c = np.repeat(np.arange(len(b)), rng.integers(0, 3, len(b)))
    cells = {
        "root": {"id": made.ids(n), "age": 20 + 50 * secret},
        "a": {"id": made.ids(len(a), 9000), "up": made.nth(made.ids(n), a), "mood": mood[a] * 1.0},
        "b": {
            "id": made.ids(len(b), 50_000),
            "up": made.nth(made.ids(n), b),
            "mood": np.where(rng.random(len(b)) < 0.9, mood[b], 1 - mood[b]) * 1.0,
        },
        "c": {
            "id": made.ids(len(c), 90_000),
            "up": made.nth(made.ids(len(b), 50_000), c),
            "old": pa.array(secret[b[c]] > 0.5),
        },
    }
    specs = (
        made.table("root", "id:id age:num"),
        made.table("a", "id:id up:id mood:num", "id", made.key("up", "root")),
        made.table("b", "id:id up:id mood:num", "id", made.key("up", "root")),
        made.table("c", "id:id up:id old:bool", "id", made.key("up", "b")),
    )
    return made.database(specs, cells, "root")


def test_rows_of_sibling_tables_and_of_grandparents_agree() -> None:
    real = cousins(1200)
    fake = RelationalSynthesizer(seed=0).fit(real).sample(1200)
    for dataset, least in ((real, 0.88), (fake, 0.82)):
        a, b, c, root = (dataset.tables[name] for name in ("a", "b", "c", "root"))
        moods = a.group_by("up").aggregate([("mood", "mean")])
        place = pc.index_in(b["up"], value_set=moods["up"].combine_chunks())
        theirs = np.asarray(moods["mood_mean"].take(place)) > 0.5
        assert np.mean((np.asarray(b["mood"]) > 0.5) == theirs) > least
        up = b["up"].take(pc.index_in(c["up"], value_set=b["id"].combine_chunks()))
        age = root["age"].take(pc.index_in(up, value_set=root["id"].combine_chunks()))
        assert np.mean((np.asarray(age) > 45) == np.asarray(c["old"])) > least


def test_pairs_find_each_other_by_what_they_are_like() -> None:
    real = made.school(600, 40)
    fake = RelationalSynthesizer(seed=0).fit(real).sample(600)
    for dataset, least in ((real, 0.75), (fake, 0.65)):
        takes, course = dataset.tables["takes"], dataset.tables["course"]
        place = pc.index_in(takes["course"], value_set=course["id"].combine_chunks())
        same = pc.equal(takes["grade"], course["level"].take(place))
        # By chance a grade is its course's level in .28 of the rows.
        assert pc.mean(same.cast(pa.float64())).as_py() > least


def test_child_counts_follow_the_parent_and_keep_their_distribution() -> None:
    rng = np.random.default_rng(0)
    n = 2000
    big = rng.random(n) < 0.3
    counts = np.where(big, rng.poisson(6, n), rng.poisson(0.5, n))
    at = np.repeat(np.arange(n), counts)
    specs = (
        made.table("who", "id:id big:bool"),
        made.table("what", "id:id up:id x:num", "id", made.key("up", "who")),
    )
    cells = {
        "who": {"id": made.ids(n), "big": pa.array(big)},
        "what": {"id": made.ids(len(at), 9000), "up": made.nth(made.ids(n), at), "x": at * 1.0},
    }
    real = made.database(specs, cells, "who")
    fake = RelationalSynthesizer(seed=0).fit(real).sample(n)
    who = fake.tables["who"]
    place = pc.index_in(fake.tables["what"]["up"], value_set=who["id"].combine_chunks())
    made_counts = np.bincount(place.to_numpy(), minlength=n)
    large = np.asarray(who["big"])
    top = max(counts.max(), made_counts.max()) + 1
    for real_mask, fake_mask in ((big, large), (~big, ~large)):
        sides = [np.bincount(x, minlength=top) for x in (counts[real_mask], made_counts[fake_mask])]
        ks = np.abs(np.cumsum(sides[0] / sides[0].sum()) - np.cumsum(sides[1] / sides[1].sum()))
        # Kolmogorov-Smirnov between 600 and 600 rows at a false-alarm rate of 1e-6 is .155.
        assert ks.max() < 0.155
        assert abs(made_counts[fake_mask].mean() - counts[real_mask].mean()) < 0.5


@pytest.mark.parametrize("role", ["owned", "reference"])
def test_databases_without_a_unit(role: str) -> None:
    real = made.school(200, 30, role=role)
    real = Dataset(real.schema.model_copy(update={"unit": Unit()}), real.tables)
    model = RelationalSynthesizer(seed=0).fit(real)
    fake = model.sample(model.rows)
    check_integrity(fake)
    assert fake.tables["course"].equals(real.tables["course"]) == (role == "reference")
    assert abs(fake.tables["takes"].num_rows - real.tables["takes"].num_rows) < 80


def test_reference_tables_take_with_them_what_they_point_at() -> None:
    specs = (
        made.table("land", "id:id n:num"),
        made.table("city", "id:id land:id", "id", made.key("land", "land"), role="reference"),
        made.table("man", "id:id city:id", "id", made.key("city", "city")),
    )
    cells = {
        "land": {"id": made.ids(3), "n": np.arange(3)},
        "city": {"id": made.ids(9, 10), "land": made.nth(made.ids(3), np.arange(9) % 3)},
        "man": {"id": made.ids(99, 100), "city": made.nth(made.ids(9, 10), np.arange(99) % 9)},
    }
    real = made.database(specs, cells, None)
    assert graph_for(real).reference == {"land", "city"}
    check_integrity(RelationalSynthesizer(seed=0).fit(real).sample(40))
    owned = real.schema.with_table(specs[0].model_copy(update={"role": "owned"}))
    with pytest.raises(PlanError, match="'city' is a reference table"):
        RelationalSynthesizer().fit(Dataset(owned, real.tables))
