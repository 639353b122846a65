"""Copies: does the synthetic table repeat people it learnt from more than people it never saw?

Rows, rounded rows and rare keys of one, two or three columns are compared by hash, never by
distance. Only real records that occur once among all real rows count: a record that several people
share gives nobody away, and a table of few categories repeats rows by chance. Among those, whether
a record lay in train is a coin with known bias, so with k hits in train and h among the held-back
rows (holdout and reference), `p = P[Bin(k + h, share of train) >= k]`: the sign test when sides
are equal. All rows take part, as a sample would hide copies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.encoding.columns import to_numbers
from understudy.encoding.metric import is_numeric
from understudy.evaluation.samples import shared_codes
from understudy.evaluation.statistics import Estimate, binomial_tail, share_difference
from understudy.schema import LEARNT_KINDS, Table

CELLS = 20
"""Steps of a rounded number across its usual range (1 % to 99 % quantile of the reference)."""
MOST_KEYS = 200
MOST_WORK = 20_000_000
"""Rows times keys; large tables try fewer keys."""

Keys = Mapping[str, NDArray[np.int64]]


@dataclass(frozen=True)
class KeyTest:
    """Records that one key singles out among all real rows, and how many of them are repeated."""

    columns: tuple[str, ...]
    train: int
    holdout: int
    train_hits: int
    holdout_hits: int

    @property
    def excess(self) -> Estimate:
        """Share of train records repeated, less that of held-back records."""
        return share_difference(self.train_hits, self.train, self.holdout_hits, self.holdout)

    @property
    def p(self) -> float:
        total = self.train + self.holdout
        share = self.train / total if total else 0.5
        return binomial_tail(self.train_hits, self.train_hits + self.holdout_hits, share)


@dataclass(frozen=True)
class Copies:
    """Whole rows, rounded rows, and the most telling of `tried` keys."""

    exact: KeyTest
    near: KeyTest
    rare: KeyTest | None
    tried: int
    duplicates: float

    @property
    def rare_p(self) -> float:
        """Bonferroni's, over all keys tried."""
        return 1.0 if self.rare is None else min(1.0, self.rare.p * self.tried)

    def as_dict(self) -> dict[str, Any]:
        exact, near, rare = self.exact, self.near, self.rare
        excess = exact.excess
        return {
            "exact_train": exact.train_hits,
            "exact_holdout": exact.holdout_hits,
            "p": exact.p,
            "share_train": _share(exact.train_hits, exact.train),
            "share_holdout": _share(exact.holdout_hits, exact.holdout),
            "excess": excess.value,
            "excess_low": excess.low,
            "excess_high": excess.high,
            "unique_train": exact.train,
            "unique_holdout": exact.holdout,
            "near_train": near.train_hits,
            "near_holdout": near.holdout_hits,
            "near_share_train": _share(near.train_hits, near.train),
            "near_share_holdout": _share(near.holdout_hits, near.holdout),
            "near_excess": near.excess.value,
            "near_excess_low": near.excess.low,
            "near_excess_high": near.excess.high,
            "near_p": near.p,
            "rare_keys": {
                "tried": self.tried,
                "columns": list(rare.columns) if rare else [],
                "train": rare.train_hits if rare else 0,
                "holdout": rare.holdout_hits if rare else 0,
                "share_train": _share(rare.train_hits, rare.train) if rare else None,
                "share_holdout": _share(rare.holdout_hits, rare.holdout) if rare else None,
                "p": self.rare_p,
            },
            "duplicates_in_source": self.duplicates,
        }


