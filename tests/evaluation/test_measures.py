"""Three-way marginals, mutual information, levels, classes, calibration and fairness."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from understudy.data.dataset import Dataset
from understudy.evaluation import evaluate
from understudy.evaluation.classes import (
    average_precision,
    brier,
    calibration_error,
    fairness,
    recall,
)
from understudy.evaluation.detection import logistic_scores
from understudy.evaluation.fidelity import resample
from understudy.evaluation.levels import levels_kept
from understudy.evaluation.marginals import information, information_error, triple_error
from understudy.evaluation.predictions import predict
from understudy.evaluation.samples import Samples, collect
from understudy.schema import Category, Number, one_table

BITS = one_table("bits", [Category(name=name) for name in "abc"])


def bits(seed: int, parity: bool, rows: int = 2000) -> Dataset:
    """Three fair coins; with `parity` the third is the exclusive or of the others."""
    rng = np.random.default_rng(seed)
    a, b, c = rng.integers(0, 2, (3, rows))
    c = a ^ b if parity else c
    return Dataset.single(BITS, pa.table({"a": text(a), "b": text(b), "c": text(c)}))


def text(values: np.ndarray) -> pa.Array:
    return pa.array(values.astype(str))


def compared(real: Dataset, fake: Dataset) -> Samples:
    return collect(real, real, real, fake, seed=0)


def test_three_columns_show_what_pairs_hide():
    """Every pair is independent in both tables; half of the triples' mass differs."""
    samples = compared(bits(0, True), bits(1, False))
    rng = np.random.default_rng(0)
    found = triple_error(samples.features, resample(samples, 2000, rng), rng)
    assert found.value == pytest.approx(50, abs=3)
    assert found.floor < 4
    nothing = information_error(samples.features, resample(samples, 2000, rng), rng)
    assert nothing.value < 0.002


def test_mutual_information_closed_forms():
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 8, (2, 20_000))
    assert information(x * 8 + x, (8, 8)) == pytest.approx(np.log(8), abs=2e-3)
    assert information(x * 8 + y, (8, 8)) == pytest.approx(0, abs=1e-3)
    small = [information(rng.integers(0, 64, 300), (8, 8)) for _ in range(200)]
    # Less its bias, the mean over independent pairs is zero; without, 49 / 600 = .08.
    assert abs(np.mean(small)) < 0.01
    weights = np.bincount(rng.integers(0, 300, 300), minlength=300)
    cells = rng.integers(0, 64, 300)
    repeated = information(np.repeat(cells, weights), (8, 8))
    assert information(cells, (8, 8), weights.astype(float)) == pytest.approx(repeated)


def test_a_lost_level_is_named_and_frequencies_count():
    schema = one_table("t", [Category(name="k")])
    real = Dataset.single(schema, pa.table({"k": pa.array(list("a" * 900 + "b" * 70 + "c" * 30))}))
    fake = Dataset.single(schema, pa.table({"k": pa.array(list("a" * 900 + "b" * 100))}))
    (found,), lost = levels_kept(compared(real, fake).features, None, np.random.default_rng(0))
    assert found.value == pytest.approx(1 / 3)  # b is 1.43 times as frequent, c is gone
    assert lost == [{"column": "k", "level": "c", "rows": 30}]
    assert found.floor > 0.6


def test_class_scores_agree_with_sklearn():
    from sklearn.metrics import average_precision_score, brier_score_loss

    rng = np.random.default_rng(2)
    truth = rng.random(500) < 0.2
    score = np.round(np.clip(0.3 * truth + rng.random(500) * 0.6, 0, 1), 2)
    both, everyone = np.stack([1 - score, score], axis=1), np.ones((1, 500))
    found = average_precision(both, 1, truth, everyone)[0]
    assert found == pytest.approx(average_precision_score(truth, score))
    assert brier(both, 1, truth, everyone)[0] == pytest.approx(brier_score_loss(truth, score))
    assert recall(both, 1, truth, everyone)[0] == pytest.approx((score[truth] > 0.5).mean())
    counts = rng.integers(0, 3, 500)
    repeated = average_precision_score(np.repeat(truth, counts), np.repeat(score, counts))
    weighted = average_precision(both, 1, truth, counts[None].astype(float))[0]
    assert weighted == pytest.approx(repeated)


def test_calibration_error_of_honest_and_boastful_scores():
    rng = np.random.default_rng(3)
    p = rng.random(20_000)
    truth = rng.random(20_000) < p
    honest = np.stack([1 - p, p], axis=1)
    boast = np.where(p > 0.5, 1.0, 0.0)
    boastful = np.stack([1 - boast, boast], axis=1)
    everyone = np.ones((1, 20_000))
    assert calibration_error(honest, 1, truth, everyone)[0] < 0.02
    assert calibration_error(boastful, 1, truth, everyone)[0] == pytest.approx(0.25, abs=0.02)


def test_the_logistic_judge_sees_shifts_and_not_dependence():
    """Why papers' detection scores flatter: broken dependence goes unseen."""
    schema = one_table("t", [Number(name="x"), Number(name="y")])

    def of(seed: int, shift: float, tied: float) -> Dataset:
        x, e = np.random.default_rng(seed).normal(size=(2, 1500))
        y = tied * x + np.sqrt(1 - tied**2) * e
        return Dataset.single(schema, pa.table({"x": x + shift, "y": y}))

    rng = np.random.default_rng(0)
    real = of(0, 0, 0.9)
    for fake, low, high in ((of(1, 0, 0.0), 0.9, 1.0), (of(1, 1.0, 0.9), 0.0, 0.6)):
        samples = compared(real, fake)
        found = logistic_scores(samples.features, "train", "synthetic", 1500, rng).mean()
        assert low <= found <= high


SALARIES = one_table("pay", [Category(name="sex"), Number(name="skill"), Category(name="rich")])


def salaries(seed: int, bias: float, rows: int = 1500) -> Dataset:
    rng = np.random.default_rng(seed)
    sex = rng.integers(0, 2, rows)
    skill = rng.normal(size=rows)
    rich = skill + bias * sex + 0.3 * rng.normal(size=rows) > 1
    cells = {"sex": text(sex), "skill": pa.array(skill), "rich": text(rich)}
    return Dataset.single(SALARIES, pa.table(cells))


def gaps(real: list[Dataset], fake: Dataset) -> dict[str, Any]:
    samples = collect(*real, fake, seed=0)
    spec = SALARIES.table()
    found = predict(samples, spec, "rich", np.random.default_rng(0))
    return fairness(found, samples.features[0])


def test_a_gap_between_groups_that_the_table_adds_is_seen():
    real = [salaries(seed, 0.0) for seed in range(3)]
    fair, unfair = (gaps(real, salaries(3, bias)) for bias in (0.0, 1.0))
    assert fair["demographic_parity"]["low"] < 0.05
    assert unfair["demographic_parity"]["low"] > 0.1
    assert unfair["label_parity"]["synthetic"] > unfair["label_parity"]["real"] + 0.2
    assert unfair["equal_opportunity"]["synthetic"] > fair["equal_opportunity"]["synthetic"]


def test_full_repeats_models_and_adds_synthetic_to_few_rows():
    data = [salaries(seed, 0.5, 300) for seed in range(4)]
    card = evaluate(*data, target="rich", full=True).as_dict()
    trees = card["utility"][0]
    assert trees["repeats"] == 3
    assert trees["spread_synthetic"] > 0
    assert {"augmented_auc", "augmented_few_auc", "trts_auc"} <= set(card["measurements"])
    assert {"R7", "R8"} <= {entry["code"] for entry in card["rare"]["entries"]}
