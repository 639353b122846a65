from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from understudy.attacks.copies import KeyTest, find_copies
from understudy.schema import Category, Number, one_table

SPEC = one_table("t", [Number(name="n", integer=True), Category(name="c")]).table()


def table(numbers, levels) -> pa.Table:
    return pa.table({"n": pa.array(numbers, pa.int64()), "c": pa.array(levels, pa.string())})


def found(train, holdout, synthetic):
    tables = {"train": train, "holdout": holdout, "reference": train[:0], "synthetic": synthetic}
    return find_copies(tables, SPEC, np.random.default_rng(0))


def test_sign_test_closed_form():
    assert KeyTest((), 100, 100, 5, 0).p == pytest.approx(1 / 32)
    assert KeyTest((), 100, 100, 0, 0).p == 1.0
    # Train three times as large: a hit lies there with probability 3/4.
    assert KeyTest((), 300, 100, 4, 0).p == pytest.approx(0.75**4)


def test_only_rows_that_single_someone_out_count():
    train = table([1, 1, 2, 3], ["a", "a", "b", "c"])
    holdout = table([2, 5], ["b", "e"])
    copies = found(train, holdout, table([1, 2, 3, 5], ["a", "b", "c", "e"]))
    assert (copies.exact.train, copies.exact.holdout) == (1, 1)
    assert (copies.exact.train_hits, copies.exact.holdout_hits) == (1, 1)
    assert copies.duplicates == pytest.approx(0.25)


def test_integers_beyond_2_to_53_are_not_confused():
    big = 2**53
    copies = found(table([big], ["a"]), table([7], ["b"]), table([big + 1], ["a"]))
    assert copies.exact.train_hits == 0


def test_missing_cells_are_values_of_their_own():
    copies = found(table([None], ["a"]), table([0], ["a"]), table([None], ["a"]))
    assert (copies.exact.train_hits, copies.exact.holdout_hits) == (1, 0)


def test_near_copies_share_a_cell():
    rng = np.random.default_rng(1)
    spread = rng.integers(0, 10**6, 500)
    real = table(spread, ["a"] * 500)
    near = table(spread[:100] + 1, ["a"] * 100)
    tables = {"train": real, "holdout": real[:0], "reference": real, "synthetic": near}
    copies = find_copies(tables, SPEC, rng)
    assert copies.exact.train_hits == 0
    far = table([5 * 10**6], ["a"])
    tables = {"train": far, "holdout": real, "reference": real, "synthetic": far}
    assert find_copies(tables, SPEC, rng).near.train_hits == 1


def test_leak_through_one_column_is_named():
    rng = np.random.default_rng(2)
    train = table(rng.integers(0, 3, 400), [f"t{i}" for i in range(400)])
    holdout = table(rng.integers(0, 3, 400), [f"h{i}" for i in range(400)])
    synthetic = table(rng.integers(10, 13, 40), [f"t{i}" for i in range(40)])
    copies = found(train, holdout, synthetic)
    assert copies.exact.train_hits == 0
    assert copies.rare.columns == ("c",)
    assert copies.rare_p < 1e-6
