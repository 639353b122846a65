"""What every engine must do, built-in or third-party: section 5 of the design.

A new engine joins by being in the registry.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.synthesizers.tables import every_kind, single_row
from understudy.contracts import Model, Synthesizer
from understudy.data import Dataset
from understudy.errors import ColumnError, ConditionError
from understudy.schema import Category, Number, one_table
from understudy.synthesizers.registry import BUILT_IN, create, load_model

ENGINES = sorted(n for n, info in BUILT_IN.items() if not (info.several or info.ordered))
TINY: dict[str, dict[str, object]] = {
    "autoregressive": {"epochs": 5, "width": 32, "dim": 4},
    "ctgan": {"epochs": 5, "width": 32, "noise": 8, "critic": 32},
    "tvae": {"epochs": 5, "width": 32, "latent": 4, "parts": 4},
    "tabdiff": {"epochs": 5, "width": 32, "dim": 4, "depth": 1, "sampler_steps": 6},
}
"""Of engines that would train for long: the contract holds however well an engine has learnt."""


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def fitted(engine: str, data: Dataset, **config: object) -> Model:
    return create(engine, **{**TINY.get(engine, {}), **config}).fit(data)


def same(a: Dataset, b: Dataset) -> bool:
    return bool(a.table.equals(b.table))


def test_protocols(engine: str) -> None:
    assert isinstance(create(engine), Synthesizer)
    assert isinstance(fitted(engine, every_kind(60)), Model)


def test_same_seed_same_bytes_for_any_number_of_workers(engine: str) -> None:
    model = fitted(engine, every_kind(), target="label")
    first = model.sample(500, seed=3)
    assert same(first, fitted(engine, every_kind(), target="label").sample(500, seed=3, workers=2))
    assert not same(first, model.sample(500, seed=4))


def test_schema_dtypes_and_order_are_the_source_s(engine: str) -> None:
    data = every_kind()
    made = fitted(engine, data).sample(321)
    assert made.schema == data.schema
    assert made.table.schema.equals(data.table.schema)
    assert made.num_rows == 321


def test_values_stay_plausible(engine: str) -> None:
    data = every_kind(2000)
    made = fitted(engine, data).sample(2000).table
    source = data.table
    for name in ("stadt", "flag", "constant", "label"):
        assert set(made[name].to_pylist()) <= set(source[name].to_pylist())
    for name in ("huge", "count", "price", "day", "seen", "stay"):
        values = made[name].drop_null().to_pylist()
        real = source[name].drop_null().to_pylist()
        assert min(real) <= min(values)
        assert max(values) <= max(real)
    assert made["empty"].null_count == 2000
    missing = made["größe"].null_count / 2000
    # True rate .1 in 2,000 source and 2,000 made rows: 5 standard errors of the difference.
    assert abs(missing - source["größe"].null_count / 2000) < 0.05
    shares = [sum(v == "Zürich" for v in t["stadt"].to_pylist()) / 2000 for t in (made, source)]
    assert abs(shares[0] - shares[1]) < 0.08


def test_save_load_sample_are_equal(engine: str, tmp_path: Path) -> None:
    model = fitted(engine, every_kind(), target="label")
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    assert same(model.sample(200, seed=5), again.sample(200, seed=5))
    assert not list((tmp_path / "model").rglob("*.pkl"))


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_tiny_tables(engine: str, rows: int) -> None:
    data = every_kind(2) if rows > 1 else single_row()
    made = fitted(engine, data).sample(rows)
    assert made.num_rows == rows


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        ("stadt = '北京'", lambda r: r["stadt"] == "北京"),
        (
            "stadt IN ('<b>', 'Zürich') AND count >= 2",
            lambda r: r["stadt"] in ("<b>", "Zürich") and r["count"] >= 2,
        ),
        (
            "größe BETWEEN 170 AND 180.5",
            lambda r: r["größe"] is not None and 170 <= r["größe"] <= 180.5,
        ),
        ("größe IS NULL AND label = 'tall'", lambda r: r["größe"] is None and r["label"] == "tall"),
        (
            "flag = TRUE AND day > '2025-01-01'",
            lambda r: r["flag"] and r["day"].isoformat() > "2025-01-01",
        ),
        ("label <> 'tall'", lambda r: r["label"] == "short"),
    ],
)
def test_where_holds_in_every_row(engine: str, where: str, holds) -> None:  # type: ignore[no-untyped-def]
    made = fitted(engine, every_kind(), target="label").sample(300, where=where)
    assert made.num_rows == 300
    assert all(holds(row) for row in made.table.to_pylist())


@pytest.mark.parametrize("where", ["count > 1000", "stadt = 'Nowhere'", "id = 1001"])
def test_impossible_conditions_are_refused(engine: str, where: str) -> None:
    with pytest.raises(ConditionError):
        fitted(engine, every_kind(), target="label").sample(10, where=where)


def test_contradiction_between_columns_ends(engine: str) -> None:
    rng = np.random.default_rng(0)
    side = rng.random(2000) < 0.5
    table = pa.table(
        {"a": np.where(side, "x", "y"), "b": np.where(side, "x", "y"), "c": rng.normal(size=2000)}
    )
    spec = one_table("t", [Category(name="a"), Category(name="b"), Number(name="c")])
    with pytest.raises(ConditionError, match="widen"):
        fitted(engine, Dataset.single(spec, table)).sample(50, where="a = 'x' AND b = 'y'")


def test_balance_gives_the_shares_and_a_weight_that_undoes_it(engine: str) -> None:
    data = every_kind(3000)
    model = fitted(engine, data, target="label")
    for column, shares in (("label", "uniform"), ("stadt", {"<b>": 0.5})):
        made = model.sample(1000, balance={column: shares}).table.to_pylist()
        wanted = {"label": {"tall": 500, "short": 500}, "stadt": {"<b>": 500}}[column]
        for level, count in wanted.items():
            assert sum(row[column] == level for row in made) == count
        assert np.mean([row["weight"] for row in made]) == pytest.approx(1.0, abs=1e-6)
        for level in wanted:
            weighted = sum(row["weight"] for row in made if row[column] == level) / 1000
            real = sum(v == level for v in data.table[column].to_pylist()) / 3000
            assert weighted == pytest.approx(real, abs=1e-3)


def test_no_identifier_is_a_real_one(engine: str) -> None:
    data = every_kind()
    made = fitted(engine, data).sample(2000).table["id"].to_pylist()
    assert not set(made) & set(data.table["id"].to_pylist())
    assert len(set(made)) == 2000


def test_a_canary_is_not_reproduced(engine: str) -> None:
    """One odd row among 2,000: its combination of cells never comes out as a whole."""
    data = every_kind(2000)
    canary = {"größe": 251.7, "huge": 1 << 61, "count": 77, "stadt": "<b>"}
    columns = []
    for name in data.table.column_names:
        values = data.table[name].to_pylist()
        values[0] = canary.get(name, values[0])
        columns.append(pa.array(values, data.table[name].type))
    spiked = data.with_table(pa.table(columns, schema=data.table.schema))
    made = fitted(engine, spiked).sample(20_000).table.select(list(canary)).to_pylist()
    assert not any(row == canary for row in made)


def test_copies_stay_below_the_holdout_s_own_rate(engine: str) -> None:
    """Rows of T made again against rows of H made again, by chance alone; one-sided sign test."""
    from scipy.stats import binomtest

    keep = ["größe", "huge", "count", "stadt", "flag", "label"]
    data = every_kind(8000, seed=1)
    train, holdout = data.with_table(data.table.slice(0, 4000)), data.table.slice(4000)
    made = set(map(repr, fitted(engine, train).sample(4000).table.select(keep).to_pylist()))
    in_train = len(made & set(map(repr, train.table.select(keep).to_pylist())))
    in_holdout = len(made & set(map(repr, holdout.select(keep).to_pylist())))
    assert binomtest(in_train, max(in_train + in_holdout, 1), 0.5, "greater").pvalue > 0.001


def test_bad_requests(engine: str) -> None:
    with pytest.raises(ColumnError, match="Did you mean 'label'"):
        fitted(engine, every_kind(60), target="labl")
    with pytest.raises(ColumnError, match="cannot be the target"):
        fitted(engine, every_kind(60), target="id")
    with pytest.raises(ConditionError, match="at least 1"):
        fitted(engine, every_kind(60)).sample(0)
    with pytest.raises(ColumnError):
        fitted(engine, every_kind(60)).sample(5, where="labl = 'tall'")


def test_a_newer_format_is_refused_politely(engine: str, tmp_path: Path) -> None:
    import json

    from understudy.errors import FormatError

    fitted(engine, every_kind(60)).save(tmp_path / "model")
    card = tmp_path / "model" / "model.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), "format": 99}))
    with pytest.raises(FormatError, match="Upgrade"):
        load_model(tmp_path / "model")
