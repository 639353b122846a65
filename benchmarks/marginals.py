"""The marginal engine at small budgets: what a classifier learns from its rows, how far its tables
are off, and what it costs.

    python -m benchmarks marginals                        the light table: Adult, 2 seeds
    python -m benchmarks.marginals adult raw nist scale   the long ones, 5 seeds

Noise is real but seeded, so that a figure can be had again. TSTR is boosted trees (100 rounds,
integer codes) trained on synthetic rows and judged on real ones that nobody was fitted on. `pair
TV` is the mean total variation of all two-way tables of at most 10,000 cells against the rows
fitted. CPU-seconds include the accountant's.
"""

from __future__ import annotations

import csv
import itertools
import json
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from benchmarks.measure import table
from benchmarks.tables import FOLDER, task
from understudy.data import Dataset
from understudy.privacy.budget import Budget
from understudy.privacy.sessions import SeededSession
from understudy.schema import Category, Number, Schema, one_table

Codes = NDArray[np.int64]
MOST_CELLS = 10_000


class Coded(NamedTuple):
    """An integer-coded table, its published domain, and which columns are ordered."""

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    ordered: frozenset[str]
    target: str
    train: Codes
    test: Codes


class Score(NamedTuple):
    auc: float
    pair_tv: float
    cpu: float


def synthetic_codes(
    rows: Codes,
    names: Sequence[str],
    sizes: Sequence[int],
    *,
    epsilon: float,
    delta: float,
    seed: int,
    target: str | None = None,
    ordered: frozenset[str] = frozenset(),
    samples: int | None = None,
) -> Codes:
    """Our synthetic rows for an integer-coded table with a public domain, as peers take it."""
    from understudy.synthesizers.tabular.marginals import MarginalSynthesizer

    columns = [
        Number(name=n, integer=True, minimum=0, maximum=k - 1, nullable=False)
        if n in ordered
        else Category(name=n, levels=tuple(range(k)), nullable=False)
        for n, k in zip(names, sizes, strict=True)
    ]
    arrow = pa.table({n: pa.array(rows[:, i]) for i, n in enumerate(names)})
    data = Dataset.single(one_table("t", columns), arrow)
    session = SeededSession(Budget(epsilon, delta), seed)
    model = MarginalSynthesizer(target=target, seed=seed).fit(data, privacy=session)
    made = model.sample(samples or len(rows)).table
    return np.stack([made[n].to_numpy() for n in names], axis=1)


def adult_binned(seed: int = 0) -> Coded:
    """Adult as the MST and AIM papers discretised it, 80/20."""
    folder = FOLDER / "adult_binned"
    domain = json.loads((folder / "domain.json").read_text())
    with (folder / "adult.csv").open() as file:
        names, *rows = csv.reader(file)
    codes = np.array(rows, dtype=np.int64)
    codes = codes[np.random.default_rng(seed).permutation(len(codes))]
    cut = int(0.8 * len(codes))
    ordered = {
        "age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week"
    }  # fmt: skip
    sizes = tuple(domain[name] for name in names)
    return Coded(tuple(names), sizes, frozenset(ordered), "income>50K", codes[:cut], codes[cut:])


def nist_ma() -> Coded:
    """The census excerpts of Massachusetts, 2018 fitted and 2019 held out, numbers in 20 bins.

    Columns that others repeat in coarser form (industry, income) are left out; the income decile is
    predicted. Bins and labels are those of the published schemas.
    """
    folder = FOLDER / "nist_ma"
    years = [list(csv.DictReader((folder / f"ma{year}.csv").open())) for year in (2018, 2019)]
    schemas = [
        json.loads((folder / f"ma{year}.schema.json").read_text())["schema"]
        for year in (2018, 2019)
    ]
    names = [name for name in schemas[0] if name not in ("INDP", "PINCP")]
    sizes, ordered, columns = [], [], []
    for name in names:
        kinds = [schema[name] for schema in schemas]
        texts = [[row[name] for row in rows] for rows in years]
        if "values" in kinds[0]:
            levels = sorted({str(v) for kind in kinds for v in kind["values"]})
            columns.append([np.array([levels.index(t) for t in part]) for part in texts])
            sizes.append(len(levels))
            continue
        low, high = min(k["min"] for k in kinds), max(k["max"] for k in kinds)
        edges = np.linspace(low, high, 21)[1:-1]
        missing = [np.array([t == "N" for t in part]) for part in texts]
        numbers = [np.array([low if t == "N" else float(t) for t in part]) for part in texts]
        found = [np.searchsorted(edges, part, side="right") + 1 for part in numbers]
        columns.append([np.where(m, 0, f) for m, f in zip(missing, found, strict=True)])
        sizes.append(21)
        ordered.append(name)
    train, test = (np.stack([c[i] for c in columns], axis=1) for i in (0, 1))
    return Coded(tuple(names), tuple(sizes), frozenset(ordered), "PINCP_DECILE", train, test)


