"""Shadow models: they find an over-fitted generator, and nothing in one that learns no row."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from understudy.attacks import attack
from understudy.attacks.shadow import NAME, Shadows
from understudy.data.dataset import Dataset
from understudy.errors import EngineError
from understudy.runtime.random import stream
from understudy.schema import Unit
from understudy.selfcheck.population import SCHEMA, Samples, draw, samples

N = 1_200
SPAN = samples(4_000, stream(0, "shadow", "span")).span


def bootstrap(dataset: Dataset, seed: int) -> Dataset:
    """Rows drawn again, every number moved by a quarter of its range: over-fitted, no copies."""
    rng = np.random.default_rng(seed)
    table = dataset.table.take(pa.array(rng.integers(0, dataset.num_rows, dataset.num_rows)))
    for i in range(10):
        moved = table[f"x{i}"].to_numpy() + 0.25 * SPAN[i] * rng.normal(size=dataset.num_rows)
        table = table.set_column(table.column_names.index(f"x{i}"), f"x{i}", pa.array(moved))
    return dataset.with_table(table)


def oracle(dataset: Dataset, seed: int) -> Dataset:
    """A fresh draw, whatever it is shown."""
    return draw(dataset.num_rows, np.random.default_rng(seed)).dataset()


@pytest.fixture(scope="module")
def real() -> Samples:
    return samples(N, stream(3, "shadow", "real"))


def audited(real: Samples, make, **options):
    rows = (part.dataset() for part in (real.train, real.holdout, real.reference))
    train, holdout, reference = rows
    return attack(train, holdout, reference, make(train, 99), seed=1, **options)


def test_shadows_beat_every_attack_that_has_no_generator(real: Samples) -> None:
    """Seeds are fixed; see the benchmark for others."""
    found = audited(real, bootstrap, shadows=Shadows(bootstrap, count=5))
    by_name = {one.name: one.auc for one in found.attacks}
    own = by_name.pop(NAME)
    assert own.low > 0.65
    assert own.value > max(one.value for one in by_name.values())
    assert found.shadow is not None
    told = found.as_dict()["shadow"]
    assert (told["models"], told["held_out"]) == (5, 1)
    assert told["auc_low"] > 0.6
    assert any(one["attack"] == NAME for one in found.as_dict()["strata"])


def test_shadows_of_a_harmless_generator_find_nothing(real: Samples) -> None:
    """Two 99.9 % intervals around .5."""
    found = audited(real, oracle, shadows=Shadows(oracle, count=4))
    own = next(one.auc for one in found.attacks if one.name == NAME)
    assert abs(own.value - 0.5) < 3.3 * np.sqrt(1 / (6 * N))
    assert found.shadow is not None
    validation = found.shadow.validation
    assert validation.low - 0.03 < 0.5 < validation.high + 0.03


def test_nothing_is_fitted_unless_a_generator_is_handed_in(real: Samples) -> None:
    few = Samples(
        *(part.take(np.arange(150)) for part in (real.train, real.holdout, real.reference))
    )
    found = audited(few, oracle)
    assert found.shadow is None
    assert found.as_dict()["shadow"] == {}
    assert NAME not in {one.name for one in found.attacks}
    # A reference of 150 rows is too small to be halved.
    assert audited(few, oracle, shadows=Shadows(oracle)).shadow is None


def test_too_few_shadows_are_refused(real: Samples) -> None:
    with pytest.raises(EngineError, match="take 8"):
        audited(real, oracle, shadows=Shadows(oracle, count=3))


def test_halves_are_of_people_where_people_are_protected(real: Samples) -> None:
    """Every shadow learns from whole people only."""
    seen: list[list[str]] = []

    def make(dataset: Dataset, seed: int) -> Dataset:
        seen.append(dataset.table["c4"].to_pylist())
        return oracle(dataset, seed)

    unit = Unit(of="entity", table="planted", column="c4")
    schema = SCHEMA.model_copy(update={"unit": unit})

    def people(part, role: str) -> Dataset:
        names = pa.array([f"{role} {i // 3}" for i in range(len(part))])
        table = part.dataset().table
        return Dataset.single(schema, table.set_column(14, "c4", names))

    parts = zip("thr", (real.train, real.holdout, real.reference), strict=True)
    train, holdout, reference = (people(part, role) for role, part in parts)
    found = attack(train, holdout, reference, train, shadows=Shadows(make, count=4), seed=2)
    assert len(seen) == 4
    for names in seen:
        assert len(names) == 3 * len(set(names))
        assert len(set(names)) == pytest.approx(N / 6, abs=1)
    assert any(one.name.startswith(NAME) for one in found.attacks)
