"""Shares as asked: each level is a condition of its own and gets its quota of rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from understudy.contracts import Shares
from understudy.data import Dataset
from understudy.encoding.discrete import Floats
from understudy.errors import ColumnError
from understudy.runtime.random import stream
from understudy.synthesizers.tabular.assembly import Domains, with_weight
from understudy.synthesizers.tabular.marginals.shares import (
    labels_of,
    one_column,
    wanted_shares,
)
from understudy.synthesizers.tabular.neural.coding import Coding
from understudy.synthesizers.tabular.particles import quotas

if TYPE_CHECKING:
    from understudy.synthesizers.tabular.neural.conditional_model import ConditionalModel


def sample_balanced(
    model: ConditionalModel, n: int, balance: Shares, domains: Domains, seed: int, workers: int
) -> Dataset:
    """`n` rows whose `balance` column has the asked shares, and a `weight` of mean about 1."""
    column, shares = one_column(model.assembly.schema, balance)
    coding = model.codings.get(column)
    axis = labels_of(column, None if coding is None else coding.axis)
    assert coding is not None
    if coding.staged:
        raise ColumnError(
            f"column {column!r} has {len(axis.values):,} levels: too many to balance."
        )
    wanted = wanted_shares(column, axis, shares, lambda: coding.margin)
    by_level = {
        int(level): model.admitted(domains, {column: _only(coding, int(level))})
        for level in np.flatnonzero(wanted)
    }
    usual = _usual(model, coding, by_level, domains, len(wanted), seed)
    direct = model.assembly.direct(domains)

    def draw(rows: int, attempt: int) -> pa.Table:
        parts = []
        for level, count in enumerate(quotas(rows, wanted)):
            if count:
                place = f"draw {attempt}/level {level}"
                parts += model.draw(by_level[level], int(count), seed, workers, place)
        order = stream(seed, "balance", attempt).permutation(rows)
        return model.to_table([np.concatenate(parts)[order]], direct, seed, attempt)

    table = model.assembly.finish(draw, n, domains, seed)
    codes = axis.encode(table[column])
    weight = np.where(wanted > 0, usual / np.where(wanted > 0, wanted, 1.0), 0.0)[codes]
    return with_weight(model.assembly.schema, table, weight)


def _usual(
    model: ConditionalModel,
    coding: Coding,
    by_level: Mapping[int, Any],
    domains: Domains,
    levels: int,
    seed: int,
) -> Floats:
    """The shares that the levels would have unbalanced, among rows that meet the conditions."""
    usual = np.zeros(levels)
    for level, admitted in by_level.items():
        usual[level] = model.mass(admitted, domains, seed)
    known = np.zeros(coding.groups)
    known[:levels] = 1.0
    everyone = model.admitted(domains, {coding.name: known})
    return usual / model.mass(everyone, domains, seed)


def _only(coding: Coding, level: int) -> Floats:
    only = np.zeros(coding.groups)
    only[level] = 1.0
    return only
