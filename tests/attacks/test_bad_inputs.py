"""Tables that are too small, too dirty or not what they should be: said, never crashed on."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tests.attacks import planted
from understudy.attacks import attack
from understudy.data.dataset import Dataset
from understudy.errors import SourceError
from understudy.release.privacy_lines import privacy_lines
from understudy.release.thresholds import DEFAULTS
from understudy.schema import Boolean, Category, Identifier, Number, Unit, one_table


def rulings(battery) -> dict[str, str]:
    return {line.name: line.ruling for line in privacy_lines(battery.as_dict(), DEFAULTS)}


def test_repeated_source_rows_are_judged_fairly():
    """Four levels and two flags: every row repeats, and an independent draw repeats them too."""
    schema = one_table("few", [Category(name="a"), Boolean(name="b"), Boolean(name="c")])
    rng = np.random.default_rng(4)

    def draw(n: int) -> Dataset:
        a = pa.array(rng.choice(["u", "v", "w", "x"], n))
        flags = [pa.array(rng.random(n) < 0.5) for _ in range(2)]
        return Dataset.single(schema, pa.table([a, *flags], names=["a", "b", "c"]))

    found = attack(draw(800), draw(400), draw(400), draw(800), seed=0)
    assert found.copies.duplicates > 0.9
    assert found.copies.exact.p > 0.05
    assert found.closeness.closer.value == pytest.approx(0.5)
    assert found.closeness.tie_share > 0.99


def test_ten_rows_and_no_usable_column_make_notes_not_crashes():
    schema = one_table("tiny", [Number(name="x"), Category(name="nothing"), Identifier(name="key")])
    table = pa.table(
        {
            "x": pa.array([1.0] * 10),
            "nothing": pa.nulls(10, pa.string()),
            "key": pa.array(range(10)),
        }
    )
    data = Dataset.single(schema, table)
    found = attack(data, data, data, data, seed=0)
    assert found.attacks == ()
    assert any("too few rows" in note for note in found.notes)
    assert found.as_dict()["family"]["p"] is None


def planted_tables(n: int, seed: int) -> list[Dataset]:
    rng = np.random.default_rng(seed)
    return [planted.draw(n, rng).dataset() for _ in range(4)]


def empty(dataset: Dataset) -> Dataset:
    return dataset.with_table(dataset.table.slice(0, 0))


def test_without_holdout_and_reference_nothing_is_concluded():
    train, *_ = planted_tables(300, 1)
    found = attack(train, empty(train), empty(train), train, seed=0)
    assert found.copies.exact.train_hits == 300
    assert any("no holdout and no reference" in note for note in found.notes)
    said = rulings(found)
    assert set(said.values()) == {"INCONCLUSIVE"}


def test_a_reference_alone_still_tells_copies_from_coincidence():
    train, _, reference, _ = planted_tables(300, 2)
    found = attack(train, empty(train), reference, train, seed=0)
    assert rulings(found)["copies"] == "FAIL"
    assert rulings(found)["a fair comparison"] == "INCONCLUSIVE"


def test_people_on_both_sides_are_counted_and_refused():
    schema = one_table("visits", [Identifier(name="who"), Number(name="x")])
    schema = schema.model_copy(update={"unit": Unit(of="entity", table="visits", column="who")})

    def visits(first: int, last: int) -> Dataset:
        who = [f"p{i}" for i in range(first, last)]
        return Dataset.single(schema, pa.table({"who": who, "x": np.arange(len(who)) * 1.0}))

    with pytest.raises(SourceError, match=r"7 of the 17 values of 'who' in the holdout"):
        attack(visits(0, 50), visits(43, 60), visits(80, 90), visits(100, 140))


def test_levels_spelled_otherwise_are_levels_of_their_own():
    schema = one_table("few", [Category(name="a"), Number(name="x")])
    rng = np.random.default_rng(3)

    def draw(levels: list[str]) -> Dataset:
        table = pa.table({"a": rng.choice(levels, 200), "x": rng.normal(size=200)})
        return Dataset.single(schema, table)

    real = [draw(["yes", "no"]) for _ in range(3)]
    found = attack(*real, draw(["YES", "NO"]), seed=0)
    assert found.copies.exact.train_hits == 0
    assert found.linkability is not None


def test_rows_that_are_mostly_missing_and_a_key_per_row():
    schema = one_table(
        "dirt", [Identifier(name="key"), Number(name="x"), Category(name="c"), Number(name="one")]
    )
    rng = np.random.default_rng(4)

    def draw(prefix: str) -> Dataset:
        return Dataset.single(
            schema,
            pa.table(
                {
                    "key": [f"{prefix}{i}" for i in range(300)],
                    "x": pa.array(rng.normal(size=300), mask=rng.random(300) < 0.95),
                    "c": pa.array(rng.choice(["a", "b"], 300), mask=rng.random(300) < 0.9),
                    "one": np.ones(300),
                }
            ),
        )

    found = attack(*(draw(prefix) for prefix in "thrs"), seed=0)
    assert any("'key'" in note for note in found.notes)
    assert any("'one'" in note for note in found.notes)
    assert {"PASS", "INCONCLUSIVE", "INFO"} >= set(rulings(found).values())


def test_all_rows_equal():
    schema = one_table("same", [Number(name="x"), Category(name="c")])
    data = Dataset.single(schema, pa.table({"x": [1.0] * 100, "c": ["a"] * 100}))
    found = attack(data, data, data, data, seed=0)
    assert found.attacks == ()
    assert "FAIL" not in rulings(found).values()
