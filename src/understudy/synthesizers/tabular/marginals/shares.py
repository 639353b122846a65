"""Shares as asked: rare levels made at the wanted rate, with the weight that undoes it.

Each level is a condition of its own, met exactly, and gets its quota of rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from understudy.contracts import Shares
from understudy.data import Dataset
from understudy.encoding.discrete import Axis, Codes, Floats, LabelAxis
from understudy.errors import ColumnError, ConditionError, suggest
from understudy.runtime.random import stream
from understudy.schema import Schema
from understudy.synthesizers.tabular.assembly import Domains, with_weight
from understudy.synthesizers.tabular.marginals.model import MarginalModel
from understudy.synthesizers.tabular.particles import quotas


def sample_balanced(
    model: MarginalModel, n: int, balance: Shares, domains: Domains, seed: int, workers: int
) -> Dataset:
    """`n` rows whose `balance` column has the asked shares, and a `weight` of mean about 1."""
    column, shares = one_column(model.schema, balance)
    axis = labels_of(column, model.axes.get(column))
    wanted = wanted_shares(column, axis, shares, lambda: model.network.shares_of(column))
    known = np.zeros(axis.size)
    known[: len(wanted)] = 1.0
    _, any_level = model.conditioned(domains, {column: known})
    networks, usual = {}, np.zeros(len(wanted))
    for level in np.flatnonzero(wanted):
        only = np.zeros(axis.size)
        only[level] = 1.0
        network, probability = model.conditioned(domains, {column: only})
        networks[int(level)], usual[level] = network, probability / any_level

    def draw(rows: int, name: str) -> list[dict[str, Codes]]:
        parts = []
        for level, count in enumerate(quotas(rows, wanted)):
            if count:
                place = f"{name}/level {level}"
                parts += model.draw(networks[level], int(count), seed, workers, place)
        order = stream(seed, "balance", name).permutation(rows)
        return [{c: np.concatenate([p[c] for p in parts])[order] for c in parts[0]}]

    table = model.finish(draw, n, domains, seed)
    codes = axis.encode(table[column])
    weight = np.where(wanted > 0, usual / np.where(wanted > 0, wanted, 1.0), 0.0)[codes]
    return with_weight(model.schema, table, weight)


def one_column(schema: Schema, balance: Shares) -> tuple[str, Any]:
    """The column to balance and what was asked of it."""
    if len(balance) != 1:
        raise ConditionError(f"balance one column at a time; {len(balance)} were given.")
    ((column, shares),) = balance.items()
    schema.table().column(column)
    return column, shares


def labels_of(column: str, axis: Axis | None) -> LabelAxis:
    """The column's axis; raises `ColumnError` where it has no levels."""
    if not isinstance(axis, LabelAxis) or len(axis.values) == 0:
        raise ColumnError(
            f"column {column!r} has too many values, or is not learnt: no levels to balance."
        )
    return axis


def wanted_shares(column: str, axis: LabelAxis, shares: Any, usual: Callable[[], Floats]) -> Floats:
    """float64[levels]: the shares asked for; levels not named share the rest as they `usual`ly do.

    Raises `ConditionError` for levels that do not exist and shares that do not sum to 1.
    """
    levels = axis.values.to_pylist()
    if shares == "uniform":
        return np.full(len(levels), 1.0 / len(levels))
    asked, named = _asked(column, levels, dict(shares))
    rest = 1.0 - asked.sum()
    if rest < -1e-9 or (named.all() and abs(rest) > 1e-9):
        raise ConditionError(
            f"the shares of {column!r} sum to {asked.sum():g}; they must sum to 1."
        )
    if not named.all():
        others = usual()[: len(levels)] * ~named
        asked += max(rest, 0.0) * others / others.sum()
    return asked


def _asked(column: str, levels: list[Any], shares: dict[Any, float]) -> tuple[Floats, Any]:
    spelled = {str(level): i for i, level in enumerate(levels)}
    asked, named = np.zeros(len(levels)), np.zeros(len(levels), bool)
    for level, share in shares.items():
        if str(level) not in spelled:
            raise ConditionError(
                f"column {column!r} has no level {level!r}. {suggest(str(level), spelled)}"
            )
        if not 0 <= float(share) <= 1:
            raise ConditionError(f"the share of {level!r} is {share}; shares lie between 0 and 1.")
        asked[spelled[str(level)]], named[spelled[str(level)]] = float(share), True
    return asked, named