def find_copies(tables: Mapping[str, pa.Table], spec: Table, rng: np.random.Generator) -> Copies:
    """Copies in `tables["synthetic"]` of rows of train, against holdout and reference.

    All four tables have the same columns and types; keys are drawn from `rng` when there are more
    than can be tried.
    """
    columns = [column for column in spec.columns if column.kind in LEARNT_KINDS]
    names = [column.name for column in columns]
    exact = _coded(tables, names)
    rounded: list[Keys] = []
    for column, codes in zip(columns, exact, strict=True):
        chunks = {role: table[column.name] for role, table in tables.items()}
        numeric = is_numeric(column.kind, chunks["train"].type)
        rounded.append(_rounded(chunks) if numeric else codes)
    whole = _hash(exact)
    tests = [
        key_test(tuple(names[i] for i in key), _hash([exact[i] for i in key]))
        for key in _keys(len(columns), sum(t.num_rows for t in tables.values()), rng)
    ]
    train = whole["train"]
    repeats = 1 - len(np.unique(train)) / len(train) if len(train) else 0.0
    return Copies(
        key_test(tuple(names), whole),
        key_test(tuple(names), _hash(rounded)),
        min(tests, key=lambda test: test.p, default=None),
        len(tests),
        repeats,
    )


def row_keys(tables: Mapping[str, pa.Table], spec: Table) -> Keys | None:
    """A 64-bit key per row of its learnt cells; None for a table without such columns."""
    exact = _coded(tables, [c.name for c in spec.columns if c.kind in LEARNT_KINDS])
    return _hash(exact) if exact else None


def _coded(tables: Mapping[str, pa.Table], names: Sequence[str]) -> list[Keys]:
    return [shared_codes({r: table[name] for r, table in tables.items()})[1] for name in names]


def key_test(columns: tuple[str, ...], keys: Keys) -> KeyTest:
    real = np.concatenate([keys["train"], keys["holdout"], keys["reference"]])
    values, first, counts = np.unique(real, return_index=True, return_counts=True)
    once = counts == 1
    in_train = first[once] < len(keys["train"])
    repeated = np.isin(values[once], np.unique(keys["synthetic"]), assume_unique=True)
    return KeyTest(
        columns,
        int(in_train.sum()),
        int((~in_train).sum()),
        int((repeated & in_train).sum()),
        int((repeated & ~in_train).sum()),
    )


def _keys(count: int, rows: int, rng: np.random.Generator) -> Iterator[tuple[int, ...]]:
    """Single columns, then pairs, then triples, until the work allowed is spent."""
    left = max(count, min(MOST_KEYS, MOST_WORK // max(1, rows)))
    for width in (1, 2, 3):
        if width >= count:
            return
        found = list(combinations(range(count), width)) if count <= 100 or width == 1 else []
        if len(found) > left:
            found = [found[i] for i in np.sort(rng.choice(len(found), left, replace=False))]
        yield from found
        left -= len(found)


def _hash(columns: Sequence[Keys]) -> Keys:
    """One 64-bit key per row by multiply-and-shift mixing (the finaliser of SplitMix64).

    Two different rows among a million share a key with probability 3e-8.
    """
    mixed: dict[str, NDArray[np.int64]] = {}
    roles = columns[0] if columns else {}
    for role in roles:
        key = np.full(len(columns[0][role]), 0x9E3779B97F4A7C15, np.uint64)
        for codes in columns:
            key = (key ^ codes[role].astype(np.uint64)) * np.uint64(0xBF58476D1CE4E5B9)
            key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            key ^= key >> np.uint64(31)
        mixed[role] = key.view(np.int64)
    return mixed


def _rounded(chunks: Mapping[str, pa.ChunkedArray]) -> Keys:
    """Numbers as cells of `CELLS` steps; the far tails keep their own, equally wide, cells."""
    numbers, missing = to_numbers(chunks["reference"])
    present = numbers[~missing].astype(np.float64)
    low, high = np.quantile(present, [0.01, 0.99]) if len(present) else (0.0, 1.0)
    step = (high - low) / CELLS or 1.0
    keys = {}
    for role, column in chunks.items():
        values, absent = to_numbers(column)
        cell = np.floor((values.astype(np.float64) - low) / step).clip(-1e15, 1e15)
        keys[role] = np.where(absent, np.iinfo(np.int64).min, cell.astype(np.int64))
    return keys


def _share(hits: int, total: int) -> float | None:
    return hits / total if total else None
