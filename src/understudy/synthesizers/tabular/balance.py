"""Shares as asked: rare classes made at the wanted rate, with the weight that undoes it.

When the balanced column is the target, rows are drawn from the class-conditional leaves and the
boosted head redraws the label under the asked class shares, so that a rare class is neither copied
nor sharpened; rows are then kept by quota. For any other column each level is a condition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.contracts import Shares
from understudy.data import Dataset
from understudy.encoding.columns import Levels
from understudy.errors import ColumnError, ConditionError, suggest
from understudy.runtime.random import stream
from understudy.schema.domains import Domain
from understudy.synthesizers.tabular.assembly import with_weight
from understudy.synthesizers.tabular.boosted import ClassHead
from understudy.synthesizers.tabular.particles import quotas
from understudy.synthesizers.tabular.tree_model import Drawn, Request, TreeModel

ROUNDS = 6


def sample_balanced(
    model: TreeModel,
    n: int,
    balance: Shares,
    domains: Mapping[str, Domain],
    seed: int,
    workers: int,
) -> Dataset:
    """`n` rows whose `balance` column has the asked shares, and a `weight` of mean about 1."""
    column, codec, wanted = _wanted(model, balance)
    request = model.request(domains)
    admitted = request.allowed.get(column, np.ones(codec.size + 1, bool))[:-1]
    if np.any(wanted[~admitted] > 0):
        raise ConditionError(f"`balance` asks for levels of {column!r} that `where` rules out.")
    usual = _usual_shares(model, column, codec, request, seed)
    if np.any((wanted > 0) & (usual <= 0)):
        raise ConditionError(f"`where` leaves no row for some levels of {column!r} in `balance`.")

    def draw(rows: int, name: str) -> Drawn:
        parts = _draw(
            model, column, quotas(rows, wanted), wanted, usual, request, seed, workers, name
        )
        drawn = Drawn.concat(parts)
        shuffled = stream(seed, "balance", name).permutation(len(drawn.codes[column]))
        return drawn.take(shuffled)

    table = model.finish(draw, n, domains, seed)
    codes = codec.encode(table[column])
    weight = np.where(wanted > 0, usual / np.where(wanted > 0, wanted, 1.0), 0.0)[codes]
    return with_weight(model.schema, table, weight)


def _wanted(model: TreeModel, balance: Shares) -> tuple[str, Levels, NDArray[np.float64]]:
    if len(balance) != 1:
        raise ConditionError(f"balance one column at a time; {len(balance)} were given.")
    ((column, shares),) = balance.items()
    model.schema.table().column(column)
    codec = model.codecs.get(column)
    if not isinstance(codec, Levels):
        raise ColumnError(
            f"column {column!r} has too many values, or is not learnt: no levels to balance."
        )
    levels = codec.values.to_pylist()
    if shares == "uniform":
        return column, codec, np.full(codec.size, 1.0 / codec.size)
    spelled = {str(level): i for i, level in enumerate(levels)}
    asked = np.zeros(codec.size)
    named = np.zeros(codec.size, bool)
    for level, share in dict(shares).items():  # type: ignore[arg-type]
        if str(level) not in spelled:
            raise ConditionError(
                f"column {column!r} has no level {level!r}. {suggest(str(level), spelled)}"
            )
        if not 0 <= float(share) <= 1:
            raise ConditionError(f"the share of {level!r} is {share}; shares lie between 0 and 1.")
        asked[spelled[str(level)]], named[spelled[str(level)]] = float(share), True
    rest = 1.0 - asked.sum()
    if rest < -1e-9 or (named.all() and abs(rest) > 1e-9):
        raise ConditionError(
            f"the shares of {column!r} sum to {asked.sum():g}; they must sum to 1."
        )
    if not named.all():
        others = codec.counts * ~named
        asked += max(rest, 0.0) * others / others.sum()
    return column, codec, asked


def _usual_shares(
    model: TreeModel, column: str, codec: Levels, request: Request, seed: int
) -> NDArray[np.float64]:
    """Shares the levels would have unbalanced: as in training, or under `where` as in the model."""
    if set(request.allowed) <= {column}:
        usual = codec.counts * request.allowed.get(column, np.ones(codec.size + 1, bool))[:-1]
        return usual / usual.sum()
    rows = 20_000
    drawn = model.draw(rows, request, seed, 1, "usual")
    codes = drawn.codes[column]
    return np.bincount(codes[codes >= 0], minlength=codec.size) / rows


def _draw(
    model: TreeModel,
    column: str,
    counts: NDArray[np.int64],
    wanted: NDArray[np.float64],
    usual: NDArray[np.float64],
    request: Request,
    seed: int,
    workers: int,
    name: str,
) -> list[Drawn]:
    by_head = (
        column == model.order[0]
        and isinstance(model.head, ClassHead)
        and set(request.allowed) <= {column}
    )
    parts: list[Drawn] = []
    left = counts.copy()
    if by_head:
        parts, left = _by_quota(model, column, left, wanted, usual, seed, workers, name)
    for code in np.flatnonzero(left):
        only = np.zeros(len(left) + 1, bool)
        only[code] = True
        one = replace(request, allowed={**request.allowed, column: only}, redraw=False)
        parts.append(model.draw(int(left[code]), one, seed, workers, f"{name}/level {code}"))
    return parts


def _by_quota(
    model: TreeModel,
    column: str,
    left: NDArray[np.int64],
    wanted: NDArray[np.float64],
    usual: NDArray[np.float64],
    seed: int,
    workers: int,
    name: str,
) -> tuple[list[Drawn], NDArray[np.int64]]:
    """Pools of rows with redrawn labels, kept until every quota is full or the rounds are over."""
    head: Any = model.head
    odds = np.where(usual > 0, wanted / np.where(usual > 0, usual, 1.0), 0.0)
    shift = np.where(head.classes >= 0, odds[head.classes], 0.0)
    parts: list[Drawn] = []
    for round_ in range(ROUNDS):
        if not left.any():
            break
        pool = quotas(int(1.3 * left.sum()) + 200, wanted)
        rng = stream(seed, "pool", name, round_)
        first = rng.permutation(np.repeat(np.arange(len(pool)), pool)).astype(np.int32)
        drawn = model.draw(
            len(first),
            Request({}, {}, first=first, shift=shift),
            seed,
            workers,
            f"{name}/pool {round_}",
        )
        codes = drawn.codes[column]
        picked = np.concatenate([np.flatnonzero(codes == c)[: left[c]] for c in range(len(left))])
        parts.append(drawn.take(picked))
        left = left - np.bincount(codes[picked], minlength=len(left))
    return parts, left