def k_marginal(one: Codes, other: Codes, sizes: Sequence[int], k: int, ways: int = 200) -> float:
    """One less the mean total variation over random k-way tables (the NIST challenges' score)."""
    every = list(itertools.combinations(range(len(sizes)), k))
    picked = np.random.default_rng(k).permutation(len(every))[:ways]
    return 1.0 - float(np.mean([way_tv(one, other, sizes, every[i]) for i in picked]))


def nist(epsilons: Sequence[float] = (1.0, 10.0), seeds: int = 5) -> None:
    data = nist_ma()
    target = data.names.index(data.target)
    real = auc(data.train, data.test, target)
    apart = [f"{k_marginal(data.train, data.test, data.sizes, k):.4f}" for k in (2, 3)]
    rows = [["real 2018", "-", "-", *apart, f"{real:.4f}", "-"]]
    for epsilon in epsilons:
        found = []
        for seed in range(seeds):
            started = time.process_time()
            made = synthetic_codes(
                data.train,
                data.names,
                data.sizes,
                epsilon=epsilon,
                delta=1e-6,
                seed=seed,
                target=data.target,
                ordered=data.ordered,
            )
            cpu = time.process_time() - started
            ways = [
                k_marginal(rows_, made, data.sizes, k)
                for rows_ in (data.train, data.test)
                for k in (2, 3)
            ]
            found.append([*ways, auc(made, data.test, target), cpu])
        rows.append([f"epsilon {epsilon:g}", *(f"{v:.4f}" for v in np.mean(found, axis=0))])
    table(
        "NIST Massachusetts 2018, delta 1e-6",
        ["rows", "2-way, 2018", "3-way, 2018", "2-way, 2019", "3-way, 2019", "TSTR AUC", "CPU-s"],
        rows,
    )


def auc(made: Codes, test: Codes, target: int) -> float:
    """TSTR of boosted trees; the mean over classes where there are more than two."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score

    features = [i for i in range(made.shape[1]) if i != target]
    model = HistGradientBoostingClassifier(max_iter=100, random_state=0)
    model.fit(made[:, features], made[:, target])
    chance = model.predict_proba(test[:, features])
    if len(model.classes_) == 2:
        return float(roc_auc_score(test[:, target] == model.classes_[1], chance[:, 1]))
    found = [
        roc_auc_score(test[:, target] == c, chance[:, i])
        for i, c in enumerate(model.classes_)
        if 0 < (test[:, target] == c).sum() < len(test)
    ]
    return float(np.mean(found))


def pair_tv(one: Codes, other: Codes, sizes: Sequence[int]) -> float:
    """Mean total variation over all two-way tables of at most `MOST_CELLS` cells."""
    pairs = itertools.combinations(range(len(sizes)), 2)
    found = [
        way_tv(one, other, sizes, pair)
        for pair in pairs
        if sizes[pair[0]] * sizes[pair[1]] <= MOST_CELLS
    ]
    return float(np.mean(found))


def way_tv(one: Codes, other: Codes, sizes: Sequence[int], way: Sequence[int]) -> float:
    """Total variation between two tables' joint distributions of the columns in `way`."""
    shape = tuple(sizes[i] for i in way)
    shares = [
        np.bincount(
            np.ravel_multi_index(tuple(rows[:, i] for i in way), shape),
            minlength=int(np.prod(shape)),
        )
        / len(rows)
        for rows in (one, other)
    ]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def measured(data: Coded, epsilon: float, delta: float, seed: int) -> Score:
    started = time.process_time()
    made = synthetic_codes(
        data.train,
        data.names,
        data.sizes,
        epsilon=epsilon,
        delta=delta,
        seed=seed,
        target=data.target,
        ordered=data.ordered,
    )
    cpu = time.process_time() - started
    target = data.names.index(data.target)
    return Score(auc(made, data.test, target), pair_tv(data.train, made, data.sizes), cpu)


def run() -> None:
    adult(seeds=2)


def adult(epsilons: Sequence[float] = (0.1, 1.0, 10.0), seeds: int = 5) -> None:
    data = adult_binned()
    rows = []
    for epsilon in epsilons:
        scores = [measured(data, epsilon, 1e-9, seed) for seed in range(seeds)]
        rows.append([f"{epsilon:g}", *summary(scores)])
    table(
        "Adult, binned as published, delta 1e-9",
        ["epsilon", "TSTR AUC (least, most)", "pair TV", "CPU-s fit + sample"],
        rows,
    )


