"""The four samples of an evaluation, column by column, in one common coding.

Numbers, dates and durations become float64 with NaN for missing; everything else becomes codes
that all samples share: 0 is missing, 1.. are the levels by falling frequency in train.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.data.dataset import Dataset
from understudy.encoding.columns import to_numbers
from understudy.encoding.metric import is_numeric
from understudy.runtime.random import stream
from understudy.schema import LEARNT_KINDS

ROLES = ("train", "holdout", "reference", "synthetic")
MOST_ROWS = 100_000
"""Rows of each sample that are compared; more would sharpen nothing a reader can use."""


@dataclass(frozen=True)
class Feature:
    """One column in all samples. `levels[c - 1]` is the level of code c; empty for numbers."""

    name: str
    kind: str
    numeric: bool
    type: pa.DataType
    levels: tuple[object, ...]
    values: Mapping[str, NDArray[np.generic]]

    def missing(self, role: str) -> NDArray[np.bool_]:
        values = self.values[role]
        return np.asarray(np.isnan(values) if self.numeric else values == 0)

    def present(self, role: str) -> NDArray[np.generic]:
        return self.values[role][~self.missing(role)]


@dataclass(frozen=True)
class Samples:
    """All comparable columns, the tables they came from (capped), and what was left out."""

    features: tuple[Feature, ...]
    tables: Mapping[str, pa.Table]
    notes: tuple[str, ...]

    def size(self, role: str) -> int:
        return len(self.tables[role])


def subsample(table: pa.Table, rows: int, rng: np.random.Generator) -> pa.Table:
    """`rows` rows without replacement, in their old order; the table itself if it has fewer."""
    if table.num_rows <= rows:
        return table
    return table.take(pa.array(np.sort(rng.choice(table.num_rows, rows, replace=False))))


def align(table: pa.Table, like: pa.Table) -> pa.Table:
    """`table` with the columns and types of `like`; values that do not fit become missing."""
    columns = [_as_type(table[name], like.schema.field(name).type) for name in like.column_names]
    return pa.table(columns, names=like.column_names)


def collect(
    train: Dataset,
    holdout: Dataset,
    reference: Dataset,
    synthetic: Dataset,
    *,
    seed: int,
    most: int | None = MOST_ROWS,
) -> Samples:
    """Codes the four samples alike; all but the learnt kinds are left out, and said.

    Samples of more than `most` rows are thinned, unless it is None.
    """
    spec = train.schema.table()
    notes: list[str] = []
    tables: dict[str, pa.Table] = {}
    for role, dataset in zip(ROLES, (train, holdout, reference, synthetic), strict=True):
        table = align(dataset.table, train.table)
        if most is not None and table.num_rows > most:
            notes.append(f"{role}: {most:,} of {table.num_rows:,} rows compared")
            table = subsample(table, most, stream(seed, "evaluation", "rows", role))
        tables[role] = table
    features: list[Feature] = []
    for column in spec.columns:
        if column.kind not in LEARNT_KINDS:
            notes.append(f"column {column.name}: {column.kind}, left out")
            continue
        chunks = {role: table[column.name] for role, table in tables.items()}
        features.append(_feature(column.name, column.kind, chunks))
    return Samples(tuple(features), tables, tuple(notes))


def _feature(name: str, kind: str, chunks: Mapping[str, pa.ChunkedArray]) -> Feature:
    type = chunks["train"].type
    if is_numeric(kind, type):
        values: dict[str, NDArray[np.generic]] = {}
        for role, column in chunks.items():
            numbers, missing = to_numbers(column)
            values[role] = np.where(missing, np.nan, numbers.astype(np.float64))
        return Feature(name, kind, True, type, (), values)
    levels, codes = _codes(chunks)
    return Feature(name, kind, False, type, levels, codes)


def shared_codes(
    chunks: Mapping[str, pa.ChunkedArray],
) -> tuple[pa.Array, dict[str, NDArray[np.int64]]]:
    """The distinct values of one column over all samples, and each row's index (-1: missing).

    Exact for every type: integers beyond 2^53 and floats are compared as they are.
    """
    pooled = pa.chunked_array(
        [part for column in chunks.values() for part in column.chunks],
        type=next(iter(chunks.values())).type,
    )
    if pa.types.is_null(pooled.type):
        pooled = pooled.cast(pa.string())
    coded = pooled.combine_chunks().dictionary_encode()
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.combine_chunks()
    codes = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    ends = np.cumsum([len(column) for column in chunks.values()])[:-1]
    return coded.dictionary, dict(zip(chunks, np.split(codes, ends), strict=True))


def _codes(
    chunks: Mapping[str, pa.ChunkedArray],
) -> tuple[tuple[object, ...], dict[str, NDArray[np.generic]]]:
    distinct, raw = shared_codes(chunks)
    in_train = np.bincount(raw["train"] + 1, minlength=len(distinct) + 1)[1:]
    order = np.argsort(-in_train, kind="stable")
    code_of = np.zeros(len(order) + 1, np.int32)  # the last entry serves missing
    code_of[order] = np.arange(1, len(order) + 1)
    codes: dict[str, NDArray[np.generic]] = {role: code_of[rows] for role, rows in raw.items()}
    return tuple(distinct.take(pa.array(order)).to_pylist()), codes


def _as_type(column: pa.ChunkedArray, type: pa.DataType) -> pa.ChunkedArray:
    if column.type == type:
        return column
    try:
        return column.cast(type, safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return pa.chunked_array([pa.nulls(len(column), type)])


def one_row_per_unit(dataset: Dataset, rng: np.random.Generator) -> Dataset:
    """A row of each entity, drawn at random; the dataset itself when the unit is the row.

    A judge that sees several rows of one person on both sides of its folds recognises people, and
    would call two samples of one population different.
    """
    unit = dataset.schema.unit.column
    if unit is None:
        return dataset
    order = rng.permutation(dataset.table.num_rows)
    codes = dataset.table[unit].combine_chunks().dictionary_encode().indices
    shuffled = codes.fill_null(-1).to_numpy(zero_copy_only=False)[order]
    _, first = np.unique(shuffled, return_index=True)
    return dataset.with_table(dataset.table.take(pa.array(np.sort(order[first]))))
