"""Empty tables, lonely rows, every kind of column, odd names, constraints, files."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.synthesizers.relational import made
from understudy.data import Dataset
from understudy.data.integrity import check_integrity
from understudy.errors import ConditionError, EngineError, FormatError
from understudy.schema import (
    Boolean,
    Category,
    Datetime,
    Duration,
    Geo,
    Inequality,
    Number,
    Range,
    Sum,
    Text,
    Unique,
)
from understudy.synthesizers.relational.engine import RelationalSynthesizer
from understudy.synthesizers.relational.model import RelationalModel

BIG = 2**60


def everything(rows: int = 300, seed: int = 0) -> Dataset:
    """A child table with every kind of column, tied by constraints."""
    rng = np.random.default_rng(seed)
    at = np.sort(rng.integers(0, rows, 2 * rows))
    n = len(at)
    born = rng.integers(0, 5000, rows)
    low, more = rng.integers(0, 50, n), rng.integers(0, 9, n)
    a, b = rng.integers(0, 100, n), rng.integers(0, 100, n)
    gaps = rng.random(n) < 0.2
    cells = {
        "человек": {"id": made.ids(rows), "born": pa.array(born.astype(np.int32), pa.date32())},
        "a visit.x": {
            "id": made.ids(n, 9000),
            "of": made.nth(made.ids(rows), at),
            "seen": pa.array((born[at] + rng.integers(0, 900, n)).astype(np.int32), pa.date32()),
            "row": pa.array(rng.integers(0, 3, n)),
            "#low": pa.array(low),
            "@high": pa.array(low + more),
            "a": pa.array(a),
            "b": pa.array(b),
            "a+b": pa.array(a + b),
            "share": pa.array(rng.random(n)),
            "big": pa.array(BIG + rng.integers(0, 1000, n)),
            "money": pa.array([Decimal(int(v)) / 100 for v in a * 7], pa.decimal128(12, 2)),
            "yes": pa.array(rng.random(n) < 0.3, mask=gaps),
            "none": pa.nulls(n),
            "no date": pa.nulls(n, pa.date32()),
            "long": pa.array(rng.integers(0, 10**6, n), pa.duration("us")),
            "where": pa.array([f"{48 + x:.3f},{11 + y:.3f}" for x, y in rng.random((n, 2))]),
            "said": pa.array(["something"] * n),
            "мяч": pa.array(rng.choice(["красный", "青", "a.b c"], n)),
        },
    }
    kinds = {
        "seen": Datetime,
        "#low": Number,
        "yes": Boolean,
        "no date": Datetime,
        "long": Duration,
        "said": Text,
        "мяч": Category,
    }
    visit = made.table("visit", "id:id of:id", "id", made.key("of", "человек"))
    columns = list(visit.columns)
    for name in list(cells["a visit.x"])[2:]:
        kind = kinds.get(name, Number)
        columns.append(Geo(name=name, axis="point") if name == "where" else kind(name=name))
    rules = (
        Inequality(low="#low", high="@high"),
        Sum(total="a+b", parts=("a", "b")),
        Range(column="share", minimum=0, maximum=1),
    )
    visit = visit.model_copy(
        update={"name": "a visit.x", "columns": tuple(columns), "constraints": rules}
    )
    specs = (made.table("человек", "id:id born:day"), visit)
    return made.database(specs, cells, "человек")


def test_every_kind_of_column_comes_out_in_its_type() -> None:
    real = everything()
    fake = RelationalSynthesizer(seed=0).fit(real).sample(300)
    check_integrity(fake)
    table, source = fake.tables["a visit.x"], real.tables["a visit.x"]
    assert table.schema.equals(source.schema)
    for name in ("none", "no date", "said"):
        assert table[name].null_count == table.num_rows
    low, high, a, b, total, share, big = (
        np.asarray(table[n]) for n in ("#low", "@high", "a", "b", "a+b", "share", "big")
    )
    assert (low <= high).all()
    assert (a + b == total).all()
    assert ((share >= 0) & (share <= 1)).all()
    assert ((big >= BIG) & (big < BIG + 1000)).all()
    assert len(np.unique(big % 256)) > 100  # not rounded to what a float64 can hold
    assert set(table["мяч"].to_pylist()) == set(source["мяч"].to_pylist())
    assert set(np.unique(np.asarray(table["row"]))) == {0, 1, 2}
    assert 0.05 < table["yes"].null_count / table.num_rows < 0.35
    points = [tuple(map(float, text.split(","))) for text in table["where"].to_pylist()]
    assert all(48 <= x <= 49 and 11 <= y <= 12 for x, y in points)


@pytest.mark.parametrize("make", [made.chain, everything])
def test_no_row_lies_before_the_one_it_hangs_on(make: object) -> None:
    real = make()  # type: ignore[operator]
    fake = RelationalSynthesizer(seed=0).fit(real).sample(400)
    for spec in real.schema.tables:
        for key in spec.foreign_keys:
            parent, child = fake.tables[key.table], fake.tables[spec.name]
            place = pc.index_in(child[key.columns[0]], value_set=parent["id"].combine_chunks())
            theirs, ours = ("born", "seen") if "born" in parent.column_names else ("start",) * 2
            start = pc.take(parent[theirs], place)
            assert pc.all(pc.less_equal(start, child[ours])).as_py()
            gaps = pc.days_between(start, child[ours])
            assert pc.max(gaps).as_py() < (900 if ours == "seen" else 60)


def without(real: Dataset, *names: str) -> Dataset:
    tables = {n: t.slice(0, 0) if n in names else t for n, t in real.tables.items()}
    return Dataset(real.schema, tables)


def test_empty_tables_stay_empty() -> None:
    real = made.chain()
    for first in (1, 3):
        names = [spec.name for spec in real.schema.tables]
        cut = without(real, *names[first:])
        fake = RelationalSynthesizer(seed=0).fit(cut).sample(800)
        check_integrity(fake)
        for i, name in enumerate(names):
            assert fake.tables[name].schema.equals(real.tables[name].schema)
            assert (fake.tables[name].num_rows == 0) == (i >= first)


def test_an_empty_parent_leaves_its_children_only_where_they_can_stand() -> None:
    real = without(made.school(), "course", "takes")
    fake = RelationalSynthesizer(seed=0).fit(real).sample(50)
    assert [fake.tables[n].num_rows for n in ("student", "course", "takes")] == [50, 0, 0]


def test_a_database_without_any_unit_is_refused() -> None:
    with pytest.raises(EngineError, match="'student' has no rows to learn from"):
        RelationalSynthesizer().fit(without(made.school(), "student", "takes"))


def test_an_empty_log_stays_empty(tmp_path: Path) -> None:
    log = made.table("log", "id:id of:id at:day n:num", "id", made.key("of", "who"), order_by="at")
    cells = {
        "who": {"id": made.ids(40), "age": np.arange(40)},
        "log": {
            "id": pa.nulls(0, pa.int64()),
            "of": pa.nulls(0, pa.int64()),
            "at": pa.nulls(0, pa.date32()),
            "n": pa.nulls(0, pa.float64()),
        },
    }
    real = made.database((made.table("who", "id:id age:num"), log), cells, "who")
    model = RelationalSynthesizer(seed=0).fit(real)
    model.save(tmp_path / "model")
    for some in (model, RelationalModel.load(tmp_path / "model")):
        fake = some.sample(80)
        assert fake.tables["log"].num_rows == 0
        assert fake.tables["log"].schema.equals(real.tables["log"].schema)


def test_rows_that_hang_on_nobody_stay() -> None:
    rng = np.random.default_rng(0)
    at = np.where(rng.random(500) < 0.3, -1, rng.integers(0, 100, 500))
    specs = (
        made.table("firm", "id:id size:num"),
        made.table("note", "id:id firm?:id lost:bool", "id", made.key("firm", "firm")),
    )
    cells = {
        "firm": {"id": made.ids(100), "size": rng.integers(0, 9, 100)},
        "note": {
            "id": made.ids(500, 5000),
            "firm": made.nth(made.ids(100), at),
            "lost": pa.array(at < 0),
        },
    }
    model = RelationalSynthesizer(seed=0).fit(made.database(specs, cells, "firm"))
    for n in (100, 200):
        note = model.sample(n).tables["note"]
        lost = note["firm"].is_null()
        assert pc.sum(lost).as_py() == round(n / 100 * (at < 0).sum())
        # What only they have comes with them: the tree parts them from all others.
        assert pc.mean(pc.equal(lost, note["lost"]).cast(pa.float64())).as_py() > 0.95


def test_unique_columns_and_mixed_keys_never_repeat() -> None:
    rng = np.random.default_rng(0)
    at = np.repeat(np.arange(300), 3)
    kind = np.concatenate([rng.choice(list("abcde"), 3, replace=False) for _ in range(300)])
    spec = made.table("contact", "of:id kind:cat", "of kind", made.key("of", "who"))
    cells = {
        "who": {"id": made.ids(300), "age": np.arange(300)},
        "contact": {"of": made.nth(made.ids(300), at), "kind": pa.array(kind)},
    }
    who = made.table("who", "id:id age:num")
    real = made.database((who, spec), cells, "who")
    keyless = spec.model_copy(
        update={"primary_key": (), "constraints": (Unique(columns=("of", "kind")),)}
    )
    for schema in (real.schema, real.schema.with_table(keyless)):
        fake = RelationalSynthesizer(seed=0).fit(Dataset(schema, real.tables)).sample(300)
        pairs = fake.tables["contact"].group_by(["of", "kind"]).aggregate([([], "count_all")])
        assert pairs.num_rows == fake.tables["contact"].num_rows > 600


def test_same_seed_same_bytes_whatever_the_workers() -> None:
    real = made.company()
    one = RelationalSynthesizer(seed=3, workers=1).fit(real)
    two = RelationalSynthesizer(seed=3, workers=2).fit(real)
    assert _same(one.sample(20, seed=5), two.sample(20, seed=5, workers=2))
    assert not _same(one.sample(20, seed=5), one.sample(20, seed=6))


@pytest.mark.parametrize("make", [made.company, made.shops, everything])
def test_a_saved_model_makes_the_same(make: object, tmp_path: Path) -> None:
    model = RelationalSynthesizer(seed=0).fit(make())  # type: ignore[operator]
    model.save(tmp_path / "model")
    again = RelationalModel.load(tmp_path / "model")
    assert again.rows == model.rows
    assert _same(model.sample(30, seed=2), again.sample(30, seed=2))
    assert "INTERNAL" in (tmp_path / "model" / "model.json").read_text()
    assert again.holds_training_values


def test_newer_formats_and_damaged_folders_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    RelationalSynthesizer(seed=0).fit(made.school()).save(folder)
    card = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**card, "format": card["format"] + 1}))
    with pytest.raises(FormatError, match="Upgrade"):
        RelationalModel.load(folder)
    (folder / "model.json").write_text(json.dumps(card))
    whole = RelationalModel.load(folder)
    assert whole.rows == 200
    for name in ("arrays.safetensors", "values.parquet", "model.json"):
        kept = (folder / name).read_bytes()
        (folder / name).write_bytes(kept[: len(kept) // 2])
        with pytest.raises(FormatError, match="damaged"):
            RelationalModel.load(folder)
        (folder / name).write_bytes(kept)
    card["tree"]["is"] = "Popen"
    (folder / "model.json").write_text(json.dumps(card))
    with pytest.raises(FormatError, match="damaged"):
        RelationalModel.load(folder)


def test_conditions_are_refused() -> None:
    model = RelationalSynthesizer(seed=0).fit(made.school())
    with pytest.raises(ConditionError, match="one table"):
        model.sample(3, where="age > 20")
    with pytest.raises(ConditionError, match="at least 1"):
        model.sample(0)


def _same(a: Dataset, b: Dataset) -> bool:
    return all(a.tables[name].equals(b.tables[name]) for name in a.tables)
