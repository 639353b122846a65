"""Closed forms of the column and pair measures."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from understudy.data.dataset import Dataset
from understudy.evaluation.columns import BARS, compare_column, histogram
from understudy.evaluation.correlations import correlation_ratio, cramers_v, pearson, spearman
from understudy.evaluation.pairs import by_quantiles, by_width, pair_errors
from understudy.evaluation.samples import Samples, collect
from understudy.evaluation.statistics import bootstrap_weights
from understudy.schema import Category, Datetime, Number, one_table


def samples(column, real: pa.Array, synthetic: pa.Array) -> Samples:
    return pair([column], [real], [synthetic])


def pair(columns, real, synthetic) -> Samples:
    schema = one_table("t", columns)
    names = [column.name for column in columns]
    truth = Dataset.single(schema, pa.table(real, names=names))
    fake = Dataset.single(schema, pa.table(synthetic, names=names))
    return collect(truth, truth, truth, fake, seed=0)


def compared(column, real, synthetic):
    found = samples(column, real, synthetic)
    rng = np.random.default_rng(0)
    m, n = found.size("synthetic"), found.size("train")
    return compare_column(
        found.features[0], bootstrap_weights(m, m, 5, rng), bootstrap_weights(n, m, 5, rng)
    )


def test_shift_by_one_interquartile_range_is_wasserstein_one():
    real = np.arange(101.0)
    found = compared(Number(name="x"), pa.array(real), pa.array(real + 50.0))
    assert found.wasserstein == pytest.approx(1.0)
    assert found.shape == pytest.approx(100 * 50 / 101)


def test_kolmogorov_smirnov_agrees_with_scipy_and_ignores_missing():
    from scipy.stats import ks_2samp, wasserstein_distance

    rng = np.random.default_rng(1)
    real, fake = rng.normal(size=400).round(1), rng.normal(0.3, 2, 300).round(1)
    with_nulls = pa.concat_arrays([pa.array(fake), pa.nulls(50, pa.float64())])
    found = compared(Number(name="x"), pa.array(real), with_nulls)
    iqr = np.subtract(*np.quantile(real, [0.75, 0.25], method="inverted_cdf"))
    assert found.shape == pytest.approx(100 * ks_2samp(real, fake).statistic)
    assert found.wasserstein == pytest.approx(wasserstein_distance(real, fake) / iqr)


def test_total_variation_counts_missing_as_a_level():
    real, fake = ["a"] * 6 + ["b"] * 4, ["a"] * 6 + ["c"] * 2 + [None] * 2
    found = compared(Category(name="c"), pa.array(real), pa.array(fake))
    assert found.shape == pytest.approx(40.0)


def test_all_missing_number_has_no_shape():
    found = compared(Number(name="x"), pa.nulls(20, pa.float64()), pa.array([1.0] * 20))
    assert np.isnan(found.shape)


def test_histograms_are_shares_with_a_band_that_holds_them():
    rng = np.random.default_rng(2)
    heavy = samples(
        Number(name="x"), pa.array(rng.standard_cauchy(3000)), pa.array(np.linspace(-9, 1e9, 3000))
    )
    many = [f"level {i}" for i in rng.geometric(0.02, 3000)]
    levels = samples(Category(name="c"), pa.array(many), pa.array(many[:900]))
    for found in (histogram(heavy.features[0]), histogram(levels.features[0])):
        assert len(found["labels"]) <= BARS + 1
        for side in ("real", "holdout", "synthetic"):
            assert sum(found[side]) == pytest.approx(1.0)
        assert np.all(np.array(found["floor_low"]) <= np.array(found["real"]) + 1e-9)
        assert np.all(np.array(found["floor_high"]) >= np.array(found["real"]) - 1e-9)
    assert histogram(levels.features[0])["labels"][-1] == "other"


def test_date_bars_read_as_dates():
    days = pa.array(np.arange(200, dtype=np.int32)).cast(pa.date32())
    found = histogram(samples(Datetime(name="d"), days, days).features[0])
    assert found["labels"][0].startswith("1970-01-01 to 1970-01-0")


def test_pair_error_sees_what_single_columns_do_not():
    """Two fair coins: always equal in train, never equal in the other table."""
    coin = ["h", "t"] * 50
    swapped = ["t", "h"] * 50
    columns = [Category(name="a"), Category(name="b")]
    found = pair(columns, [pa.array(coin)] * 2, [pa.array(coin), pa.array(swapped)])
    errors = pair_errors([by_quantiles(f) for f in found.features], "synthetic")
    assert errors[0, 0, 1] == pytest.approx(1.0)
    assert compare_column(found.features[0], np.ones((2, 100)), np.ones((2, 100))).shape == 0.0


def test_widths_are_those_of_a_histogram_with_open_ends():
    real, fake = np.arange(11.0), np.array([-1.0, 0.0, 0.5, 9.99, 10.0, 11.0])
    found = by_width(samples(Number(name="x"), pa.array(real), pa.array(fake)).features[0])
    edges = np.histogram_bin_edges(real, bins=10)
    assert found.codes["synthetic"].tolist() == (1 + np.digitize(fake, edges)).tolist()
    assert found.codes["synthetic"].max() < found.size


def test_sparse_and_dense_counting_agree(monkeypatch):
    rng = np.random.default_rng(3)
    columns = [Category(name="a"), Number(name="x")]
    real = [pa.array(rng.choice(list("abcdef"), 500)), pa.array(rng.normal(size=500))]
    fake = [pa.array(rng.choice(list("abcdefg"), 400)), pa.array(rng.normal(size=400))]
    bins = [by_width(f) for f in pair(columns, real, fake).features]
    weights = bootstrap_weights(400, 400, 3, rng)
    dense = pair_errors(bins, "synthetic", weights=weights)
    monkeypatch.setattr("understudy.evaluation.pairs.DENSE_CELLS", 1)
    assert pair_errors(bins, "synthetic", weights=weights) == pytest.approx(dense, nan_ok=True)


def test_correlations_of_identical_and_unrelated_columns():
    rng = np.random.default_rng(4)
    a, b = rng.integers(0, 6, 2000), rng.integers(0, 40, 2000)
    assert cramers_v(a, a) == pytest.approx(1.0)
    assert cramers_v(a, b) < 0.05
    assert np.isnan(cramers_v(a, np.zeros(2000, int)))
    assert correlation_ratio(a, a.astype(float)) == pytest.approx(1.0)
    assert correlation_ratio(a, rng.normal(size=2000)) < 0.1


def test_pearson_and_spearman_agree_with_scipy_over_present_pairs():
    from scipy.stats import pearsonr, spearmanr

    rng = np.random.default_rng(5)
    x = rng.normal(size=300)
    y = np.exp(x) + rng.normal(size=300)
    assert pearson(np.stack([x, y], 1))[0, 1] == pytest.approx(pearsonr(x, y).statistic)
    assert spearman(np.stack([x, y], 1))[0, 1] == pytest.approx(spearmanr(x, y).statistic)
    holed = x.copy()
    holed[:60] = np.nan
    found = pearson(np.stack([holed, y], 1))[0, 1]
    assert found == pytest.approx(pearsonr(x[60:], y[60:]).statistic)


def test_pearson_weights_are_repetitions():
    rng = np.random.default_rng(6)
    data = rng.normal(size=(50, 3))
    data[:5, 1] = np.nan
    counts = rng.integers(0, 4, 50)
    repeated = pearson(np.repeat(data, counts, axis=0))
    assert pearson(data, counts.astype(float)) == pytest.approx(repeated)


def test_pearson_survives_large_offsets():
    rng = np.random.default_rng(7)
    x = rng.normal(size=200)
    data = np.stack([x + 1e9, x + 0.1 * rng.normal(size=200) - 1e9], 1)
    assert pearson(data)[0, 1] > 0.98