def summary(scores: Sequence[Score]) -> list[str]:
    aucs = [s.auc for s in scores]
    return [
        f"{np.mean(aucs):.4f} ({min(aucs):.4f}, {max(aucs):.4f})",
        f"{np.mean([s.pair_tv for s in scores]):.4f}",
        f"{np.mean([s.cpu for s in scores]):.2f}",
    ]


def adult_raw(seed: int = 0) -> tuple[Dataset, Dataset]:
    """All of Adult as it was collected, 80/20: bounds, bins and labels are still to be bought."""
    found = task("adult")
    whole = pa.concat_tables([found.train.table, found.test.table])
    order = np.random.default_rng(seed).permutation(whole.num_rows)
    cut = int(0.8 * len(order))
    parts = [whole.take(pa.array(order[:cut])), whole.take(pa.array(order[cut:]))]
    return found.train.with_table(parts[0]), found.train.with_table(parts[1])


def plain_codes(made: pa.Table, test: pa.Table, schema: Schema) -> tuple[Codes, Codes]:
    """Both tables as numbers: labels by their place among all labels, missing as -1."""
    columns = []
    for column in schema.table().learnt:
        pair = [made[column.name], test[column.name]]
        if column.kind == "number":
            columns.append([c.cast(pa.float64()).fill_null(-1).to_numpy() for c in pair])
            continue
        texts = [c.cast(pa.string()).fill_null("?") for c in pair]
        levels = pa.chunked_array([*texts[0].chunks, *texts[1].chunks]).unique()
        columns.append([pc.index_in(t, value_set=levels).to_numpy() for t in texts])
    return tuple(np.stack([c[i] for c in columns], axis=1) for i in (0, 1))  # type: ignore[return-value]


def raw(epsilons: Sequence[float] = (1.0,), seeds: int = 5) -> None:
    from understudy.synthesizers.tabular.marginals import MarginalSynthesizer

    train, test = adult_raw()
    place = [c.name for c in train.schema.table().learnt].index("income")
    real = auc(*plain_codes(train.table, test.table, train.schema), place)
    rows = [["real rows", f"{real:.4f}", "-"]]
    for epsilon in epsilons:
        scores = []
        for seed in range(seeds):
            session = SeededSession(Budget(epsilon, 1e-9), seed)
            started = time.process_time()
            model = MarginalSynthesizer(target="income", seed=seed).fit(train, privacy=session)
            made = model.sample(train.num_rows).table
            cpu = time.process_time() - started
            codes = plain_codes(made, test.table, train.schema)
            scores.append(Score(auc(*codes, place), 0.0, cpu))
        found, _, cost = summary(scores)
        rows.append([f"epsilon {epsilon:g}", found, cost])
    title = "Adult as collected: bounds, bins and labels bought, delta 1e-9"
    table(title, ["rows", "TSTR AUC (least, most)", "CPU-s fit + sample"], rows)


def scale() -> None:
    """A million rows of 50 columns, half numbers and half labels, in a process of its own."""
    from benchmarks.measure import cost_of

    command = [sys.executable, "-m", "benchmarks.marginals", "grown"]
    alone, whole = (cost_of([*command, part]) for part in ("data", "all"))
    table(
        "1,000,000 x 50 at epsilon 1: fit, then 1,000,000 rows drawn",
        ["CPU-s", "MiB beyond the data"],
        [[f"{whole.cpu - alone.cpu:.1f}", f"{whole.peak - alone.peak:.0f}"]],
    )


def grown(part: str, rows: int = 1_000_000, columns: int = 50) -> None:
    from understudy.synthesizers.tabular.marginals import MarginalSynthesizer

    rng = np.random.default_rng(0)
    lead = rng.normal(size=(rows, 3)).astype(np.float32)
    labels = pa.array([f"label {i}" for i in range(12)])
    made: dict[str, pa.Array] = {}
    spec: list[Number | Category] = []
    for i in range(columns):
        value = lead[:, i % 3] + rng.normal(size=rows).astype(np.float32)
        if i % 2:
            made[f"c{i}"] = labels.take(pa.array(np.clip(2 * value + 6, 0, 11).astype(int)))
            spec.append(Category(name=f"c{i}", nullable=False))
        else:
            made[f"c{i}"] = pa.array((1000 * value).astype(np.int64))
            spec.append(Number(name=f"c{i}", integer=True, nullable=False))
    data = Dataset.single(one_table("t", spec), pa.table(made))
    if part == "all":
        session = SeededSession(Budget(1.0, 1e-9), 0)
        MarginalSynthesizer(target="c1").fit(data, privacy=session).sample(rows)


if __name__ == "__main__":
    if sys.argv[1] == "grown":
        grown(sys.argv[2])
    else:
        long = {"adult": adult, "raw": raw, "nist": nist, "scale": scale}
        for name in sys.argv[1:]:
            long[name]()
